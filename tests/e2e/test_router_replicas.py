# SPDX-License-Identifier: Apache-2.0
"""Reads of replicas: as fresh as was asked for, and where a master takes long."""

import contextlib
import random
import struct
import time

import pytest

import live
from cluster import Cluster
from module_scripts import NEEDS_MODULE

pytestmark = NEEDS_MODULE
DIM = 8
SOON = ("REPLICAS", 1, "TIMEOUT", 30_000)
LEARNS = 40  # searches, after which a router knows how long they take
PARTITIONS = 4


def vector(rng):
    return struct.pack(f"<{DIM}f", *(rng.gauss(0, 1) for _ in range(DIM)))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("cluster"), masters=2, replicas=1) as running:
        running.router("--node-timeout", 30_000)
        yield running


@pytest.fixture
def items(cluster):
    rng = random.Random(1)
    with cluster.routers[0].wire() as wire:
        wire.call("VDROP", "i")
        assert wire.call("VNEW", "i", DIM, "PRIMITIVE", "flat", "PARTITIONS", PARTITIONS) == "OK"
        words = [x for i in range(100) for x in (f"k{i}", vector(rng))]
        assert wire.call("VMADD", "i", *words, *SOON) == 100
    return words


def facts(router):
    return router.redis().info("router")


def searches_of(nodes):
    told = [item for node in nodes for item in node.redis().info("commandstats").items()]
    return sum(stats["calls"] for name, stats in told if name.lower() == "cmdstat_engram.vsearch")


def replicas(cluster):
    return [node for node in cluster.nodes if node not in cluster.masters]


@contextlib.contextmanager
def cut_off(cluster):
    """Replicas answer, but hear nothing of their masters."""
    for replica in replicas(cluster):
        assert replica.call("CONFIG", "SET", "masterauth", "wrong") == "OK"
    for master in cluster.masters:
        master.call("CLIENT", "KILL", "TYPE", "replica")
    live.wait_until(
        lambda: all(node.call("ROLE")[3] != b"connected" for node in replicas(cluster)), "they are cut off"
    )
    try:
        yield
    finally:
        for replica in replicas(cluster):
            assert replica.call("CONFIG", "SET", "masterauth", "") == "OK"
        live.wait_until(
            lambda: all(node.call("ROLE")[3] == b"connected" for node in replicas(cluster)), "they follow again"
        )


def learn(router, wire):
    """How long reads take, and that replicas are fresh."""

    for _ in range(LEARNS):
        assert wire.call("VCARD", "i") == 100
    live.wait_until(lambda: facts(router)["fresh_replicas"] == 2, "replicas are fresh")


def test_replicas_answer_searches_as_masters_do(cluster, items):
    router = cluster.router("--reads", "replica", "--staleness", 60_000, "--node-timeout", 30_000)
    with router.wire() as wire, cluster.routers[0].wire() as masters:
        rng = random.Random(2)
        learn(router, wire)
        before = searches_of(replicas(cluster))
        for _ in range(20):
            query = vector(rng)
            assert wire.call("VSEARCH", "i", query, 10) == masters.call("VSEARCH", "i", query, 10)
        assert searches_of(replicas(cluster)) >= before + 20 * PARTITIONS


def test_what_a_replica_does_not_have_yet_its_master_tells(cluster, items):
    router = cluster.router("--reads", "replica", "--staleness", 600_000, "--node-timeout", 30_000)
    with router.wire() as wire, cluster.routers[0].wire() as masters:
        learn(router, wire)
        with cut_off(cluster):
            assert masters.call("VNEW", "new", DIM, "PRIMITIVE", "flat", "PARTITIONS", 2) == "OK"
            assert masters.call("VADD", "new", "a", items[1]) == 1
            assert wire.call("VSEARCH", "new", items[1], 1)[0] == b"a"
            assert wire.call("VADD", "new", "b", items[1]) == 1
            assert wire.call("VDROP", "new") == "OK"


def test_a_replica_that_falls_behind_is_not_asked(cluster, items):
    router = cluster.router("--reads", "replica", "--staleness", 1000, "--node-timeout", 30_000)
    with router.wire() as wire:
        learn(router, wire)
        with cut_off(cluster):
            assert wire.call("VADD", "i", "late", items[1]) == 1
            written = time.monotonic()

            def is_found():
                begun = time.monotonic()
                found = wire.call("VSEARCH", "i", items[1], 2)
                assert isinstance(found, list), found
                is_there = b"late" in found
                assert is_there or begun - written < 1
                return is_there

            def masters_are_asked():
                before = facts(router)["replica_reads"]
                items = wire.call("VCARD", "i")
                return items == 101 and facts(router)["replica_reads"] == before

            live.wait_until(is_found, "replicas are too old, or a hedge has gone to the master")
            live.wait_until(masters_are_asked, "replicas are too old")

        def replicas_are_asked():
            before = facts(router)["replica_reads"]
            assert wire.call("VCARD", "i") == 101
            return facts(router)["replica_reads"] > before

        live.wait_until(replicas_are_asked, "replicas have caught up")


@pytest.mark.parametrize("reads", ("hedge", "replica"))
def test_a_hedge_answers_for_a_node_that_is_stopped(cluster, items, reads):
    started = time.monotonic()
    router = cluster.router("--reads", reads, "--staleness", 60_000, "--node-timeout", 30_000)
    with router.wire() as wire:
        rng = random.Random(3)
        queries = [vector(rng) for _ in range(LEARNS)]
        answers = [wire.call("VSEARCH", "i", query, 10) for query in queries]
        live.wait_until(lambda: facts(router)["fresh_replicas"] == 2, "replicas are fresh")
        told = facts(router)
        seconds = time.monotonic() - started
        assert told["hedged_reads"] <= told["reads"] / 20 + 20 * seconds + 16
        assert told["hedge_after_us"] > 0
        victim = cluster.owner_of(cluster.slot_of("i"))  # it has the layout, too
        if reads == "replica":
            victim = cluster.replica_of(victim)
        victim.stop()
        try:
            begun = time.monotonic()
            for query, answer in zip(queries[:3], answers):
                assert wire.call("VSEARCH", "i", query, 10) == answer
            assert facts(router)["hedged_reads"] > told["hedged_reads"]
            assert time.monotonic() - begun < 10, "neither a failover nor the end of its time was waited for"
        finally:
            victim.go_on()
        live.wait_until(lambda: wire.call("VADD", "i", "k0", items[1]) == 0, "it takes writes again")
