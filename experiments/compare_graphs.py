#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compares engram's hnsw and qg with the graph indexes of other libraries, in one run on one machine.

  compare_graphs.py fashion-mnist-784
  compare_graphs.py glove-100 --seed 7 --rounds 5 --threads 1 2

Every library builds over the same rows with the same M and ef_construction, once with each count of
threads (qg always with one); the index that it built last is searched. One core asks each of them the same queries, one
at a time, at growing ef; the libraries take turns at every ef, and the median over the rounds
counts. The queries are cut from the rows by the seed (or, where a dataset ships test vectors, drawn
from those), and are in no index. Throughput at a recall is interpolated between the two settings
around it; where a curve begins above that recall it is at least (>=) that of the fastest setting.
Prints a table, and writes it as JSON and as a plot.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from common import UserError, add_rounds, cache_root, environment, progress, require, run_main
from datasets import Dataset, Queries, load
from ground_truth import exact_neighbours
from measure import write_results
from sources import SPECS

PEERS = Path(__file__).resolve().parents[1] / "build-gcc" / "experiments" / "peers"
QUANTS = ("sq8", "sq4", "bin")
QG_BITS = (1, 2, 3, 4)
VARIANTS = (
    "engram",
    *(f"engram-{quant}{kept}" for kept in ("", "-only") for quant in QUANTS),
    *(f"engram-qg{bits}" for bits in QG_BITS),
)
PEER_SYSTEMS = ("hnswlib", "faiss")
SYSTEMS = (*VARIANTS, *PEER_SYSTEMS)
USUAL_SYSTEMS = ("engram", "engram-sq8", "engram-sq4", *PEER_SYSTEMS)
RECALLS = (0.90, 0.95, 0.99)
EFS = (10, 12, 16, 20, 24, 32, 40, 50, 64, 80, 100, 128, 160, 200, 256, 320, 400, 512, 640, 800)
ENOUGH_RECALL = 0.995


@dataclass(frozen=True)
class Cut:
    """Rows to be indexed, and queries that are not among them. Under cosine all have length one, so
    that libraries without that metric may use inner products."""

    metric: str
    rows: np.ndarray
    queries: np.ndarray

    def truth(self, k: int) -> np.ndarray:
        """The rows nearest to each query: [queries, k]."""
        nowhere = np.full(len(self.queries), -1)
        return exact_neighbours(self.rows, Queries(self.queries, nowhere), k, self.metric).rows


@dataclass(frozen=True)
class Point:
    """One setting of a search, and what it showed in each round: queries per second, and the median
    time of a query."""

    ef: int
    recall: float
    qps_of_rounds: list[float]
    p50_us_of_rounds: list[float]
    qps: float = field(init=False)  # the median of the rounds, like the next
    p50_us: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "qps", statistics.median(self.qps_of_rounds))
        object.__setattr__(self, "p50_us", statistics.median(self.p50_us_of_rounds))


@dataclass(frozen=True)
class Rate:
    """Queries per second, or what they are no less than."""

    qps: float
    at_least: bool

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else ''}{self.qps:,.0f}"


@dataclass
class Curve:
    """What one library showed: the seconds of its builds by count of threads, the bytes of the last
    index, and the points by ef."""

    system: str
    build_seconds: dict[int, float]
    bytes: int
    points: list[Point] = field(default_factory=list)

    def in_round(self, number: int) -> Curve:
        """The curve that this round alone shows."""
        points = [
            replace(
                point,
                qps_of_rounds=[point.qps_of_rounds[number]],
                p50_us_of_rounds=[point.p50_us_of_rounds[number]],
            )
            for point in self.points
        ]
        return replace(self, points=points)

    def qps_at(self, recall: float) -> Rate | None:
        """Interpolated in the logarithms of the miss rate and the throughput; the fastest point
        where the curve begins above that recall; None where it does not reach it."""
        if not self.points:
            return None
        if self.points[0].recall > recall:
            above = (point.qps for point in self.points if point.recall >= recall)
            return Rate(max(above), at_least=True)
        for low, high in zip(self.points, self.points[1:]):
            if low.recall <= recall <= high.recall and low.recall < high.recall:
                width = _miss(high.recall) - _miss(low.recall)
                share = (_miss(recall) - _miss(low.recall)) / width
                logarithm = math.log(low.qps) + share * (math.log(high.qps) - math.log(low.qps))
                return Rate(math.exp(logarithm), at_least=False)
        return None


def ratio(a: Rate | None, b: Rate | None) -> str:
    """a / b, and on which side of the figure it lies if one of them is a bound (~ if both are)."""
    if a is None or b is None:
        return "-"
    side = {(True, False): ">=", (False, True): "<=", (True, True): "~"}
    return f"{side.get((a.at_least, b.at_least), '')}{a.qps / b.qps:.2f} x"


def _miss(recall: float) -> float:
    return math.log(max(1 - recall, 1e-9))


def cut(data: Dataset, count: int, seed: int) -> Cut:
    """Draws the queries, in no order, so that one has nothing in common with the next; those that
    are rows are taken out of the rows."""
    rng = np.random.default_rng(seed)
    source = data.vectors if data.test_vectors is None else data.test_vectors
    if count > len(source) // 2:
        raise UserError(f"{count} queries are too many: {data.name} has {len(source)} to draw from")
    chosen = rng.choice(len(source), size=count, replace=False)
    queries = np.array(source[chosen], dtype=np.float32)
    rows = np.array(data.vectors, dtype=np.float32)
    if data.test_vectors is None:
        rows = np.delete(rows, chosen, axis=0)
    if data.metric == "cosine":
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    return Cut(data.metric, rows, queries)


def run(
    args: argparse.Namespace,
    systems: Sequence[str],
    parts: Cut,
    truth: np.ndarray,
    enough_recall: float = ENOUGH_RECALL,
    before_turn: Callable[[int, int], None] | None = None,
) -> list[Curve]:
    """Writes the files that the program reads, and runs it with the arguments of add_arguments().
    A curve is not followed beyond `enough_recall`. Before it measures an ef in a round, the program
    waits while before_turn(round, ef) runs."""
    efs = usable_efs(args)
    command = [str(args.program), "--dim", str(parts.rows.shape[1]), "--metric", parts.metric]
    command += ["--m", str(args.m), "--ef-construction", str(args.ef_construction)]
    command += ["-k", str(args.k), "--rounds", str(args.rounds)]
    command += ["--enough-recall", str(enough_recall)]
    for flag, values in {"--system": systems, "--threads": args.threads, "--ef": efs}.items():
        command += [word for value in values for word in (flag, str(value))]
    files = {"rows": parts.rows, "queries": parts.queries, "truth": truth.astype(np.uint32)}
    with tempfile.TemporaryDirectory(prefix="engram-compare-") as folder:
        for name, array in files.items():
            array.tofile(Path(folder) / name)
            command += [f"--{name}", str(Path(folder) / name)]
        command += ["--paced"] if before_turn else []
        steps = len(systems) * len(args.threads) + args.rounds * len(efs)
        return follow(command, steps, before_turn)


def usable_efs(args: argparse.Namespace) -> list[int]:
    """In the order of the curves."""
    return sorted({ef for ef in args.ef if ef >= args.k})


def messages(
    command: list[str], before_turn: Callable[[int, int], None] | None = None
) -> Iterator[dict[str, Any]]:
    """Runs a native program and yields what it prints, a JSON object a line. When it says that it
    is ready for an ef of a round, it is told to begin after before_turn(round, ef)."""
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
    except OSError as error:
        raise UserError(
            f"cannot run {command[0]}: {error.strerror}; tests/run.sh long builds it, with "
            "libhnswlib-dev, libfaiss-dev and libopenblas-pthread-dev"
        ) from error
    with process:
        assert process.stdin and process.stdout
        for message in map(json.loads, process.stdout):
            if before_turn and "ready" in message:
                before_turn(*message["ready"])
                with suppress(BrokenPipeError):  # it has ended: its exit status says more
                    process.stdin.write("\n")
                    process.stdin.flush()
            else:
                yield message
    if process.returncode != 0:
        raise UserError(f"{command[0]} ended with {process.returncode}")


def follow(
    command: list[str], steps: int, before_turn: Callable[[int, int], None] | None = None
) -> list[Curve]:
    """Runs the program, shows how far it is, and collects what it found."""
    curves: dict[str, Curve] = {}
    with progress(steps, "comparing", "steps") as bar:
        for message in messages(command, before_turn):
            if "building" in message:
                bar.set_postfix_str(f"building {message['building']}")
            if "building" in message or "round" in message:
                bar.update()
            else:
                collect(message, curves)
    return list(curves.values())


def collect(message: dict[str, Any], curves: dict[str, Curve]) -> None:
    if "build" in message:
        build = message["build"]
        seconds = {int(threads): each for threads, each in build["seconds"].items()}
        curves[build["system"]] = Curve(build["system"], seconds, build["bytes"])
    else:
        point = message["curve"]
        curves[point["system"]].points.append(
            Point(point["ef"], point["recall"], point["qps"], point["p50_us"])
        )


def print_table(curves: list[Curve], rows: int) -> None:
    """Every library's figures, and those of engram's variants as multiples of each peer's."""
    threads = list(curves[0].build_seconds)
    titles = "".join(f"{f'qps at {recall}':>14}" for recall in RECALLS)
    builds = "".join(f"{f'build s, {count} thr':>16}" for count in threads)
    print(f"{'':26}{titles}{builds}{'bytes/row':>12}")
    for curve in curves:
        cells = "".join(f"{curve.qps_at(recall) or '-'!s:>14}" for recall in RECALLS)
        builds = "".join(f"{curve.build_seconds[count]:16.1f}" for count in threads)
        print(f"{curve.system:26}{cells}{builds}{curve.bytes / rows:12,.0f}")
    peers = [curve for curve in curves if curve.system in PEER_SYSTEMS]
    for own in (curve for curve in curves if curve.system in VARIANTS):
        for peer in peers:
            cells = "".join(
                f"{ratio(own.qps_at(recall), peer.qps_at(recall)):>14}" for recall in RECALLS
            )
            builds = "".join(
                f"{own.build_seconds[count] / peer.build_seconds[count]:14.2f} x"
                for count in threads
            )
            print(
                f"{f'{own.system} / {peer.system}':26}{cells}{builds}"
                f"{own.bytes / peer.bytes:10.2f} x"
            )


def plot(curves: list[Curve], facts: dict[str, Any], path: Path) -> None:
    require("matplotlib", "python3-matplotlib").use("Agg")
    pyplot = require("matplotlib.pyplot", "python3-matplotlib")
    figure, axes = pyplot.subplots(figsize=(8, 5.5))
    for curve in curves:
        points = [(point.recall, point.qps) for point in curve.points if point.recall >= 0.8]
        axes.plot(*zip(*points), marker="o", markersize=3, label=curve.system)
    axes.set(xlabel=f"recall@{facts['k']}", ylabel="queries per second, one core", yscale="log")
    axes.grid(True, which="both", alpha=0.3)
    axes.legend()
    axes.set_title(
        f"{facts['dataset']}, {facts['rows']:,} rows, M {facts['m']}, "
        f"ef_construction {facts['ef_construction']}"
    )
    save_figure(figure, facts, path)


def save_figure(figure: Any, facts: dict[str, Any], path: Path) -> None:
    """Writes a plot with the circumstances in its caption."""
    where = facts["environment"]
    command = "\n".join(textwrap.wrap(where["command"], 110, break_on_hyphens=False))
    figure.text(
        0.5,
        0.01,
        f"{facts['queries']} unseen queries, seed {facts['seed']}, median of {facts['rounds']}; "
        f"{where['cpu']}; commit {where['commit']}\n{command}",
        ha="center",
        va="bottom",
        fontsize=7,
    )
    figure.tight_layout(rect=(0, 0.06 + 0.02 * command.count("\n"), 1, 1))
    figure.savefig(path, dpi=150)
    require("matplotlib.pyplot", "python3-matplotlib").close(figure)


def add_arguments(parser: argparse.ArgumentParser, dataset: str | None = None) -> None:
    """What run() and describe() need to know. With `dataset` that one need not be named."""
    parser.add_argument(
        "dataset", choices=["slice", *SPECS], default=dataset, nargs="?" if dataset else None
    )
    parser.add_argument("--queries", type=int, default=1000, help="how many queries (default 1000)")
    parser.add_argument("--seed", type=int, default=42, help="of the cut (default 42)")
    add_rounds(parser, 5)
    parser.add_argument("--m", type=int, default=16)
    parser.add_argument("--ef-construction", type=int, default=200)
    parser.add_argument(
        "--threads",
        type=int,
        nargs="+",
        default=[2],
        metavar="COUNT",
        help="that build; with several counts each system is built with each, and the index built "
        "last is searched (default 2)",
    )
    parser.add_argument(
        "--ef", type=int, nargs="+", default=EFS, help="of the searches; those below k are left out"
    )
    parser.add_argument("-k", type=int, default=10, help="neighbours per query (default 10)")
    parser.add_argument(
        "--program", type=Path, default=PEERS / "compare_graphs", help="the native half"
    )
    parser.add_argument("--output", type=Path, default=cache_root() / "results")


def add_system_argument(parser: argparse.ArgumentParser, usual: Sequence[str]) -> None:
    parser.add_argument(
        "--system",
        action="append",
        choices=SYSTEMS,
        help=f"may be repeated (default: {', '.join(usual)})",
    )


def describe(args: argparse.Namespace) -> dict[str, Any]:
    """What has to stand beside the figures."""
    names = ("dataset", "queries", "seed", "rounds", "m", "ef_construction", "k", "threads")
    return {"environment": environment(), **{name: getattr(args, name) for name in names}}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    add_system_argument(parser, USUAL_SYSTEMS)
    args = parser.parse_args()

    parts = cut(load(args.dataset), args.queries, args.seed)
    curves = run(args, args.system or USUAL_SYSTEMS, parts, parts.truth(args.k))
    print_table(curves, len(parts.rows))
    facts = {**describe(args), "rows": len(parts.rows)}
    results = {**facts, "curves": [asdict(curve) for curve in curves]}
    path = write_results(args, f"graphs-{args.dataset}", results)
    plot(curves, facts, path.with_suffix(".png"))
    print(f"written: {path} and {path.with_suffix('.png').name}")


if __name__ == "__main__":
    run_main(main)
