"""Whether a server's refusal says that the prompt does not fit, and how much room it says is left.

No two servers word it alike and few give a code. What is recognised: the codes that are known, words for a context
that is exceeded, and an amount of prompt, input or messages that is said to be over some limit. A refusal of a
parameter (``max_tokens`` above what the model may write, a temperature) is none of these: it is the recipe's mistake.
"""

from __future__ import annotations

import re

_NUMBER = r"\(?(\d[\d,]*)(?:\.0)?\)?"
_WHAT = r"prompt|inputs?|messages?|conversation|context|sequence|request|requested tokens?|history|text"
_OVER = "|".join(
    (
        r"exceed\w*|too (?:long|large|many|big)|(?:longer|larger|greater|more|bigger) than|over the (?:limit|maximum)",
        r"must (?:be|have) (?:<=|less|fewer|at most|no more|smaller|shorter|under)|at most \d",
        r"(?:should|can|may|must)(?:not| not|n't) (?:be (?:longer|larger|greater|more)|exceed)",
        r"(?:should|must) be (?:in|within|between|\[)|only supports? |limit (?:is|of)|is not possible",
        r"(?:do|does|did|will|would)(?:n't| not) fit|only \(?\d[\d,]{2,} are|[<>]=? ?\(?\d[\d,]{2,}|over \d[\d,]{2,}",
        r"(?:maximum|max)[ _](?:prompt|input|sequence)[ _]length",
    )
)
TOO_LONG = re.compile(
    "|".join(
        (
            r"context.?(?:length|window|size|limit|overflow)|when context the overflows",
            r"(?:exceed|maximum|max|length)\w* (?:the )?(?:model(?:'s)? )?context",
            r"max_model_len|session_len|max_seq_len|max_input_(?:len|tokens)|n_ctx",
            r"(?:model )?token limit\b(?!.*\bper )",
            r"(?:maximum|max)[ _](?:prompt|input)[ _]length (?:is|of)|tokens?_limit_(?:reached|exceeded)",
            r"prompt_too_long|input_too_long|request_too_large|input_length_exceed",
            r"reduce the (?:length|size|number) of (?:the |your )?"
            r"(?:input|prompt|message|text|token|conversation|history)",
            rf"\b(?:{_WHAT})\b(?:[^.;]|\.(?=\S)){{0,80}}?(?<![\w.])(?:{_OVER})",
            r"\b(?:too many|number of|count of|total) (?:input |prompt |requested )?tokens\b"
            rf".{{0,60}}?\b(?:{_OVER}|input|prompt)",
            rf"(?:`inputs` tokens|input token count)\b.{{0,60}}?\b(?:{_OVER})",
            r"(?:prompt|输入|上下文|内容).{0,12}(?:超长|过长|超过|超出)",
        )
    ),
    re.I,
)
# A parameter is refused, not the prompt: its name opens the complaint and no context or prompt is named with it.
_PARAMETER = re.compile(
    r"^\W*(?:(?:invalid|unsupported|bad|unprocessable)\w*\W+(?:input|request|value|parameter|argument|validation|error"
    r"|for|entity)*\W*)*(?:(?:the |value |parameter |for )*)\W*(?:max_\w*tokens|max_completion_tokens|temperature|top_p"
    r"|top_k|min_p|stop|seed|n|logprobs|top_logprobs|user|tools?|functions?|metadata|\w+_penalty|logit_bias)\b"
    r"(?!.*\b(?:context|prompt|input length|input tokens|in the messages))",
    re.I | re.S,
)
_OUTPUT = re.compile(
    r"(?:supports?|allows?|limit\w*|maximum|max)\b[^.;]{0,40}\b(?:completion|output|new|generated) tokens",
    re.I,
)
_CEILING = re.compile(r"maximum value for .?max_", re.I)
_INPUT = re.compile(r"context|prompt|inputs?\b[^.;]{0,20}token|in the messages", re.I)
_RATE = re.compile(  # limits of other things than tokens
    r"\bper[ _-]?(?:minute|hour|day|second|min)\b|\b[TR]P[MD]\b|rate.?limit|budget|quota|spend|time.?out"
    r"|\b(?:too many|number of|limit of|at most \d+|most) (?:images?|tools?|files?|functions?)\b",
    re.I,
)
_ONE_REQUEST = re.compile(
    r"request too large|requested \d[\d,]* tokens.{0,40}reduce|must be reduced in order to run", re.I
)
_LIMITS = tuple(
    re.compile(pattern, re.I)
    for pattern in (
        rf"\d \+ \d+ > ?{_NUMBER}",
        rf"(?:maximum |max )?context (?:length|window|size|limit)(?: limit)? ?(?:is|of|=|:)? ?(?:only )?{_NUMBER}",
        rf"context (?:length|window|size|limit)\W{{1,3}}{_NUMBER}",
        rf"max_model_len\D{{0,20}}{_NUMBER}",
        rf"must be <= ?{_NUMBER}",
        rf"should not exceed \w+ ?{_NUMBER}",
        rf"{_NUMBER} maximum context length",
        rf"session_len\D{{0,8}}{_NUMBER}",
        rf"limit is {_NUMBER}",
    )
)
_PROMPTS = tuple(
    re.compile(pattern, re.I)
    for pattern in (
        rf"{_NUMBER} (?:input tokens|`inputs` tokens)",
        rf"{_NUMBER} (?:tokens )?(?:in|from|of) (?:the |your )?(?:input )?(?:messages|prompt|(?:text )?input)",
        rf"prompt (?:length|contains|has) ?{_NUMBER}",
        rf"{_NUMBER} \+ \d+ > ?\d",
        rf"current length is {_NUMBER}",
    )
)


def is_too_long(status: int, message: str, code: str = "") -> bool:
    """Whether a refusal with that status (0 where there was none) is about a prompt that does not fit."""
    if status == 413 or _ONE_REQUEST.search(message):
        return True
    text = f"{message} {code}"
    if status in (401, 402, 403, 404, 429) or _RATE.search(text):
        return False
    if (
        _PARAMETER.search(message)
        or _CEILING.search(message)
        or (_OUTPUT.search(message) and not _INPUT.search(message))
    ):
        return False
    return TOO_LONG.search(text) is not None


def room(message: str) -> int | None:
    """How many new tokens fit behind the prompt, by the numbers in the refusal; None where it does not say.

    Zero or less where the prompt alone is over the limit.
    """
    limit, prompt = _first(_LIMITS, message), _first(_PROMPTS, message)
    return None if limit is None or prompt is None else limit - prompt


def _first(patterns: tuple[re.Pattern[str], ...], message: str) -> int | None:
    found = next((m for p in patterns if (m := p.search(message))), None)
    return None if found is None else int(found[1].replace(",", ""))
