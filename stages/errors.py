"""Errors of the stages; the tree stands in models/errors.py."""

from models.errors import UserError

__all__ = ["AnalysisError", "MediaError", "NoFaceError", "UserError"]


class MediaError(UserError, OSError):
    """A clip, image or folder that cannot be read or written."""


class AnalysisError(UserError, ValueError):
    """An analysis that is missing, damaged, of another clip or model, or edited into something that cannot be."""


class NoFaceError(UserError, LookupError):
    """No face where `track.no_face: fail` demands one."""
