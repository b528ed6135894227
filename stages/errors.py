"""Errors of the stages; the tree stands in models/errors.py."""

from models.errors import UserError

__all__ = ["MediaError", "NoFaceError", "UserError"]


class MediaError(UserError, OSError):
    """A clip, image or folder that cannot be read or written."""


class NoFaceError(UserError, LookupError):
    """No face where `track.no_face: fail` demands one."""
