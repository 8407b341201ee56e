"""Makes the helpers in ``tests/fixtures`` importable; a busy machine is no failure, and one thread is enough."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import hypothesis

sys.path.insert(0, str(Path(__file__).parent / "fixtures"))
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")
os.environ.setdefault("OMP_NUM_THREADS", "1")
