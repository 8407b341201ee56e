"""The model: a diffusion transformer over joints and time that knows a rig by its tree, its rest pose and its names."""

from anyrig.model.batch import RigBatch, collate_rigs, pack, unpack
from anyrig.model.config import ModelConfig
from anyrig.model.network import MotionModel, load_model, save_model
from anyrig.model.text import Text, TextEncoder, contrast

__all__ = [
    "ModelConfig",
    "MotionModel",
    "RigBatch",
    "Text",
    "TextEncoder",
    "collate_rigs",
    "contrast",
    "load_model",
    "pack",
    "save_model",
    "unpack",
]
