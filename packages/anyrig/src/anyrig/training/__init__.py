"""Teaching a model: poses first, then motion; resumable, from one command."""

from anyrig.training.loop import train
from anyrig.training.losses import Weights, losses
from anyrig.training.settings import TrainSettings

__all__ = ["TrainSettings", "Weights", "losses", "train"]
