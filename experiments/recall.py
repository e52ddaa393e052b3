#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measures the recall and speed of a primitive against exact search, through a running server.

  recall.py glove-100 --option M=16 --option EF_CONSTRUCTION=200 --sweep EF=10,20,40,80,160,400
  recall.py fashion-mnist-784 --check-exact
  recall.py slice --primitive flat --sweep none
  recall.py slice --primitive hnsw --beside hopfield,flat

The ground truth comes from a `flat` index on the same server. Both indexes stay on the server and
are used again by the next run; --rebuild makes the measured one anew. The settings take turns, and
the median over the rounds counts. Prints a table and writes it as JSON and as a plot. """

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from client import Client, Options
from common import UserError, add_rounds, require, run_main
from ground_truth import compare, exact_neighbours
from measure import (
    PIPELINE_DEPTH,
    Point,
    Question,
    add_arguments,
    describe,
    ensure_index,
    index_name,
    measure,
    prepare,
    write_results,
)

DEFAULT_SWEEP = "EF=10,20,40,64,100,200,400"


def parse_sweep(text: str) -> list[Options]:
    """Reads NAME=v1,v2,... as one search option per value; `none` is a single search without
    options."""
    if text == "none":
        return [()]
    name, equals, values = text.partition("=")
    if not (name and equals and all(values.split(","))):
        raise argparse.ArgumentTypeError(f"{text!r} is neither NAME=VALUE,VALUE,... nor none")
    return [((name, value),) for value in values.split(",")]


def setting_of(options: Options) -> str:
    return " ".join("=".join(option) for option in options) or "-"


def check_exact(question: Question) -> dict[str, int]:
    """Holds the flat answers against float64 brute force; anything but a rounding tie is an
    error."""
    exact = exact_neighbours(question.data.vectors, question.queries, question.k, question.metric)
    agreement = compare(question.data, question.queries, question.metric, question.truth, exact)
    print(
        f"flat against float64: {agreement.places:,} places, "
        f"{agreement.swapped} swapped within rounding, {agreement.wrong} wrong"
    )
    if agreement.wrong:
        raise UserError("flat does not return the exact neighbours")
    return asdict(agreement)


def median_of(rounds: Sequence[Point]) -> Point:
    """One setting as several rounds show it. Its answers, and so its recall, are always the same.
    """
    return replace(
        rounds[0],
        p50_ms=statistics.median(point.p50_ms for point in rounds),
        p99_ms=statistics.median(point.p99_ms for point in rounds),
        qps=statistics.median(point.qps for point in rounds),
    )


def measure_primitive(
    client: Client,
    args: argparse.Namespace,
    question: Question,
    index: str,
    sweep: Sequence[tuple[str, Options]],
) -> list[Point]:
    """A point for each named setting."""
    rounds = [
        [measure(client, index, question, setting, options) for setting, options in sweep]
        for _ in range(args.rounds)
    ]
    return [median_of(setting) for setting in zip(*rounds)]


def measure_beside(
    client: Client, args: argparse.Namespace, question: Question, primitive: str
) -> list[Point]:
    """The point of another primitive with its defaults."""
    index = index_name(question.data, question.metric, primitive)
    ensure_index(client, index, question.data, question.metric, primitive)
    return measure_primitive(client, args, question, index, [(primitive, ())])


def print_table(points: list[Point], k: int) -> None:
    print(f"{'setting':>12}  {f'recall@{k}':>9}  {'p50 ms':>8}  {'p99 ms':>8}  {'qps':>9}")
    for point in points:
        print(
            f"{point.setting:>12}  {point.recall:9.4f}  {point.p50_ms:8.3f}  {point.p99_ms:8.3f}  "
            f"{point.qps:9,.0f}"
        )
    print(
        f"latency: one client, client time included; "
        f"qps: one connection, {PIPELINE_DEPTH} searches under way"
    )


def plot(points: list[Point], others: list[Point], facts: dict[str, Any], path: Path) -> None:
    """Recall against throughput and against latency, with the circumstances in the caption."""
    require("matplotlib", "python3-matplotlib").use("Agg")
    pyplot = require("matplotlib.pyplot", "python3-matplotlib")
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 5))
    recalls = [point.recall for point in points]
    left.plot(recalls, [point.qps for point in points], marker="o")
    for other in others:
        left.plot([other.recall], [other.qps], marker="D", linestyle="")
        right.plot([other.recall], [other.p50_ms], marker="D", linestyle="", label=other.setting)
    for point in points + others:
        left.annotate(
            point.setting,
            (point.recall, point.qps),
            textcoords="offset points",
            xytext=(4, 4),
            fontsize=8,
        )
    right.plot(recalls, [point.p50_ms for point in points], marker="o", label="p50")
    right.plot(recalls, [point.p99_ms for point in points], marker="s", label="p99")
    right.legend()
    for axes, label in ((left, "searches per second"), (right, "latency of one client, ms")):
        axes.set(xlabel=f"recall@{facts['k']}", ylabel=label, yscale="log")
        axes.margins(x=0.18)  # for what is written beside the last point
        axes.grid(True, which="both", alpha=0.3)
    options = "".join(f" {name}={value}" for name, value in facts["options"].items())
    figure.suptitle(f"{facts['dataset']}, {facts['metric']}, {facts['primitive']}{options}")
    figure.text(0.5, 0.01, caption(facts), ha="center", va="bottom", fontsize=7)
    figure.tight_layout(rect=(0, 0.08, 1, 1))
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def caption(facts: dict[str, Any]) -> str:
    where = facts["environment"]
    return (
        f"{facts['rows']:,} rows × {facts['dim']}; "
        f"{facts['queries']} {facts['mode']} queries, seed {facts['seed']}, "
        f"median of {facts['rounds']}; "
        f"{where['cpu']}, {where['cpus']} CPUs, Linux {where['kernel']}; commit {where['commit']}\n"
        f"{where['command']}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    parser.add_argument(
        "--sweep",
        type=parse_sweep,
        default=parse_sweep(DEFAULT_SWEEP),
        metavar="NAME=V1,V2,...|none",
        help=f"the search option to vary (default {DEFAULT_SWEEP})",
    )
    parser.add_argument(
        "--check-exact", action="store_true", help="also hold flat against float64 brute force"
    )
    parser.add_argument(
        "--beside",
        type=lambda text: text.split(","),
        default=[],
        metavar="NAME,...",
        help="other primitives to show in the same plot, with their defaults",
    )
    parser.add_argument("--rebuild", action="store_true", help="build the measured index anew")
    add_rounds(parser, 3)
    args = parser.parse_args()

    client = Client(args.host, args.port)
    question = prepare(client, args, recompute=args.check_exact)
    agreement = check_exact(question) if args.check_exact else None
    index = index_name(question.data, question.metric, args.primitive, args.option)
    seconds = ensure_index(
        client, index, question.data, question.metric, args.primitive, args.option, args.rebuild
    )
    if seconds is not None:
        print(
            f"{index}: built in {seconds:.1f} s "
            f"({len(question.data.keys) / seconds:,.0f} vectors/s)"
        )
    points = measure_primitive(
        client,
        args,
        question,
        index,
        [(setting_of(options), options) for options in args.sweep],
    )
    others = [
        point
        for primitive in args.beside
        for point in measure_beside(client, args, question, primitive)
    ]
    print_table(points + others, question.k)

    facts = {**describe(args, question, client.server_info()), "rounds": args.rounds}
    path = write_results(
        args,
        f"recall-{index}",
        {
            **facts,
            "index": client.info(index),
            "build_seconds": seconds,
            "flat_against_float64": agreement,
            "points": [asdict(point) for point in points],
            "beside": [asdict(point) for point in others],
        },
    )
    plot(points, others, facts, path.with_suffix(".png"))
    print(f"written: {path} and {path.with_suffix('.png').name}")


if __name__ == "__main__":
    run_main(main)
