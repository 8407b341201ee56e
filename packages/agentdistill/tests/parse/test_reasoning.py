"""Where a model's reasoning ends, in the marks of the model families."""

from __future__ import annotations

import pytest

from agentdistill.parse import extract_answer, parse_action, split_reasoning

F = "```"
GUESS = f"Let me try.\n{F}py\nfinal_answer(41)\n{F}\nNo."
CODE = f"Thought: I compute.\nCode:\n{F}py\nprint(6*7)\n{F}"


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        pytest.param(f"<think>\n{GUESS}\n</think>\n\n{CODE}", CODE, id="think"),
        pytest.param(f"{GUESS}\n</think>\n\n{CODE}", CODE, id="closing"),
        pytest.param(f"[THINK]{GUESS}[/THINK]{CODE}", CODE, id="THINK"),
        pytest.param("<think>" + GUESS, "", id="unclosed"),
        pytest.param(f"<thinking effort='high'>{GUESS}</thinking>{CODE}", CODE, id="thinking attr"),
        pytest.param(
            f"<|channel|>analysis<|message|>{GUESS}<|end|><|start|>assistant<|channel|>final<|message|>{CODE}",
            CODE,
            id="harmony",
        ),
        pytest.param(
            f"<|start|>assistant<|channel|>analysis<|message|>{GUESS}<|end|><|start|>assistant<|channel|>final<|message|>{CODE}<|return|>",
            CODE,
            id="harmony return",
        ),
        pytest.param(f"<|channel|>analysis<|message|>{GUESS}", "", id="harmony only"),
        pytest.param(f"analysis{GUESS}assistantfinal{CODE}", CODE, id="bare harmony"),
        pytest.param("analysisWe need more", "", id="bare harmony2"),
        pytest.param("analysis of this: Answer: 3", "analysis of this: Answer: 3", id="word analysis"),
        pytest.param(
            f"<|START_THINKING|>{GUESS}<|END_THINKING|><|START_RESPONSE|>{CODE}<|END_RESPONSE|>", CODE, id="cohere"
        ),
        pytest.param(f"<seed:think>{GUESS}</seed:think>{CODE}", CODE, id="seed"),
        pytest.param(f"◁think▷{GUESS}◁/think▷{CODE}", CODE, id="kimi"),
        pytest.param(f"Code:\n{F}py\ns = '<think>a</think>'\nprint(s)\n{F}", None, id="in code string"),
        pytest.param(f"Code:\n{F}py\nre.sub(r'<think>.*?</think>', '', s)\n{F}", None, id="regex in code"),
        pytest.param(f"Code:\n{F}py\nx.split('</think>')\n{F}", None, id="closing in code"),
        pytest.param("I use the <think> tag in HTML.", None, id="prose"),
        pytest.param("I use `<think>` and `</think>` here. Answer: 5", None, id="prose pair"),
        pytest.param(f"<think>a</think>\nThought: so\n<think>b</think>\n{CODE}", f"Thought: so\n\n{CODE}", id="twice"),
        pytest.param(f"<think>\n\n</think>\n\n{CODE}", CODE, id="empty think"),
        pytest.param(f"{F}py\nguess\n</think>\n{CODE}", CODE, id="open fence in reasoning"),
        pytest.param(f"<think>I will write '</think>' hmm</think>\n{CODE}", CODE, id="think then code string"),
        pytest.param(f"<Think>{GUESS}</Think>{CODE}", CODE, id="uppercase"),
        pytest.param(f"<thought>{GUESS}</thought>{CODE}", CODE, id="thought"),
        pytest.param(f"<inner_monologue>{GUESS}</inner_monologue>{CODE}", CODE, id="monologue"),
        pytest.param(f"<mm:think>{GUESS}</mm:think>{CODE}", CODE, id="namespace"),
        pytest.param(f"<|begin_of_thinking|>{GUESS}<|end_of_thinking|>{CODE}", CODE, id="begin of"),
        pytest.param(f"<|think_start|>{GUESS}<|think_end|>{CODE}", CODE, id="start"),
        pytest.param(f"<|startofthink|>{GUESS}<|endofthink|>{CODE}", CODE, id="startof"),
        pytest.param(f"<|think|>{GUESS}<|end|><|begin|>assistant<|content|>{CODE}", CODE, id="solar"),
        pytest.param(f"[REASONING]{GUESS}[/REASONING]{CODE}", CODE, id="square"),
        pytest.param(
            f'<details type="reasoning" done="true">\n<summary>x</summary>\n{GUESS}</details>\n{CODE}',
            CODE,
            id="details",
        ),
        pytest.param(f"Here is my thought process:\n{GUESS}\nHere is my response:\n{CODE}", CODE, id="granite"),
        pytest.param(
            f"Here are my reasoning steps:\n{GUESS}\n[BEGIN FINAL RESPONSE]\n{CODE}\n[END FINAL RESPONSE]",
            CODE,
            id="apriel",
        ),
        pytest.param(f"Thought: <think>{GUESS}</think>\n{CODE}", f"Thought: \n{CODE}", id="behind a label"),
        pytest.param(f"Sure. <think>{GUESS}</think>\n{CODE}", f"Sure. \n{CODE}", id="within a line"),
        pytest.param(f"<think>a <reflection>b</reflection> {GUESS}</think>{CODE}", CODE, id="nested"),
        pytest.param("Use <think> and </think>. Answer: 5", None, id="prose pair unquoted"),
        pytest.param("Here is my response: 5", None, id="granite's second alone"),
        pytest.param("x</details>\nAnswer: 5", None, id="details closed alone"),
        pytest.param(CODE, None, id="plain"),
    ],
)
def test_the_reply_begins_where_the_reasoning_ends(text: str, reply: str | None) -> None:
    """None: there is no reasoning in it, and nothing is changed."""
    read = split_reasoning(text)
    assert read.reply == (text if reply is None else reply)
    assert "41" not in read.reply
    if read.reasoning:
        assert parse_action(text) == parse_action(read.reply)
        assert extract_answer(text) == extract_answer(read.reply)
