"""A studio with a small untaught model, served on a free port."""

from __future__ import annotations

import threading

import pytest
import torch

from anyrig.diffusion import Sampling
from anyrig.model import ModelConfig, MotionModel
from anyrig.studio import Session, serve


@pytest.fixture(scope="module")
def address():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = MotionModel(ModelConfig(width=16, layers=1, heads=2, max_frames=16, text_width=8, text_layers=1))
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "modulate" in name or "_out" in name:
                p.normal_(std=0.1)
    server = serve(Session(model.eval(), Sampling(steps=2)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()
