"""Leaving out what nothing in a document refers to any more: the arrays of animations that were replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from anyrig.io._document import Document

_HARMLESS = {
    "EXT_texture_webp",
    "FB_ngon_encoding",
    "KHR_lights_punctual",
    "KHR_materials_unlit",
    "KHR_mesh_quantization",
    "KHR_texture_basisu",
    "KHR_texture_transform",
    "KHR_xmp_json_ld",
    "VRM",
}
"""Extensions that refer to no accessor or buffer view."""


def prune(document: Document) -> None:
    """Drops unused accessors and buffer views. A document with an extension that may refer to some is left as it is."""
    used = set(document.extensionsUsed or ())
    if not all(name in _HARMLESS or name.startswith(("KHR_materials_", "VRMC_")) for name in used):
        return
    document.accessors = _kept(document.accessors, list(_accessor_slots(document)))
    document.bufferViews = _kept(document.bufferViews, list(_view_slots(document)))


Slot = tuple[int, Callable[[int], None]]
"""An index that stands somewhere in a document, and how to change it."""


def _kept(items: list[Any], slots: list[Slot]) -> list[Any]:
    """The items that some slot refers to, with the slots renumbered."""
    wanted = sorted({index for index, _ in slots})
    number = {old: new for new, old in enumerate(wanted)}
    for index, put in slots:
        put(number[index])
    return [items[index] for index in wanted]


def _attribute(owner: Any, name: str) -> Iterator[Slot]:
    """The slot in ``owner.name``, or under that key of a dict, unless it is empty."""
    if isinstance(owner, dict):
        if owner.get(name) is not None:
            yield owner[name], lambda new: owner.__setitem__(name, new)
    elif getattr(owner, name, None) is not None:
        yield getattr(owner, name), lambda new: setattr(owner, name, new)


def _accessor_slots(document: Document) -> Iterator[Slot]:
    for mesh in document.meshes or ():
        for primitive in mesh.primitives:
            yield from _attribute(primitive, "indices")
            for table in (primitive.attributes, *(primitive.targets or ())):
                for name in list(table if isinstance(table, dict) else vars(table)):
                    yield from _attribute(table, name)
    for skin in document.skins or ():
        yield from _attribute(skin, "inverseBindMatrices")
    for animation in document.animations or ():
        for sampler in animation.get("samplers", []):
            yield from _attribute(sampler, "input")
            yield from _attribute(sampler, "output")


def _view_slots(document: Document) -> Iterator[Slot]:
    for accessor in document.accessors or ():
        yield from _attribute(accessor, "bufferView")
        if accessor.sparse is not None:
            yield from _attribute(accessor.sparse.indices, "bufferView")
            yield from _attribute(accessor.sparse.values, "bufferView")
    for image in document.images or ():
        yield from _attribute(image, "bufferView")
