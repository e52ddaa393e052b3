#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How do graph indexes grow? Runs the native half of compare_graphs.py on growing prefixes of a
dataset.

  growth.py glove-100
  growth.py glove-100 --sizes 40000 160000 --system engram --system hnswlib --shuffle

From every prefix the seed cuts queries, and the right answers are those of the rows that remain.
Shows the queries per second at one recall on one core (median over the rounds), the seconds of
building per vector, and the exponents of both in the number of rows: those of the straight line,
by least squares, through the logarithms. Throughputs that are only bounds (>=) are not fitted. The
rows of glove-100 are ordered by frequency, so its prefixes differ in more than size; with --shuffle
each is a sample of the dataset. Prints a table, and writes it as JSON and as a plot.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from common import UserError, require, run_main
from compare_graphs import (
    Curve,
    Rate,
    add_arguments,
    add_system_argument,
    cut,
    describe,
    run,
    save_figure,
)
from datasets import Dataset, load
from measure import write_results

USUAL_SYSTEMS = ("engram", "engram-sq4")
SIZES = (40_000, 80_000, 160_000)


@dataclass(frozen=True)
class Size:
    """What one system showed over one prefix. `build_us` is per vector."""

    rows: int
    qps: Rate | None
    build_us: float


@dataclass(frozen=True)
class Growth:
    """One system over all prefixes."""

    system: str
    sizes: list[Size]

    def throughputs(self) -> list[tuple[int, float]]:
        """By rows; bounds are left out."""
        return [
            (size.rows, size.qps.qps)
            for size in self.sizes
            if size.qps is not None and not size.qps.at_least
        ]

    def builds(self) -> list[tuple[int, float]]:
        return [(size.rows, size.build_us) for size in self.sizes]


def exponent(points: Sequence[tuple[float, float]]) -> float | None:
    """The a of y ~ x^a, by least squares in the logarithms; None with fewer than two points."""
    if len(points) < 2:
        return None
    slope, _ = np.polyfit(*np.log(points).T, 1)
    return float(slope)


def shuffled(data: Dataset, seed: int) -> Dataset:
    order = np.random.default_rng(seed).permutation(len(data.vectors))
    return replace(data, keys=[data.keys[row] for row in order], vectors=data.vectors[order])


def prefixes(data: Dataset, sizes: Sequence[int]) -> Iterator[Dataset]:
    """Those smaller than the dataset, then all of it."""
    for size in [*sorted(size for size in sizes if size < len(data.keys)), len(data.keys)]:
        yield replace(data, keys=data.keys[:size], vectors=data.vectors[:size])


def size_of(curve: Curve, rows: int, recall: float, threads: int) -> Size:
    return Size(rows, curve.qps_at(recall), 1e6 * curve.build_seconds[threads] / rows)


def measure(args: argparse.Namespace, data: Dataset) -> list[Growth]:
    systems = args.system or USUAL_SYSTEMS
    growths = {system: Growth(system, []) for system in systems}
    for prefix in prefixes(data, args.sizes):
        parts = cut(prefix, args.queries, args.seed)
        rows = len(parts.rows)
        for curve in run(args, systems, parts, parts.truth(args.k)):
            size = size_of(curve, rows, args.recall, args.threads[-1])
            growths[curve.system].sizes.append(size)
            print(
                f"{rows:9,} rows  {curve.system:16} {size.qps or '-'!s:>9} qps  "
                f"{size.build_us:8.1f} µs per vector",
                flush=True,
            )
    return list(growths.values())


def print_exponents(growths: Sequence[Growth], recall: float) -> None:
    for growth in growths:
        print(
            f"{growth.system:16} qps at {recall} ~ n^{_number(exponent(growth.throughputs()))}, "
            f"build seconds per vector ~ n^{_number(exponent(growth.builds()))}"
        )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def plot(growths: Sequence[Growth], facts: dict[str, Any], path: Path) -> None:
    require("matplotlib", "python3-matplotlib").use("Agg")
    pyplot = require("matplotlib.pyplot", "python3-matplotlib")
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 5))
    for growth in growths:
        for axes, points in ((left, growth.throughputs()), (right, growth.builds())):
            label = f"{growth.system}, n^{_number(exponent(points))}"
            axes.plot([n for n, _ in points], [y for _, y in points], marker="o", label=label)
    left.set_ylabel(f"queries per second at recall {facts['recall']}, one core")
    right.set_ylabel(f"µs of building per vector, {facts['threads'][-1]} threads")
    for axes in (left, right):
        axes.set(xlabel="rows", xscale="log", yscale="log")
        axes.grid(True, which="both", alpha=0.3)
        axes.legend()
    figure.suptitle(
        f"prefixes of {facts['dataset']}{', shuffled' if facts['shuffled'] else ''}, "
        f"M {facts['m']}, ef_construction {facts['ef_construction']}"
    )
    save_figure(figure, facts, path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser, dataset="glove-100")
    add_system_argument(parser, USUAL_SYSTEMS)
    parser.add_argument(
        "--sizes",
        type=int,
        nargs="*",
        default=SIZES,
        help="of the prefixes; the whole dataset is always one (default: 40000 80000 160000)",
    )
    parser.add_argument("--recall", type=float, default=0.95, help="default 0.95")
    parser.add_argument(
        "--shuffle", action="store_true", help="put the rows into an order drawn by the seed first"
    )
    args = parser.parse_args()
    if min(args.sizes, default=1) < 1:
        raise UserError("a prefix has at least one row")

    data = load(args.dataset)
    growths = measure(args, shuffled(data, args.seed) if args.shuffle else data)
    print_exponents(growths, args.recall)
    facts = {**describe(args), "recall": args.recall, "shuffled": args.shuffle}
    systems = [
        {
            **asdict(growth),
            "qps_exponent": exponent(growth.throughputs()),
            "build_exponent": exponent(growth.builds()),
        }
        for growth in growths
    ]
    path = write_results(args, f"growth-{args.dataset}", {**facts, "systems": systems})
    plot(growths, facts, path.with_suffix(".png"))
    print(f"written: {path} and {path.with_suffix('.png').name}")


if __name__ == "__main__":
    run_main(main)
