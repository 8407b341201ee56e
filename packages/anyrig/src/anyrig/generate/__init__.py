"""From a rig and words to clips: windows, in-betweening, feet that stand, the frame rate that is wanted."""

from anyrig.generate.facing import Facing, faced, facing_of, told_facing
from anyrig.generate.footing import lift, lock_feet
from anyrig.generate.motion import Options, Pin, generate
from anyrig.generate.upsample import upsampled
from anyrig.generate.weights import default_weights

__all__ = [
    "Facing",
    "Options",
    "Pin",
    "default_weights",
    "faced",
    "facing_of",
    "generate",
    "lift",
    "lock_feet",
    "told_facing",
    "upsampled",
]
