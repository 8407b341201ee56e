"""Which block of a turn is its code, in the many ways that models write it."""

from __future__ import annotations

import textwrap
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdistill.parse import parse_action
from tinyworld import prompts as tiny

F = "```"

CODE = "x = 1\nprint(x)"


@pytest.mark.parametrize(
    "text",
    [
        f"Thought: t\nCode:\n```py\n{CODE}\n```",
        f"```python\n{CODE}\n```<end_code>",
        f"```Python3  \n{CODE}\n  ```",
        f"```\n{CODE}\n```",
        f"```py\r\n{CODE}\r\n```",
        f"<code>\n{CODE}\n</code>",
        f"Code:\n```py\n{CODE}",  # stopped at the closing fence
        f'```json\n{{"a": 1}}\n```\nCode:\n```py\n{CODE}\n```',  # a block of another language comes first
        f"```py\n\n```\n```py\n{CODE}\n```",  # an empty block is none
        f"```py\n{CODE}\n```\n```py\nsecond()\n```",
    ],
)
def test_the_first_block_of_python_is_the_action(text: str) -> None:
    assert parse_action(text) == CODE


@pytest.mark.parametrize("text", ["", "I do not know.", "```py\n```", "``` print(1) ```", "`x`", "```json\n{}\n```"])
def test_no_block_is_no_action(text: str) -> None:
    assert parse_action(text) is None


@given(st.text(alphabet=st.characters(exclude_characters="`\r", exclude_categories=["Cs"])), st.text(max_size=30))
def test_what_the_style_writes_is_what_is_read(code: str, thought: str) -> None:
    """Whatever the code, the block that a template makes of it gives it back."""
    if "`" not in thought and "<code>" not in thought + code:
        found = parse_action(tiny.action(thought, code))
        assert found in (code.rstrip(), textwrap.dedent(code).rstrip()) if code.strip() else found is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param(f"Thought: x\nCode: {F}py\nprint(1)\n{F}", "print(1)", id="label inline"),
        pytest.param(
            f"The list:\n{F}\n[1, 2]\n{F}\n**Code:**\n{F}\nprint(1)\n{F}", "print(1)", id="bold label untagged"
        ),
        pytest.param(f"{F}{{.python .numberLines}}\nprint(1)\n{F}", "print(1)", id="attrs braces"),
        pytest.param(f"{F}python {{linenos=true}}\nprint(1)\n{F}", "print(1)", id="attrs braces2"),
        pytest.param(f"{F}py3\nprint(1)\n{F}", "print(1)", id="py3"),
        pytest.param(f"{F}python3.11\nprint(1)\n{F}", "print(1)", id="python3.11"),
        pytest.param(f"{F}Python 3\nprint(1)\n{F}", "print(1)", id="Python 3"),
        pytest.param(f"{F}ipython\nprint(1)\n{F}", "print(1)", id="ipython"),
        pytest.param(
            f"````py\ns = '''\n{F}\nx\n{F}\n'''\n````", f"s = '''\n{F}\nx\n{F}\n'''", id="four ticks w/ inner three"
        ),
        pytest.param(f"{F}py\nfinal_answer(5){F}", "final_answer(5)", id="close on code line"),
        pytest.param(
            f"{F}py\nx = 1\n# use {F}\nprint(x)\n{F}", f"x = 1\n# use {F}\nprint(x)", id="comment ends in fence"
        ),
        pytest.param(f"{F}output\n5\n{F}\n{F}python\nprint(5)\n{F}", "print(5)", id="output tag"),
        pytest.param(f"{F}text\nTotal 5\nCode:\n{F}py\nprint(5)\n{F}", "print(5)", id="text fence unclosed"),
        pytest.param(f"The output was:\n{F}\n5\n{F}\nSo it is 5.", None, id="only shown"),
        pytest.param(f"{F}py\nfor x in ...:\n{F}\n{F}py\nprint(2)\n{F}", "print(2)", id="two, first broken"),
        pytest.param(
            f"Code:\n{F}py\nprint(6*7)\n{F}\nObservation:\n41\nThought: so\nCode:\n{F}py\nfinal_answer(41)\n{F}",
            "print(6*7)",
            id="hallucinated",
        ),
        pytest.param(
            f"Code:\n{F}py\nprint(6*7\n{F}\nObservation:\n41\nThought: so\nCode:\n{F}py\nfinal_answer(41)\n{F}",
            "print(6*7",
            id="hallucinated after broken",
        ),
        pytest.param(
            f"Observation: 5 it says.\nCode:\n{F}py\nprint(1)\n{F}", "print(1)", id="thought quoting Observation first"
        ),
        pytest.param('<code lang="py">\nprint(1)\n</code>', "print(1)", id="tag with lang"),
        pytest.param("Code: <code>print(1)</code>", "print(1)", id="tag oneline"),
        pytest.param("<code>print(1)</code>", "print(1)", id="tag oneline alone"),
        pytest.param(f"<code>\n{F}py\nprint(1)\n{F}\n</code>", "print(1)", id="tag around fence"),
        pytest.param(f"{F}py\nprint(1)\n</code>", "print(1)", id="fence closed by tag"),
        pytest.param(f"<code>\nprint(1)\n{F}", "print(1)", id="tag closed by fence"),
        pytest.param(
            "<code>\nhtml = '''\n</code>\n'''\nprint(html)\n</code>",
            "html = '''\n</code>\n'''\nprint(html)",
            id="</code> in a string",
        ),
        pytest.param("<code>\nprint('</code>')\n</code>", "print('</code>')", id="</code> inline in string"),
        pytest.param("I call <code>search</code> next.", None, id="tag only in prose"),
        pytest.param(f"With <code>search</code>:\n{F}py\nprint(1)\n{F}", "print(1)", id="tag in prose, fence"),
        pytest.param(f"- {F}python\n  x = 1\n  print(x)\n  {F}", "x = 1\nprint(x)", id="list dash"),
        pytest.param(
            f"   {F}python\n   s = '''\nabc\n'''\n   print(s)\n   {F}",
            "s = '''\nabc\n'''\nprint(s)",
            id="indented with string at margin",
        ),
        pytest.param(f"Code:\r\n{F}py\r\nx = 1\r\nprint(x)\r\n{F}\r\n", "x = 1\nprint(x)", id="crlf"),
        pytest.param(f"{F}py\nprint(1)\n{F}<|im_end|>", "print(1)", id="eos after"),
        pytest.param(f"{F}py\nprint(1)\n{F}<end_code>", "print(1)", id="end_code no nl"),
        pytest.param(f"Code:\n{F}\nprint(1)", "print(1)", id="unclosed plain after Code:"),
        pytest.param(f"see\n{F}\nprint(1)", None, id="unclosed plain"),
        pytest.param(
            f"{F}py\nmd = '''\n{F}python\nx = 1\n{F}\n'''\nprint(md)\n{F}",
            f"md = '''\n{F}python\nx = 1\n{F}\n'''\nprint(md)",
            id="nested md in string with py tag",
        ),
        pytest.param(f"{F}python x = 1\nprint(x)\n{F}", "x = 1\nprint(x)", id="first line beside"),
        pytest.param(f"{F}bash\npip install x\n{F}\n{F}python\nprint(1)\n{F}", "print(1)", id="bash then python"),
        pytest.param(f"Code:\n{F}py\nprint(1\n{F}", "print(1", id="syntax error kept"),
        pytest.param(f"### Code\n{F}\nprint(1)\n{F}", "print(1)", id="heading"),
        pytest.param(
            f"I found\n{F}\nParis\n{F}\nso\n{F}\nfinal_answer('Paris')\n{F}",
            "final_answer('Paris')",
            id="plain name then call",
        ),
        pytest.param(f"Code:\n{F}json\n{{}}\n{F}\n", None, id="json label"),
        pytest.param("~~~python\nprint(1)\n~~~", "print(1)", id="tilde tag"),
        pytest.param("~~~python\ns='''\n```\n'''\n~~~", "s='''\n```\n'''", id="tilde inside"),
        pytest.param(
            f"Use {F}print(1){F} to do.\nCode:\n{F}py\nprint(2)\n{F}", "print(2)", id="inline three ticks in thought"
        ),
        pytest.param(
            f"{F}py\nhtml = '''\n<code>\nx\n</code>\n'''\nprint(html)\n{F}",
            "html = '''\n<code>\nx\n</code>\n'''\nprint(html)",
            id="html in fence",
        ),
        pytest.param("  <code>\n  x = 1\n  print(x)\n  </code>", "x = 1\nprint(x)", id="indent inside tag"),
        pytest.param(f"Here is the code:\n{F}\nprint(1)\n{F}", "print(1)", id="here plain"),
        pytest.param(f"{F}python-repl\nprint(1)\n{F}", "print(1)", id="python-repl"),
        pytest.param(f"{F}python run\nprint(1)\n{F}", "print(1)", id="a word behind the language"),
        pytest.param(f"{F}{{code-cell}} ipython3\nprint(1)\n{F}", "print(1)", id="code-cell"),
        pytest.param("<execute_ipython>\nprint(1)\n</execute_ipython>", "print(1)", id="execute_ipython"),
        pytest.param('<pre><code class="language-python">\nprint(1)\n</code></pre>', "print(1)", id="pre"),
        pytest.param("<|python_tag|>print(1)<|eom_id|>", "print(1)", id="python_tag"),
        pytest.param("<|python_start|>\nprint(1)\n<|python_end|>", "print(1)", id="python_start"),
        pytest.param("[PYTHON]\nprint(1)\n[/PYTHON]", "print(1)", id="PYTHON"),
        pytest.param("The token <|python_tag|> opens it.", None, id="python_tag in prose"),
        pytest.param(f"Code: {F}final_answer(5){F}", "final_answer(5)", id="one line"),
        pytest.param(f"{F}py final_answer(5){F}", "final_answer(5)", id="one line named"),
        pytest.param(
            f"Code:\n{F}py\nx = 1\nprint(x)\n\nThis prints one.", "x = 1\nprint(x)", id="unclosed, then prose"
        ),
        pytest.param(f"Code:\n{F}py\nx = 1\n\nprint(x", "x = 1\n\nprint(x", id="unclosed and broken"),
        pytest.param(f"{F}py\nif 1:\n\xa0\xa0print(1)\n{F}", "if 1:\n  print(1)", id="no-break spaces"),
        pytest.param(f"{F}py\nprint('a\xa0b')\n{F}", "print('a\xa0b')", id="no-break space in a string"),
        pytest.param(f"Code:\r{F}py\rprint(1)\r{F}", "print(1)", id="carriage returns"),
        pytest.param(f"Here is it: {F}\nprint(1)\n{F}", "print(1)", id="Here: fence same line"),
    ],
)
def test_of_several_blocks_the_one_that_is_meant_is_run(text: str, code: str | None) -> None:
    assert parse_action(text) == code


@pytest.mark.parametrize(
    "text",
    [
        f"Code:\n{F}py\nx = 1",
        "<code>\nx = 1",
        f"Code:\n{F}\nx = 1",
        f'Code:\n{F}py\ntext = """\nObservation',
    ],
)
def test_a_block_that_was_cut_off_is_no_action(text: str) -> None:
    assert parse_action(text) is not None
    assert parse_action(text, cut_off=True) is None


def test_a_whole_block_before_one_that_was_cut_off_counts() -> None:
    assert parse_action(f"{F}py\nx = 1\n{F}\nand\n{F}py\nx = 12", cut_off=True) == "x = 1"


@pytest.mark.parametrize(
    "piece", [f"{F}py\nx\n", "<code>\nprint(\n", f"{F}py\nprint(1\n{F}\n", "</think>", "`", "~~~\n"]
)
def test_a_model_that_repeats_itself_is_read_in_no_time(piece: str) -> None:
    started = time.process_time()
    parse_action(piece * 3000)
    assert time.process_time() - started < 5
