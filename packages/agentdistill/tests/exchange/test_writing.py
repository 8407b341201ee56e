"""What is written for the hub: loads with the hub's own libraries, holds everything, and its card tells the truth."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest
from any_traces import traces
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_traces import made_traces
from small_run import write_inputs
from tiny_models import build_tokenizer, save_checkpoint

from agentdistill.cli import main
from agentdistill.errors import DataError, ModelError, UserError
from agentdistill.exchange import read_trajectories, write_dataset, write_model
from agentdistill.pipeline.run import Run, trained
from agentdistill.prompts import load_prompt
from agentdistill.recipe import load_recipe
from agentdistill.store import write_jsonl
from agentdistill.tools import load_tools
from agentdistill.types import Sampling

ACCURACY = {"estimate": 0.75, "low": 0.6, "high": 0.85}
CELL = {"accuracy": ACCURACY, "n": 40, "truncations": 1, "faults": 2}
EVALUATIONS = [{"student": "base", "method": "agent-distill", "families": {"rivers": CELL}, "average": CELL}]


def card(folder):
    """A card's YAML head and its text."""
    yaml = pytest.importorskip("yaml")
    _, head, text = (folder / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(head), text


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(st.lists(traces, min_size=1, max_size=4, unique_by=lambda t: t.id))
def test_every_trace_comes_back_as_it_was(tmp_path_factory, some):
    folder = write_dataset(some, tmp_path_factory.mktemp("dataset"), name="some")
    assert read_trajectories(str(folder / "data" / "train.parquet")).traces == tuple(some)


def test_a_dataset_loads_with_the_hubs_library_and_its_card_counts(tmp_path):
    made = made_traces(12)
    folder = write_dataset(made, tmp_path / "out", name="rivers | agent", license="apache-2.0")
    import datasets

    rows = datasets.load_dataset("parquet", data_files=str(folder / "data/train.parquet"), split="train")
    assert rows.num_rows == 12
    assert rows[0]["messages"] == [{"role": m.role, "content": m.content} for m in made[0].messages]
    head, text = card(folder)
    assert (head["license"], head["size_categories"]) == ("apache-2.0", ["n<1K"])
    assert head["configs"][0]["data_files"][0]["path"] == "data/train.parquet"
    assert "12 trajectories (`agent`) of `teacher`, 2.0 steps on average. Answers were not graded." in text
    columns = pq.read_schema(folder / "data/train.parquet").names
    assert [c for c in columns if f"`{c}`" not in text] == ["id"]
    with pytest.raises(DataError, match="no traces"):
        write_dataset([], tmp_path / "none", name="none")


def test_trl_reads_the_conversation_and_adds_no_tools_to_it(tmp_path):
    """TRL hands a column called tools to the chat template, which then tells the model to call them its own way."""
    from trl.data_utils import apply_chat_template

    tokenizer = build_tokenizer("qwen2_5")
    [tool] = load_functions_of("def price(item: str) -> float:\n    'The price of an item.'\n    return 1.0", tmp_path)
    folder = write_dataset(made_traces(1), tmp_path / "out", name="rivers", tools=[tool])
    [row] = pq.read_table(folder / "data/train.parquet").to_pylist()
    assert "price" in row["tool_docs"]
    plain = tokenizer.apply_chat_template(row["messages"], tokenize=False)
    assert apply_chat_template(row, tokenizer)["text"] == plain


def load_functions_of(code, folder):
    (folder / "tools.py").write_text(code)
    return load_tools(folder / "tools.py")


def test_a_model_loads_and_its_card_has_the_runs_numbers(tmp_path):
    student = save_checkpoint(tmp_path / "student", hidden=16)
    (student / "training.json").write_text('{"base": "owner/base"}')
    template = load_prompt("standard")
    folder = write_model(student, tmp_path / "out", name="s", template=template, evaluations=EVALUATIONS)
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder)
    assert AutoTokenizer.from_pretrained(folder).chat_template
    assert (model.generation_config.do_sample, model.generation_config.max_new_tokens) == (False, 1024)
    assert model.generation_config.eos_token_id is not None
    assert not (folder / "training.json").exists()
    head, text = card(folder)
    assert (head["base_model"], head["library_name"]) == ("owner/base", "transformers")
    assert head["model-index"][0]["results"][0]["metrics"][0]["value"] == 0.75
    assert "| agent-distill | rivers | 75.0% | 60.0–85.0 | 40 | 1 | 2 |" in text
    assert "def final_answer(answer)" in text
    with pytest.raises(UserError, match="not empty"):
        write_model(student, folder, name="s", template=template)
    with pytest.raises(ModelError, match="nothing to merge"):
        write_model(student, tmp_path / "other", name="s", template=template, merge=True)
    with pytest.raises(ModelError, match="holds no model"):
        write_model(tmp_path / "nothing", tmp_path / "other", name="s", template=template)


def test_an_adapter_stays_one_or_is_merged(tmp_path):
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base = save_checkpoint(tmp_path / "base", hidden=16)
    tuned = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base), LoraConfig(r=2, init_lora_weights=False, target_modules=["q_proj"])
    )
    student = tmp_path / "student"
    tuned.save_pretrained(student)
    AutoTokenizer.from_pretrained(base).save_pretrained(student)
    template, sampling = load_prompt("tiny"), Sampling(0.5, 0.9, 64)
    adapter = write_model(student, tmp_path / "adapter", name="a", template=template, sampling=sampling)
    head, _ = card(adapter)
    assert head["library_name"] == "peft"
    assert "base_model" not in head, "a folder of this machine is no name"
    assert json.loads((adapter / "generation_config.json").read_text())["temperature"] == 0.5
    merged = write_model(student, tmp_path / "merged", name="a", template=template, merge=True)
    assert card(merged)[0]["library_name"] == "transformers"
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.inference_mode():
        expected = tuned.eval()(ids).logits
        found = AutoModelForCausalLM.from_pretrained(merged).eval()(ids).logits
    assert torch.allclose(expected, found, atol=1e-4)


@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize(
    ("convention", "turn_end", "own_end"),
    [("smollm2", "<|im_end|>", "<|endoftext|>"), ("llama3", "<|eot_id|>", "<|end_of_text|>"),
     ("phi4", "<|end|>", "<|endoftext|>"), ("gemma", "<end_of_turn>", "<eos>")],
)  # fmt: skip
def test_whoever_serves_it_stops_where_its_turns_end(tmp_path, convention, turn_end, own_end, merge):
    """The base is one that never saw a chat: its own end is another token, and its weights are bfloat16."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base = save_checkpoint(tmp_path / "base", convention, hidden=16)
    tokenizer = AutoTokenizer.from_pretrained(base)
    ends = tokenizer.convert_tokens_to_ids([turn_end, own_end])
    tokenizer.eos_token = own_end
    tokenizer.save_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base).to(torch.bfloat16)
    model.generation_config.eos_token_id = ends[1]
    model.generation_config.repetition_penalty = 1.1
    model.save_pretrained(base)
    config = json.loads((base / "config.json").read_text())
    del config["dtype"]  # as of a checkpoint that says it in its weights only
    (base / "config.json").write_text(json.dumps(config))
    student = tmp_path / "student"
    get_peft_model(model, LoraConfig(r=2, init_lora_weights=False, target_modules=["q_proj"])).save_pretrained(student)
    tokenizer.save_pretrained(student)
    out = write_model(student, tmp_path / "out", name="a", template=load_prompt("tiny"), merge=merge)
    generation = json.loads((out / "generation_config.json").read_text())
    assert generation["eos_token_id"] == ends
    assert "repetition_penalty" not in generation, "it was evaluated without"
    if merge:
        assert AutoModelForCausalLM.from_pretrained(out).dtype == torch.bfloat16


@pytest.mark.parametrize(
    "adapted",
    [
        {"target_modules": ["embed_tokens"]},
        {"target_modules": ["lm_head"]},
        {"target_modules": ["embed_tokens", "lm_head", "q_proj"]},
        {"target_modules": ["embed_tokens"], "ensure_weight_tying": True},
        {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"]},
        {"target_modules": ["q_proj"], "trainable_token_indices": [1, 2]},
        {"target_modules": ["q_proj"]},
    ],
    ids=lambda kw: "-".join(f"{v}" for v in kw.values()),
)
@pytest.mark.filterwarnings("ignore")
def test_adapters_on_shared_embeddings_are_merged_into_what_they_were_trained_as(tmp_path, adapted):
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base = save_checkpoint(tmp_path / "base", hidden=16)
    model = AutoModelForCausalLM.from_pretrained(base)
    model.config.tie_word_embeddings = True
    model.tie_weights()
    model.save_pretrained(base)
    tuned = get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(r=2, **adapted)).eval()
    with torch.no_grad():
        for p in tuned.parameters():
            if p.requires_grad:
                p += torch.randn(p.shape, generator=torch.Generator().manual_seed(0)) * 0.3
    ids = torch.tensor([[5, 6, 7, 8]])
    expected = tuned(ids).logits
    tuned.save_pretrained(tmp_path / "student")
    AutoTokenizer.from_pretrained(base).save_pretrained(tmp_path / "student")
    merged = write_model(tmp_path / "student", tmp_path / "out", name="a", template=load_prompt("tiny"), merge=True)
    found = AutoModelForCausalLM.from_pretrained(merged).eval()(ids).logits
    assert torch.allclose(expected, found, atol=1e-4)


def test_the_command_writes_either(tmp_path, capsys):
    run = Run(load_recipe(write_inputs(tmp_path, n_train=2, n_test=1)), tmp_path / "run")
    run.save_recipe()
    student = trained(run.folder, run.recipe.students[0], "agent-distill")
    save_checkpoint(student, hidden=16)
    (student / "training.json").write_text("{}")
    (run.folder / "report.json").write_text(json.dumps({"evaluations": EVALUATIONS}))
    write_jsonl(run.folder / "filter/agent/traces.jsonl", made_traces(3))
    assert main(["export", str(run.folder), str(tmp_path / "model")]) == 0
    assert "hf upload OWNER/NAME" in capsys.readouterr().out
    assert "75.0%" in card(tmp_path / "model")[1]
    assert main(["export", str(run.folder), str(tmp_path / "data"), "--dataset", "filter/agent"]) == 0
    tools = pq.read_table(tmp_path / "data/data/train.parquet").column("tool_docs")[0].as_py()
    assert [t["name"] for t in json.loads(tools)] == ["search"]
    assert main(["export", str(run.folder), str(tmp_path / "no"), "--dataset", "filter/cot"]) == 2
    assert "(there are: filter/agent)" in capsys.readouterr().err
    (tmp_path / "data/README.md").write_text("mine")
    assert main(["export", str(run.folder), str(tmp_path / "data"), "--dataset", "filter/agent"]) == 2
    assert "not empty" in capsys.readouterr().err
    assert (tmp_path / "data/README.md").read_text() == "mine"
    for options, said in (
        (["--merge"], "nothing to merge"),
        (["--merge", "--gguf"], "leave --merge out"),
        (["--merge", "--dataset", "filter/agent"], "--merge is for a student"),
        (["--gguf", "--dataset", "filter/agent"], "--gguf is for a student"),
    ):
        assert main(["export", str(run.folder), str(tmp_path / "new"), *options]) == 2
        assert said in capsys.readouterr().err
        assert not (tmp_path / "new").exists()
