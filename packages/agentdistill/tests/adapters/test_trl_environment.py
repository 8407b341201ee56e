"""GRPO by TRL itself, its tool loop against the sandbox. What the model says is scripted; everything else is real."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tiny_models import build_tokenizer, save_checkpoint

from agentdistill.adapters import SandboxEnvironment
from agentdistill.environment import Environment
from agentdistill.errors import InfrastructureError
from agentdistill.tools import Tool


def price(thing: str) -> int:
    """What a thing costs."""
    if thing == "moon":
        raise InfrastructureError("the shop is closed")
    return len(thing)


@pytest.fixture(scope="module")
def environment() -> Iterator[Environment]:
    with Environment([Tool.of(price)], mode="process") as made:
        yield made


def test_a_rollout_keeps_its_state_and_the_next_has_a_fresh_one(environment: Environment) -> None:
    rollout = SandboxEnvironment(environment)
    rollout.reset(prompt="a row of the data set")
    assert rollout.python("x = 20") == "(nothing was printed)"
    assert rollout.python("print(x + price('y'))") == "21"
    assert rollout.python("1 / 0") == "Error: ZeroDivisionError: division by zero (line 1)"
    rollout.python("final_answer(x)")
    assert rollout.answer == "20"
    rollout.reset()
    assert rollout.answer is None
    assert "NameError" in rollout.python("x")


def test_a_fault_is_raised_where_trl_does_not_catch_it(environment: Environment) -> None:
    rollout = SandboxEnvironment(environment)
    rollout.reset()
    with pytest.raises(InfrastructureError):
        rollout.python("price('moon')")
    with pytest.raises(InfrastructureError, match="the shop is closed"):
        rollout.reset()


SCRIPT = ["x = 6", "print(7 * x)", "final_answer(x + 1)"]


def test_grpo_calls_it_and_rewards_its_answer(environment: Environment, tmp_path: Path) -> None:
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM
    from trl import GRPOConfig, GRPOTrainer
    from trl.chat_template_utils import qwen3_chat_template

    tokenizer = build_tokenizer("qwen3")
    tokenizer.chat_template = qwen3_chat_template
    model = AutoModelForCausalLM.from_pretrained(save_checkpoint(tmp_path / "base", "qwen3"))
    model.config.max_position_embeddings = 4096  # TRL drops a tool's result that does not fit into it
    seen: list[str] = []

    def generate(input_ids: torch.Tensor, **how: Any) -> torch.Tensor:
        """As many calls as results so far, plus one; then an end. Rows of one batch are at the same step."""
        rows = []
        for ids in input_ids:
            text = tokenizer.decode(ids)
            n = text.count("<tool_response>")
            said = "Done."
            if n < len(SCRIPT):
                call = {"name": "python", "arguments": {"code": SCRIPT[n]}}
                said = f"<tool_call>\n{json.dumps(call)}\n</tool_call>"
            else:
                seen.append(text)
            rows.append(tokenizer(f"{said}<|im_end|>", add_special_tokens=False)["input_ids"])
        width = max(map(len, rows))
        filled = torch.tensor([row + [tokenizer.pad_token_id] * (width - len(row)) for row in rows])
        return torch.cat([input_ids, filled], dim=1)

    model.generate = generate
    rewarded: list[str | None] = []

    def right(environments: list[SandboxEnvironment], **columns: Any) -> list[float]:
        rewarded.extend(e.answer for e in environments)
        return [float(e.answer == "7") for e in environments]

    settings = GRPOConfig(
        str(tmp_path / "out"), max_steps=1, per_device_train_batch_size=2, num_generations=2, max_completion_length=400,
        use_cpu=True, report_to="none", save_strategy="no", bf16=False, disable_tqdm=True,
    )  # fmt: skip
    trainer = GRPOTrainer(
        model,
        reward_funcs=right,
        args=settings,
        train_dataset=Dataset.from_list([{"prompt": [{"role": "user", "content": "What is x + 1?"}]}] * 2),
        processing_class=tokenizer,
        environment_factory=partial(SandboxEnvironment, environment),
    )
    assert [t.__name__ for t in trainer.tools] == ["python"]
    trainer.train()
    assert rewarded == ["7", "7"]
    assert len(seen) == 2
    for text in seen:
        assert "<tool_response>\n42\n</tool_response>" in text
        assert "call for the" not in text
