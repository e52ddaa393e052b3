# SPDX-License-Identifier: Apache-2.0
"""A claim, what was measured of it, and the page that says which claims held."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Sequence

from common import environment, require

PLACES = ("--server", "--output")  # arguments that say where, not what


@dataclass(frozen=True)
class Check:
    """One figure beside the one that was expected. `relation` is near, at most or at least;
    `why` explains a miss. A formula's figure is computed here, without engram: it shows that the
    expectation is the paper's, and is no measurement."""

    what: str
    expected: float
    measured: float
    tolerance: float = 0.0
    relation: str = "near"
    why: str = ""
    is_formula: bool = False

    @property
    def held(self) -> bool:
        excess = float(self.measured) - float(self.expected)
        slack = self.tolerance + 1e-12
        if self.relation == "at most":
            return excess <= slack
        if self.relation == "at least":
            return excess >= -slack
        return abs(excess) <= slack

    @property
    def verdict(self) -> str:
        return "held" if self.held else "**not held**"


@dataclass(frozen=True)
class Table:
    """Figures that nothing is expected of: controls, and what explains the others."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass
class Claim:
    """An anchor after it ran. `method` says in sentences what was done; `draw` gets pyplot and
    returns a figure."""

    name: str
    title: str
    source: str
    method: str
    seed: int | None
    checks: list[Check] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    draw: Callable[[Any], Any] | None = None
    not_run: str = ""
    seconds: float = 0.0

    @property
    def missed(self) -> list[Check]:
        return [check for check in self.checks if not check.held]

    @property
    def score(self) -> str:
        """How many of the measurements held, and of the formulas beside them."""
        if self.not_run:
            return self.not_run

        def share(checks: list[Check]) -> str:
            return f"{sum(check.held for check in checks)} of {len(checks)}"

        measured = share([check for check in self.checks if not check.is_formula])
        formulas = [check for check in self.checks if check.is_formula]
        return measured + (f" (formulas: {share(formulas)})" if formulas else "")

    @property
    def verdict(self) -> str:
        if self.not_run:
            return "not run"
        return "**not held**" if self.missed else "held"


def number(value: Any) -> str:
    """As many digits as tell something."""
    if not isinstance(value, float):
        return str(value)
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.4f}".rstrip("0").rstrip(".")
    return f"{value:.2e}"


def shown_command() -> str:
    """The command line without the arguments that only say where things are."""
    words = iter(sys.argv[1:])
    kept = [f"experiments/{Path(sys.argv[0]).name}"]
    for word in words:
        if word in PLACES:
            next(words, None)
        elif not word.startswith(tuple(f"{place}=" for place in PLACES)):
            kept.append(word)
    return shlex.join(kept)


def circumstances() -> dict[str, Any]:
    return {**environment(), "command": shown_command()}


def save_figure(figure: Any, seed: int | None, path: Path, dpi: int = 110) -> None:
    """Writes a figure with its circumstances in the caption."""
    where = circumstances()
    seeded = "" if seed is None else f"seed {seed}; "
    figure.text(
        0.5,
        0.005,
        f"{seeded}{where['cpu']}; commit {where['commit']}\n{where['command']}",
        ha="center",
        va="bottom",
        fontsize=7,
    )
    bottom = 0.35 / figure.get_size_inches()[1]
    figure.tight_layout(rect=(0, bottom, 1, 1))
    figure.savefig(path, dpi=dpi)
    require("matplotlib.pyplot", "python3-matplotlib").close(figure)


def write_report(claims: Sequence[Claim], folder: Path) -> Path:
    """report.md, report.json and a picture for each claim; returns the path of the first."""
    require("matplotlib", "python3-matplotlib").use("Agg")
    pyplot = require("matplotlib.pyplot", "python3-matplotlib")
    folder.mkdir(parents=True, exist_ok=True)
    for claim in claims:
        if claim.draw is not None:
            save_figure(claim.draw(pyplot), claim.seed, folder / f"{claim.name}.png")
    where = circumstances()
    path = folder / "report.md"
    path.write_text(render(claims, where), encoding="utf-8")
    facts = {"environment": where, "claims": [_plain(claim) for claim in claims]}
    (folder / "report.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return path


def render(claims: Sequence[Claim], where: dict[str, Any]) -> str:
    """The report as Markdown."""
    blocks = [
        "# Anchors",
        f"`{where['command']}`, commit {where['commit']}, {where['cpus']} cores of {where['cpu']}, "
        f"{sum(claim.seconds for claim in claims):.0f} s.",
        _table(
            ("", "claim", "source", "measurements held", "verdict"),
            [
                (
                    claim.name,
                    claim.title,
                    claim.source,
                    claim.score,
                    claim.verdict,
                )
                for claim in claims
            ],
        ),
    ]
    for claim in claims:
        blocks += _claim_blocks(claim)
    return "\n\n".join(blocks) + "\n"


def _claim_blocks(claim: Claim) -> list[str]:
    seeded = "" if claim.seed is None else f" Seed {claim.seed}."
    blocks = [f"## {claim.name}: {claim.title}", f"{claim.source}. {claim.method}{seeded}"]
    if claim.not_run:
        return [*blocks, f"Not run: {claim.not_run}"]
    if claim.draw is not None:
        blocks.append(f"![{claim.title}]({claim.name}.png)")
    blocks.append(
        _table(
            ("what", "expected", "measured", "tolerance", "verdict"),
            [
                (
                    f"formula: {check.what}" if check.is_formula else check.what,
                    ("" if check.relation == "near" else f"{check.relation} ")
                    + number(check.expected),
                    number(check.measured),
                    f"±{number(check.tolerance)}" if check.tolerance else "exact",
                    check.verdict,
                )
                for check in claim.checks
            ],
        )
    )
    if claim.missed:
        reasons = (f"- {check.what}: {check.why or 'not explained yet.'}" for check in claim.missed)
        blocks.append("Outside of its tolerance:\n\n" + "\n".join(reasons))
    for table in claim.tables:
        blocks += [f"{table.title}:", _table(table.columns, table.rows)]
    return blocks


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [columns, ["---"] * len(columns), *[[number(cell) for cell in row] for row in rows]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _plain(claim: Claim) -> dict[str, Any]:
    return {
        "name": claim.name,
        "title": claim.title,
        "source": claim.source,
        "method": claim.method,
        "seed": claim.seed,
        "seconds": round(claim.seconds, 1),
        "not_run": claim.not_run,
        "checks": [
            {
                "what": check.what,
                "relation": check.relation,
                "expected": float(check.expected),
                "measured": float(check.measured),
                "tolerance": check.tolerance,
                "is_formula": check.is_formula,
                "held": check.held,
                "why": "" if check.held else check.why,
            }
            for check in claim.checks
        ],
        "tables": [
            {
                "title": table.title,
                "columns": list(table.columns),
                "rows": [[_json_cell(cell) for cell in row] for row in table.rows],
            }
            for table in claim.tables
        ],
    }


def _json_cell(cell: Any) -> Any:
    return cell if isinstance(cell, str) else float(cell)
