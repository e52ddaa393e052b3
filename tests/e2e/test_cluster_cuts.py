# SPDX-License-Identifier: Apache-2.0
"""The network between two parts of a cluster is cut under load. ENGRAM_CLUSTER_CUTS says how often (2).

The minority has a master, whose replica is on the other side, and a replica of a master of the other side."""

import collections
import contextlib
import math
import os
import random
import struct
import time

import pytest

import live
from cluster import FAILOVER_MS, Cluster
from cluster_load import (
    WRITTEN,
    Load,
    Outage,
    Partitions,
    Watcher,
    Writer,
    is_unavailable,
    make_indexes,
    serves,
    version,
    wait_until_leads,
)
from module_scripts import NEEDS_MODULE
from namespaces import Sides
from wire import ErrorReply

pytestmark = [NEEDS_MODULE, pytest.mark.long]
CUTS = int(os.environ.get("ENGRAM_CLUSTER_CUTS", 2))
CLIENTS = 8
ROUTER_FLAGS = ("--node-timeout", 1000, "--protected-mode", "no")
MINORITY = (2, 3)  # nodes: the third master, and the replica of the first
# A planned failover is given up after five seconds by a node that waits for the processor.
TRIES, TRY_SECONDS = 5, 10


@pytest.fixture
def sides():
    with Sides() as made:
        yield made


def start_cluster(sides, folder):
    places = [
        {"host": side.host, "launcher": side.launcher}
        for side in (sides.sides[i in MINORITY] for i in range(6))
    ]
    # A machine that stops for seconds does not keep replicas from taking over.
    flags = ("--cluster-replica-validity-factor", 0)
    return Cluster(folder, replicas=1, timeout_ms=FAILOVER_MS, flags=flags, places=places)


def wait_for(load, condition, what):
    live.wait_until(lambda: load.failures or condition(), what)
    load.check()


def assert_refused(router, probes):
    """No write is taken by a master that is cut off from the others. On a busy machine it may be missing first."""

    def are_told():
        with router.wire() as wire:
            replies = [wire.call("VADD", WRITTEN, probe, version(0)) for probe in probes]
        assert all(isinstance(reply, ErrorReply) for reply in replies), replies
        return all("CLUSTERDOWN" in reply for reply in replies)

    live.wait_until(are_told, "the minority refuses writes")


def cut(cluster, sides, load, partitions):
    """Cuts, waits for the failover, and heals. What each side missed."""
    majority, minority = cluster.routers
    alone = cluster.nodes[MINORITY[0]]
    successor = cluster.replica_of(alone)
    lost = partitions.of([alone])
    began = time.monotonic()
    sides.cut()
    gone = time.monotonic()
    replaced = wait_until_leads(successor, load)
    wait_for(load, lambda: serves(majority, partitions), "the service of the majority is back")
    back = time.monotonic()
    wait_for(load, lambda: b"cluster_state:fail" in alone.call("CLUSTER", "INFO"), "the minority gives up")
    assert_refused(minority, [partitions.probes[name] for name in lost])
    healing = time.monotonic()
    sides.heal()
    wait_for(load, lambda: serves(minority, partitions), "the service of the minority is back")
    healed = time.monotonic()
    wait_for(load, cluster.is_whole, "the cluster is whole")
    print(f"{len(lost)} partitions back after {back - began:.2f} s, all {healed - healing:.2f} s after healing", flush=True)
    others = set(partitions.keys) - lost
    # Searches that are under way when a node finds itself alone are given up by it.
    return Outage(lost, began, gone, replaced, back), Outage(others, began, gone, healing, healed, lost)


def change_back(cluster, load, partitions):
    """The master that was cut off is one again, by agreement. Its partitions may be missing for a moment, to each router."""
    node = cluster.nodes[MINORITY[0]]
    moving = partitions.of([cluster.master_of(node)])
    began = time.monotonic()
    for _ in range(TRIES):
        # A node that has only just come back may take its master for a failed one.
        live.wait_until(lambda: node.call("CLUSTER", "FAILOVER") == "OK", "it asks to lead")
        with contextlib.suppress(TimeoutError):
            live.wait_until(node.is_master, "it is a master", TRY_SECONDS)
            break
    wait_for(load, lambda: node.is_master() and cluster.is_whole(), "the master is back in its place")
    wait_for(load, lambda: all(serves(router, partitions) for router in cluster.routers), "it serves")
    return [Outage(moving, began, math.inf, -math.inf, time.monotonic())] * 2


def test_a_minority_loses_only_what_no_replica_had(sides, tmp_path):
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")
    with start_cluster(sides, tmp_path / "cluster") as cluster:
        routers = [
            cluster.router(*ROUTER_FLAGS, "--bind", side.host, launcher=side.launcher)
            for side in sides.sides
        ]
        make_indexes(routers[0])
        partitions = Partitions(cluster)
        writers = [Writer(routers[i % 2], i, seed) for i in range(CLIENTS)]
        watchers = [Watcher(router) for router in routers]
        outages = ([], [])

        def note(seen):
            for known, outage in zip(outages, seen):
                known.append(outage)

        with Load(*writers, *watchers) as load:
            for i in range(CUTS):
                if i > 0:
                    note(change_back(cluster, load, partitions))
                note(cut(cluster, sides, load, partitions))
        for writer in writers:
            for router in routers:
                writer.check_all(router)
        for name, known, watcher in zip(("majority", "minority"), outages, watchers):
            print(f"{name}: {partitions.check(known, watcher.samples, load.stalls)}")
    acknowledged, refused = (sum(getattr(w, name) for w in writers) for name in ("acknowledged", "refused"))
    print(f"{acknowledged} writes acknowledged, {refused} not")


class Reader:
    """Reads keys one after the other, and counts how often it has found which versions."""

    def __init__(self, router, keys):
        self.router = router
        self.keys = keys
        self.found = collections.Counter()

    def read_all(self):
        """The versions that the keys have; None of those for which nobody answers."""
        with self.router.wire() as wire:
            replies = [wire.call("VGET", WRITTEN, key) for key in self.keys]
        for reply in replies:
            assert is_unavailable(reply) or not isinstance(reply, ErrorReply), reply
        return {None if is_unavailable(reply) else int(struct.unpack_from("<f", reply)[0]) for reply in replies}

    def read_until(self, condition, what):
        def is_over():
            self.found.update(self.read_all())
            return condition()

        live.wait_until(is_over, what)


def test_a_router_that_reaches_both_sides_reads_of_the_new_master(sides, tmp_path):
    with start_cluster(sides, tmp_path / "cluster") as cluster:
        both = cluster.router(*ROUTER_FLAGS)
        majority = cluster.router(*ROUTER_FLAGS, "--bind", sides.sides[0].host, launcher=sides.sides[0].launcher)
        make_indexes(both)
        partitions = Partitions(cluster)
        alone = cluster.nodes[MINORITY[0]]
        successor = cluster.replica_of(alone)
        reader = Reader(both, [partitions.probes[name] for name in partitions.of([alone])])

        def write(router, number):
            with router.wire() as wire:
                return all(wire.call("VADD", WRITTEN, key, version(number)) in (0, 1) for key in reader.keys)

        def maps_learned():
            return both.redis().info("router")["slot_maps_learned"]

        live.wait_until(lambda: write(both, 1), "writes are taken")
        live.wait_until(lambda: reader.read_all() == {1}, "they are read")
        sides.cut()
        live.wait_until(successor.is_master, "the majority takes over")
        live.wait_until(lambda: write(majority, 2), "the majority takes writes")
        live.wait_until(lambda: reader.read_all() == {2}, "the new master is known")
        # Every node is asked what it takes for the truth, those of the minority among them.
        learned = maps_learned() + len(cluster.nodes)
        reader.read_until(lambda: maps_learned() > learned, "all nodes have told what they know")
        assert alone.is_master()
        live.wait_until(lambda: write(both, 2), "the new master takes writes of both")
        sides.heal()
        reader.read_until(cluster.is_whole, "the cluster is whole")
    print(f"reads by version: {dict(reader.found)}")
    assert reader.found[2] > 0
    assert not reader.found.keys() - {2, None}, "what the deposed master has was read"
