#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What does it cost not to lose anything? Starts its own servers, in temporary folders.

  durability.py writes                   acknowledged writes per second, every one on disk, beside redis-server
  durability.py restart glove-100        from exec to the first right answer, by the number of vectors
  durability.py snapshot glove-100       PING while snapshots are taken under searches and writes

Figures of one run are comparable with each other; on another machine or disk they are others."""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import time
from pathlib import Path
from typing import Callable

from client import Client
from common import environment, progress, run_main
from datasets import Dataset, load
from load import build
from processes import ENGRAM, ServerProcess, engram, redis_server
from stall import random_query, show, storm, time_pings

INDEX = "vectors"


def describe_machine() -> None:
    facts = environment()
    print(f"{facts['cpu']}, {facts['cpus']} cores, Linux {facts['kernel']}, {facts['commit']}")


# ---- writes


def requests_per_second(args: argparse.Namespace, port: int, *command: str) -> float:
    """Of 50 clients that each wait for their answer. They keep to one core: left alone, some kernels
    put them on that of the server, or not, which decides more than the server does."""
    run = ["redis-benchmark", "-p", str(port), "-c", "50", "-n", str(args.count), "-r", "100000"]
    if not args.float:
        run = ["taskset", "--cpu-list", str(max(os.sched_getaffinity(0))), *run]
    done = subprocess.run([*run, "--csv", *command], capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1].split('","')[1].strip('"'))


def syncs_per_thousand(client: Client, run: Callable[[], float]) -> tuple[float, float]:
    """What `run` returns, and how often the disk was synced for a thousand of its writes."""
    before = client.server_info()
    result = run()
    after = client.server_info()
    syncs = after["journal_syncs"] - before["journal_syncs"]
    return result, 1000 * syncs / (after["journal_last_lsn"] - before["journal_last_lsn"])


def measure_writes(args: argparse.Namespace) -> None:
    describe_machine()
    print(f"50 clients, {args.count:,} writes in each of {args.rounds} rounds, answers wait for the disk")
    set_command = ("set", "key:__rand_int__", "value")
    vadd_command = ("vadd", INDEX, "key:__rand_int__", random_query(100))
    ratios = []
    with engram(args.program, "--fsync", "always") as ours, redis_server(
        "--appendonly", "yes", "--appendfsync", "always"
    ) as theirs:
        ours.start()
        theirs.start()
        client = Client("127.0.0.1", ours.port)
        client.create(INDEX, 100, "l2", args.primitive)
        for number in range(1, args.rounds + 1):
            peer = requests_per_second(args, theirs.port, *set_command)
            rate, syncs = syncs_per_thousand(
                client, lambda: requests_per_second(args, ours.port, *set_command)
            )
            ratios.append(rate / peer)
            print(
                f"round {number}: SET {rate:9,.0f}/s  redis-server {peer:9,.0f}/s  ratio {rate / peer:.2f}  "
                f"{syncs:.1f} syncs per 1,000 writes"
            )
        for number in range(1, args.rounds + 1):
            rate, syncs = syncs_per_thousand(
                client, lambda: requests_per_second(args, ours.port, *vadd_command)
            )
            print(
                f"round {number}: VADD of 100 dimensions into {args.primitive} {rate:9,.0f}/s  "
                f"{syncs:.1f} syncs per 1,000 writes"
            )
    print(f"SET: median ratio {statistics.median(ratios):.2f}")


# ---- restart


def request(*words: bytes) -> bytes:
    parts = [b"*%d\r\n" % len(words)]
    parts += [b"$%d\r\n%s\r\n" % (len(word), word) for word in words]
    return b"".join(parts)


def ask(connection: socket.socket, question: bytes, reply_bytes: int) -> bytes:
    connection.sendall(question)
    reply = b""
    while len(reply) < reply_bytes:
        part = connection.recv(65536)
        if not part:
            break
        reply += part
    return reply


def whole_reply(port: int, question: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(question)
        connection.settimeout(1)
        reply = b""
        try:
            while part := connection.recv(65536):
                reply += part
        except TimeoutError:
            pass
        return reply


def time_restart(server: ServerProcess, question: bytes, expected: bytes) -> float:
    """Seconds from exec to the answer that was given before."""
    start = time.perf_counter()
    with server.start() as connection:
        reply = ask(connection, question, len(expected))
    seconds = time.perf_counter() - start
    assert reply == expected, "the answer is another one after the restart"
    server.stop()
    return seconds


def restart_with(args: argparse.Namespace, data: Dataset, count: int) -> None:
    part = Dataset(data.name, data.metric, data.keys[:count], data.vectors[:count], None)
    with engram(args.program) as server:
        server.start().close()
        client = Client("127.0.0.1", server.port)
        built = build(client, INDEX, part, data.metric, args.primitive)
        start = time.perf_counter()
        client.redis.execute_command("VSAVE")
        saved = time.perf_counter() - start
        question = request(b"VSEARCH", INDEX.encode(), part.vectors[count // 2].tobytes(), b"10")
        expected = whole_reply(server.port, question)
        size = (server.folder / "snapshot.engram").stat().st_size
        server.stop()
        times = [time_restart(server, question, expected) for _ in range(args.repeats)]
    median = statistics.median(times)
    print(
        f"{count:9,} vectors: built in {built:7.2f} s, saved in {saved:5.2f} s ({size / 1e6:6.1f} MB), restart "
        f"{1000 * median:6.1f} ms (best {1000 * min(times):.1f}, worst {1000 * max(times):.1f}), "
        f"{built / median:7,.0f} times as fast as building"
    )


def measure_restart(args: argparse.Namespace) -> None:
    describe_machine()
    data = load(args.dataset)
    print(f"{args.dataset} into {args.primitive}; the page cache is warm; median of {args.repeats}")
    for count in [*(c for c in args.sizes if c < len(data.keys)), len(data.keys)]:
        restart_with(args, data, count)


# ---- snapshot


def memory_peak(pid: int) -> int:
    """The most bytes that were resident since reset_memory_peak()."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return 1024 * int(line.split()[1])
    raise AssertionError("no VmHWM")


def reset_memory_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def measure_snapshot(args: argparse.Namespace) -> None:
    describe_machine()
    data = load(args.dataset)
    with engram(args.program) as server:
        server.start().close()
        client = Client("127.0.0.1", server.port)
        build(client, INDEX, data, data.metric, args.primitive)
        store = argparse.Namespace(
            host="127.0.0.1", port=server.port, pings=args.pings, k=10, index=INDEX, connections=8
        )
        print("PING on one connection, milliseconds, redis-benchmark's own time included")
        show("alone", time_pings(store))
        writes = ["redis-benchmark", "-p", str(server.port), "-c", "4", "-n", "1000000000", "-q"]
        command = ["VADD", INDEX, "new:__rand_int__", random_query(data.dim)]
        with storm(store, data.dim), subprocess.Popen(
            [*writes, "-r", "20000", *command], stdout=subprocess.DEVNULL
        ) as writer:
            try:
                show("beside searches and writes", time_pings(store))
                reset_memory_peak(server.pid)
                before = memory_peak(server.pid)
                taken = 0
                pinger = subprocess.Popen(
                    ["redis-benchmark", "-p", str(server.port), "-t", "ping_mbulk", "-c", "1", "-n",
                     str(args.pings), "--csv"],
                    stdout=subprocess.PIPE, text=True,
                )
                with progress(0, "taking snapshots", "taken") as bar:
                    while pinger.poll() is None or taken == 0:
                        start = time.perf_counter()
                        client.redis.execute_command("VSAVE")
                        seconds = time.perf_counter() - start
                        taken += 1
                        bar.update()
                row = pinger.communicate()[0].splitlines()[-1].replace('"', "").split(",")
                print(f"beside {taken} snapshots as well:  p50 {row[4]}  p95 {row[5]}  p99 {row[6]}  max {row[7]}")
                extra = memory_peak(server.pid) - before
                print(f"the last one took {seconds:.2f} s; at most {extra / 1e6:.1f} MB more were resident")
            finally:
                writer.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)

    writes = commands.add_parser("writes")
    writes.add_argument("--count", type=int, default=50_000)
    writes.add_argument("--rounds", type=int, default=5)
    writes.add_argument("--float", action="store_true", help="do not keep the clients to one core")
    writes.set_defaults(run=measure_writes)

    restart = commands.add_parser("restart")
    restart.add_argument("dataset")
    restart.add_argument("--sizes", type=int, nargs="*", default=[50_000, 100_000, 200_000])
    restart.add_argument("--repeats", type=int, default=9)
    restart.set_defaults(run=measure_restart)

    snapshot = commands.add_parser("snapshot")
    snapshot.add_argument("dataset")
    snapshot.add_argument("--pings", type=int, default=50_000)
    snapshot.set_defaults(run=measure_snapshot)

    for command in (writes, restart, snapshot):
        command.add_argument("--primitive", default="hnsw")
        command.add_argument("--program", type=Path, default=ENGRAM, help="the server to run")
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    run_main(main)
