"""Programs and rationales that trained mwp_ReFT (Luong et al. 2024, arXiv 2401.08967), on SVAMP's training questions.

github.com/lqtrung1998/mwp_ReFT, Apache-2.0; by gpt-3.5-turbo, as the papers say. Splits: all; free, without the
questions of ASDiv, which are CC BY-NC 4.0. A program's thought is taken from the rationale of the same question: that
pairing is ours.
"""

from __future__ import annotations

import base64
import hashlib
import re
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from agentdistill.exchange.readers import arithmetic
from agentdistill.exchange.readers.arithmetic import Number, Unreadable, numbers, numerals
from agentdistill.exchange.readers.collection import Draft, LeftOut, Turn, rows, text_of
from agentdistill.problems.benchmarks import RowValues, SplitSource
from agentdistill.types import Problem

SPLITS = {"all": ("agent", "cot"), "free": ("agent", "cot")}
MODEL = "gpt-3.5-turbo"
_PROGRAMS = SplitSource(("svamp_python_sdp.json",), ())
_RATIONALES = SplitSource(("svamp_nl.json",), ())
_SOLUTION = re.compile(r'\s*def solution\(\):\s*\n\s*""".*?"""\s*\n(?P<body>.*?)\n\s*return result\s*\Z', re.DOTALL)
_RESULT = re.compile(r"\nresult = (?P<name>[A-Za-z_]\w*)\Z")
_CLOSING = re.compile(r"\s*(?:Therefore, the|The) answer is <(?P<answer>[^<>]*)>\.?\s*\Z")
_SENTENCE = re.compile(r"(?<=[.:!?])\s+")
_ARITHMETIC = re.compile(r"\d\s*[-+*/x×÷=]\s*\$?\d|=")
_THOUGHT_WORDS = 45


def parts(split: str) -> tuple[SplitSource, ...]:
    """The files of a split."""
    return (_PROGRAMS, _RATIONALES)


def drafts(split: str, path: str | None, method: str) -> Iterator[Draft | LeftOut]:
    """Every row of the programs, or of the rationales for ``cot``."""
    folder = path if path is None or Path(path).expanduser().is_dir() else str(Path(path).expanduser().parent)
    rationales = {text_of(row, "item_id"): row for _, row in rows("mwp_reft", _RATIONALES, folder)}
    source = rows("mwp_reft", _RATIONALES if method == "cot" else _PROGRAMS, folder)
    for _, row in source:
        item = text_of(row, "item_id")
        where = f"mwp_reft:{split}/{item}"
        question, gold = text_of(row, "question").strip(), _plain(text_of(row, "answer_value"))
        if not item or not question or gold is None:
            yield LeftOut(where, "no item, question or number as answer")
        elif split == "free" and is_asdiv(question):
            yield LeftOut(where, "a question of ASDiv")
        else:
            problem = Problem(f"mwp_reft-{item}", question, gold, "math", "mwp_reft")
            yield (
                _chain(problem, row, where) if method == "cot" else _program(problem, row, rationales.get(item), where)
            )


def _plain(text: str) -> str | None:
    """A number without a needless fraction: ``203.0`` as ``203``; None for what is no number."""
    try:
        value = float(text)
    except ValueError:
        return None
    return str(int(value)) if value == int(value) else str(value)


def _chain(problem: Problem, row: RowValues, where: str) -> Draft | LeftOut:
    """The rationale, its closing line as ours, and without a paragraph that only says the answer again."""
    text, said = _rationale(row)
    if said is None:
        return LeftOut(where, "a rationale without an answer")
    if not arithmetic.same(said, float(problem.answer)):
        return LeftOut(where, "a rationale with another answer")
    paragraphs = text.split("\n\n")
    last = paragraphs[-1]
    if len(paragraphs) > 1 and last.startswith("Therefore") and said in numerals("\n".join(paragraphs[:-1])):
        paragraphs.pop()
    notes = (("source", where), ("model", "as the papers say"), ("thought", "rationale"))
    turn = Turn("\n\n".join([*paragraphs, f"Answer: {problem.answer}"]))
    return Draft(problem, MODEL, (turn,), notes)


def _rationale(row: RowValues) -> tuple[str, Number | None]:
    """What a rationale says before its closing line, and the answer that it gives."""
    text = text_of(row, "answer_cot").strip()
    closing = _CLOSING.search(text)
    if closing is None or not text[: closing.start()].strip():
        return text, None
    try:
        return text[: closing.start()].strip(), arithmetic.number(closing["answer"])
    except Unreadable:
        return text, None


def _program(problem: Problem, row: RowValues, paired: RowValues | None, where: str) -> Draft | LeftOut:
    """The body of ``solution()``, its ``return result`` as ``final_answer``."""
    match = _SOLUTION.match(text_of(row, "answer_cot"))
    if match is None:
        return LeftOut(where, "no function solution() that returns result")
    body = textwrap.dedent(match["body"]).strip()
    result = _RESULT.search("\n" + body)
    kept = ("\n" + body)[: result.start()].strip() if result else ""
    code = f"{kept}\nfinal_answer({result['name']})" if kept and result else f"{body}\nfinal_answer(result)"
    notes = [("source", where), ("model", "as the papers say"), ("program", "solution() without its frame")]
    thought = _thought(problem, paired)
    if thought:
        notes.append(("thought", "rationale of the same question"))
    return Draft(problem, MODEL, (Turn(thought, code),), tuple(notes))


def _thought(problem: Problem, paired: RowValues | None) -> str:
    """The opening sentences of the paired rationale, where it is right, up to the first that computes or that holds a
    number which the question does not; ``""`` where it begins so."""
    if paired is None or text_of(paired, "question").strip() != problem.question:
        return ""
    text, said = _rationale(paired)
    gold = float(problem.answer)
    if said is None or not arithmetic.same(said, gold):
        return ""
    known = numbers(problem.question)
    out: list[str] = []
    for said_next in _SENTENCE.split(text.split("\n\n")[0]):
        told = [n for n in numerals(said_next) if arithmetic.same(n, gold) or n not in known]
        n_words = len(" ".join([*out, said_next]).split())
        if told or _ARITHMETIC.search(said_next) or n_words > _THOUGHT_WORDS:
            break
        out.append(said_next.strip())
    thought = " ".join(out).rstrip(" :,")
    return thought if not thought or thought[-1] in ".!?" else f"{thought}."


# --- questions of ASDiv -----------------------------------------------------------------------------------------------


def is_asdiv(question: str) -> bool:
    """Whether a question as mwp_ReFT writes it is one of ASDiv's."""
    letters = "".join(c for c in question.lower() if c.isascii() and c.isalnum())
    return hashlib.blake2b(letters.encode(), digest_size=4).digest() in _hashes()


@cache
def _hashes() -> frozenset[bytes]:
    data = base64.b64decode(_DATA)
    return frozenset(data[i : i + 4] for i in range(0, len(data), 4))


_DATA = """
AFayiACh+/0ApR7QARop+gEvevUBkxQ1Abh1igIPTLECHIvXAjBOjwJjyDYCaQMxAnCJswKAU7sChF/qAqqBagK5NqYCvXybAw2ywQMkeIADZO
R0A45x0QRLkgcEfm4yBJ468ATHLWsE7/X+BSbskAVy60kFc6vfBbtq5AXdPZoGFwi1Bin0WAY1c5AG2+L4BvxakwcwsQIHPqG+B+wgQggccUgI
S+DhCFByfwhYCcUItaJmCNOsKgkp2fkJQVRrCUc/JgmC7UQJnu4KCbYzQwnBdIUJ6KHJCmF3BgqVaDcKq60OCsS7Ggrp9IALB9XvC0ocQwtixJ
MLl+DhC7woVwv3PvYMAGL/DCga8QxsWoYMdTO2DIUX4gyygW8M2b9KDSH3WQ185fINjolqDfSsvQ3/NhIOJhJcDkb45Q5rYH8On4dmDtQ/wQ7w
DGIO/hgLDzfTyw9MiRkPpDv7D8vbYxCC6moQlptZEM26txEPdiIRjCLtEZ6m/BHHKQER3YPiEiEmtBI3uB0S1TGmEtaPXBMMZSITEUZGExiemB
MaUHkUWb0dFGXvDRR/SAIU+gOqFTGv7hVO23kVXdrpFavYBhXRQ+gWGoP7FmFxpRZ9YBwWg7MUFtfRrBch/r0XI7HrF3vTwxeE3nQZSralGZDF
BxmbNLsZ379/GfzGeBoHlOMaEji7GoDEjhqNIjkarbSYGy+kths6uxob/wkEHCEuTxwtdvgcM2dFHDTCVxxly1ocoFnXHQI1VR049JEecI21Hz
zmgx9EBwkfVl8CH6wZBCBlG0Ag8dO8IPk0MCE8FGkhkh5UIaRpmSGqC0IhxXAYIfZsriH+SMQieAbpIoCKaCKMd3oims0PIqGatiLYmOoi3VE1
IuZEiyLm36si/+BCIwloaCMdKOojbFAHI8wyBiQKAjMkHzsSJCkBTyQ2J94kNmdLJG4KECSvFeAlLozKJUcAvyVO1tYlqA6XJfkJWyYPdtkmEc
E1JoZ2CSb2hEUnR22vJ7jkvyfDncknxHOjJ9XRuSgMPpcoNq+dKD13FCjYidcpTkREKamcGinlr4YqT30YKluJZSpml8QqroX4KrNZuirNY+Mq
4FAkKv68PitRU3crj+LnK7VkcyvAomIrxL1zLLYK+Sy+USQs232ILN8Q+i0TJ6wtJSAmLeCYWC3nsqcuGjoCLmgFZS5sLuQujXVfLp0t7y7YpO
Au7ymNL2cX1y+LhDkwAFFGMCUgdzBFU5cwZWBzMHMDkzB3rd0w/ldTMTQocjGPQTIxkrm9MZPhqDHSTGwx+EQCMflpPzKJaHMyqsFtMtll8DLZ
t78y6TzuMxeX1jNK/a8zTeUKM1Rm5jPMCRc0HrJXNFNYZDTrrlM09FoSNRJvyTWztPs2BH2tNghTczYiTz82OM9jNkllfTZXfhw2nb/4NqETsz
a0BkQ2wuwQN88S/jhXV/M4W73UOGP42jh608Q4gYa+OMgwsDkWmW05gogAOZm9LjmtINo6JLYlOiUi7DqeNvc7SGjTO4m1NTuNqs87vwHwO9zz
BjwQbAg8JzylPFPmcDxXIjA8o0q0PLcEYjz3fsU9OKTePWtdMT2S/ns9oIAnPeiYHz4qP+U+MQrSPk103z5pVCM+f7VFPoiPdj7X108+6kI+Px
JIhD8feUs/JEZxPyULyj8nbRg/SdnuP4CUND/0GDNAnskAQPIYbkD0Ei1BVeUgQVuut0GQfR5CDpexQhaC2EIe3kxCMKaSQkg4UkJVSFpCqUiK
Qqt/IkMyDVZDSSfHQ3Y0pkQH7thEY30SRHTa1UTvuJVE9tMnRP6nH0VI2iVFYDp9RWGXCUVho81FatmYRcGNAkXNeoBF0YuDRdStz0X0TB5F/U
S6RkTahUcFLuhHIoHnRyfSb0cuxRRHV6JDR3RYA0ebDsxHnkjVSEzzPEhmYKNIdL47SSKeXEldVQVJb4Z4SXB4jEmBkNNJqso0ScY5rkoElz1K
GJ47Slm7YEqEbh5LFPRPS1nxSkuW8f1LngAZS8tO4UvSTGxL6iQlS/4vJ0wf9MtMPpSfTHGpNEzlrItM7FTwTPwsSk0RklJNEgg0TVMdME1x3j
NNvJEOTdZUmE3kaxtOFt/LThjfLE4poxNOXSyFT0VH7k/7wfdQE0EfUCpyilCRtZZQwbAZUZuvtVGsqOFRwy/rUdPDS1IFpC9S4VnPUvQLh1ME
0ZNTCf2MUyCeelNHnvVTszPNU8TxBlR5IMZUg90EVKJkTlToQPBVLogPVUrrMFVgYIlVjzt+VZo6RlXO+DFWBY8cVhR1ZFZGOQJWSpShVrVo5V
berIpW4e8XVwLOmFdiJXNXn4DrV8CkqFfM9gJYR4MeWEtCVVhNp2xYa2YRWJE6qFjnPUNZTvHfWXfGn1mZqDZZzFBKWdmmF1nkMP9Z7sCYWfOb
VVoAXJ9aZaV/W3Xr51uljxlbulVXW8m3pVwTqN9cIVCnXEegYlx+vMNc0F6RXQBKRV0rrxJdQhfcXWNh3F2P1k1dmK5mXZrkEV25M7JeDFBgXi
0BDF5gS8pe+GkbXzha4F+eBe1fpzUgX8sOOV/iEf1gWv2AYFt2lWBmUHxgaGHUYGl4k2BtCF9hGyo7Yj9hTWJjQJpi2benYtuj1GMNOLdjD+qn
Yxj2UWNIwRxjd86AY6AA8GPSqc5kDi8cZGOuQ2Soxv5ktNvCZMN70GUg2HtlTkAZZVLBd2ZvBqdmpOAWZqbnVGa5OzxmzHw0ZtCyEmbShe1m1O
pWZuHbPGb6XDBnf5pWZ59cdWfhurBoECVEaBBRBGgt7g5oS+JyaFB082iKFi1pDHyQaT/opmlpRDdpgHh5acnjqmnnGANp7QgcafhUTmqwPrBr
Jcqca2q+02uEeq9r0yOLbJ1EU2yz/s5su1GqbNpOA2zuhSZs92yobQc6t20LbBBtFFnZbRjOQm0q0W1tLL8qbTxNV2093xhtP0J+bYaMfW3Z8p
ht4EG9bgdcDm7MC9Vu+aVOb2qJym/QQ2pv2Y5VcDgyk3BICL5wWabFcIk38nCo2AVxGyArcTMXq3FYguVxWMjbcVknAnG2aLxyLr6Lck62uHJu
vIxyi0fHcwhiDnMSczNzSCA2c21+DnN9OvlzrQtUc8rFbXPb0Wx0JMKDdFQi93RiZxJ0gYGydJDuCXTETrx02IqrdOAy83URLKR1GemFdVetEn
V2/lx1vLNbdfuPwXX//jF2XCuXdsJ5uHcIlct3Ct2ad5dOrngEcgt4rmJIeL4Bjni+zrx4v7RbeMBW+3jleiV464fxeQ9fD3kZYEt5Tk8NeU8r
5XlXiTd55Hm5efj9OHoO09l6RfBuekbfXHsNHnB7Ncyvezhy5nthTfl7nA9pe50lb3vNcIt75xWBfAeOUXwPynN8QdmCfH9Q23zMtIx87kdnfP
ZYzH0lWSp9NwECfUCz8X1J0Fd9XuTbfXaZ732HkXR9sCs+fcmhkX38pf5+TMKBfnxu136ktS9+tOxsfrr2C37kIJl+85yaf0VP7n9F1jF/jDhB
f5QAzoBQgXSAVtmrgGgRU4BpbBGAckRIgIYn0YCI0MeAoohcgQICx4ED0I6BIZzkgTJPnIGrsz6BuzGDgcN1gIHs7SGB/vTcgln0e4KA6IiC1q
QIgtoNoYLnkYaDEbCfg0U1gYNNqomDTeLRg1S/9INXpmyDaiHjg94PXYQagR+EXxYYhQOeS4UbX/SFPVpRhU4T/IYQO5GHQZJch6sAMYfg30iH
5l0EiDi0yIhFNDmIUpEqiG6efoiFDF2Il509iKtPdojGh6iI+bVKiRr934kjRWWJbahiiXpgSooJjliKPW3qilNOWIpZLt2KYak3iob0S4rMEA
KK0ZB0iv1H+otZEHCLjrlOi67dsouzxh+L0Du4i+Umnoxcim6MY1dfjHND0IyPx5mMqOIUjLQ1/4zFnvWM+Po/jQAr8I1D89iNXdgEjbsBLY3y
GjqOJjAojjUv3I8BFUGPD+xXjyC78I8rzIqPN1lMjzwqzo9DagWPlE/Ej50nJo+vFx2PupBvj8OolZAZSLWQY8tXkGiixpDvzlKRCQbOkRL7AZ
Ew8F+RV7C5kcu0I5HukIOSFxPrklNMLZJxypuSvA02ktXyVZMNjkaTDtUsk0CEP5Nm5YGTg2rwk5GNMpQ+Rq6UZ9I1lHuciJSI+YSUsBgXlNV3
95VmBaWVdewulamRFJYGjsqWFyr+ljIAOJZS+ZKXDLNSl4JsJJeQkIiXmeOEl59hLJfMjeuXzdkLl84Wv5fVlQeX26e+l/y1UJgKSvqYD0YWmE
deMZhlWEWYgS5imJg3fJjdsQmZCCD8mSjKHZnBdvaah5Himq2V95rIVHmaynzTmz/DqZtUs0ybkgFPm9MK85xZCcmckayhnSPonp0u/fWdeZ8l
nX8To52hvk+ds1H3nepnjJ4WMameHU5snkECUp5GuvWeWtKjnp9/c56jYA6ezEepnvRK0J72MHifdA27n5RCXJ+iiq+ga5mQoQSSh6EKvOGhIL
ngoTluB6FCea6hWTSVoVuyDaFm+oOhdtQToa2fhqIbbBSiTVevolINqaKATfaioJDroqOxB6LqGVei8KByo4OLx6O1PfqkCs26pBytgqRyUWuk
reAIpUGPq6VWBlWlgZdYpZTAWKWWVAOlmMI1pcasGaXwGZ2mblF7pr2zIabt0kunBPGspxppu6dAJmKnaAFnp38lqqecd/2oEpZOqGm/y6h0Kx
OoewrmqKAaxqim4seo8OooqSZ1n6l48iaphrpTqbxxDKoQ12iqL0BhqkgYj6pNWRmqcTnRqrEm4qsEMzCrKqDGqzQwDKtNnvirtmtzq8yuuqw0
nXasg7OZrOlEmK0P3GGtXWjhrdI4gq4n8vmuLHQVrjDO8K7/QuuvJx7Jr0Lxba9pcDev7uGysJz5MrC1fbOw7VbZsUklerFPTx2xVbXEsaOG7r
HArI2x7KcyslKYtrK0hdCzFgX0szxCobM++FKzaGmgs5wVd7OfqmOzxMbks/yvebQK05G0KPmutC85sbTEcki1LotqtTiju7VPdt21T8dBtWe3
/bW48WW11ocrtelg1LYrWWu2ZngMtnpySLaSjhu2mFJYtszDBLcXtB63qnzlt+8ZfbgC/gm4SUiouGB6wLi2wVq4uIo3uNSt27kMEYK5OQ/0uZ
s3X7mtOSW5upFmud2INbnfgcS5/L+Duf1SWroJSyW6W9zZumA73bp2F3q6dqhvuni9ybqFXs+65yK8uziFlbtySze75TeSvPzmi70M/oK9HM5M
vSRB9r0txjy9Mc02vaAtbL2taGO+XIMivmPrg75rYAK+mfByvyWEKL8qyzK/PDdzv2LuBb+TuwC//ElGwBD5PsAZbRzAgEJawJntlMCgErXA4d
hqwS3qtMFX3fLBiDCJwZ8wQcHWBqLCES0BwiFDN8JVaHfCYFp1wnfzfsJ4PbrCscH3wtmv/cLjkwDDHFvCw2hmrcN537XDnVosw6V0bMPDS2nD
5dCxxCI5q8Qx6HTEauO3xJJi/MSwKWLFOhVQxXiTgcWKvQnGLO4hxkemgcaMPAjG2+u8xt/M4sb2VSDHibrtx7nxLMfLxwrIDCG9yBNYAchv6U
PIdhv8yI/GYsi2fjzI/M58yRH5a8lQE4fKMQSfylANtMpXLszKZMHJymdXX8rM6w7LB8mlyzM6Ocs4uP7LORyjy2Ku+MuNsFLLnY13y8265MxA
d0HMV9G6zOdhGM0o2OvNS3LDza1Szc2t4cLNvssRzfF/wM4No4HOghNWzopJG86xDzDPH2d4zy5NZc+Wy3rPyLLAz+2RnNBh6ZfQdujz0MTkPt
GG4y7RvCJx0dFhmNKU1XrTMZNl0z1o3tNXmhjTdBJu07wSJNRPPf/UZKEN1MoK2NUl9QDVKzlc1S2JdNVw9pDVcw6s1bGazdX0rk3V+pbn1jAN
0tajunzWs/P61r0aqNb+Oq/XP5tL13VDv9eUZ3DXm724156tXtfgQf/Ycf+o2IgmAdiSzpzYmzAt2KubXNkZMCLZM6TJ2bLBA9n8nbjaEp+C2m
mSSdprmHbacbK72p6E69qrWhTatyEG2sZK3Nrm3NfbC3La21wpWNvtivjcHZ4R3HQNJ9yNB1zctwyR3MCOod0ZUrPdv/E/3eMEk93nBF3eURs1
3lmacN5jSG7ee/MD3oorwd7BwtzfM1jO3z1q69/88jzgGLxB4CYuQOAnBrTgP0DA4HmqbuDcOdng6DsU4SjA2uFX7ULh+jX/4gKQCuJ8T/vifT
2P4pzBj+L86rLjBoHq4w6r9ONU6OzjwHjl4/BoLuQ5JXjkQMsK5I49juSbbr/krVh45Oxm8uUtl8PlVkHj5WiBeuXoFTjmBzxq5hHtvuYxbQfm
Vdvf5nhEGeaTZBnmmA8Z5qozhecw/hbnethn59azqugxrlPoZG5O6GZVeelTK6fpVMHw6WUxwOmNxArpnIZ46bi7M+nEqpnpzDr96dQ8P+pTXZ
7qck/a6uaj8eskNrLrX1r/64rz5uvpMEbsA9bC7BgrxuwzMOLsatJA7KyvKezAEw/s7pVC7VmF4e3Q1lPt1xCt7iMklO4m4jPuZ8e17x9MQ+8/
vPXvoc9k77S8xu/eihDv+66J8I8cFvDPxM/w5ob78QTCyfFKFmfyA+p58npl7/KM0YLy1YaA8vX+jPQea4r0a1lT9LJ0CvTNQD300+gL9OG7q/
VNOYX1ZuU79XERAvV4qan1e+Y59ZKLpPXczY72diXY9om8FPbvKmb3Bnih9ytvq/cygNj3PGaY92Lob/eb7tT3vCxe+E4DSvhgY734k7N2+NxI
I/k/qV35pbip+dchkvniNBb59pzP+fa9//ooyET6L9m++jf6TvpURsP65jtd+vJWavsZGc37MgL8+3qnIvvhhd/78RY8/BC8/Pwh98H8nVsG/L
owkfy+Zin84C3c/O4f7f0lyTb9siI2/b4SaP3Xp8T97tV8/hYfhf5TBBH+mMIT/qwObf79m/7/F30H/1l6+/+LcuX/nKUu/7p3Hv/o4Dj/+XYM
"""
