# SPDX-License-Identifier: Apache-2.0
"""C6: the memory of an agent. Which note comes first, by the ranking rules of such memories?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable

import numpy as np

from claims.memory import Bench
from claims.report import Check, Claim, Table
from common import UserError

FACTS, EVENTS, DIM = 100, 4000, 64
HOURS = 24 * 365
HOUR_MS = 3_600_000
ASKS, CORRECTS, REPEATS = 0.2, 0.1, 0.4  # the rest are remarks that pass
VALUE, NOISE = 0.5, 0.4  # lengths, beside a topic's of 1
BETA = 100  # of flat under cosine

FEW, MANY = 10, 100  # candidates that are ranked again
PLAIN, DECAY, POWER = "engram, no decay", "engram, exp H=12 h", "engram, power D=1 OMEGA 8"
# The rules that rank candidates again, with the rate that was best on three other streams.
SAME = "exp H=12 h afterwards"
PARK, LANGCHAIN, BANK = "recency .999, scaled", "similarity + .9997^hours", "similarity x exp(-t/S)"
# The share of right first answers by the definitions, of 20 other streams, between which it has a
# standard deviation of .02.
EXPECTED = {
    PLAIN: 0.219,
    DECAY: 0.536,
    POWER: 0.599,
    f"{SAME}, of {FEW}": 0.380,
    f"{SAME}, of {MANY}": 0.516,
    f"{PARK}, of {FEW}": 0.316,
    f"{LANGCHAIN}, of {FEW}": 0.374,
    f"{BANK}, of {FEW}": 0.266,
    f"{PARK}, of {MANY}": 0.460,
    f"{LANGCHAIN}, of {MANY}": 0.497,
    f"{BANK}, of {MANY}": 0.234,
}
TOLERANCE = 0.04
INDEX = "notes"
# DECAY and what follows it, and whether a search needs to say when.
INDEXES: dict[str, tuple[tuple[Any, ...], bool]] = {
    DECAY: (("exp", 12 * HOUR_MS), False),
    POWER: (("power", 1, "OMEGA", 8), True),
}


@dataclass(frozen=True)
class Notes:
    """What came, in order: when in hours, the vector, and of which fact which value it states (-1:
    none)."""

    hours: np.ndarray
    vectors: np.ndarray
    facts: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class Question:
    """The current value of a fact, asked for after the first `known` notes."""

    hour: float
    known: int
    vector: np.ndarray
    fact: int
    value: int


def draw_stream(seed: int) -> tuple[Notes, list[Question]]:
    """A year of an agent: EVENTS at random times, each about one of FACTS, some of which come up
    more often (Zipf). It is a question for what the fact's value is (ASKS), a note of a new value,
    which ends the former one (CORRECTS, and the first time), a note that states the value again
    (REPEATS), or a remark that states none. Notes are unit vectors: the fact's topic, plus the
    direction of the value or the remark, plus noise. A question has the topic and noise alone."""
    rng = np.random.default_rng(seed)

    def unit(rows: np.ndarray) -> np.ndarray:
        return rows / np.linalg.norm(rows, axis=-1, keepdims=True)

    def direction() -> np.ndarray:
        return unit(rng.standard_normal(DIM))

    topics = unit(rng.standard_normal((FACTS, DIM)))
    popularity = rng.permutation(1 / np.arange(1, FACTS + 1))
    popularity /= popularity.sum()
    values = unit(rng.standard_normal((FACTS, DIM)))
    versions = np.zeros(FACTS, int)
    notes: list[tuple[float, np.ndarray, int, int]] = []
    questions = []
    for hour in np.sort(rng.uniform(0, HOURS, EVENTS)).tolist():
        fact = int(rng.choice(FACTS, p=popularity))
        kind = rng.random()
        if kind < ASKS and versions[fact] > 0:
            vector = unit(topics[fact] + NOISE * direction())
            questions.append(Question(hour, len(notes), vector, fact, int(versions[fact])))
            continue
        is_new = kind < ASKS + CORRECTS or versions[fact] == 0
        if is_new:
            values[fact] = direction()
            versions[fact] += 1
        is_remark = not is_new and kind >= ASKS + CORRECTS + REPEATS
        stated = direction() if is_remark else values[fact]
        vector = unit(topics[fact] + VALUE * stated + NOISE * direction())
        notes.append((hour, vector, fact, -1 if is_remark else int(versions[fact])))
    hours, vectors, facts, stated = zip(*notes)
    return Notes(np.array(hours), np.array(vectors), np.array(facts), np.array(stated)), questions


def _scaled(values: np.ndarray) -> np.ndarray:
    return (values - values.min()) / (np.ptp(values) or 1)


class Reranker:
    """Ranks candidates by similarity and the hours since they came or, where an answer counts as
    use, were answered last."""

    def __init__(self, notes: Notes, score: Callable[..., np.ndarray], counts_uses: bool) -> None:
        self._score = score
        self._counts_uses = counts_uses
        self._used = notes.hours.copy()
        self._stability = np.ones(len(notes.hours))  # MemoryBank's S, in days

    def first(self, candidates: np.ndarray, similarity: np.ndarray, hour: float) -> int:
        age = hour - self._used[candidates]
        best = candidates[self._score(similarity, age, self._stability[candidates]).argmax()]
        if self._counts_uses:
            self._used[best] = hour
            self._stability[best] += 1
        return int(best)


RULES: dict[str, Callable[..., np.ndarray]] = {
    SAME: lambda similarity, age, _: BETA * similarity - np.log(2) * age / 12,
    PARK: lambda similarity, age, _: _scaled(similarity) + _scaled(0.999**age),
    LANGCHAIN: lambda similarity, age, _: similarity + (1 - 0.0003) ** age,
    BANK: lambda similarity, age, stability: similarity * np.exp(-age / 24 / stability),
}


def run(bench: Bench) -> Claim:
    seeds = bench.size(5, 2)
    claim = Claim(
        "C6",
        "an agent's notes: by which rule to rank them, and where",
        "rules: Park et al. 2023; LangChain; Zhong et al. 2024",
        f"A synthetic year of {EVENTS} events about {FACTS} facts (draw_stream() in "
        "claims/agent.py): notes of new values, of the same values again, remarks, and questions "
        "for a current value. Counted is how often the first answer is a note of the current "
        f"value, the mean of {seeds} streams. Ranked again means: the {FEW} or {MANY} nearest by "
        "VSEARCH, by the rule of such a system (min-max scaled recency and relevance; similarity "
        "plus a power of the hours; retention times similarity), where an answer counts as use, and "
        "by engram's own rule, which tells what the rule gains from what the place does. "
        "Rates and half-lives are the best of a grid on other streams; retention counts days, as there.",
        bench.seed,
    )
    claim.not_run = bench.lacks("flat")
    if claim.not_run:
        return claim
    shares: dict[str, list[float]] = {name: [] for name in EXPECTED}
    agreed = []
    for seed in range(bench.seed, bench.seed + seeds):
        notes, questions = draw_stream(seed)
        firsts: dict[str, list[int]] = {}
        for name, (decay, asks_when) in INDEXES.items():
            answers = _ask(bench, notes, questions, 1, decay, asks_when)
            if answers is not None:
                firsts[name] = [int(keys[0]) for keys, _ in answers]
        agreed.append(_agreement(notes, questions, firsts[DECAY]))
        nearest = _ask(bench, notes, questions, MANY) or []
        firsts[PLAIN] = [int(keys[0]) for keys, _ in nearest]
        for rule, score in RULES.items():
            for count in (FEW, MANY):
                ranker = Reranker(notes, score, rule != SAME)
                firsts[f"{rule}, of {count}"] = [
                    ranker.first(keys[:count], 1 - distances[:count], question.hour)
                    for question, (keys, distances) in zip(questions, nearest)
                ]
        for name, first in firsts.items():
            right = [
                (notes.facts[at], notes.values[at]) == (question.fact, question.value)
                for at, question in zip(first, questions)
            ]
            shares[name].append(float(np.mean(right)))
    bench.memory.drop(INDEX)
    means = {name: float(np.mean(each)) for name, each in shares.items() if each}
    for name, mean in means.items():
        claim.checks.append(Check(f"right, {name}", EXPECTED[name], mean, TOLERANCE))
    others = [name for name in means if name not in (PLAIN, DECAY, POWER)]
    best_of = {
        count: max(means[name] for name in others if name.endswith(f"of {count}"))
        for count in (FEW, MANY)
    }
    claim.checks += [
        Check(f"{DECAY}, above the best of {FEW}", 0.1, means[DECAY] - best_of[FEW], 0, "at least"),
        Check(f"{DECAY}, above the best of {MANY}", 0, means[DECAY] - best_of[MANY], 0, "at least"),
        Check(f"{DECAY}, same as by definition", 0.999, float(np.mean(agreed)), 0, "at least"),
    ]
    claim.tables.append(
        Table(
            f"Right first answers, {seeds} streams",
            ("ranking", "mean", "least", "greatest"),
            [(name, mean, min(shares[name]), max(shares[name])) for name, mean in means.items()],
        )
    )
    claim.draw = lambda pyplot: _draw(pyplot, {name: shares[name] for name in means})
    return claim


def _ask(
    bench: Bench,
    notes: Notes,
    questions: list[Question],
    count: int,
    decay: tuple[Any, ...] = (),
    asks_when: bool = False,
) -> list[tuple[np.ndarray, np.ndarray]] | None:
    """Keys and distances of the first answers to each question, asked when it came up; none where
    the server has no such decay."""
    words = ("DECAY", *decay, "CLOCK", "logical") if decay else ()
    try:
        bench.memory.make(INDEX, DIM, "cosine", "flat", *words)
    except UserError:
        return None

    def when(hour: float, is_told: bool) -> tuple[Any, ...]:
        return ("AT", round(hour * HOUR_MS)) if is_told else ()

    commands: list[tuple[Any, ...]] = []
    stored = 0
    for question in questions:
        for at in range(stored, question.known):
            vector = notes.vectors[at].astype("<f4").tobytes()
            commands.append(("VADD", INDEX, at, vector, *when(notes.hours[at], bool(decay))))
        stored = question.known
        vector = question.vector.astype("<f4").tobytes()
        commands.append(("VSEARCH", INDEX, vector, count, *when(question.hour, asks_when)))
    found = bench.memory.run(commands, f"C6 {' '.join(map(str, decay)) or 'plain'}")
    replies = [reply for command, reply in found if command[0] == "VSEARCH"]
    return [(np.array(reply[::2], int), np.array(reply[1::2], float)) for reply in replies]


def _agreement(notes: Notes, questions: list[Question], firsts: list[int]) -> float:
    """How often a first answer has the greatest beta cos - ln2 age / 12 h."""
    same = []
    for question, first in zip(questions, firsts):
        similarity = notes.vectors[: question.known] @ question.vector
        age = question.hour - notes.hours[: question.known]
        same.append((BETA * similarity - np.log(2) * age / 12).argmax() == first)
    return float(np.mean(same))


def _draw(pyplot: Any, shares: dict[str, list[float]]) -> Any:
    figure, axes = pyplot.subplots(figsize=(8, 4.5))
    names = sorted(shares, key=lambda name: np.mean(shares[name]))
    places = np.arange(len(names))
    colours = ["C0" if name.startswith("engram") else "0.75" for name in names]
    axes.barh(places, [np.mean(shares[name]) for name in names], color=colours)
    for place, name in zip(places, names):
        axes.plot(shares[name], [place] * len(shares[name]), ".", color="black", markersize=4)
    axes.set_yticks(places, names, fontsize=8)
    axes.set(xlabel="first answers that state the current value", xlim=(0, 0.7))
    axes.set_title("A year of an agent's notes, by how they are ranked")
    axes.grid(True, axis="x", alpha=0.3)
    return figure
