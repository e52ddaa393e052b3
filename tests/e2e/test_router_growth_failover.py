# SPDX-License-Identifier: Apache-2.0
"""Masters die while an index grows: what a replica had is there when the growth has ended."""

import contextlib
import random
import struct
import threading

import pytest

import live
from cluster import FAILOVER_MS, Cluster
from module_scripts import NEEDS_MODULE

pytestmark = [NEEDS_MODULE, pytest.mark.long]
DIM = 8
ITEMS = 3000
STATES = ("opening", "growing", "closing", "clearing")


def grow(router, partitions, failures):
    """Repeats the command until it is done, whatever it says of nodes that are lost."""
    with live.noting(failures):

        def is_done():
            with contextlib.suppress(OSError), router.wire() as wire:
                return wire.call("VPARTITIONS", "i", partitions) == "OK"
            return False

        live.wait_until(is_done, "growth comes to its end")


def layout_of(cluster):
    with contextlib.suppress(OSError):
        told = cluster.owner_of(cluster.slot_of("i")).call("GET", "i:{i}:meta")
        return told.decode() if isinstance(told, bytes) else ""
    return ""


def lose_one(cluster, rng):
    victim = rng.choice([node for node in cluster.nodes if node.is_master()])
    replica = cluster.replica_of(victim)
    victim.kill()
    live.wait_until(replica.is_master, "the replica has taken over")
    victim.start()
    live.wait_until(cluster.is_whole, "the cluster is whole")


def test_what_replicas_had_outlives_masters_that_die_while_an_index_grows(tmp_path):
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    items = {f"k{i}": struct.pack(f"<{DIM}f", *(rng.gauss(0, 1) for _ in range(DIM))) for i in range(ITEMS)}
    failures = []
    with Cluster(tmp_path / "cluster", replicas=1, timeout_ms=FAILOVER_MS) as cluster:
        router = cluster.router("--node-timeout", 10_000)
        with router.wire() as wire:
            made = ("VNEW", "i", DIM, "METRIC", "l2", "PRIMITIVE", "flat", "PARTITIONS", 2)
            assert wire.call(*made) == "OK"
            words = (x for item in items.items() for x in item)
            assert wire.call("VMADD", "i", *words, "REPLICAS", 1, "TIMEOUT", 60_000) == ITEMS
        for partitions in (4, 8, 16):
            state = rng.choice(STATES)
            print(f"to {partitions}, a master dies in {state}", flush=True)
            growing = threading.Thread(target=grow, args=(router, partitions, failures))
            growing.start()
            over = f"partitions {partitions} "
            while not failures and not (layout_of(cluster).endswith(f" state {state}") or over in layout_of(cluster)):
                pass
            lose_one(cluster, rng)
            growing.join()
            assert not failures, failures
            with router.wire() as wire:
                assert wire.call("VCARD", "i") == ITEMS
                assert {key: wire.call("VGET", "i", key) for key in items} == items
