"""A busy machine is no failure; and one thread is enough for every test."""

from __future__ import annotations

import os

import hypothesis

hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")
os.environ.setdefault("OMP_NUM_THREADS", "1")
