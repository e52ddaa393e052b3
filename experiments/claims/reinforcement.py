# SPDX-License-Identifier: Apache-2.0
"""C7: what recalls that strengthen do to a memory, by who is strengthened."""

from __future__ import annotations

from typing import Any

import numpy as np

from claims.memory import Bench
from claims.report import Check, Claim, Table
from common import UserError

INDEX = "reinforced"
CONCEPTS, VERSIONS, DIM = 20, 10, 32
SPREAD, NOISE, BETA = 0.5, 0.8, 10
RULES = ("winner", "soft", "compete")
RECALLS, STEPS = 1200, 4
PRACTISED_CONCEPTS, PRACTISED_VERSIONS = 10, 5
# Beside a simulation with numpy, of how many items hold half of all strength in the end, and of the
# strength of what competes with practised items.
HALF_TOLERANCE = 0.15
LEFT_TOLERANCE = 0.03


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def draw_items(rng: np.random.Generator) -> np.ndarray:
    """Unit vectors near each other in groups, [items, dim]."""
    concepts = unit(rng.standard_normal((CONCEPTS, DIM)))
    noise = SPREAD * unit(rng.standard_normal((CONCEPTS, VERSIONS, DIM)))
    return unit(concepts[:, None] + noise).reshape(-1, DIM).astype(np.float32)


def draw_cues(rng: np.random.Generator, items: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Those items, blurred."""
    noise = NOISE * unit(rng.standard_normal((len(chosen), DIM)))
    return unit(items[chosen] + noise).astype(np.float32)


def simulate(items: np.ndarray, cues: np.ndarray, rule: str) -> np.ndarray:
    """Strengths after each cue, [cues, items], from the definition."""
    log_strengths = np.zeros(len(items))
    history = []
    for cue in cues.astype(float):
        logits = BETA * (items.astype(float) @ cue) + log_strengths
        weights = np.exp(logits - logits.max())
        weights /= weights.sum()
        winner = int(weights.argmax())
        gains = np.zeros(len(items))
        if rule == "soft":
            gains = np.where(weights >= 0.05, weights, 0)
        else:
            gains[winner] = 1
        lost = np.log(1 - 0.1 * weights) if rule == "compete" else np.zeros(len(items))
        lost[winner] = 0
        log_strengths = np.log(np.exp(log_strengths + lost) + gains)
        history.append(np.exp(log_strengths))
    return np.array(history)


def holders_of_half(strengths: np.ndarray) -> int:
    """How few items hold half of all strength."""
    held = np.sort(strengths)[::-1].cumsum()
    return int((held < held[-1] / 2).sum()) + 1


def run(bench: Bench) -> Claim:
    seeds = bench.size(5, 2)
    claim = Claim(
        "C7",
        "recalls that strengthen the winner end in a monopoly, and competition forgets",
        "Anderson, Bjork & Bjork 1994; own measurement",
        f"hopfield under cosine, beta {BETA}, {CONCEPTS * VERSIONS} items in {CONCEPTS} groups, "
        f"DECAY static. {RECALLS} cues, each a blurred item, all items alike, recall one after the "
        "other with REINFORCE winner, soft or compete. Counted is how few items hold half of all "
        "strength: 100 of 200 at first, and about 80 if each cue strengthened the item that it was "
        "made from. Retrieval-induced forgetting: only half of the items of half of the groups are "
        "cues; what is left of the strength of the other items in these groups, where items of other "
        f"groups have 1. Means of {seeds} memories; beside them the definition in float64, with the "
        "same cues.",
        bench.seed,
    )
    claim.not_run = bench.lacks("hopfield") or _lack(bench)
    if claim.not_run:
        return claim
    curves: dict[str, list[list[int]]] = {rule: [] for rule in RULES}
    references: dict[str, list[list[int]]] = {rule: [] for rule in RULES}
    left: dict[str, list[float]] = {"winner": [], "compete": []}
    left_by_definition: dict[str, list[float]] = {"winner": [], "compete": []}
    for seed in range(bench.seed, bench.seed + seeds):
        rng = np.random.default_rng(seed)
        items = draw_items(rng)
        cues = draw_cues(rng, items, rng.integers(len(items), size=RECALLS))
        practised = np.arange(len(items)).reshape(CONCEPTS, VERSIONS)
        practised = practised[:PRACTISED_CONCEPTS, :PRACTISED_VERSIONS].ravel()
        exercise = draw_cues(rng, items, rng.choice(practised, RECALLS // STEPS))
        for rule in RULES:
            found = _reinforce(bench, items, cues, rule)
            curves[rule].append([holders_of_half(each) for each in found])
            expected = simulate(items, cues, rule)[RECALLS // STEPS - 1 :: RECALLS // STEPS]
            references[rule].append([holders_of_half(each) for each in expected])
        for rule, shares in left.items():
            shares.append(_left(_reinforce(bench, items, exercise, rule)[-1]))
            left_by_definition[rule].append(_left(simulate(items, exercise, rule)[-1]))
    bench.memory.drop(INDEX)
    ends = {rule: float(np.mean([curve[-1] for curve in curves[rule]])) for rule in RULES}
    for rule in RULES:
        expected = float(np.mean([curve[-1] for curve in references[rule]]))
        what = f"{rule}: items that hold half"
        claim.checks.append(Check(what, expected, ends[rule], HALF_TOLERANCE * expected))
    claim.checks.append(
        Check("winner: half as many as soft", ends["soft"] / 2, ends["winner"], 0, "at most")
    )
    for rule, shares in left.items():
        expected = float(np.mean(left_by_definition[rule]))
        what = f"{rule}: strength left beside practised items"
        claim.checks.append(Check(what, expected, float(np.mean(shares)), LEFT_TOLERANCE))
    claim.checks.append(
        Check(
            "compete forgets more beside practised items than winner",
            float(np.mean(left["winner"])) - 0.05,
            float(np.mean(left["compete"])),
            0,
            "at most",
        )
    )
    after = [RECALLS // STEPS * (step + 1) for step in range(STEPS)]
    claim.tables.append(
        Table(
            "Items that hold half of all strength, engram and by definition",
            ("after recalls", *RULES, *(f"{rule}, by definition" for rule in RULES)),
            [
                (
                    count,
                    *(float(np.mean([c[step] for c in curves[rule]])) for rule in RULES),
                    *(float(np.mean([c[step] for c in references[rule]])) for rule in RULES),
                )
                for step, count in enumerate(after)
            ],
        )
    )
    claim.draw = lambda pyplot: _draw(pyplot, after, curves, references)
    return claim


def _lack(bench: Bench) -> str:
    try:
        _make(bench, RULES[0])
    except UserError:
        return "this server has no REINFORCE."
    return ""


def _make(bench: Bench, rule: str) -> None:
    words = ("BETA", BETA, "GRAPH", "none", "DECAY", "static", "REINFORCE", rule)
    bench.memory.make(INDEX, DIM, "cosine", "hopfield", *words)


def _reinforce(bench: Bench, items: np.ndarray, cues: np.ndarray, rule: str) -> np.ndarray:
    """Strengths at STEPS times, [STEPS, items]. Each recall waits for the one before."""
    _make(bench, rule)
    bench.memory.add(INDEX, items, 0)
    read = [("VSTRENGTH", INDEX, item) for item in range(len(items))]
    history = []
    for part in np.split(cues, STEPS):
        recalls = [
            ("VRECALL", INDEX, "VEC", cue.astype("<f4").tobytes(), "STEPS", 0, "TOP", len(items))
            for cue in part
        ]
        for _ in bench.memory.run(recalls, f"C7 {rule}", depth=1):
            pass
        replies = [dict(zip(reply[::2], reply[1::2])) for _, reply in bench.memory.run(read, "C7")]
        history.append([float(reply[b"strength"]) for reply in replies])
    return np.array(history)


def _left(strengths: np.ndarray) -> float:
    """Mean strength of the items that were not practised, in groups of which others were."""
    return float(
        strengths.reshape(CONCEPTS, VERSIONS)[:PRACTISED_CONCEPTS, PRACTISED_VERSIONS:].mean()
    )


def _draw(
    pyplot: Any,
    after: list[int],
    curves: dict[str, list[list[int]]],
    references: dict[str, list[list[int]]],
) -> Any:
    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    for at, rule in enumerate(RULES):
        measured = np.array(curves[rule], float)
        mean = measured.mean(axis=0)
        band = 1.96 * measured.std(axis=0, ddof=1) / np.sqrt(len(measured))
        axes.plot(after, mean, "o-", color=f"C{at}", label=rule)
        axes.fill_between(after, mean - band, mean + band, color=f"C{at}", alpha=0.2)
        axes.plot(after, np.mean(references[rule], axis=0), "x", color="black")
    axes.set(xlabel="recalls", ylabel="items that hold half of all strength", ylim=(0, 100))
    axes.set_title(f"Of {CONCEPTS * VERSIONS} items, by REINFORCE; crosses: by definition")
    axes.grid(True, alpha=0.3)
    axes.legend()
    return figure
