"""From noise to motion: schedules, steps, guidance, in-betweening, and windows for motion of any length."""

from anyrig.diffusion.noise import noise
from anyrig.diffusion.sampling import Guide, Sampling, denoise, levels
from anyrig.diffusion.schedules import COSINE, FLOW, Schedule, schedule
from anyrig.diffusion.windows import Window, blend, shifted, windows

__all__ = [
    "COSINE",
    "FLOW",
    "Guide",
    "Sampling",
    "Schedule",
    "Window",
    "blend",
    "denoise",
    "levels",
    "noise",
    "schedule",
    "shifted",
    "windows",
]
