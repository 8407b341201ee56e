"""What a file holds: a skeleton, its clips, and for glTF everything else, so that a re-export keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from anyrig.errors import ClipError
from anyrig.skeleton import Clip, Skeleton

if TYPE_CHECKING:
    from anyrig.io._source import Source


@dataclass(frozen=True, eq=False)
class Model:
    """A skeleton with its clips, of which there may be none.

    ``source`` is the glTF document they came from (None for other formats): meshes, skins, materials and whatever else
    stands in it is written out again with the clips, as long as those are of the same joints.
    """

    skeleton: Skeleton
    clips: tuple[Clip, ...] = ()
    source: Source | None = None

    def clip(self, name: str) -> Clip:
        """The clip called ``name``. Raises ClipError, with the names there are, where there is none such."""
        for clip in self.clips:
            if clip.name == name:
                return clip
        names = ", ".join(repr(c.name) for c in self.clips) or "none"
        raise ClipError(f"no clip is called {name!r}; there are: {names}")
