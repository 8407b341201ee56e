"""Distillation from a teacher's distributions with TRL: the loss by plain arithmetic, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made_traces import made_traces
from tiny_models import build_tokenizer, save_checkpoint

from agentdistill.errors import ModelError, RecipeError
from agentdistill.models.chat import ChatFormat
from agentdistill.training import Divergence, TrainSettings, train

torch.set_num_threads(1)
SETTINGS = TrainSettings(method="full", learning_rate=1e-3, device="cpu", log_every=1, epochs=1, batch_size=4)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A student, and a teacher of the same tokens and other weights."""
    folder = tmp_path_factory.mktemp("models")
    return str(save_checkpoint(folder / "student", seed=1)), str(save_checkpoint(folder / "teacher", seed=2))


def divergence(student: str, teacher: str, beta: float, n: int) -> float:
    """Mean KL over what the student wrote: forward for beta 0, reverse for 1."""
    from transformers import AutoModelForCausalLM

    s, t = (AutoModelForCausalLM.from_pretrained(p, dtype=torch.float32).eval() for p in (student, teacher))
    total, count = 0.0, 0
    for trace in made_traces(n):
        [e] = ChatFormat(build_tokenizer("smollm2")).examples(trace.messages)
        with torch.no_grad():
            p, q = (m(torch.tensor([e.input_ids])).logits[0].log_softmax(-1) for m in (s, t))
        kl = (p.exp() * (p - q)).sum(-1) if beta else (q.exp() * (q - p)).sum(-1)
        for at, learned in enumerate(e.trained):
            if learned:
                total += float(kl[at - 1])
                count += 1
    return total / count


@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_the_loss_is_the_divergence_at_what_the_student_wrote(
    models: tuple[str, str], tmp_path: Path, beta: float
) -> None:
    student, teacher = models
    given = Divergence(teacher=teacher, beta=beta)
    result = train(made_traces(4), student, tmp_path / "out", SETTINGS, divergence=given)
    assert result.n_steps == 1
    assert result.final_loss == pytest.approx(divergence(student, teacher, beta, 4), rel=1e-3)
    more = replace(SETTINGS, epochs=8)
    train(made_traces(4), student, tmp_path / "more", more, divergence=given)
    assert divergence(str(tmp_path / "more"), teacher, beta, 4) < divergence(student, teacher, beta, 4)
    again = train(made_traces(4), student, tmp_path / "out", SETTINGS, divergence=given)
    assert again == result  # done already
    assert train(made_traces(4), student, tmp_path / "out", SETTINGS).final_loss != result.final_loss  # another loss


def test_a_teacher_of_other_tokens_is_refused(models: tuple[str, str], tmp_path: Path) -> None:
    other = str(save_checkpoint(tmp_path / "other", "llama3"))
    with pytest.raises(ModelError, match="tokenizer is not the student's"):
        train(made_traces(2), models[0], tmp_path / "out", SETTINGS, divergence=Divergence(teacher=other))


def test_what_cannot_be_is_refused(models: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="beta"):
        Divergence(teacher="x", beta=1.5)
    with pytest.raises(RecipeError, match="one process"):
        train(
            made_traces(2),
            models[0],
            tmp_path / "out",
            replace(SETTINGS, distributed="ddp"),
            divergence=Divergence(teacher=models[1]),
        )
