# SPDX-License-Identifier: Apache-2.0
"""A12, A13: when Debian packages change again, and which policy of strength knows it best."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Sequence

import numpy as np

from claims.memory import Bench
from claims.report import Check, Claim, Table
from common import HERE, UserError

CHANGES = HERE / "data" / "debian-changes.tsv"
DAY_MS = 86_400_000
EPOCH = date(1970, 1, 1).toordinal()
# What is known of all packages: later changes are those of a few security updates.
LAST_DAY = date(2023, 6, 1).toordinal()

EDGES = 2 ** np.arange(12)  # days since the last change: 1, 2-3, 4-7 ... 1024-2047
EXPONENT, POWER_FIT, EXPONENTIAL_FIT = -0.548, 0.997, 0.618

FIRST_ASKED, END_ASKED = date(2012, 1, 1).toordinal(), date(2023, 1, 1).toordinal()
DRAWN = 400
DRAW_SEED = 0  # of PCG64, as the reference drew them
INDEX = "packages"
AUC_TOLERANCE = 0.01
REFERENCE_TOLERANCE = 0.001
POWER_TOLERANCE = 0.003  # the eight latest changes are kept, and how many there were


@dataclass(frozen=True)
class Policy:
    """A rule of strength: DECAY of an index, whether a change is an overwrite instead of a touch,
    and whether its order depends on the time that is asked about. `reference` makes a strength,
    or any number that ascends with it, of the ages in days of all past changes."""

    name: str
    expected: float
    decay: tuple[str, ...]
    reference: Any
    overwrites: bool = False
    asks_when: bool = False
    tolerance: float = REFERENCE_TOLERANCE  # of what engram makes of it


def _fading(days: float) -> Any:
    """ln of the sum of 2^(-age / days), which would underflow itself."""

    def strength(ages: np.ndarray) -> float:
        newest = ages.min()
        return float(np.log(np.exp2(-(ages - newest) / days).sum()) - np.log(2) * newest / days)

    return strength


def _power(exponent: float, expected: float) -> Policy:
    return Policy(
        f"power D={exponent:g}",
        expected,
        ("power", f"{exponent:g}"),
        lambda ages: (ages**-exponent).sum(),
        asks_when=True,
        tolerance=POWER_TOLERANCE,
    )


def _exponential(days: int, expected: float) -> Policy:
    return Policy(f"exp H={days} d", expected, ("exp", str(days * DAY_MS)), _fading(days))


# By what each is expected to know, best first.
POLICIES = (
    _power(1, 0.760),
    _exponential(100, 0.760),
    _exponential(300, 0.758),
    _exponential(30, 0.747),
    _exponential(10, 0.739),
    _exponential(3, 0.734),
    Policy("recency", 0.732, ("exp", str(DAY_MS)), lambda ages: -ages.min(), overwrites=True),
    _power(0.5, 0.728),
    _exponential(1000, 0.721),
    Policy("frequency", 0.630, ("static",), len),
)


def read_changes(path: Path = CHANGES) -> dict[str, np.ndarray]:
    """The days on which each package changed, ascending, as ordinals of the calendar."""
    changes = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        name, days = line.split("\t")
        changes[name] = np.unique([date.fromisoformat(day).toordinal() for day in days.split(",")])
    return changes


def need_odds(days: Sequence[np.ndarray], last_day: int) -> np.ndarray:
    """The odds that a package changes on a day, by how many days ago it last did, in the bins of
    EDGES: changes against the days that were waited without one. What is still waited for on
    `last_day` counts as waited."""
    known = [each[each <= last_day] for each in days]
    gaps = np.concatenate([np.diff(each) for each in known])
    waits = np.array([last_day - each[-1] for each in known if len(each)])
    changed = np.histogram(gaps, EDGES)[0]
    passed = np.concatenate([gaps, waits])[:, None]
    waited = (np.clip(passed, EDGES[:-1] - 1, EDGES[1:] - 1) - (EDGES[:-1] - 1)).sum(axis=0)
    with np.errstate(invalid="ignore"):  # a bin that nobody waited for has none
        return changed / (waited - changed)


def fit(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope and R^2 of a line."""
    return float(np.polyfit(x, y, 1)[0]), float(np.corrcoef(x, y)[0, 1] ** 2)


def auc(scores: np.ndarray, wanted: np.ndarray) -> float:
    """The share of pairs, of one that is wanted and one that is not, that `scores` put in the right
    order; ties count as half."""
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    hits = int(wanted.sum())
    return float((ranks[wanted].sum() - hits * (hits + 1) / 2) / (hits * (len(wanted) - hits)))


def asked_days(changes: dict[str, np.ndarray]) -> list[int]:
    """The days that are asked about, ascending: DRAWN days with a change, but those on which
    nothing changes that changed before."""
    rng = np.random.Generator(np.random.PCG64(DRAW_SEED))
    seen = set(np.concatenate(list(changes.values())).tolist())
    drawn = rng.permutation(np.arange(FIRST_ASKED, END_ASKED)).tolist()
    days = [day for day in drawn if day in seen][:DRAWN]
    return sorted(
        day for day in days if any(each[0] < day and day in each for each in changes.values())
    )


def run_odds(bench: Bench) -> Claim:
    claim = Claim(
        "A12",
        "need falls as a power of the time since it was last felt",
        "Anderson & Schooler 1991",
        "The days on which 433 Debian source packages changed, up to 2023-06-01: the odds of a "
        "change against the days since the last one, in bins of 1, 2-3, 4-7 ... 1024-2047 days. "
        "Lines are fitted to the logarithm of the odds, over the logarithm of the days (a power) "
        "and over the days (an exponential). No memory is asked: this is what one that forgets is "
        "for.",
        None,
    )
    odds = need_odds(list(read_changes().values()), LAST_DAY)
    days = EDGES[:-1]
    exponent, power_fit = fit(np.log(days), np.log(odds))
    _, exponential_fit = fit(days, np.log(odds))
    claim.checks = [
        Check("exponent", EXPONENT, exponent, 0.05, is_formula=True),
        Check("R^2 of the power", 0.98, power_fit, relation="at least", is_formula=True),
        Check("R^2 of the exponential", EXPONENTIAL_FIT, exponential_fit, 0.05, is_formula=True),
    ]
    claim.tables.append(
        Table("The odds", ("days since", "odds"), list(zip(days.tolist(), odds.tolist())))
    )
    claim.draw = lambda pyplot: _draw_odds(pyplot, odds, exponent)
    return claim


def run_policies(bench: Bench) -> Claim:
    claim = Claim(
        "A13",
        "which policy of strength knows what is needed next",
        "Anderson & Schooler 1991; own measurement",
        f"The same packages as items of one flat index, all with the same vector, so that a search "
        "ranks them by strength alone. Each change is a VTOUCH as of its day, or for recency an "
        "overwrite. On each of 396 days, drawn from 2012 to 2022, a VSEARCH asks for all packages "
        "that changed before: the share of pairs that it puts in the right order, of one that "
        "changes that day and one that does not (AUC), the mean over the days, with a standard "
        "error of .010. Beside it the same from sums over all past changes, in float64.",
        DRAW_SEED,
    )
    claim.not_run = bench.lacks("flat")
    if claim.not_run:
        return claim
    changes = read_changes()
    asked = asked_days(changes)
    claim.checks.append(Check("days asked about", 396, len(asked)))
    rows: list[tuple[Any, ...]] = []
    measured: dict[str, float] = {}
    for policy in POLICIES:
        reference = float(np.mean(_reference(policy, changes, asked)))
        by_engram = _measure(bench, policy, changes, asked)
        shown: Any = "not taken by this server"
        if by_engram is None:
            what = f"AUC, {policy.name}, by definition"
            claim.checks.append(
                Check(what, policy.expected, reference, AUC_TOLERANCE, is_formula=True)
            )
        else:
            shown = measured[policy.name] = float(np.mean(by_engram))
            claim.checks += [
                Check(f"AUC, {policy.name}", policy.expected, shown, AUC_TOLERANCE),
                Check(
                    f"AUC, {policy.name}, beside the definition",
                    reference,
                    shown,
                    policy.tolerance,
                ),
            ]
        rows.append((policy.name, policy.expected, reference, shown))
    claim.checks.append(_check_order(measured))
    bench.memory.drop(INDEX)
    claim.tables.append(Table("AUC", ("policy", "expected", "by definition", "engram"), rows))
    claim.draw = lambda pyplot: _draw_policies(pyplot, rows)
    return claim


def _check_order(measured: dict[str, float]) -> Check:
    """The first three and the last three, of those that were measured."""
    names = [policy.name for policy in POLICIES if policy.name in measured]
    firsts, lasts = names[:3], names[-3:]
    ranked = sorted(measured, key=lambda name: -measured[name])
    right = set(ranked[:3]) == set(firsts) and ranked[-3:] == lasts
    what = f"first come {', '.join(firsts)}, and last, in this order, {', '.join(lasts)}"
    return Check(what, 1, float(right))


def _reference(policy: Policy, changes: dict[str, np.ndarray], asked: list[int]) -> list[float]:
    result = []
    for day in asked:
        known = [each for each in changes.values() if each[0] < day]
        scores = [policy.reference((day - each[each < day]).astype(float)) for each in known]
        wanted = np.array([day in each for each in known])
        result.append(auc(np.array(scores, float), wanted))
    return result


def _measure(
    bench: Bench, policy: Policy, changes: dict[str, np.ndarray], asked: list[int]
) -> list[float] | None:
    """The AUC of each day; none where the server has no such policy."""
    logical = () if policy.decay[0] == "static" else ("CLOCK", "logical")
    try:
        bench.memory.make(INDEX, 1, "dot", "flat", "DECAY", *policy.decay, *logical)
    except UserError:
        return None
    by_day: dict[int, list[str]] = {}
    for name, days in changes.items():
        for day in days.tolist():
            by_day.setdefault(day, []).append(name)
    vector = np.zeros(1, "<f4").tobytes()
    known: set[str] = set()
    commands: list[tuple[Any, ...]] = []
    for day in sorted({*by_day, *asked}):
        when = ("AT", (day - EPOCH) * DAY_MS)
        if day in asked:
            at = when if policy.asks_when else ()
            commands.append(("VSEARCH", INDEX, vector, len(known), *at))
        for name in by_day.get(day, ()):
            is_new = policy.overwrites or name not in known
            words = ("VADD", INDEX, name, vector) if is_new else ("VTOUCH", INDEX, name)
            commands.append((*words, *(when if logical else ())))
            known.add(name)
    found = []
    days = iter(asked)
    for command, reply in bench.memory.run(commands, f"A13 {policy.name}"):
        if command[0] != "VSEARCH":
            continue
        day = next(days)
        wanted = np.array([day in changes[name.decode()] for name in reply[::2]])
        found.append(auc(-np.array(reply[1::2], float), wanted))
    return found


def _draw_odds(pyplot: Any, odds: np.ndarray, exponent: float) -> Any:
    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    days = EDGES[:-1]
    axes.loglog(days, odds, "o", label="433 Debian source packages")
    level = np.exp(np.mean(np.log(odds)) - exponent * np.mean(np.log(days)))
    axes.loglog(days, level * days**exponent, label=f"days^{exponent:.3f}")
    axes.set(xlabel="days since the last change", ylabel="odds of a change that day")
    axes.set_title("What was needed lately is needed soon")
    axes.grid(True, alpha=0.3)
    axes.legend()
    return figure


def _draw_policies(pyplot: Any, rows: Sequence[tuple[Any, ...]]) -> Any:
    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    places = np.arange(len(rows))[::-1]
    axes.barh(places, [row[2] for row in rows], color="0.85", label="by definition")
    measured = [(place, row[3]) for place, row in zip(places, rows) if isinstance(row[3], float)]
    axes.plot(
        [value for _, value in measured], [place for place, _ in measured], "o", label="engram"
    )
    axes.errorbar(
        [row[1] for row in rows], places, xerr=AUC_TOLERANCE, fmt="|", color="C1", label="expected"
    )
    axes.set_yticks(places, [row[0] for row in rows])
    axes.set(xlabel="AUC of what changes that day", xlim=(0.6, 0.78))
    axes.set_title("Which strength knows what is needed next")
    axes.legend(loc="lower right")
    return figure
