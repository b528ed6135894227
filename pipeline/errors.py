"""Errors of the pipeline; the tree stands in models/errors.py."""

from models.errors import UserError

__all__ = ["ConfigError", "ShardError", "UserError"]


class ConfigError(UserError, ValueError):
    """A setting that does not exist or cannot be, named by its path in the YAML file."""


class ShardError(UserError, ValueError):
    """Parts of a render that do not make one clip: missing, overlapping, damaged, or of different renders."""
