"""Errors of the pipeline; the tree stands in models/errors.py."""

from models.errors import UserError

__all__ = ["ConfigError", "UserError"]


class ConfigError(UserError, ValueError):
    """A setting that does not exist or cannot be, named by its path in the YAML file."""
