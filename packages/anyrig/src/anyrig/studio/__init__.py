"""The studio: a page in the browser to make rigs move, served on this machine only."""

from anyrig.studio.server import serve
from anyrig.studio.session import Session

__all__ = ["Session", "serve"]
