"""Sampling that stops: no further candidate changes the answer, or only with a small probability."""

from __future__ import annotations

import itertools
import json
from random import Random

import numpy as np
import pytest
from made_pools import Solution, pool_of

from agentdistill.cli import main
from agentdistill.errors import UserError
from agentdistill.types import Problem
from agentdistill.verify import Judgement, Listen, SelectionPolicy, Verdict, write_pools
from agentdistill.verify.select import METHODS, Ballots, choose
from agentdistill.verify.stopping import StopSettings, chance_of_change, is_settled, savings, stops

POLICY = SelectionPolicy()
CHOOSING = [m for name, m in METHODS.items() if name != "pass"]


def drawn(rng: Random, n: int) -> Ballots:
    """Candidates of a few answers, some without one, with verdicts and rewards of a few values, so that ties occur."""
    groups: list[int | None] = []
    for _ in range(n):
        known = sorted({g for g in groups if g is not None})
        groups.append(rng.choice([None, *known, len(known)]))
    shares = [tuple(rng.choice((0.0, 0.5, 1.0)) for _ in range(n)) for _ in range(3)]
    return Ballots(tuple(groups), *shares, (None,) * n)


def part(b: Ballots, k: int) -> Ballots:
    return Ballots(b.groups[:k], b.rewards[:k], b.passed[:k], b.plain[:k], b.correct[:k])


def answer(m, b: Ballots):
    chosen = int(choose(m, b, POLICY, np.arange(len(b))[None])[0][0])
    return None if chosen < 0 else b.groups[chosen]


@pytest.mark.parametrize("m", CHOOSING, ids=lambda m: m.name)
def test_a_settled_answer_is_that_of_the_full_run(m):
    rng = Random(m.name)
    n_settled = 0
    for _ in range(400):
        b = drawn(rng, rng.randint(2, 12))
        for k in range(1, len(b)):
            if is_settled(m, part(b, k), POLICY, len(b)):
                n_settled += 1
                assert answer(m, part(b, k)) == answer(m, b)
    assert n_settled > 20


def test_an_answer_is_settled_as_soon_as_nothing_can_change_it():
    """Against every way to go on: up to four votes for two answers, two of which have been seen or not."""
    m = METHODS["majority"]
    for n_seen, n in itertools.combinations(range(1, 7), 2):
        for seen in itertools.product((0, 1), repeat=n_seen):
            order = {g: i for i, g in enumerate(dict.fromkeys(seen))}
            groups = tuple(order[g] for g in seen)
            now = answer(m, _votes(groups))
            rest = itertools.product(range(len(order) + 1), repeat=n - n_seen)
            same = all(answer(m, _votes((*groups, *more))) == now for more in rest)
            assert is_settled(m, _votes(groups), POLICY, n) == same, (groups, n)


def _votes(groups) -> Ballots:
    return Ballots(tuple(groups), *[(None,) * len(groups)] * 4)


def test_a_reward_without_an_upper_end_never_settles():
    b = Ballots((0, 0, 0), (3.0, 2.0, 9.0), (None,) * 3, (None,) * 3, (None,) * 3)
    assert not is_settled(METHODS["weighted"], b, POLICY, 4)
    assert is_settled(METHODS["majority"], b, POLICY, 4)


def rewarded(*pools):
    """Pools of candidates with these rewards, each with an answer of its own."""
    out = []
    for i, rewards in enumerate(pools):
        solutions = tuple(Solution(f"Answer: {k}", str(k), k == 0) for k in range(len(rewards)))
        pool = pool_of(Problem(f"p{i}", f"What is {i}?", "0", "math"), solutions, "small")
        said = tuple((Judgement("r", "given", (), (r,), 0, 0),) for r in rewards)
        out.append(type(pool)(pool.problem, pool.traces, said))
    return out


def test_rewards_above_one_that_come_late_are_counted_with():
    """A scale is a file's: what is seen so far of one problem may not show it."""
    pools = rewarded((1.0, 1.0, 0.5, 7.0), (1.0, 0.2, 0.1, 0.3))
    (told,) = savings(pools, "best-of-n", Listen(reward="r"), POLICY, [StopSettings(batch=1)], {}, n_orders=20)
    assert told["changed"] == 0
    assert told["candidates"]["used"] == told["candidates"]["of"]


def test_the_bound_holds_for_the_best_of_rewards_without_an_upper_end():
    rng = Random(4)
    pools = rewarded(*[[rng.uniform(0, 10) for _ in range(12)] for _ in range(30)])
    (told,) = savings(
        pools, "best-of-n", Listen(reward="r"), POLICY, [StopSettings(batch=2, bound=0.2)], {}, n_orders=4
    )
    assert told["changed"] <= 0.2 + 0.07
    assert told["candidates"]["used"] < told["candidates"]["of"]


def test_the_chance_of_a_change_falls_with_the_lead_and_rises_with_what_is_left():
    m = METHODS["majority"]
    leads = [chance_of_change(m, _votes([0] * k + [1] * 2), POLICY, 24, 0) for k in (3, 5, 8)]
    assert leads == sorted(leads, reverse=True)
    assert leads[0] > 0.1 > leads[2]
    rest = [chance_of_change(m, _votes([0] * 5 + [1] * 2), POLICY, n, 0) for n in (8, 12, 40)]
    assert rest == sorted(rest)
    assert chance_of_change(m, _votes([0] * 5), POLICY, 5, 0) == 0


def test_the_urn_keeps_its_bound_where_candidates_are_drawn_as_it_says():
    """Pools out of a Pólya urn: stopping at 10 % changes at most about 10 % of the answers."""
    m, rng, settings = METHODS["majority"], Random(5), StopSettings(batch=2, bound=0.1)
    changed = used = 0
    for i in range(300):
        urn = [0]
        while len(urn) < 24:
            drawn_ = rng.randrange(len(urn) + 1)
            urn.append(max(urn) + 1 if drawn_ == len(urn) else urn[drawn_])
        k = next(k for k in range(2, 25, 2) if stops(settings, m, _votes(urn[:k]), POLICY, 24, i))
        changed += answer(m, _votes(urn[:k])) != answer(m, _votes(urn))
        used += k
    assert changed / 300 < 0.1 + 0.035  # two standard errors
    assert used / 300 < 20


def stored(n: int = 12):
    """Problems that most candidates solve, with verdicts and what they cost."""
    rng, pools = Random(3), []
    for i in range(20):
        right = rng.random() < 0.7
        texts = ["4" if rng.random() < (0.8 if right else 0.3) else str(rng.randint(5, 7)) for _ in range(n)]
        solutions = tuple(Solution(f"Answer: {t}", t, t == "4") for t in texts)
        pool = pool_of(Problem(f"p{i}", f"What is {i}?", "4", "math"), solutions, "small")
        said = tuple(
            (Judgement("v", "code", (Verdict.TRUE if s.correct else Verdict.FALSE,), (), 9, 5),) for s in solutions
        )
        pools.append(type(pool)(pool.problem, pool.traces, said))
    return pools


def test_what_is_spared_is_counted_and_nothing_changes_without_a_bound():
    cost = {"tokens": 10.0, "seconds": None}
    looks = [StopSettings(batch=2, bound=b) for b in (0.0, 0.2)]
    exact, loose = savings(stored(), "majority", Listen(), POLICY, looks, cost)
    assert [loose] == savings(stored(), "majority", Listen(), POLICY, looks[1:], cost)
    assert exact["changed"] == 0
    assert exact["accuracy"] == exact["accuracy_of_all"]
    assert exact["difference"]["estimate"] == 0
    assert loose["difference"]["estimate"] == pytest.approx(loose["accuracy"] - loose["accuracy_of_all"])
    assert loose["difference"]["low"] <= loose["difference"]["estimate"] <= loose["difference"]["high"]
    assert loose["difference"]["n"] == 20
    assert loose["candidates"]["used"] < exact["candidates"]["used"] < exact["candidates"]["of"] == 240
    assert exact["spared"]["tokens"] == pytest.approx(10 * exact["spared"]["candidates"])
    assert exact["spared"]["seconds"] is None


def test_the_command_compares_bounds_on_a_file(tmp_path, capsys):
    write_pools(tmp_path / "traces.jsonl", stored())
    assert main(["verify", "stop", str(tmp_path / "traces.jsonl"), "--bound", "0", "0.1", "--batch", "3"]) == 0
    exact, bounded = json.loads(capsys.readouterr().out)
    assert exact["method"] == "verifier"
    assert exact["changed"] == 0
    assert bounded["bound"] == 0.1
    assert exact["spared"]["judgements"] == exact["spared"]["candidates"] > 0
    assert main(["verify", "stop", str(tmp_path / "traces.jsonl"), "--method", "pass"]) == 2
    assert '"pass" chooses nothing' in capsys.readouterr().err


@pytest.mark.parametrize("settings", [{"batch": 0}, {"bound": 1.0}, {"bound": -0.1}])
def test_settings_that_make_no_sense_are_told(settings):
    with pytest.raises(UserError, match=r"has to be at least 1|at least 0 and below 1"):
        StopSettings(**settings)
