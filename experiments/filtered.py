#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What does a filter cost, and how much of the right answer comes back? Searches hnsw among the items
that a filter accepts, in process, one at a time on one core, and beside it what one can do without:
search for more and drop what is not accepted (post-filtering), or scan what is.

  filtered.py slice
  filtered.py glove-100 --ef 160 --quant sq4
  filtered.py glove-100 --ef 0 --members 10 100 1000

Items and queries have a rank by each attribute, ties broken at random. A filter accepts a window of
ranks: one around the query's own rank (with), or opposite (against). An attribute that is drawn at
random has nothing to do with the vectors; by `axis`, the first principal component, a filter against
a query excludes all that is near it.

With --members it measures searches within a radius instead, each query's own, which has so many members:
how many of them are found, and at what cost. EF 0 is the index's own.

Times are of the searching thread's processor: the least of each query's over the rounds, averaged.
Post-filtering is taken at the recall of the search that it stands beside, interpolated between two
settings. Prints a table, and writes it as JSON and as a plot. Where post-filtering never has that
recall, the table tells its best.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common import HERE, add_rounds, cache_root, environment, progress, require, run_main
from compare_graphs import Cut, messages, save_figure
from datasets import load
from measure import write_results
from sources import SPECS

PROGRAM = HERE.parent / "build-gcc" / "experiments" / "filtered"
SHARES = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Row:
    """One filter at one EF. Times in microseconds; post_us: None where it never gets as good, and then
    post_best_us is what it takes at the best recall that it has, post_best."""

    attribute: str
    against: bool
    share: float
    ef: int
    recall: float
    complete: float
    us: float
    post_us: float | None
    post_best: float
    post_best_us: float
    scan_us: float

    @property
    def best_other_us(self) -> float:
        return min(self.scan_us, self.post_us or math.inf)


# --- attributes -----------------------------------------------------------------------------------


def attributes(
    name: str, seed: int, count: int
) -> tuple[Cut, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """The rows and queries, and the ranks of both by each attribute."""
    data = load(name)
    rng = np.random.default_rng(seed)
    if data.test_vectors is None:
        chosen = rng.choice(len(data.vectors), count, replace=False)
        rest = np.delete(np.arange(len(data.vectors)), chosen)
        rows, queries = np.array(data.vectors[rest]), np.array(data.vectors[chosen])
        words = [data.keys[row].decode() for row in np.concatenate([rest, chosen])]
        values = {
            "length": np.array([len(word) for word in words]),
            "letter": np.array([ord(word[0]) if word else 0 for word in words]),
        }
    else:
        chosen = rng.choice(len(data.test_vectors), count, replace=False)
        rows = np.array(data.vectors, dtype=np.float32)
        queries = np.array(data.test_vectors[chosen], dtype=np.float32)
        labels = [np.load(cache_root() / name / f"{part}labels.npy") for part in ("", "query_")]
        values = {
            "class": np.concatenate([labels[0], labels[1][chosen]]),
            "brightness": np.concatenate([rows, queries]).mean(axis=1),
        }
    rows, queries = rows.astype(np.float32), queries.astype(np.float32)
    if data.metric == "cosine":
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    everything = np.concatenate([rows, queries])
    values["random"] = rng.random(len(everything))
    values["axis"] = everything @ _first_axis(rows)
    ranks = {key: _ranks(value, rng) for key, value in values.items()}
    parts = {key: (rank[: len(rows)], rank[len(rows) :]) for key, rank in ranks.items()}
    return Cut(data.metric, rows, queries), parts


def _first_axis(rows: np.ndarray) -> np.ndarray:
    sample = rows[:20_000] - rows[:20_000].mean(axis=0)
    return np.linalg.eigh(sample.T @ sample)[1][:, -1]


def _ranks(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Those of each value among all, from 0 to 1."""
    ranks = np.empty(len(values), np.float32)
    ranks[np.lexsort((rng.random(len(values)), values))] = np.arange(len(values)) / len(values)
    return ranks


# --- running --------------------------------------------------------------------------------------


def run(args: argparse.Namespace) -> tuple[list[Row], list[dict[str, Any]]]:
    """What filters cost; or radii, one row for each number of members and EF."""
    parts, ranks = attributes(args.dataset, args.seed, args.queries)
    if args.members:
        ranks = {}
    command = [str(args.program), "--dim", str(parts.rows.shape[1]), "--metric", parts.metric]
    command += ["--quant", args.quant, "-k", str(args.k), "--rounds", str(args.rounds)]
    lists = {"--ef": args.ef, "--share": args.share, "--attribute": ranks, "--members": args.members}
    command += [word for flag, values in lists.items() for value in values for word in (flag, str(value))]
    rows: list[Row] = []
    radii: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="engram-filtered-") as folder:
        parts.rows.tofile(Path(folder) / "rows")
        parts.queries.tofile(Path(folder) / "queries")
        for name, (items, queries) in ranks.items():
            items.tofile(Path(folder) / f"{name}.items")
            queries.tofile(Path(folder) / f"{name}.queries")
        steps = 1 + 2 * len(args.share) * len(ranks) + len(args.members) * len(args.ef)
        with progress(steps, "measuring", "filters") as bar:
            for message in messages([*command, "--folder", folder]):
                bar.update()
                if "case" in message:
                    rows += collect(message["case"])
                if "radius" in message:
                    radii.append(message["radius"])
    return rows, radii


def collect(case: dict[str, Any]) -> list[Row]:
    best = max(case["post"], key=lambda point: point["recall"])
    return [
        Row(
            case["attribute"],
            case["against"],
            case["share"],
            point["effort"],
            point["recall"],
            point["complete"],
            point["us"],
            post_at(case["post"], point["recall"]),
            best["recall"],
            best["us"],
            case["scan_us"],
        )
        for point in case["planned"]
    ]


def post_at(points: list[dict[str, float]], recall: float) -> float | None:
    """The time of post-filtering with that recall; that of its best setting measured stands for
    recalls of up to .002 more."""
    if points[0]["recall"] >= recall:
        return points[0]["us"]
    for low, high in zip(points, points[1:]):
        if low["recall"] < recall <= high["recall"]:
            share = (recall - low["recall"]) / (high["recall"] - low["recall"])
            return low["us"] + share * (high["us"] - low["us"])
    return points[-1]["us"] if points[-1]["recall"] >= recall - 0.002 else None


# --- showing --------------------------------------------------------------------------------------


def table(rows: list[Row]) -> str:
    lines = [
        "| filter | accepted | EF | recall | complete | us | post-filter us | scan us | of the better |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        best = f"{row.post_best_us:,.0f} for {row.post_best:.3f}"
        post = best if row.post_us is None else f"{row.post_us:,.0f}"
        lines.append(
            f"| {label(row)} | {row.share:.1%} | {row.ef} | {row.recall:.3f} | {row.complete:.3f}"
            f" | {row.us:,.0f} | {post} | {row.scan_us:,.0f} | {row.us / row.best_other_us:.2f} |"
        )
    return "\n".join(lines)


def radius_table(radii: list[dict[str, Any]]) -> str:
    lines = ["| members | EF | recall | us | nodes visited | distances |", "|--:|--:|--:|--:|--:|--:|"]
    lines += [
        "| {members:,} | {ef} | {recall:.3f} | {us:,.0f} | {visited:,.0f} | {scored:,.0f} |".format(**row)
        for row in radii
    ]
    return "\n".join(lines)


def label(row: Row) -> str:
    return f"{row.attribute}, {'against' if row.against else 'with'}"


def plot(rows: list[Row], facts: dict[str, Any], path: Path) -> None:
    """A panel for each filter: times by share, at the largest EF."""
    require("matplotlib", "python3-matplotlib").use("Agg")
    pyplot = require("matplotlib.pyplot", "python3-matplotlib")
    rows = [row for row in rows if row.ef == max(facts["ef"])]
    labels = list(dict.fromkeys(map(label, rows)))
    figure, axes = pyplot.subplots(2, (len(labels) + 1) // 2, figsize=(15, 8), sharey=True)
    for name, panel in zip(labels, axes.T.flat):
        shown = [row for row in rows if label(row) == name]
        shares = [100 * row.share for row in shown]
        panel.plot(shares, [row.scan_us for row in shown], "s--", ms=4, label="scan of the accepted")
        post = [row.post_us or math.nan for row in shown]
        panel.plot(shares, post, "^--", ms=4, label="post-filter, same recall")
        panel.plot(shares, [row.us for row in shown], "o-", ms=5, label="engram")
        for row in shown:
            at = (100 * row.share, row.us)
            panel.annotate(f"{row.recall:.2f}", at, (0, -12), textcoords="offset points", fontsize=6)
        panel.set(title=name, xscale="log", yscale="log", xlabel="accepted, %")
        panel.grid(True, which="both", alpha=0.3)
    axes[0][0].legend(fontsize=7)
    axes[0][0].set_ylabel("microseconds")
    figure.suptitle(f"{facts['dataset']}, {facts['quant']}, EF {max(facts['ef'])}; recall@10 at the points")
    save_figure(figure, facts, path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", choices=["slice", *SPECS])
    parser.add_argument("--quant", choices=["f32", "sq8", "sq4", "bin"], default="f32")
    parser.add_argument("--queries", type=int, default=200, help="unseen (default %(default)s)")
    parser.add_argument("--seed", type=int, default=42, help="of queries and attributes")
    parser.add_argument("--ef", type=int, nargs="+", default=[64], help="(default %(default)s)")
    parser.add_argument("--share", type=float, nargs="+", default=SHARES, help="that is accepted")
    parser.add_argument("--members", type=int, nargs="+", default=[], help="of radii, in place of filters")
    parser.add_argument("-k", type=int, default=10, help="neighbours per query (default 10)")
    parser.add_argument("--program", type=Path, default=PROGRAM, help="the native half")
    parser.add_argument("--output", type=Path, help="folder of the results (default: the cache's)")
    add_rounds(parser, 3)
    args = parser.parse_args()

    rows, radii = run(args)
    print(radius_table(radii) if radii else table(rows))
    facts: dict[str, Any] = {"environment": environment()}
    names = ("dataset", "quant", "queries", "seed", "ef", "share", "k", "rounds")
    facts |= {name: getattr(args, name) for name in names}
    if radii:
        print(f"written: {write_results(args, f'radius-{args.dataset}', {**facts, 'radii': radii})}")
        return
    path = write_results(args, f"filtered-{args.dataset}", {**facts, "rows": [asdict(r) for r in rows]})
    plot(rows, facts, path.with_suffix(".png"))
    print(f"written: {path} and {path.with_suffix('.png').name}")


if __name__ == "__main__":
    run_main(main)
