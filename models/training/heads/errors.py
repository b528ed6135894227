"""What can go wrong in making synthetic heads that the user can mend."""

from models.errors import UserError


class HeadsError(UserError, RuntimeError):
    """A missing package, or an option that cannot be."""
