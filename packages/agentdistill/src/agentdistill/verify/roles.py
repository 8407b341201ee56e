"""Roles: the models that verifiers are, what the trained ones learn from, and reward models of steps.

A verifier's ``path`` may be ``role:NAME``, the adapter that this very run trains. Where several verifiers are adapters
of one base, the base is in memory once: each role is a model of its own to the rest of the package, and generation
switches the shared weights to its adapter first, one at a time.

A check is kept where its verdict is the truth (arXiv 2504.04718, section 4.2): what is learned is the checks that were
right, in the prompt template that the student will judge with.

A local one is a token classifier with two labels, read at the last token of each step. A served one answers
``POST /pooling`` as vLLM does for reward models. Training gives a base model such a head, with the loss

    - mean over labelled steps of log p(label | question, steps so far)
"""

from __future__ import annotations

import asyncio
import json
import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, Protocol

from agentdistill.errors import DataError, InfrastructureError, ModelError
from agentdistill.loop import Policy
from agentdistill.models import Model, identity, load_model
from agentdistill.models.local import LocalModel
from agentdistill.models.weights import is_gguf, runnable
from agentdistill.prompts import ClaimTemplate, VerifierTemplate, load_claim_prompt, load_prompt, load_verifier_prompt
from agentdistill.registry import fingerprint
from agentdistill.retrieval import Passage
from agentdistill.store import digest, file_digest, seed_of, write_json
from agentdistill.training.settings import TrainSettings
from agentdistill.training.trainer import reading_order
from agentdistill.types import End, Message, Problem, Request, Sample, Source, Step, StepStatus, Trace, Usage
from agentdistill.verify.pools import Check, Judged, Pool, Verdict
from agentdistill.verify.select import SelectionPolicy, accepted
from agentdistill.verify.verifiers import NO_CLAIM, Kit, VerifierSettings, known_from

# --- models, told apart -----------------------------------------------------------------------------------------------

ROLE = "role:"
_HOW_ONLY = ("path", "device", "batch_size", "threads")
_SHARED = {"device", "dtype", "batch_size", "chat_template", "context_length"}


def resolved(table: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The table with its path looked up: ``role:NAME`` in a run's folder, ``tinyworld:SIZE`` where it ships.

    Raises ModelError for a role that is not trained yet.
    """
    path = table.get("path")
    if not isinstance(path, str):
        return dict(table)
    if not path.startswith(ROLE):
        return {**table, "path": runnable(path)}
    found = folder / "roles" / path.removeprefix(ROLE)
    if not found.is_dir():
        raise ModelError(f"{found}: that role is not trained yet; train it first: agentdistill verify train")
    return {**table, "path": str(found)}


def make_model(table: Mapping[str, Any]) -> Model:
    """The model of a resolved table; its kind stands under ``model``."""
    settings = dict(table)
    return load_model(settings.pop("model", "endpoint"), **settings)


def model_identity(table: Mapping[str, Any]) -> str:
    """A hash of a resolved table: its settings, and its weights where they lie in a folder.

    What only changes how it is run is left out. A name that is no folder stands for itself.
    """
    kept = {k: v for k, v in table.items() if k not in _HOW_ONLY}
    kind = str(table.get("model", "endpoint"))
    settings = identity(kind, kept)
    if (known := fingerprint("models", kind)) != kind:
        settings["model"] = known
    path = table.get("path")
    if not isinstance(path, str):
        return digest(settings)
    folder = Path(runnable(path))
    names = ("*.safetensors", "adapter_config.json")
    files = [folder] if folder.is_file() else [f for name in names for f in sorted(folder.glob(name))]
    return digest([settings, [file_digest(f) for f in files] or path])


def n_parameters(table: Mapping[str, Any]) -> int | None:
    """The parameters of local weights, read off their files' headers, the base's for an adapter; None if not known."""
    path = table.get("path")
    if not isinstance(path, str):
        return None
    folder = Path(runnable(path))
    if folder.is_file():
        from agentdistill.models.gguf_file import n_parameters as in_file

        return in_file(folder)
    config = folder / "adapter_config.json"
    if config.is_file() and not (folder / "config.json").is_file():
        base = json.loads(config.read_text(encoding="utf-8")).get("base_model_name_or_path")
        return n_parameters({"path": base}) if isinstance(base, str) else None
    total = 0
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb") as f:
            header = json.loads(f.read(int.from_bytes(f.read(8), "little")))
        total += sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")
    return total or None


def on_one_base(verifiers: Sequence[VerifierSettings]) -> dict[str, Callable[[], Model]]:
    """Makers for verifiers that are adapters of one base: it is loaded once, and switched from one to the next."""
    from agentdistill.models.weights import resolve

    groups: dict[str, dict[str, str | None]] = {}
    shared: dict[str, dict[str, Any]] = {}
    for j in verifiers:
        table = {k: v for k, v in j.model.items() if k not in ("model", "path")}
        path = j.model.get("path")
        if j.role == "prm" or j.model.get("model") != "local" or not isinstance(path, str) or not set(table) <= _SHARED:
            continue
        base, adapter = (path, None) if is_gguf(path) else resolve(path)
        if adapter is not None:
            key = json.dumps([base, table], sort_keys=True)
            groups.setdefault(key, {})[j.name] = adapter
            shared[key] = {"base": base, **table}
    load = cache(lambda key: load_roles(adapters=groups[key], **shared[key]))
    made: dict[str, Callable[[], Model]] = {}
    for key, adapters in groups.items():
        if len(adapters) > 1:
            made |= {name: partial(_role, load, key, name) for name in adapters}
    return made


def _role(load: Callable[[str], Mapping[str, Model]], key: str, name: str) -> Model:
    return load(key)[name]


_KEPT_BYTES = 4 << 30
"""Weights of so many bytes at most are kept a second time, so that adapters can be added to them and taken off."""


class _Shared:
    """The weights, and which adapter is on.

    An adapter beside a layer makes a small model several times as slow. So it is added to the weights, of which a copy
    is kept, unless they are large or the head shares the embeddings that an adapter changes.
    """

    def __init__(self, tuned: Any) -> None:
        from peft.tuners.tuners_utils import BaseTunerLayer

        self.tuned = tuned
        self.lock = threading.Lock()
        self._on: str | None = None
        layers = [m for m in tuned.modules() if isinstance(m, BaseTunerLayer)]
        weights = [p for layer in layers for p in layer.get_base_layer().parameters()]
        head = tuned.get_base_model().get_output_embeddings()
        tied = any(p is getattr(head, "weight", None) for p in weights)
        self._kept: dict[Any, Any] | None = None
        if not tied and sum(p.numel() * p.element_size() for p in weights) <= _KEPT_BYTES:
            self._kept = {p: p.detach().clone() for p in weights}
        self._layers = layers
        tuned.base_model.disable_adapter_layers()

    def switch(self, adapter: str | None) -> None:
        """Put an adapter on; None: the base as it is."""
        if self._kept is not None:
            if self._on == adapter:
                return
            for weight, kept in self._kept.items():
                weight.data.copy_(kept)
            for layer in self._layers:
                layer.merged_adapters.clear()
        self._on = adapter
        if adapter is None:
            self.tuned.base_model.disable_adapter_layers()
            return
        self.tuned.base_model.enable_adapter_layers()
        self.tuned.set_adapter(adapter, inference_mode=True)
        if self._kept is not None:
            for layer in self._layers:
                layer.merge(adapter_names=[adapter])


class RoleModel(LocalModel):
    """A base model in one role. Made by :func:`load_roles`."""

    def __init__(self, shared: _Shared, adapter: str | None, **settings: Any) -> None:
        super().__init__(model=shared.tuned.get_base_model(), **settings)
        self._shared, self._adapter = shared, adapter

    def _generate(self, decoder: Any, requests: Sequence[Request]) -> list[list[Sample]]:
        with self._shared.lock:
            self._shared.switch(self._adapter)
            return super()._generate(decoder, requests)


def load_roles(
    base: str,
    adapters: Mapping[str, str | None],
    *,
    device: str = "auto",
    dtype: str = "auto",
    batch_size: int = 64,
    chat_template: str | None = None,
    context_length: int | None = None,
) -> dict[str, RoleModel]:
    """A model for each role, by name: its adapter's folder, or None for the base itself. Settings as for local models.

    Raises ModelError for an adapter that is missing or fits another base, and where no role has an adapter.
    """
    from agentdistill.models.chat import ChatFormat, read_template
    from agentdistill.models.weights import check_vocabulary, load_base, load_tokenizer

    tuned_roles = {role: path for role, path in adapters.items() if path is not None}
    if not tuned_roles:
        raise ModelError("no role has an adapter; load the base as a model of its own")
    tokenizer = load_tokenizer(base)
    weights = load_base(base, device, dtype)
    check_vocabulary(base, weights, tokenizer)
    tuned: Any = None
    for role, path in tuned_roles.items():
        tuned = _put_on(weights if tuned is None else tuned, role, path)
    tuned.eval().requires_grad_(False)
    shared = _Shared(tuned)
    chat = ChatFormat(tokenizer, read_template(chat_template))
    limit = context_length or getattr(weights.config.get_text_config(), "max_position_embeddings", None)
    return {
        role: RoleModel(
            shared,
            role if path is not None else None,
            name=f"{Path(base).name} {role}",
            chat=chat,
            batch_size=batch_size,
            context_length=limit,
            kv_reuse_gb=0.0,  # what one role computed is another's only by mistake
        )
        for role, path in adapters.items()
    }


def _put_on(model: Any, role: str, path: str) -> Any:
    from peft import PeftModel

    if not (Path(path) / "adapter_config.json").is_file():
        raise ModelError(f"{path}: not an adapter folder (no adapter_config.json)")
    try:
        if isinstance(model, PeftModel):
            model.load_adapter(path, adapter_name=role)
            return model
        return PeftModel.from_pretrained(model, path, adapter_name=role)
    except Exception as e:
        raise ModelError(f"{path}: the adapter does not fit its base ({str(e).splitlines()[0][:160]})") from e


# --- what a role learns -----------------------------------------------------------------------------------------------

Learns = Literal["code", "cot", "claims", "facts", "genrm", "prm", "generator"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleSettings:
    """What one role learns: an adapter of its own on the base model (the recipe's, else ``base``), or a PRM's weights.

    ``teacher`` names the verifier whose checks on the training problems are learned (a generator learns from the right
    solutions, a PRM from the marks, and neither needs one). ``balance`` keeps as many right as wrong solutions,
    ``per_problem`` at most so many examples a problem. ``steps`` says which steps of a PRM's solutions are labelled
    with the outcome: ``last``, as its score is read, or ``all``.
    """

    name: str
    role: Learns
    teacher: str | None = None
    base: str | None = None
    balance: bool = True
    per_problem: int = 8
    steps: Literal["last", "all"] = "last"
    train: TrainSettings = TrainSettings(learning_rate=1e-4, epochs=3, batch_size=16, max_length=2048)  # noqa: RUF009


@dataclass(frozen=True, slots=True)
class Lessons:
    """The traces to learn from, and where the others went: counts by reason, ``kept`` among them."""

    traces: tuple[Trace, ...]
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class _Draft:
    trace: Trace
    right: bool


def lessons(
    pools: Sequence[Pool],
    role: RoleSettings,
    prompt: str,
    taught: tuple[VerifierSettings, Sequence[Judged]] | None = None,
    seed: int = 0,
    policy: SelectionPolicy = SelectionPolicy(),  # noqa: B008  frozen
) -> Lessons:
    """What a role learns from graded pools and, but for a generator, from its teacher's journal ``taught``.

    Checks of claims are learned where ``policy`` accepts exactly the right solutions by them.

    Raises DataError where nothing is left, saying where it went, and for a teacher whose checks do not fit the role.
    """
    counts: dict[str, int] = defaultdict(int)
    if role.role == "generator":
        drafts = list(_solutions(pools, prompt, counts))
    elif taught is None:
        raise DataError(f'role "{role.name}" needs the checks of a teacher')
    elif role.role == "claims":
        drafts = list(_claim_checks(pools, role, load_claim_prompt(prompt), *taught, policy, counts))
    else:
        drafts = list(_checks(pools, role, load_verifier_prompt(prompt), *taught, counts))
    drafts = _at_most(drafts, role.per_problem, counts)
    if role.balance and role.role != "generator":
        drafts = _balanced(drafts, seed, counts)
    counts["kept"] = len(drafts)
    if not drafts:
        where = ", ".join(f"{n} {reason}" for reason, n in counts.items() if n) or "there were none"
        raise DataError(f'role "{role.name}" has nothing to learn from: {where}')
    return Lessons(tuple(d.trace for d in drafts), dict(counts))


def _solutions(pools: Sequence[Pool], prompt: str, counts: dict[str, int]) -> Iterable[_Draft]:
    """Right solutions, as a generator is asked for them; the same text counts once a problem."""
    template = load_prompt(prompt)
    for p in pools:
        seen = set()
        for i, t in enumerate(p.traces):
            if not t.correct or t.solution in seen:
                counts["wrong" if not t.correct else "twice"] += 1
                continue
            seen.add(t.solution)
            yield _Draft(_trace(p, i, 0, "generator", p.generator, template.cot(p.problem.question), t.solution), True)


def _checks(
    pools: Sequence[Pool],
    role: RoleSettings,
    template: VerifierTemplate,
    teacher: VerifierSettings,
    journal: Sequence[Judged],
    counts: dict[str, int],
) -> Iterable[_Draft]:
    said = {j.key: j for j in journal}
    if teacher.role != role.role and role.role not in _TEACHES.get(teacher.role, ()):
        raise _unfit(teacher, role)
    for p in pools:
        for i, c in enumerate(p.traces):
            judged = said.get((p.id, i, digest(c.solution)))
            if judged is None or c.correct is None:
                counts["not judged"] += 1
                continue
            for k, check in enumerate(judged.checks):
                if check.verdict is None or not check.verdict.settled:
                    counts[f"ended in {check.verdict.value.replace('_', ' ') if check.verdict else 'nothing'}"] += 1
                elif (check.verdict is Verdict.TRUE) != c.correct:
                    counts["verdict is not the truth"] += 1
                else:
                    found = [Passage("", d) for d in check.documents] if role.role == "facts" else None
                    prompt = template.check(role.role, p.problem.question, c.solution, found)
                    yield _Draft(_trace(p, i, k, role.role, teacher.name, prompt, check.reply), c.correct)


_TEACHES: Mapping[str, tuple[str, ...]] = {"gold": ("genrm", "cot"), "program": ("code",), "evidence": ("claims",)}
"""Roles whose checks others learn."""


def _unfit(teacher: VerifierSettings, role: RoleSettings) -> DataError:
    return DataError(f'"{teacher.name}" has the role {teacher.role}: {role.role} cannot be trained on its checks')


def _claim_checks(
    pools: Sequence[Pool],
    role: RoleSettings,
    template: ClaimTemplate,
    teacher: VerifierSettings,
    journal: Sequence[Judged],
    policy: SelectionPolicy,
    counts: dict[str, int],
) -> Iterable[_Draft]:
    """The list of claims, the queries and the rulings of every solution that ``policy`` accepts if and only if it is
    right. The same request of one problem, with the same reply, counts once."""
    if teacher.role != role.role and role.role not in _TEACHES.get(teacher.role, ()):
        raise _unfit(teacher, role)
    said = {j.key: j for j in journal}
    for p in pools:
        seen: set[tuple[str, str]] = set()
        for i, t in enumerate(p.traces):
            judged = said.get((p.id, i, digest(t.solution)))
            if judged is None or t.correct is None:
                counts["not judged"] += 1
                continue
            if accepted(judged.judgement, policy) != t.correct:
                counts["verdict is not the truth"] += 1
                continue
            for k, (prompt, reply) in enumerate(_turns(template, p.problem.question, t.solution, judged.checks)):
                if (prompt[-1].content, reply) in seen:
                    counts["twice"] += 1
                    continue
                seen.add((prompt[-1].content, reply))
                yield _Draft(_trace(p, i, k, role.role, teacher.name, prompt, reply), t.correct)


def _turns(
    template: ClaimTemplate, question: str, solution: str, checks: Sequence[Check]
) -> Iterable[tuple[tuple[Message, ...], str]]:
    """What the verifier was asked of a solution, in order, with its replies in the form that was asked for."""
    yield template.claims(question, solution), "\n".join(f"Claim: {c.detail}" for c in checks)
    for n, check in enumerate(checks):
        if check.detail == NO_CLAIM or check.verdict is Verdict.MALFORMED:
            continue
        known, found = known_from(checks[:n]), [Passage("", d) for d in check.documents]
        yield template.query(check.detail, known), f"Run: {check.code}" if check.code else f"Search: {check.query}"
        yield template.claim(check.detail, known, found), check.reply


def _trace(p: Pool, i: int, k: int, role: str, teacher: str, prompt: tuple[Message, ...], reply: str) -> Trace:
    step = Step(Message("assistant", reply, Source.MODEL), StepStatus.OK)
    return Trace(f"{p.id}#{i}.{k}", p.problem, f"verify-{role}", teacher, prompt, (step,), End.ANSWERED)


def _at_most(drafts: Sequence[_Draft], n: int, counts: dict[str, int]) -> list[_Draft]:
    """At most ``n`` a problem, right and wrong ones in turn while there are both."""
    by_problem: dict[str, list[_Draft]] = defaultdict(list)
    for d in drafts:
        by_problem[d.trace.problem.id].append(d)
    out = []
    for found in by_problem.values():
        turns = [[d for d in found if d.right], [d for d in found if not d.right]]
        ordered = [d for pair in zip(*turns, strict=False) for d in pair]
        rest = max(turns, key=len)[min(map(len, turns)) :]
        out += [*ordered, *rest][:n]
    counts["more than enough of a problem"] += len(drafts) - len(out)
    return out


def _balanced(drafts: Sequence[_Draft], seed: int, counts: dict[str, int]) -> list[_Draft]:
    """As many right as wrong ones, drawn by hash, in the order they came. One sort alone is left as it is."""
    turns = [[d for d in drafts if d.right is right] for right in (True, False)]
    n = min(map(len, turns))
    if n == 0:
        return list(drafts)
    kept = {d.trace.id for own in turns for d in sorted(own, key=lambda d: seed_of(seed, "balance", d.trace.id))[:n]}
    counts["more than of the other sort"] += len(drafts) - len(kept)
    return [d for d in drafts if d.trace.id in kept]


# --- reward models of steps -------------------------------------------------------------------------------------------

MAX_STEPS = 400


@dataclass(frozen=True, slots=True)
class Scored:
    """One probability in [0, 1] a step, and how many tokens were read for that (0 where it is not told)."""

    scores: tuple[float, ...]
    n_tokens: int = 0


class StepScorer(Protocol):
    """Scores the steps of one solution."""

    def score(self, question: str, steps: Sequence[str]) -> Scored:
        """The scores of all steps. Raises ModelError for a reply of another shape."""
        ...


def steps_of(solution: str, separator: str = "\n\n") -> tuple[str, ...]:
    """The steps of a solution, empty ones left out. A solution without the separator is cut at its lines."""
    parts = solution.split(separator) if separator in solution else solution.splitlines()
    return tuple(p.strip() for p in parts if p.strip())[:MAX_STEPS]


def step_ids(tokenizer: Any, question: str, steps: Sequence[str], max_length: int) -> tuple[list[int], list[int]]:
    """Token ids of question and steps, a line each, and the places of the steps' last tokens that fit.

    The very ids that training reads, so that a head is asked what it learned.
    """
    ids = list(tokenizer.encode(f"{question}\n", add_special_tokens=False))
    if tokenizer.bos_token_id is not None:
        ids.insert(0, tokenizer.bos_token_id)
    ends = []
    for step in steps:
        ids += tokenizer.encode(f"{step}\n", add_special_tokens=False)
        ends.append(len(ids) - 1)
    return ids[:max_length], [e for e in ends if e < max_length]


class LocalPRM:
    """A token classifier in this process. Steps beyond its context get the score of the last that fits."""

    def __init__(self, model: Any, tokenizer: Any, max_length: int) -> None:
        self._model, self._tokenizer, self._max_length = model, tokenizer, max_length

    def score(self, question: str, steps: Sequence[str]) -> Scored:
        """See :class:`StepScorer`."""
        import torch

        ids, ends = step_ids(self._tokenizer, question, steps, self._max_length)
        if not ends:
            return Scored((0.0,) * len(steps))  # not even the first step fits: nothing speaks for it
        with torch.inference_mode():
            logits = self._model(input_ids=torch.tensor([ids], device=self._model.device)).logits[0, ends]
            found = [float(p) for p in logits.float().softmax(-1)[:, 1]]
        return Scored(tuple(found + [found[-1]] * (len(steps) - len(found))), len(ids))


class ServedPRM:
    """A reward model behind vLLM's ``/pooling``, its steps joined by the ``marker`` that it was trained with."""

    def __init__(self, url: str, name: str, marker: str = "<extra_0>", timeout_s: float = 120.0) -> None:
        if not url.startswith(("http://", "https://")):
            raise ModelError(f'prm url "{url}" does not begin with http:// or https://')
        self.url = f"{url.rstrip('/').removesuffix('/v1')}/pooling"
        self._name, self._marker, self._timeout_s = name, marker, timeout_s

    def score(self, question: str, steps: Sequence[str]) -> Scored:
        """See :class:`StepScorer`. Raises InfrastructureError where the server cannot be reached."""
        import httpx2

        text = "".join(step + self._marker for step in steps)
        messages = [{"role": "user", "content": question}, {"role": "assistant", "content": text}]
        try:
            reply = httpx2.post(self.url, json={"model": self._name, "messages": messages}, timeout=self._timeout_s)
        except httpx2.TransportError as e:
            raise InfrastructureError(f"reward model {self.url} cannot be reached ({e})") from e
        if reply.status_code >= 500 or reply.status_code in (408, 429):
            raise InfrastructureError(f"reward model {self.url} answered {reply.status_code}")
        if reply.status_code != 200:
            raise ModelError(f"reward model {self.url} refused the request ({reply.status_code}: {reply.text[:160]})")
        return _served(reply.text, len(steps), self.url)


def _served(text: str, n_steps: int, url: str) -> Scored:
    """The scores of a pooling reply: for each step a probability, or those of wrong and right."""
    try:
        reply = json.loads(text)
        rows = reply["data"][0]["data"]
        scores = tuple(float(row[-1] if isinstance(row, list) else row) for row in rows)
    except (ValueError, KeyError, IndexError, TypeError, RecursionError) as e:
        raise ModelError(f"reward model {url}: its reply holds no scores of steps ({type(e).__name__})") from e
    if len(scores) != n_steps or not all(math.isfinite(s) and 0 <= s <= 1 for s in scores):
        raise ModelError(f"reward model {url}: {len(scores)} scores for {n_steps} steps, or some are no probabilities")
    usage = reply.get("usage")
    n = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    return Scored(scores, n if isinstance(n, int) and n > 0 else 0)


def load_scorer(model: Mapping[str, Any]) -> StepScorer:
    """The scorer of a recipe's table: ``{model = "local", path}`` or ``{model = "endpoint", url, name, marker}``."""
    settings = dict(model)
    kind = settings.pop("model", "local")
    if kind not in ("local", "endpoint"):
        raise ModelError(f'a PRM is "local" or "endpoint", not "{kind}"')
    try:
        return load_local(**settings) if kind == "local" else ServedPRM(**settings)
    except TypeError as e:
        raise ModelError(f"a PRM cannot be made of {settings!r}: {str(e).partition(' ')[2]}") from e


def load_local(path: str, device: str = "auto", max_length: int | None = None) -> LocalPRM:
    """A token classifier of two labels from a folder or hub name. Raises ModelError where it is none.

    It computes in float32 on CPU and in the checkpoint's own format on a GPU.
    """
    from transformers import AutoModelForTokenClassification

    from agentdistill.models.weights import dtype_for, load_tokenizer, quiet

    tokenizer = load_tokenizer(path)
    try:
        with quiet():
            loaded: Any = AutoModelForTokenClassification.from_pretrained(
                path, dtype=dtype_for("auto", device), output_loading_info=True
            )
    except Exception as e:
        raise ModelError(f"{path}: no token classifier could be loaded ({str(e).splitlines()[0][:160]})") from e
    model, info = loaded
    if info.get("missing_keys") or model.config.num_labels != 2:
        raise ModelError(f"{path}: no reward model of two labels (its classifier head is missing); train one first")
    limit = max_length or getattr(model.config, "max_position_embeddings", None) or 4096
    return LocalPRM(model.to(_device(device)).eval(), tokenizer, limit)


def _device(device: str) -> str:
    import torch

    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device


class StepVerifier:
    """One Check a step, each with the probability that the solution is right so far."""

    def __init__(self, settings: VerifierSettings, kit: Kit) -> None:
        self._scorer, self._separator = load_scorer(settings.model), settings.separator
        self._turn = asyncio.Lock()

    async def check(self, policy: Policy, problem: Problem, candidate: Trace) -> tuple[Check, ...]:
        """See :class:`~agentdistill.verify.verifiers.Verifier`."""
        steps = steps_of(candidate.solution, self._separator)
        if not steps:
            return ()
        async with self._turn:
            scored = await asyncio.to_thread(self._scorer.score, problem.question, steps)
        policy.usage += Usage(n_requests=1, n_prompt_tokens=scored.n_tokens)
        return tuple(Check(step, score=s) for step, s in zip(steps, scored.scores, strict=True))


@dataclass(frozen=True, slots=True)
class Marked:
    """A solution by its steps; ``labels`` are whether it is right so far, None where that is not learned."""

    question: str
    steps: tuple[str, ...]
    labels: tuple[bool | None, ...]


def marked(pools: Sequence[Pool], separator: str = "\n\n", which: Literal["last", "all"] = "last") -> list[Marked]:
    """Graded candidates as training examples: the last step, or all, labelled with the outcome."""
    out = []
    for p in pools:
        for t in p.traces:
            steps = steps_of(t.solution, separator)
            if t.correct is None or not steps:
                continue
            before: list[bool | None] = [t.correct if which == "all" else None] * (len(steps) - 1)
            out.append(Marked(p.problem.question, steps, (*before, t.correct)))
    return out


def train_prm(
    examples: Sequence[Marked],
    base: str,
    out: Path,
    settings: TrainSettings,
    on_progress: Callable[[int, int, float], None] | None = None,
) -> dict[str, Any]:
    """Train a head and all weights of ``base`` into the folder ``out``; returns what ``training.json`` there says.

    The same call again returns at once, and goes on where it was stopped (a state is kept every ``save_every_s``); the
    same data, base and settings give the same weights on the same machine.
    Sequences above ``max_length`` are left out and counted. Raises DataError where nothing is left to learn from and
    ModelError for a base that cannot have such a head.
    """
    from agentdistill.models.weights import load_tokenizer

    tokenizer = load_tokenizer(base)
    rows, n_long = _rows(examples, tokenizer, settings.max_length)
    if not rows:
        raise DataError(f"nothing to train a reward model on: {len(examples)} solutions, {n_long} of them too long")
    folder = Path(base)
    learned = {k: v for k, v in asdict(settings).items() if k != "save_every_s"}
    key = digest({"base": file_digest(folder) if folder.is_dir() else base, "settings": learned, "rows": rows})
    done = _done(out, key)
    if done is not None:
        return done
    resume = _Resume(out / "resume.pt", key, settings.save_every_s)
    model, losses = _fit(rows, base, settings, resume, on_progress)
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    record = {"key": key, "base": base, "settings": asdict(settings), "n_examples": len(rows), "n_too_long": n_long}
    record |= {"n_steps": len(losses), "losses": losses, "final_loss": losses[-1]}
    write_json(out / "training.json", record)
    resume.forget()
    return record


def _done(out: Path, key: str) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads((out / "training.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if record.get("key") == key else None


_Row = tuple[list[int], list[tuple[int, int]]]
"""Token ids, and ``(place, label)`` of the steps that are learned."""


def _rows(examples: Sequence[Marked], tokenizer: Any, max_length: int) -> tuple[list[_Row], int]:
    rows: list[_Row] = []
    n_long = 0
    for e in examples:
        ids, ends = step_ids(tokenizer, e.question, e.steps, max_length + 1)
        if len(ids) > max_length:
            n_long += 1
            continue
        rows.append((ids, [(at, int(label)) for at, label in zip(ends, e.labels, strict=True) if label is not None]))
    return rows, n_long


def _fit(
    rows: Sequence[_Row],
    base: str,
    settings: TrainSettings,
    resume: _Resume,
    on_progress: Callable[[int, int, float], None] | None,
) -> tuple[Any, list[float]]:
    import torch
    from transformers import get_scheduler

    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    model = _with_head(base)
    device = "cuda" if settings.device != "cpu" and torch.cuda.is_available() else "cpu"
    half = replace(settings, method="full").half(device == "cuda")  # all weights learn, whatever the settings name
    model.to(device).train()
    order = reading_order([len(ids) for ids, _ in rows], settings.epochs, settings.batch_size, settings.seed)
    batches = [order[i : i + settings.batch_size] for i in range(0, len(order), settings.batch_size)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    name = {"constant": "constant_with_warmup"}.get(settings.schedule, settings.schedule)
    schedule = get_scheduler(name, optimizer, round(settings.warmup * len(batches)), len(batches))
    losses = resume.load(model, optimizer, schedule)
    for n, batch in enumerate(batches[len(losses) :], len(losses) + 1):
        with torch.autocast(device, torch.bfloat16, enabled=half):
            loss = _loss(model, [rows[i] for i in batch], device)
        if not torch.isfinite(loss):
            raise ModelError(f"the reward model's loss is {loss.item()} at update {n}: a lower learning_rate may help")
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.max_grad_norm)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
        if on_progress is not None:
            on_progress(n, len(batches), losses[-1])
        if n < len(batches):
            resume.save_if_due(losses, model, optimizer, schedule)
    return model.eval(), losses


class _Resume:
    """Where an interrupted training goes on: everything that the next update depends on, in one file."""

    def __init__(self, path: Path, key: str, every_s: float) -> None:
        self._path, self._key, self._every_s = path, key, every_s
        self._saved = time.monotonic()

    def load(self, *parts: Any) -> list[float]:
        """Put the parts where they were and return the losses so far; none where nothing fitting was kept."""
        import torch

        try:
            kept = torch.load(self._path, weights_only=True, map_location="cpu")
        except Exception:  # not there, or cut short: begin again
            return []
        if kept.get("key") != self._key:
            return []
        for part, state in zip(parts, kept["parts"], strict=True):
            part.load_state_dict(state)
        torch.set_rng_state(kept["random"])
        return [float(loss) for loss in kept["losses"]]

    def save_if_due(self, losses: Sequence[float], *parts: Any) -> None:
        """Keep the state, unless that was done a moment ago."""
        import torch

        if time.monotonic() - self._saved < self._every_s:
            return
        state = {"key": self._key, "losses": list(losses), "parts": [p.state_dict() for p in parts]}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        half = self._path.with_suffix(".half")
        torch.save({**state, "random": torch.get_rng_state()}, half)
        half.replace(self._path)
        self._saved = time.monotonic()

    def forget(self) -> None:
        """The training is done."""
        self._path.unlink(missing_ok=True)


def _loss(model: Any, rows: Sequence[_Row], device: str) -> Any:
    """Mean cross-entropy at the labelled places. Padding stands on the right, where no token of theirs looks."""
    import torch

    width = max(len(ids) for ids, _ in rows)
    tokens = torch.zeros((len(rows), width), dtype=torch.long)
    mask = torch.zeros_like(tokens)
    labels = torch.full_like(tokens, -100)
    for i, (ids, marks) in enumerate(rows):
        tokens[i, : len(ids)] = torch.tensor(ids)
        mask[i, : len(ids)] = 1
        for at, label in marks:
            labels[i, at] = label
    logits = model(input_ids=tokens.to(device), attention_mask=mask.to(device)).logits
    return torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), labels.to(device).flatten())


def _with_head(base: str) -> Any:
    """In float32, whatever the file holds: an optimizer's steps are lost in half precision, or come out as NaN."""
    import torch
    from transformers import AutoModelForTokenClassification

    from agentdistill.models.weights import quiet

    try:
        with quiet():
            return AutoModelForTokenClassification.from_pretrained(base, num_labels=2, dtype=torch.float32)
    except Exception as e:
        why = str(e).splitlines()[0][:160] if str(e) else type(e).__name__
        raise ModelError(f"{base}: cannot be made a reward model ({why})") from e
