"""Errors that a user caused and can mend. Everything else is our bug and ends in a traceback.

UserError                     what and where, and the remedy: two lines, exit status 2
├── ModelError                models/: a call the network cannot answer (also ValueError)
├── CheckpointError           models/: a weight file that is missing, foreign, damaged or hostile (also ValueError)
├── LatentError               models/: a latent file that cannot be read, or belongs to another model (also ValueError)
├── MediaError                stages/: a clip that cannot be read or written (also OSError)
├── AnalysisError             stages/: an analysis that is missing, damaged, or of another clip (also ValueError)
├── NoFaceError               stages/: no face where the policy demands one (also LookupError)
├── ShardError                pipeline/: parts of a render that do not make one clip (also ValueError)
└── ConfigError               pipeline/: a setting that does not exist or cannot be (also ValueError)
"""


class UserError(Exception):
    """Base of every error that is the user's to mend.

    Attributes:
        what: one line, what is wrong and where (file, setting, frame).
        remedy: one line, what to do about it.
    """

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.what} ({self.remedy})"

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.what, self.remedy)


class ModelError(UserError, ValueError):
    """The network was asked for something that it cannot do."""


class CheckpointError(UserError, ValueError):
    """A weight file is missing, foreign, damaged or hostile."""


class LatentError(UserError, ValueError):
    """A latent file is missing, damaged, incomplete or another model's."""
