"""ATIF: every trace comes back as it was, also through the models of the format; documents of others read as traces."""

from __future__ import annotations

import json

import pytest
from any_traces import traces
from hypothesis import HealthCheck, given, settings
from made_traces import made_traces

from agentdistill.errors import DataError
from agentdistill.exchange import from_atif, read_trajectories, to_atif, write_atif
from agentdistill.exchange.readers import find_reader, read_drafts
from agentdistill.store import dumps
from agentdistill.types import Source, Trace, Usage

CALL = {"tool_call_id": "a", "function_name": "search", "arguments": {"query": "Aren"}}
TOKENS = {"prompt_tokens": 30, "completion_tokens": 2, "completion_token_ids": [7, 8], "logprobs": [-0.25, -1.5]}
ANSWER = "Thought: there.\nCode:\n```py\nfinal_answer('404 km')\n```"
STEPS = [
    {"source": "system", "message": "Use tools."},
    {"source": "user", "message": "How long is the Aren?"},
    {
        "source": "agent", "message": "I look.", "reasoning_content": "A river.", "tool_calls": [CALL],
        "metrics": TOKENS,
        "observation": {"results": [{"source_call_id": "a", "content": [{"type": "text", "text": "404 km"}, {
            "type": "image", "source": {"media_type": "image/png", "path": "map.png"}}]}]},
    },
    {"source": "agent", "message": ANSWER, "metrics": TOKENS},
]  # fmt: skip


def document(steps=STEPS, **more):
    agent = {"name": "terminus-2", "version": "2.0.0", "model_name": "big"}
    numbered = [{"step_id": n, **s} for n, s in enumerate(steps, 1)]
    return {"schema_version": "ATIF-v1.7", "session_id": "s", "agent": agent, "steps": numbered, **more}


def read(folder, *args, **more):
    path = folder / "trajectory.json"
    path.write_text(json.dumps(document(*args, **more)))
    return read_trajectories(str(path)).traces[0]


@settings(max_examples=50, suppress_health_check=list(HealthCheck))
@given(traces)
def test_every_trace_comes_back_as_it_was(trace: Trace):
    assert from_atif(json.loads(dumps(to_atif(trace)))) == trace


@settings(max_examples=50, suppress_health_check=list(HealthCheck))
@given(traces)
def test_the_formats_own_models_take_every_trace_and_lose_nothing(trace: Trace):
    atif = pytest.importorskip("atif", reason="atif is not installed; make test-extras installs it")
    text = dumps(to_atif(trace)).encode(errors="replace")
    if b"\\ud" in text:
        return  # half a surrogate pair, which pydantic's texts cannot hold
    found = atif.Trajectory.model_validate_json(text)
    assert from_atif(found.to_json_dict()) == trace


def test_written_files_are_a_collection_and_nothing_is_overwritten(tmp_path):
    made = made_traces(3)
    folder = write_atif(made, tmp_path / "out")
    source = find_reader(f"atif:all@{folder}", "agent")
    found = list(read_drafts(source, "agent"))
    assert [t.steps for t in found] == [t.steps for t in made]
    digests = source.digests()
    (folder / "00001.json").write_text("{}")
    assert source.digests() != digests
    with pytest.raises(Exception, match="not empty"):
        write_atif(made, folder)


def test_a_document_of_others_is_read_with_its_tokens(tmp_path):
    trace = read(tmp_path)
    first, last = trace.steps
    assert trace.problem.question == "How long is the Aren?"
    assert (trace.model, trace.answer, trace.usage) == ("big", "404 km", Usage(2, 60, 4))
    assert (first.code, first.reply.reasoning) == ("print(search(query='Aren'))", "A river.")
    assert first.observation.content == "404 km"
    assert last.reply.content == ANSWER, "what needs no conversion is unchanged, so its tokens still fit"
    assert (last.reply.token_ids, last.reply.logprobs) == ((7, 8), (-0.25, -1.5))
    assert dict(trace.notes)["not converted"] == "1 × image, 1 × token ids"
    assert from_atif(to_atif(trace)) == trace


def test_what_no_model_wrote_here_is_not_learned_from(tmp_path):
    shown = [{"source": "user", "message": "6 * 7?"}, {"source": "agent", "message": "42", "is_copied_context": True}]
    by_rule = {"source": "agent", "message": "```py\nx = 1\n```", "llm_call_count": 0}
    trace = read(
        tmp_path, [*shown, *STEPS[1:3], by_rule, STEPS[3]], subagent_trajectories=[document(trajectory_id="t")]
    )
    assert [m.content for m in trace.prompt] == ["6 * 7?", "42", "How long is the Aren?"]
    assert [s.reply.source for s in trace.steps] == [Source.MODEL, Source.ENVIRONMENT, Source.MODEL]
    assert "1 × subagent trajectory" in dict(trace.notes)["not converted"]


def test_harbors_verdict_counts_and_what_cannot_be_read_is_named(tmp_path):
    for n, reward in enumerate((1.0, 0.0)):
        trial = tmp_path / f"trial{n}"
        (trial / "agent").mkdir(parents=True)
        (trial / "agent" / "trajectory.json").write_text(json.dumps(document()))
        (trial / "result.json").write_text(json.dumps({"verifier_result": {"rewards": {"reward": reward}}}))
    bad = {**CALL, "arguments": {"": "{"}}
    (tmp_path / "trajectory.json").write_text(json.dumps(document([*STEPS[:2], {**STEPS[2], "tool_calls": [bad]}])))
    *found, left = sorted(
        read_drafts(find_reader(f"atif@{tmp_path}", "agent"), "agent"), key=lambda d: not hasattr(d, "id")
    )
    assert [t.correct for t in found] == [True, False]
    assert left.reason == 'the arguments of "search" have names that Python has not'
    damaged = to_atif(found[0])
    del damaged["steps"][0]["extra"]
    with pytest.raises(DataError, match="does not fit the steps"):
        from_atif(damaged)
