"""From a rig and words to clips: windows, in-betweening, feet that stand, the frame rate that is wanted."""

from anyrig.generation.corrections import lift, lock_feet
from anyrig.generation.facing import Facing, faced, facing_of, told_facing
from anyrig.generation.motion import Options, Pin, default_weights, generate, generate_clips, upsampled

__all__ = [
    "Facing",
    "Options",
    "Pin",
    "default_weights",
    "faced",
    "facing_of",
    "generate",
    "generate_clips",
    "lift",
    "lock_feet",
    "told_facing",
    "upsampled",
]
