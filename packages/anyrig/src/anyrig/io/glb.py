"""glTF 2.0: ``.glb`` and ``.gltf`` files with skins and animations in and out.

- Joints are the nodes that any skin names, those between them, and those above them that an animation moves; in a file
  without a skin, the nodes that animations move. Nodes above, such as an armature scaled by 100 and turned on its back,
  are folded into the world that the joints are in. Of several characters in a file one is read.
- The skeleton rests as its mesh was bound, where bind matrices say how, and as the nodes stand otherwise.
- Animations become clips at the rate at which all their keys fall on frames, so keys are kept as they are.
- Writing a model that was read keeps meshes, skins, materials, morph targets and all else. Changed and new clips get
  one linear key a frame, without scale. An animation whose clip was not changed is kept to the letter, but for what is
  no valid glTF, and for one key for each joint that a new clip moves and it does not.
- A skeleton from elsewhere is written with a skin and a mesh that shows its bones.
"""

from __future__ import annotations

import os
from pathlib import Path

from anyrig.errors import AnyrigError, FileError
from anyrig.io._document import as_glb, as_gltf, open_document
from anyrig.io._encode import document_of
from anyrig.io._files import write_bytes
from anyrig.io._model import Model
from anyrig.io._source import read_model, wrap

_MALFORMED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def read_glb(
    path: str | os.PathLike[str],
    *,
    ends: bool = False,
    skin: str | int | None = None,
    up: str = "y",
    unit: str | float = "m",
) -> Model:
    """The skeleton in a glTF file with all its clips, of which there may be none.

    ``ends`` adds the childless nodes below the last bones. ``skin``, by name or number, chooses one of several
    characters. ``up`` and ``unit`` are for files that do not keep to the standard, which is y up and metres. Raises
    FileError for a file that cannot be read, and for one without skin and animation.
    """
    document = open_document(path)
    try:
        wrap(document, up, unit, inward=True)
        return read_model(document, ends=ends, skin=skin)
    except AnyrigError:
        raise
    except _MALFORMED as error:  # JSON of the wrong shape gets this far, and meets whatever Python raises there
        raise FileError(f"{path} is malformed: it is no consistent glTF document ({type(error).__name__})") from error


def write_glb(
    model: Model, path: str | os.PathLike[str], *, up: str = "y", unit: str | float = "m", bones: bool = True
) -> None:
    """Writes the model with its clips; as JSON with the buffer inside where the file's name ends in ``.gltf``.

    ``up`` and ``unit`` put a node above all that takes the standard's y up and metres to others. ``bones`` gives a
    skeleton without a source document a mesh. Raises ClipError for clips of other joints, and FileError where the disk
    refuses or a value is not finite.
    """
    try:
        document = document_of(model, bones=bones)
        wrap(document, up, unit, inward=False)
        data = as_gltf(document) if Path(path).suffix.lower() == ".gltf" else as_glb(document)
    except (FileError, ValueError, OverflowError) as error:  # ValueError: JSON has no word for what is not finite
        raise FileError(f"{path} cannot be written: {error}") from error
    write_bytes(path, data)
