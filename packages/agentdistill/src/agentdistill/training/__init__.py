"""The train stage: supervised fine-tuning on exactly what a model wrote."""

from agentdistill.training.settings import Divergence, TrainResult, TrainSettings, read_result
from agentdistill.training.trainer import train

__all__ = ["Divergence", "TrainResult", "TrainSettings", "read_result", "train"]
