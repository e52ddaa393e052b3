# SPDX-License-Identifier: Apache-2.0
"""Replicas of a host with the module answer the same bytes."""

import random
import threading

import pytest

import live
from module_scripts import DIM, NEEDS_MODULE, NOW, PRIMITIVES, answers, fill, options_of, vector
from wire import ErrorReply

pytestmark = NEEDS_MODULE


def follow(start_host, master, *flags):
    return start_host("--replicaof", f"127.0.0.1 {master.port}", *flags)


def wait_for_replica(master, replica):
    """Until the replica has all that the master has sent."""

    def is_level():
        ours = master.redis().info("replication")
        theirs = replica.redis().info("replication")
        return (
            theirs.get("master_link_status") == "up"
            and theirs["slave_repl_offset"] == ours["master_repl_offset"]
        )

    live.wait_until(is_level, "the replica is level with its master")


def assert_equal_answers(master, replica, names, seed=5):
    with master.wire() as ours, replica.wire() as theirs:
        for name in names:
            assert answers(theirs, name, seed) == answers(ours, name, seed), name
            assert theirs.call("DEBUG", "DIGEST-VALUE", name) == ours.call("DEBUG", "DIGEST-VALUE", name)


def test_a_live_stream(start_host):
    master = start_host()
    replica = follow(start_host, master)
    wait_for_replica(master, replica)
    with master.wire() as client:
        rng = random.Random(21)
        for name in PRIMITIVES:
            client.call("VNEW", name, DIM, *options_of(name))
            fill(client, name, rng)
    wait_for_replica(master, replica)
    assert_equal_answers(master, replica, PRIMITIVES)


def test_a_full_sync_and_what_follows(start_host):
    master = start_host()
    with master.wire() as client:
        rng = random.Random(22)
        for name in PRIMITIVES:
            client.call("VNEW", name, DIM, *options_of(name))
            fill(client, name, rng)
        replica = follow(start_host, master)
        wait_for_replica(master, replica)
        assert_equal_answers(master, replica, PRIMITIVES)
        for name in PRIMITIVES:
            fill(client, name, rng, 120)
    wait_for_replica(master, replica)
    assert_equal_answers(master, replica, PRIMITIVES)


def test_slots_above_those_of_a_snapshot(start_host):
    """The replica does not know of the deleted, and the master puts where they lay."""
    master = start_host()
    rng = random.Random(25)
    with master.wire() as client:
        client.call("VNEW", "i", DIM, "PRIMITIVE", "flat")
        for i in range(2000):
            client.call("VADD", "i", f"k{i}", vector(rng))
        for i in range(10, 2000):
            client.call("VDEL", "i", f"k{i}")
        replica = follow(start_host, master)
        wait_for_replica(master, replica)
        for i in range(30):
            client.call("VADD", "i", f"n{i}", vector(rng))
    wait_for_replica(master, replica)
    assert_equal_answers(master, replica, ("i",))


def test_under_writes_and_searches(start_host):
    """A replica that joins while clients write, overwrite, delete and search on both."""
    master = start_host()
    names = ("flat", "hnsw", "hopfield", "hnsw-sq4")
    stop = threading.Event()
    failures = []

    def write(number):
        rng = random.Random(number)
        with live.noting(failures), master.wire() as client:
            for i in range(600):
                name = rng.choice(names)
                key = f"k{rng.randrange(300)}"
                if rng.randrange(4):
                    answer = client.call("VADD", name, key, vector(rng))
                else:
                    answer = client.call("VDEL", name, key)
                if answer not in (0, 1):
                    failures.append(answer)

    def search(host):
        rng = random.Random(host.port)
        with live.noting(failures), host.wire() as client:
            while not stop.is_set():
                answer = client.call("VSEARCH", rng.choice(names), vector(rng), 5)
                if isinstance(answer, ErrorReply) and not answer.startswith("LOADING"):
                    failures.append(answer)

    with master.wire() as client:
        for name in names:
            client.call("VNEW", name, DIM, *options_of(name))
            fill(client, name, random.Random(1))
    writers = [threading.Thread(target=write, args=(n,)) for n in range(3)]
    readers = [threading.Thread(target=search, args=(master,))]
    for thread in writers + readers:
        thread.start()
    replica = follow(start_host, master)
    wait_for_replica(master, replica)
    readers.append(threading.Thread(target=search, args=(replica,)))
    readers[-1].start()
    for thread in writers:
        thread.join()
    stop.set()
    for thread in readers:
        thread.join()
    wait_for_replica(master, replica)
    assert not failures
    assert_equal_answers(master, replica, names)


def test_times_and_seeds_are_resolved(start_host):
    """What fades is touched at the times of the master, and what is drawn is drawn there."""
    master = start_host()
    replica = follow(start_host, master)
    wait_for_replica(master, replica)
    with master.wire() as client:
        rng = random.Random(23)
        client.call("VNEW", "i", DIM, "PRIMITIVE", "hopfield", "DECAY", "exp", 1000, "REINFORCE", "winner")
        client.call("VMADD", "i", *(x for i in range(40) for x in (f"k{i}", vector(rng))))
        for i in range(20):
            client.call("VTOUCH", "i", f"k{i}", "GAIN", 1.5)
            client.call("VSEARCH", "i", vector(rng), 3, "TOUCH", 0.5)
            client.call("VRECALL", "i", "VEC", vector(rng))
        client.call("VTUNE", "i", "SAMPLE", 10)
        client.call("VADD", "i", "near", vector(rng), "UNLESS", "WITHIN", 0.1, "TOUCH", 1)
        client.call("VCONSOLIDATE", "i", "K", 12)
        client.call("VFORGET", "i", "BELOW", 0.4, "LIMIT", 2)
        assert client.call("VCARD", "i") > 0
    wait_for_replica(master, replica)
    with master.wire() as ours, replica.wire() as theirs:
        for i in range(40):
            question = ("VSTRENGTH", "i", f"k{i}", "AT", NOW)
            assert theirs.call_raw(*question) == ours.call_raw(*question)
        for _ in range(5):
            question = ("VSEARCH", "i", vector(rng), 9, "AT", NOW, "WITHSTRENGTH")
            assert theirs.call_raw(*question) == ours.call_raw(*question)
        assert theirs.call("DEBUG", "DIGEST-VALUE", "i") == ours.call("DEBUG", "DIGEST-VALUE", "i")


def test_a_replica_refuses_what_writes(start_host):
    master = start_host()
    replica = follow(start_host, master)
    with master.wire() as client:
        client.call("VNEW", "i", DIM, "PRIMITIVE", "flat", "DECAY", "static")
        client.call("VADD", "i", "a", vector(random.Random(1)))
    wait_for_replica(master, replica)
    with replica.wire() as client:
        assert client.call("VADD", "i", "b", vector(random.Random(2))).startswith("READONLY")
        query = vector(random.Random(3))
        assert client.call("VSEARCH", "i", query, 1)[0] == b"a"
        assert client.call("VSEARCH", "i", query, 1, "TOUCH", 1).startswith("READONLY")


def test_transactions_scripts_sets_and_drops(start_host):
    kept = ("--appendonly", "yes", "--appendfsync", "always")
    master = start_host(*kept)
    replica = follow(start_host, master, *kept)
    wait_for_replica(master, replica)
    rng = random.Random(24)
    with master.wire() as client:
        client.call("MULTI")
        client.call("VNEW", "i", DIM, "PRIMITIVE", "hnsw")
        for i in range(30):
            client.call("VADD", "i", f"k{i}", vector(rng))
        client.call("VNEW", "gone", DIM)
        client.call("EXEC")
        script = "redis.call('VADD', KEYS[1], 's', ARGV[1]); return redis.call('VDEL', KEYS[1], 'k3')"
        assert client.call("EVAL", script, 1, "i", vector(rng)) == 1
        client.call("VDROP", "gone")
        client.call("VADD", "set", "VALUES", 2, 1, 0, "a")
        client.call("VREM", "set", "a")
        client.call("VADD", "other", "VALUES", 2, 1, 0, "a")
        client.call("VNEW", "into", DIM, "PRIMITIVE", "flat")
        client.call("VCONSOLIDATE", "i", "K", 5, "INTO", "into")
        client.call("RENAME", "i", "r")
        client.call("COPY", "r", "c")
        client.call("VADD", "c", "later", vector(rng))
        client.call("SELECT", 3)
        client.call("VNEW", "i", DIM, "PRIMITIVE", "flat")
        client.call("VADD", "i", "x", vector(rng))
    wait_for_replica(master, replica)
    assert_equal_answers(master, replica, ("r", "c", "into"))
    for host in (replica, master):
        with host.wire() as client:
            before = [answers(client, name) for name in ("r", "c", "into")]
            assert client.call("EXISTS", "gone", "set", "other", "i") == 1
            assert client.call("DBSIZE") == 4
            client.call("SELECT", 3)
            assert client.call("VCARD", "i") == 1
            # A replica's file is whole once it has been rewritten after the full sync.
            live.wait_until(
                lambda: b"aof_rewrite_in_progress:0" in (info := client.call("INFO", "persistence"))
                and b"aof_rewrite_scheduled:0" in info,
                "the file is whole",
            )
        host.process.kill()
        host.process.wait()
        again = start_host("--appendonly", "yes", folder=host.folder)
        with again.wire() as client:
            assert [answers(client, name) for name in ("r", "c", "into")] == before


@pytest.mark.long
def test_long_streams(start_host):
    """Enough deletions that graphs are repaired many times."""
    master = start_host()
    replica = follow(start_host, master)
    wait_for_replica(master, replica)
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    with master.wire() as client:
        for name in PRIMITIVES:
            client.call("VNEW", name, DIM, *options_of(name))
            for _ in range(10):
                fill(client, name, rng, 300)
    wait_for_replica(master, replica)
    assert_equal_answers(master, replica, PRIMITIVES)
