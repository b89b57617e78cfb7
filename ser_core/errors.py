"""The errors a user can cause; each text is a sentence that says what was wrong and what to do.

Bugs are not wrapped: they surface as they are. The pages and the command line show `str(error)` of these and nothing else.
"""


class SerError(Exception):
    """Something the user can fix; the text says how."""


class AudioError(SerError):
    """The bytes are not audio that this project can use."""


class CorpusError(SerError):
    """A corpus folder is missing, partial or not what its name says."""


class ModelError(SerError):
    """A trained model is missing, damaged or from another version."""


class ConfigError(SerError):
    """A setting is out of range or contradicts another."""


class Stopped(SerError):
    """Work that was asked to stop did so; the text says what of it is kept."""
