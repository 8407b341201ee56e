"""What models are taught with: procedural creatures on varied rigs as features, kept in shards, dealt in batches."""

from anyrig.corpus.batches import Batch, Deal, deal
from anyrig.corpus.examples import Example, from_clip, make_example
from anyrig.corpus.shards import build, load_examples, save_examples
from anyrig.corpus.splits import HELD_OUT_KINDS, HELD_OUT_PAIRS, Selection, held_out, seed_of

__all__ = [
    "HELD_OUT_KINDS",
    "HELD_OUT_PAIRS",
    "Batch",
    "Deal",
    "Example",
    "Selection",
    "build",
    "deal",
    "from_clip",
    "held_out",
    "load_examples",
    "make_example",
    "save_examples",
    "seed_of",
]
