"""What can go wrong, as one tree. A model's mistakes are not here: they are observations.

AgentDistillError
├── UserError            bad input or settings: one clear line, exit status 2
│   ├── RecipeError      a recipe that cannot be run as written
│   ├── DataError        a file that cannot be read as problems, passages or traces
│   ├── PluginError      code from outside of this project that raised, or gave what it must not
│   └── ModelError       a model or checkpoint that does not fit what was asked of it
│       └── RefusedError one request that a server will not answer: a fault of that episode alone
└── InfrastructureError  the world failed (network, server, disk): recorded, unscored, tried again on resume
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class AgentDistillError(Exception):
    """Base of all errors raised on purpose."""


class UserError(AgentDistillError):
    """Something the user can fix. The message is one line that names the thing, the place and the way out."""


class RecipeError(UserError):
    """A recipe that cannot be run as written."""


class DataError(UserError):
    """A file that cannot be read as what it should be."""


class PluginError(UserError):
    """Code from outside of this project, named in a recipe or command, that raised or gave what it must not."""


class ModelError(UserError):
    """A model or checkpoint that does not fit what was asked of it."""


class RefusedError(ModelError):
    """One request that a server understood and will not answer: its content, or its form. Others may be answered.

    An episode that meets it ends as a fault; only where every episode does is it the user's to fix.
    """


@contextmanager
def named_by(key: str) -> Iterator[None]:
    """Where the block raises a UserError, its line ends with the recipe's ``key`` that names what was read."""
    try:
        yield
    except UserError as e:
        e.args = (f"{e} ({key})",)
        raise


class InfrastructureError(AgentDistillError):
    """The world failed, not the model and not the user: recorded on the trace, unscored, tried again on resume.

    ``retry_after_s`` is when a server that failed asked to be asked again, in seconds; None where it did not.
    """

    def __init__(self, *args: object, retry_after_s: float | None = None) -> None:
        super().__init__(*args)
        self.retry_after_s = retry_after_s
