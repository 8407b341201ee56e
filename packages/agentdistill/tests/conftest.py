"""Makes the helpers in ``tests/fixtures`` importable by their file names, keeps torch to one thread and the cache of
dequantised files to a folder of this process."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

import hypothesis

sys.path.insert(0, str(Path(__file__).parent / "fixtures"))
hypothesis.settings.register_profile("patient", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("patient")
CACHE = tempfile.mkdtemp(prefix="agentdistill-cache-")
atexit.register(shutil.rmtree, CACHE, ignore_errors=True)
os.environ["AGENTDISTILL_CACHE"] = CACHE
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
