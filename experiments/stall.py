#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Does a storm of searches delay other clients? Times PING on one connection of redis-benchmark,
first with nothing else going on, then while a second redis-benchmark searches on many connections.

  stall.py --index glove-100:cosine:hnsw --connections 8

All run on this machine, so the figures include what the programs take from each other's cores."""

from __future__ import annotations

import argparse
import csv
import io
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Iterator

from client import Client, add_server_arguments
from common import UserError, environment, run_main

PLACEHOLDER = "__rand_int__"  # redis-benchmark puts 12 random digits here: three float32
PLACEHOLDER_BYTES = 12


@dataclass(frozen=True)
class Latency:
    """Milliseconds of a PING, as redis-benchmark gives them."""

    p50: float
    p95: float
    p99: float
    longest: float


def benchmark(args: argparse.Namespace, *rest: str) -> list[str]:
    return ["redis-benchmark", "-h", args.host, "-p", str(args.port), *rest]


def time_pings(args: argparse.Namespace) -> Latency:
    command = benchmark(args, "-t", "ping_mbulk", "-c", "1", "-n", str(args.pings), "--csv")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    row = next(csv.DictReader(io.StringIO(done.stdout)))
    return Latency(*(float(row[f"{name}_latency_ms"]) for name in ("p50", "p95", "p99", "max")))


def random_query(dim: int) -> str:
    """A vector of `dim` float32 that redis-benchmark fills with digits. No NUL byte can be in it,
    which neither a command line nor redis-benchmark would survive."""
    whole, rest = divmod(4 * dim, PLACEHOLDER_BYTES)
    return PLACEHOLDER * whole + "5" * rest


@contextmanager
def storm(args: argparse.Namespace, dim: int) -> Iterator[None]:
    """Searches on args.connections connections for as long as the context lasts."""
    options = ["-c", str(args.connections), "-n", "1000000000", "-r", "2000000000", "-q"]
    command = benchmark(args, *options, "VSEARCH", args.index, random_query(dim), str(args.k))
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            yield
            if process.poll() is not None:
                raise UserError("the storm of searches ended early; is the index right?")
        finally:
            process.terminate()


def wait_for_searches(client: Client, count: int) -> None:
    """Returns once the server has executed that many further commands."""
    start = client.server_info()["total_commands_processed"]
    while client.server_info()["total_commands_processed"] < start + count:
        pass


def show(what: str, latency: Latency) -> None:
    print(
        f"{what:28}  p50 {latency.p50:6.3f}  p95 {latency.p95:6.3f}  "
        f"p99 {latency.p99:6.3f}  max {latency.longest:7.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--index", required=True)
    parser.add_argument("--connections", type=int, default=8, help="searching connections")
    parser.add_argument("--pings", type=int, default=20_000)
    parser.add_argument("-k", type=int, default=10)
    add_server_arguments(parser)
    args = parser.parse_args()

    client = Client(args.host, args.port)
    info = client.info(args.index)
    if info is None:
        raise UserError(f"there is no index {args.index!r}")
    facts = environment()
    print(f"{facts['cpu']}, {facts['cpus']} cores, Linux {facts['kernel']}, {facts['commit']}")
    print(f"{args.index}: {info['size']:,} vectors of {info['vector-dim']} dimensions")
    print("PING on one connection, milliseconds, redis-benchmark's own time included")
    show("alone", time_pings(args))
    with storm(args, int(info["vector-dim"])):
        wait_for_searches(client, 1_000)
        before = client.server_info()["total_commands_processed"]
        latency = time_pings(args)
        searches = client.server_info()["total_commands_processed"] - before - args.pings
    show(f"beside {args.connections} searching clients", latency)
    print(f"searches meanwhile: {searches:,}")


if __name__ == "__main__":
    run_main(main)
