"""Motion and rigs as numbers that mean the same for every skeleton, and back to clips."""

from anyrig.features.motion import CONTACT, POSITION, ROTATION, Features, decode, encode
from anyrig.features.rig import MAX_DEPTH, MAX_DISTANCE, RigCode, rig_code, size_of
from anyrig.features.words import MAX_IDS, N_BUCKETS, name_ids, text_ids, words

__all__ = [
    "CONTACT",
    "MAX_DEPTH",
    "MAX_DISTANCE",
    "MAX_IDS",
    "N_BUCKETS",
    "POSITION",
    "ROTATION",
    "Features",
    "RigCode",
    "decode",
    "encode",
    "name_ids",
    "rig_code",
    "size_of",
    "text_ids",
    "words",
]
