"""``agentdistill bench gguf`` on a small student: both engines write, and the table tells their ratio."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("llama_cpp", reason="the extra agentdistill[llama-cpp] is not installed: it has to be compiled")

from agentdistill.cli import main


def test_both_engines_are_timed(capsys):
    arguments = ["--model", "tinyworld:0.3M", "--rounds", "2", "--tokens", "8", "--rows", "2", "--threads", "1"]
    assert main(["bench", "gguf", *arguments, "--quantization", "f32", "q8_0", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(r["quantization"], r["rows"]) for r in rows] == [("f32", 2), ("q8_0", 2)]
    for r in rows:
        low, middle, high = r["ratio"]
        assert 0 < low <= middle <= high
        assert min(r["transformers"], r["llama_cpp"]) > 0
    assert rows[1]["mb"] < rows[0]["mb"]
    assert main(["bench", "gguf", *arguments, "--quantization", "f32"]) == 0
    assert "llama.cpp / transformers" in capsys.readouterr().out
