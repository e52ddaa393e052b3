#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
''':'
# A shell begins, because a bare Debian has no Python: it installs what is missing.
"$(dirname "$0")/../.ci/install.sh" run && exec /usr/bin/python3 "$0" "$@"
exit 1
'''
from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import redis

from client import Client
from common import HERE, UserError, progress, run_main
from datasets import Dataset, load
from processes import wait_until
from redis_cluster import Cluster, Node, Router, start_nodes

DESCRIPTION = """A Redis Cluster of three masters and three replicas with engram's module, and two routers in front
of it: loads the bundled words, searches, kills a master, moves slots under load, and tells what that took.

  cluster.py up           and leaves it running
  cluster.py up --once    and ends it
  cluster.py down         ends one that was left

Each process has a folder of its own below --folder, with its log and the file `pid`."""

ROOT = HERE.parent
BUILD = ROOT / "build"
PROGRAM = BUILD / "server" / "engram"
MODULE = BUILD / "server" / "hosts" / "module" / "engram.so"
FOLDER = BUILD / "cluster"
MASTERS = 3
ROUTERS = 2
PARTITIONS = 8
NODE_TIMEOUT_MS = 1500
INDEX = "words"
K = 6
TIMED_SEARCHES = 300
END_SECONDS = 20


@dataclass
class Report:
    """What is told at the end: a line for each step."""

    rows: list[tuple[str, float, str]] = field(default_factory=list)

    def add(self, what: str, seconds: float, note: str = "") -> None:
        self.rows.append((what, seconds, note))

    def show(self) -> None:
        width = max(len(what) for what, _, _ in self.rows)
        say("what that took")
        for what, seconds, note in self.rows:
            took = f"{seconds:7.2f} s " if seconds >= 0.01 else f"{seconds * 1e3:7.2f} ms"
            print(f"{what:<{width}}  {took}  {note}".rstrip())


def say(text: str) -> None:
    print(f"\n# {text}", flush=True)


def build() -> None:
    wanted = [f"{path.relative_to(BUILD)}" for path in (PROGRAM, MODULE)]
    how = ["-Dmodule=enabled", str(BUILD)]
    if (BUILD / "build.ninja").exists():
        commands = [["meson", "configure", *how]]
    else:
        commands = [["meson", "setup", "-Dtests=false", "-Dbenchmarks=false", *how]]
    for command in (*commands, ["ninja", "-C", str(BUILD), *wanted]):
        # Debian's tools, whatever else is on the path.
        path = f"/usr/bin:/bin:{os.environ.get('PATH', '')}"
        quiet = subprocess.PIPE if command[0] == "meson" else None
        done = subprocess.run(command, cwd=ROOT, env=os.environ | {"PATH": path}, stdout=quiet, text=True)
        if done.returncode != 0:
            raise UserError(f"{done.stdout or ''}`{' '.join(command)}` has failed")


# --- a cluster that outlives this script ------------------------------------------------------------


def start(args: argparse.Namespace) -> Cluster:
    """All nodes and routers, below args.folder."""
    args.folder.mkdir(parents=True)
    count = 2 * MASTERS
    with progress(count + ROUTERS, "starting", "processes") as bar:

        def start_node(i: int) -> Node:
            bar.update()
            folder = args.folder / f"node{i}"
            return Node(folder, args.module.resolve(), NODE_TIMEOUT_MS, outlives=True)

        cluster = Cluster(start_nodes(count, start_node), MASTERS)
        for i in range(ROUTERS):
            folder = args.folder / f"router{i}"
            cluster.routers.append(Router(folder, args.program, cluster.addresses(), outlives=True))
            bar.update()
    return cluster


def running(folder: Path) -> Iterator[int]:
    """The processes that `up` has started there and that still run: those whose output is the log beside."""
    for file in folder.glob("*/pid"):
        pid = int(file.read_text())
        try:
            if os.readlink(f"/proc/{pid}/fd/1") == str(file.with_name("log")):
                yield pid
        except OSError:
            continue


def end(folder: Path) -> int:
    """Ends all that runs below the folder. Returns how many there were."""
    pids = list(running(folder))
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not list(running(folder)), "all processes have ended", END_SECONDS)
    return len(pids)


def remove(folder: Path) -> None:
    """With all that `up` has left there. Errors: UserError, where there is anything else."""
    others = [entry.name for entry in folder.glob("*") if not re.fullmatch(r"(node|router)\d+", entry.name)]
    if others:
        raise UserError(f"{folder} is not a cluster's: it has {others[0]}")
    shutil.rmtree(folder, ignore_errors=True)


def down(folder: Path) -> None:
    ended = end(folder)
    remove(folder)
    print(f"{ended} processes have ended")


# --- what is shown ----------------------------------------------------------------------------------


def fill(router: Router, data: Dataset, report: Report) -> None:
    client = Client(router.host, router.port)
    client.create(INDEX, data.dim, data.metric, "flat", [("PARTITIONS", str(PARTITIONS))])
    began = time.perf_counter()
    client.add(INDEX, data.keys, data.vectors)
    taken = time.perf_counter() - began
    report.add(f"{len(data.keys):,} words loaded", taken, f"{len(data.keys) / taken:,.0f} a second")


def search(cluster: Cluster, data: Dataset, report: Report) -> None:
    say(f"the words nearest to `king`, through each router: {PARTITIONS} partitions answer as one index")
    for router in cluster.routers:
        client = Client(router.host, router.port)
        query = client.get(INDEX, b"king")
        assert query is not None
        found = client.search(INDEX, query, K)
        words = (f"{key.decode()} {distance:.3f}" for key, distance in zip(found.keys, found.distances))
        print(f"{router.folder.name}: {', '.join(words)}")
    times = []
    for row in range(TIMED_SEARCHES):
        vector = data.vectors[row * len(data.vectors) // TIMED_SEARCHES]
        began = time.perf_counter()
        client.search(INDEX, vector.tobytes(), K)
        times.append(time.perf_counter() - began)
    report.add("a search through a router", statistics.median(times), f"median of {TIMED_SEARCHES}")


def partial(clients: Sequence[redis.Redis], query: bytes) -> int:
    """Of how many partitions all of them tell."""
    replies = [client.execute_command("VSEARCH", INDEX, query, K, "PARTIAL") for client in clients]
    return min(int(dict(zip(reply[::2], reply[1::2]))[b"ok"]) for reply in replies)


def refusal(client: redis.Redis, query: bytes) -> str:
    """What a search says without PARTIAL."""
    try:
        client.execute_command("VSEARCH", INDEX, query, K)
    except redis.ResponseError as error:
        return str(error)
    return "all is there"


def lose_a_master(cluster: Cluster, data: Dataset, report: Report) -> None:
    owners = cluster.partitions(INDEX)
    victim = cluster.masters[0]
    clients = [redis.Redis(router.host, router.port) for router in cluster.routers]
    query = data.vectors[0].tobytes()
    lost = sum(owner is victim for owner in owners.values())
    say(f"{victim.folder.name}, a master with {lost} of {PARTITIONS} partitions, is killed")
    victim.kill()
    began = time.perf_counter()
    told: list[int] = []

    def all_answer() -> bool:
        ok = partial(clients, query)
        if ok not in told[-1:]:
            seconds = time.perf_counter() - began
            print(f"{seconds:6.2f} s: PARTIAL tells of {ok} of {PARTITIONS} partitions", flush=True)
            if not told:
                print(f"          without PARTIAL: {refusal(clients[0], query)}", flush=True)
            told.append(ok)
        return ok == PARTITIONS

    wait_until(all_answer, "all partitions answer again")
    meanwhile = f"{min(told)} of {PARTITIONS} partitions answered meanwhile"
    report.add("until a replica took over", time.perf_counter() - began, meanwhile)
    began = time.perf_counter()
    victim.start()
    wait_until(cluster.is_whole, "the cluster is whole")
    print(f"{victim.folder.name} is back, as a replica")
    report.add("until it was back as a replica", time.perf_counter() - began)


@contextmanager
def under_load(cluster: Cluster, data: Dataset) -> Iterator[tuple[list[int], list[bytes]]]:
    """One client searches for all words, again and again, through one router, another adds new ones
    through the other. What it yields counts searches and holds the keys that were added."""
    searches = [0]
    added: list[bytes] = []
    failures: list[BaseException] = []
    over = threading.Event()
    words = set(data.keys)

    def searching() -> None:
        client = redis.Redis(cluster.routers[0].host, cluster.routers[0].port)
        while not over.is_set():
            reply = client.execute_command("VSEARCH", INDEX, data.vectors[0].tobytes(), 2 * len(words))
            keys = reply[::2]
            if len(set(keys)) != len(keys) or not words.issubset(keys):
                raise UserError(f"a search found {len(keys)} keys, {len(set(keys))} of them once")
            searches[0] += 1

    def adding() -> None:
        client = redis.Redis(cluster.routers[1].host, cluster.routers[1].port)
        while not over.is_set():
            key = b"new-%d" % len(added)
            vector = data.vectors[len(added) % len(data.vectors)].tobytes()
            client.execute_command("VADD", INDEX, key, vector)
            added.append(key)

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except (redis.RedisError, UserError) as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in (searching, adding)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: failures or (searches[0] and added), "there is load")
        yield searches, added
        before = searches[0]
        wait_until(lambda: failures or searches[0] > before + 1, "a search after that")
    finally:
        over.set()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]


def reshard(cluster: Cluster, data: Dataset, report: Report) -> None:
    owners = cluster.partitions(INDEX)
    slots = {cluster.slot_of(key): owner for key, owner in owners.items()}
    say(f"the slots of all {PARTITIONS} partitions move to another master, and back, under load")
    masters = [node for node in cluster.nodes if node.is_master()]
    with under_load(cluster, data) as (searches, added):
        began = time.perf_counter()
        before = searches[0]
        with progress(2 * len(slots), "moving", "slots") as bar:
            for step in (1, 0):
                for slot, home in slots.items():
                    cluster.move_slot(slot, masters[(masters.index(home) + step) % len(masters)])
                    bar.update()
        taken = time.perf_counter() - began
        meanwhile = searches[0] - before
    client = redis.Redis(cluster.routers[0].host, cluster.routers[0].port)
    wanted = {*data.keys, *added}
    found = client.execute_command("VSEARCH", INDEX, data.vectors[0].tobytes(), 2 * len(wanted))[::2]
    if sorted(found) != sorted(wanted):
        raise UserError(f"{len(wanted):,} keys were acknowledged, {len(found):,} are there")
    print(f"{meanwhile} searches meanwhile: each found all {len(data.keys):,} words, each once")
    print(f"{len(added):,} words were added meanwhile: all are there, each once")
    load = f"{meanwhile} searches and {len(added):,} writes meanwhile, nothing missing or double"
    report.add(f"{2 * len(slots)} slots moved", taken, load)


def up(args: argparse.Namespace) -> None:
    if list(running(args.folder)):
        raise UserError(f"a cluster runs in {args.folder}; end it with `down`")
    if (args.program, args.module) == (PROGRAM, MODULE):
        build()
    remove(args.folder)
    report = Report()
    data = load("slice")
    try:
        began = time.perf_counter()
        cluster = start(args)
        report.add(f"{len(cluster.nodes)} nodes and {ROUTERS} routers start", time.perf_counter() - began)
        say(f"{MASTERS} masters, {MASTERS} replicas and {ROUTERS} routers run")
        fill(cluster.routers[0], data, report)
        search(cluster, data, report)
        lose_a_master(cluster, data, report)
        reshard(cluster, data, report)
        report.show()
    except BaseException:
        end(args.folder)  # its logs stay
        raise
    if args.once:
        print()
        down(args.folder)
    else:
        hint(cluster, args.folder)


def hint(cluster: Cluster, folder: Path) -> None:
    where = "" if folder == FOLDER else f" --folder {folder}"
    first, second = cluster.routers
    owner = next(iter(cluster.partitions(INDEX).values()))
    print(f"""
The cluster runs until `experiments/cluster.py down{where}`; logs are in {folder}. Try
  experiments/neighbours.py --port {first.port} --index {INDEX} paris
  redis-cli -p {second.port} VINFO {INDEX}
  redis-cli -p {owner.port} CLUSTER NODES""")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["up", "down"])
    parser.add_argument("--once", action="store_true", help="with up: end it after the show")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="default %(default)s")
    parser.add_argument("--program", type=Path, default=PROGRAM, help="engram; built unless it is named")
    parser.add_argument("--module", type=Path, default=MODULE, help="engram.so; built unless it is named")
    args = parser.parse_args()
    args.folder = args.folder.resolve()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if args.what == "up":
        up(args)
    else:
        down(args.folder)


if __name__ == "__main__":
    run_main(main)
