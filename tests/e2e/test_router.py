# SPDX-License-Identifier: Apache-2.0
"""A router before a cluster answers as one index would, and says so when it cannot."""

import random
import re
import struct
import threading

import pytest

import live
from cluster import FAILOVER_MS, Cluster, Router
from module_scripts import NEEDS_MODULE
from wire import ErrorReply

pytestmark = NEEDS_MODULE
DIM = 16
PARTITIONS = 8


def vector(rng):
    return struct.pack(f"<{DIM}f", *(rng.gauss(0, 1) for _ in range(DIM)))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("cluster"), masters=3) as running:
        running.router("--node-timeout", 10_000)
        yield running


@pytest.fixture
def router(cluster):
    with cluster.routers[0].wire() as wire:
        for name in ("i", "h"):
            wire.call("VDROP", name)
    return cluster.routers[0]


def keys_of(reply):
    return reply[0::2]


def test_a_client_finds_its_way(router):
    client = router.redis()
    assert client.ping()
    assert client.info("router")["cluster_slots_served"] == 16384
    assert client.execute_command("VNEW", "i", 3, "METRIC", "l2", "PRIMITIVE", "flat") == b"OK"
    assert client.execute_command("VADD", "i", "a", struct.pack("<3f", 1, 0, 0)) == 1
    assert client.execute_command("VSEARCH", "i", "VALUES", 3, 1, 1, 0, 1) == [b"a", b"1"]
    assert client.execute_command("ENGRAM.VGET", "i", "a") == struct.pack("<3f", 1, 0, 0)
    assert client.execute_command("VDEL", "i", "a") == 1
    assert client.execute_command("VCARD", "i") == 0


def test_the_client_of_the_command_line_puts_and_searches(router):
    at_router = ("--port", router.port, "--collection", "i")

    def asked(command, *arguments):
        done = live.run_engram("client", command, *at_router, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    for number in range(20):
        assert asked("put", "--id", number, f"--vector={number},1") == f"inserted {number}\n"
    assert asked("put", "--id", 7, "--vector", "7,1") == "replaced 7\n"
    found = [line.split()[1] for line in asked("search", "--vector", "7,1", "-k", 20).splitlines()]
    assert found[0] == "7" and sorted(found, key=int) == [str(number) for number in range(20)]


def test_errors_are_told(router):
    with router.wire() as wire:
        assert wire.call("VSEARCH", "i", b"x" * 4, 1) == "ERR no such index 'i'"
        assert "unknown metric" in wire.call("VNEW", "i", 3, "METRIC", "hamming")
        assert wire.call("VDROP", "i") == "ERR no such index 'i'"
        assert wire.call("VNEW", "i", 3, "PARTITIONS", 4) == "OK"
        assert wire.call("VNEW", "i", 3) == "ERR index 'i' already exists"
        assert "dimensions" in wire.call("VSEARCH", "i", b"x" * 4, 1)
        assert "k must be an integer" in wire.call("VSEARCH", "i", b"\0\0\x80?" * 3, 0)
        assert "PARTITIONS 1" in wire.call("VSEARCH", "i", b"\0" * 12, 1, "CURSOR", 0)
        assert "PARTITIONS 1" in wire.call("VRECALL", "i", "VEC", b"\0" * 12, "TOUCH", 1)
        assert "PARTITIONS 1" in wire.call("VDIAG", "i")
        assert "braces" in wire.call("VNEW", "{i}", 3)
        assert "PARTITIONS must be" in wire.call("VNEW", "h", 3, "PARTITIONS", 0)
        assert "takes PARTITIONS 1" in wire.call("VNEW", "h", 3, "PRIMITIVE", "hebb")
        assert "DECAY is about all items" in wire.call("VNEW", "h", 3, "DECAY", "static")
        assert wire.call("VNEW", "h", 3, "DECAY", "static", "PARTITIONS", 1) == "OK"
        assert wire.call("SET", "a", 1).startswith("ERR unknown command 'SET'")
        assert wire.call("VADD", "i").startswith("ERR wrong number of arguments")
        assert wire.call("VDROP", "i") == "OK"


def test_a_password_is_asked_for(cluster):
    router = cluster.router("--requirepass", "secret")
    with router.wire() as wire:
        assert wire.call("VCARD", "i") == "NOAUTH Authentication required."
        assert wire.call("AUTH", "wrong").startswith("WRONGPASS")
        assert wire.call("AUTH", "secret") == "OK"
        assert wire.call("PING") == "PONG"
    with router.wire() as wire:
        assert wire.call("HELLO", 3, "AUTH", "default", "secret")["role"] == b"router"


def test_browsers_are_hung_up_on(router):
    with router.wire() as wire:
        wire.send_bytes(b"POST / HTTP/1.1\r\nHost: router\r\n\r\nVDROP i\r\n")
        assert wire.is_closed()


def test_exact_search_is_that_of_one_index(router, server, protocol):
    rng = random.Random(1)
    with router.wire(protocol) as ours, server.wire(protocol) as theirs:
        assert ours.call("VNEW", "i", DIM, "PRIMITIVE", "flat", "PARTITIONS", PARTITIONS) == "OK"
        assert theirs.call("VNEW", "i", DIM, "PRIMITIVE", "flat") == "OK"
        items = [(f"k{i}", vector(rng)) for i in range(500)]
        for key, value in items[:100]:
            ours.send("VADD", "i", key, value)
        assert [ours.read() for _ in range(100)] == [1] * 100
        assert ours.call("VMADD", "i", *(x for item in items[100:] for x in item)) == 400
        theirs.call("VMADD", "i", *(x for item in items for x in item))
        replacement = vector(rng)
        for client in (ours, theirs):
            assert client.call("VADD", "i", "k7", replacement) == 0
            assert client.call("VDEL", "i", "k3") == 1
            assert client.call("VSETATTR", "i", "k5", '{"year": 1990}') == 1
        assert ours.call("VCARD", "i") == theirs.call("VCARD", "i") == 499
        for k in (1, 3, 10, 100, 499, 1000):
            query = vector(rng)
            for options in ((), ("RADIUS", "0.9"), ("WITHRAW",), ("FILTER", ".year == 1990")):
                command = ("VSEARCH", "i", query, k, *options)
                assert ours.call_raw(*command) == theirs.call_raw(*command), command
            batch = ("VMSEARCH", "i", k, query, vector(rng))
            assert ours.call_raw(*batch) == theirs.call_raw(*batch)
        for key in ("k3", "k4", "k5", "k7"):
            for command in ("VGET", "VGETATTR", "VISMEMBER"):
                assert ours.call_raw(command, "i", key) == theirs.call_raw(command, "i", key)
        assert theirs.call("VDROP", "i") == "OK"


def test_partitions_that_hold_all_answers_are_asked_again(cluster, router):
    with router.wire() as wire:
        assert wire.call("VNEW", "i", 1, "METRIC", "l2", "PRIMITIVE", "flat", "PARTITIONS", 8) == "OK"
        for i in range(400):
            wire.send("VADD", "i", f"n{i}", struct.pack("<f", i))
        assert [wire.read() for _ in range(400)] == [1] * 400
        # What is near stays in one partition alone.
        node = cluster.owner_of(1598)
        (partition,) = node.call("CLUSTER", "GETKEYSINSLOT", 1598, 2)
        assert re.fullmatch(rb"i:\{0\.\d+\}:\d+", partition)
        near = []
        for i in range(300):
            if node.call("ENGRAM.VISMEMBER", partition, f"n{i}"):
                near.append(f"n{i}".encode())
            else:
                assert wire.call("VDEL", "i", f"n{i}") == 1
        before = router.redis().info("router")["second_asks"]
        found = wire.call("VSEARCH", "i", struct.pack("<f", 0), len(near))
        assert keys_of(found) == near
        assert router.redis().info("router")["second_asks"] == before + 1


def test_pipelined_commands_keep_their_order(router):
    rng = random.Random(2)
    with router.wire() as wire:
        assert wire.call("VNEW", "i", DIM, "METRIC", "l2", "PRIMITIVE", "flat") == "OK"
        values = [vector(rng) for _ in range(50)]
        for value in values:
            wire.send("VADD", "i", "same", value)
            wire.send("VGET", "i", "same")
        for value in values:
            wire.read()
            assert wire.read() == value


def test_approximate_search_finds_as_much(router, server):
    rng = random.Random(3)
    items = [(f"k{i}", vector(rng)) for i in range(2000)]
    with router.wire() as ours, server.wire() as theirs:
        words = [x for item in items for x in item]
        ours.call("VNEW", "h", DIM, "PARTITIONS", PARTITIONS)
        theirs.call("VNEW", "h", DIM)
        theirs.call("VNEW", "truth", DIM, "PRIMITIVE", "flat")
        assert ours.call("VMADD", "h", *words) == 2000
        theirs.call("VMADD", "h", *words)
        theirs.call("VMADD", "truth", *words)
        hits = {"ours": 0, "theirs": 0}
        for _ in range(100):
            query = vector(rng)
            truth = set(keys_of(theirs.call("VSEARCH", "truth", query, 10)))
            for name, client in (("ours", ours), ("theirs", theirs)):
                found = client.call("VSEARCH", "h", query, 10, "EF", 64)
                hits[name] += len(truth.intersection(keys_of(found)))
        assert hits["ours"] >= hits["theirs"] - 5
        for name in ("h", "truth"):
            theirs.call("VDROP", name)


def test_info_is_summed(router, protocol):
    rng = random.Random(4)
    with router.wire(protocol) as wire:
        wire.call("VNEW", "i", DIM, "PRIMITIVE", "flat", "PARTITIONS", 4)
        wire.call("VMADD", "i", *(x for i in range(100) for x in (f"k{i}", vector(rng))))
        told = wire.call("VINFO", "i")
        if protocol == 2:
            told = {told[i].decode(): told[i + 1] for i in range(0, len(told), 2)}
        assert (told["size"], told["total"], told["ok"]) == (100, 4, 4)
        assert told["primitive"] == b"flat"
        assert told["epoch"] > 0


def test_slots_move_under_load(cluster, router):
    rng = random.Random(5)
    items = {f"k{i}": vector(rng) for i in range(300)}
    failures, rounds, stop = [], [], threading.Event()

    def search():
        with live.noting(failures), router.wire() as wire:
            while not stop.is_set():
                found = keys_of(wire.call("VSEARCH", "i", vector(random.Random(6)), 1000))
                assert len(found) == len(set(found)) and {*items} <= {key.decode() for key in found}
                rounds.append(1)

    def write():
        with live.noting(failures), router.wire() as wire:
            own = random.Random(7)
            while not stop.is_set():
                assert wire.call("VADD", "i", "moving" + str(own.randrange(50)), vector(own)) in (0, 1)

    with router.wire() as wire:
        wire.call("VNEW", "i", DIM, "PRIMITIVE", "flat", "PARTITIONS", PARTITIONS)
        wire.call("VMADD", "i", *(x for item in items.items() for x in item))
        threads = [threading.Thread(target=work) for work in (search, write)]
        for thread in threads:
            thread.start()
        try:
            for node in cluster.masters:
                for slot in (2299, 9375):
                    source = cluster.owner_of(slot)
                    if source is not node:
                        before = len(rounds)
                        cluster.begin_migration(slot, node)
                        cluster.move_keys(slot, source, node)
                        live.wait_until(
                            lambda: failures or len(rounds) > before + 3, "searches go on meanwhile"
                        )
                        cluster.end_migration(slot, node)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert not failures
        facts = router.redis().info("router")
        assert facts["redirects_ask"] > 0
        found = wire.call("VSEARCH", "i", vector(rng), 1000)
        assert len(keys_of(found)) == wire.call("VCARD", "i")


def test_a_dropped_index_is_seen_by_all_routers(cluster, router):
    other = cluster.router()
    with router.wire() as one, other.wire() as two:
        one.call("VNEW", "i", 2, "PRIMITIVE", "flat", "PARTITIONS", 4)
        assert two.call("VADD", "i", "a", struct.pack("<2f", 1, 0)) == 1
        assert one.call("VDROP", "i") == "OK"
        assert two.call("VADD", "i", "a", struct.pack("<2f", 1, 0)) == "ERR no such index 'i'"
        assert one.call("VNEW", "i", 3, "PRIMITIVE", "flat", "PARTITIONS", 2) == "OK"
        assert two.call("VADD", "i", "a", struct.pack("<3f", 1, 0, 0)) == 1
        assert one.call("VCARD", "i") == 1


def test_requests_of_many_small_items_are_read_whole(router):
    with router.wire() as wire:
        wire.call("VNEW", "i", 1, "METRIC", "l2", "PRIMITIVE", "flat", "PARTITIONS", 2)
        items = [x for i in range(100_000) for x in (f"{i}", struct.pack("<f", i))]
        assert wire.call("VMADD", "i", *items) == 100_000
        assert wire.call("VCARD", "i") == 100_000


def test_writes_that_wait_for_replicas_do_not_time_out_behind_each_other(cluster):
    """More than there are connections for them, each for longer than a node may take to answer."""
    with cluster.router("--node-timeout", 2000).wire() as wire:
        wire.call("VNEW", "w", 1, "METRIC", "l2", "PRIMITIVE", "flat", "PARTITIONS", 1)
        for i in range(40):
            wire.send("VADD", "w", f"k{i}", struct.pack("<f", i), "REPLICAS", 1, "TIMEOUT", 1500)
        for _ in range(40):
            assert wire.read().startswith("NOREPLICAS the write is done, but only 0 of 1 replicas")
        assert wire.call("VCARD", "w") == 40
        assert wire.call("VDROP", "w") == "OK"


def test_a_write_that_waits_for_replicas_answers_in_the_clients_protocol(tmp_path, protocol):
    with Cluster(tmp_path / "cluster", masters=1, replicas=1) as small:
        with small.router("--node-timeout", 10_000).wire(protocol) as wire:
            wire.call("VNEW", "i", 1, "PRIMITIVE", "flat")
            waits = ("REPLICAS", 1, "TIMEOUT", 20_000)
            assert wire.call_raw("VADD", "i", "a", struct.pack("<f", 1), *waits) == b":1\r\n"
            for wait in ((), waits):
                reply = wire.call_raw("VSETATTR", "i", "a", '{"x": 1}', *wait)
                assert reply == (b":1\r\n" if protocol == 2 else b"#t\r\n")
            assert wire.call("VDEL", "i", "a", *waits) == 1
            for short in (("VDEL", "i"), ("VDEL", "i", *waits), ("VADD",), ("VSETATTR", "i", "a", *waits)):
                assert wire.call(*short).startswith("ERR wrong number of arguments")


def test_what_a_client_has_under_way_is_bounded_in_bytes(cluster):
    dim, count = 65_536, 800
    router = cluster.router("--node-timeout", 60_000)
    with router.wire() as wire, router.wire() as other:
        wire.call("VNEW", "b", dim, "METRIC", "l2", "PRIMITIVE", "flat", "PARTITIONS", 1)
        before = router.resident_bytes()
        node = next(node for node in cluster.masters if node.call("KEYS", "b:{*}:[0-9]*"))
        node.stop()
        sending = threading.Thread(
            target=lambda: [wire.send("VADD", "b", f"k{i}", bytes(4 * dim)) for i in range(count)]
        )
        sending.start()
        try:
            live.wait_until(
                lambda: b"held_up_commands:0\r" not in other.call("INFO", "router"),
                "the router holds the client up",
            )
            # 200 MiB are sent; what is under way is held two or three times.
            assert router.resident_bytes() - before < 160 << 20
        finally:
            node.go_on()
            answered = [wire.read() for _ in range(count)]
            sending.join()
        assert answered == [1] * count
        assert wire.call("VDROP", "b") == "OK"


def test_a_router_follows_an_index_that_is_made_anew(cluster, router):
    """At once, whatever the partitions that both layouts have in common."""
    other = cluster.router()
    with router.wire() as one, other.wire() as two:
        for partitions in (2, 4, 2, 2, 8):
            one.call("VDROP", "i")
            made = one.call("VNEW", "i", 1, "PRIMITIVE", "flat", "METRIC", "l2", "PARTITIONS", partitions)
            assert made == "OK"
            items = [x for i in range(40) for x in (f"k{i}", struct.pack("<f", i))]
            assert two.call("VMADD", "i", *items) == 40
            assert one.call("VCARD", "i") == two.call("VCARD", "i") == 40
            found = one.call("VSEARCH", "i", struct.pack("<f", 0), 40)
            assert keys_of(found) == [f"k{i}".encode() for i in range(40)]


def test_a_key_that_is_missing_is_looked_for_in_the_index_made_anew(cluster, router):
    """By those commands, too, that say the same of a key and of an index that is not there."""
    other = cluster.router()
    with router.wire() as one, other.wire() as two:
        for command, answer in (
            (("VSETATTR", "i", "a", '{"x": 2}'), 1),
            (("VGETATTR", "i", "a"), b'{"x": 1}'),
            (("VISMEMBER", "i", "a"), 1),
            (("VEMB", "i", "a"), [b"3"]),
            (("VCARD", "i"), 1),
        ):
            for partitions in (2, 4):
                one.call("VDROP", "i")
                made = one.call("VNEW", "i", 1, "PRIMITIVE", "flat", "METRIC", "l2", "PARTITIONS", partitions)
                assert made == "OK"
                assert two.call("VDIM", "i") == 1
            one.call("VDROP", "i")
            assert one.call("VNEW", "i", 1, "PRIMITIVE", "flat", "METRIC", "l2", "PARTITIONS", 4) == "OK"
            assert one.call("VADD", "i", "a", struct.pack("<f", 3)) == 1
            assert one.call("VSETATTR", "i", "a", '{"x": 1}') == 1
            assert two.call(*command) == answer, command


def test_what_an_index_made_anew_tells_of_itself_is_told(cluster, router):
    other = cluster.router()
    with router.wire() as one, other.wire() as two:
        assert one.call("VNEW", "i", 1, "PRIMITIVE", "flat", "PARTITIONS", 2) == "OK"
        assert two.call("VDIM", "i") == 1
        assert one.call("VDROP", "i") == "OK"
        assert one.call("VNEW", "i", 2, "PRIMITIVE", "flat", "PARTITIONS", 4) == "OK"
        told = two.call("VINFO", "i")
        fields = dict(zip(told[0::2], told[1::2]))
        assert fields[b"total"] == 4


def test_a_layout_that_says_more_than_is_known_is_used_and_dropped(cluster, router):
    """A later version may have written it."""
    with router.wire() as wire:
        assert wire.call("VNEW", "i", 1, "METRIC", "l2", "PRIMITIVE", "flat", "PARTITIONS", 2) == "OK"
        home = cluster.owner_of(cluster.slot_of("i"))
        meta = home.call("GET", "i:{i}:meta")
        assert re.fullmatch(rb"dim 1 metric l2 primitive flat partitions 2 epoch \d+ made \S+ state ready", meta)
        assert home.call("SET", "i:{i}:meta", meta + b" colour blue") == "OK"
        with cluster.router().wire() as other:
            assert other.call("VADD", "i", "a", struct.pack("<f", 1)) == 1
            assert other.call("VDROP", "i") == "OK"
        assert home.call("EXISTS", "i:{i}:meta") == 0


def test_an_index_dropped_twice_at_once_may_be_made_anew_meanwhile(cluster, router):
    """Who drops last does not take away what was made since."""
    routers = [router, cluster.router(), cluster.router()]
    failures, stop = [], threading.Event()

    def drop(of):
        with live.noting(failures), of.wire() as wire:
            while not stop.is_set():
                dropped = wire.call("VDROP", "i")
                assert dropped == "OK" or re.search("no such index|being|meanwhile", dropped), dropped

    threads = [threading.Thread(target=drop, args=(of,)) for of in routers[1:]]
    with router.wire() as wire:
        for thread in threads:
            thread.start()
        try:
            for partitions in (1, 2, 4) * 10:
                made = wire.call("VNEW", "i", 1, "PRIMITIVE", "flat", "PARTITIONS", partitions)
                assert made == "OK" or re.search("exists|dropped meanwhile|no such", made), made
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert not failures
        assert wire.call("VDROP", "i") in ("OK", "ERR no such index 'i'")
        left = [key for node in cluster.masters for key in node.call("KEYS", "i:{*")]
        assert left == []


def test_every_address_of_a_name_is_tried(cluster, tmp_path):
    """localhost has two as a rule, of which nodes listen on one."""
    ports = [node.port for node in cluster.nodes]
    router = Router(tmp_path / "router", ",".join(f"localhost:{port}" for port in ports))
    try:
        with router.wire() as wire:
            assert isinstance(wire.call("VPRIMITIVES"), list)
            assert wire.call("VCARD", "nothing") == "ERR no such index 'nothing'"
    finally:
        router.end()


def test_what_no_partition_may_answer_for_all_is_refused(router):
    with router.wire() as wire:
        wire.call("VNEW", "i", 1, "METRIC", "l2", "PRIMITIVE", "flat", "PARTITIONS", 2)
        query = struct.pack("<f", 0)
        for k, error in ((5_000_000, "ERR k of an index with partitions is at most"), (10**30, "ERR k must be an integer")):
            refused = wire.call("VSEARCH", "i", query, k)
            assert isinstance(refused, ErrorReply) and refused.startswith(error)
        assert isinstance(wire.call("VNEW", "j", 1, "REPLICAS", 5), ErrorReply)
        assert wire.call("VCARD", "j") == "ERR no such index 'j'"


def test_a_lost_master_is_named_and_replaced(tmp_path):
    rng = random.Random(8)
    with Cluster(tmp_path / "cluster", masters=3, replicas=1, timeout_ms=FAILOVER_MS) as cluster:
        router = cluster.router("--node-timeout", 10_000)
        with router.wire() as wire:
            wire.call("VNEW", "i", DIM, "PRIMITIVE", "flat", "PARTITIONS", 6)
            words = [x for i in range(120) for x in (f"k{i}", vector(rng))]
            assert wire.call("VMADD", "i", *words, "REPLICAS", 1, "TIMEOUT", 5000) == 120
            refused = wire.call("VADD", "i", "k0", words[1], "REPLICAS", 2, "TIMEOUT", 50)
            assert re.match("NOREPLICAS the write is done, but only [01] of 2 replicas", refused)
            query = vector(rng)
            before = wire.call("VSEARCH", "i", query, 200)
            assert len(keys_of(before)) == 120
            # The layout is on another node: what a router has not remembered needs that one.
            home = cluster.owner_of(cluster.slot_of("i:{i}:meta"))
            victim = next(node for node in cluster.masters if node is not home)
            lost = victim.call("KEYS", "i:{*}:[0-9]*")
            replica = cluster.replica_of(victim)
            replica.stop()  # so that nobody takes over before all has been looked at
            victim.kill()
            partial = wire.call("VSEARCH", "i", query, 200, "PARTIAL")
            told = dict(zip(partial[0::2], partial[1::2]))
            assert (told[b"ok"], told[b"total"]) == (6 - len(lost), 6)
            left = keys_of(told[b"results"])
            assert 0 < len(left) < 120 and len(set(left)) == len(left)
            assert [key for key in keys_of(before) if key in set(left)] == left
            error = wire.call("VSEARCH", "i", query, 10)
            assert isinstance(error, ErrorReply)
            assert error.startswith(f"MISSING {len(lost)} of 6 partitions of index 'i'")
            assert victim.address in error
            replica.go_on()
            live.wait_until(
                lambda: wire.call("VSEARCH", "i", query, 200) == before, "a replica takes over"
            )
            live.wait_until(lambda: wire.call("VADD", "i", "k0", words[1]) == 0, "the cluster takes writes")
