# SPDX-License-Identifier: Apache-2.0
"""An index grows from P partitions to 2P while clients read and write."""

import math
import random
import re
import struct
import threading

import pytest

import live
from cluster import Cluster, Router
from module_scripts import NEEDS_MODULE
from wire import ErrorReply

pytestmark = NEEDS_MODULE
DIM = 16
STABLE_KEYS = 3000
KEYS_OF_WRITER = 60
BATCH = 500
UNDER_WAY = "is already under way"


def vector(rng):
    return struct.pack(f"<{DIM}f", *(rng.gauss(0, 1) for _ in range(DIM)))


def unit_vector(rng):
    numbers = [rng.gauss(0, 1) for _ in range(DIM)]
    return struct.pack(f"<{DIM}f", *(x / math.hypot(*numbers) for x in numbers))


def version(number):
    """A vector whose distance from the origin tells which one it is."""
    return struct.pack(f"<{DIM}f", number, *[0.0] * (DIM - 1))


def seeded():
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")
    return random.Random(seed)


def fields(reply):
    return reply if isinstance(reply, dict) else dict(zip(reply[0::2], reply[1::2]))


def keys_left(cluster):
    return sorted(key for node in cluster.masters for key in node.call("KEYS", "i:{*"))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("cluster"), masters=3) as running:
        for _ in range(2):
            running.router("--node-timeout", 20_000)
        yield running


@pytest.fixture
def router(cluster):
    with cluster.routers[0].wire() as wire:
        wire.call("VDROP", "i")
    assert keys_left(cluster) == []
    return cluster.routers[0]


@pytest.mark.parametrize("metric, make", [("l2", vector), ("dot", vector), ("cosine", unit_vector)])
def test_exact_search_is_that_of_one_index(cluster, router, server, metric, make):
    """Before and after, at a router that has not heard of it, too."""
    rng = seeded()
    with router.wire() as ours, cluster.routers[1].wire() as late, server.wire() as theirs:
        made = ("VNEW", "i", DIM, "METRIC", metric, "PRIMITIVE", "flat")
        assert ours.call(*made, "PARTITIONS", 3) == theirs.call(*made) == "OK"
        items = [x for i in range(300) for x in (f"k{i}", make(rng))]
        for client in (ours, theirs):
            assert client.call("VMADD", "i", *items) == 300
            for i in range(0, 300, 3):
                assert client.call("VSETATTR", "i", f"k{i}", f'{{"n": {i}}}') == 1
        for partitions in (3, 6, 12):
            assert late.call("VCARD", "i") == 300
            assert ours.call("VPARTITIONS", "i", partitions) == "OK"
            for client in (late, ours):
                for k in (1, 10, 100, 300):
                    query = make(rng)
                    for options in ((), ("RADIUS", "2"), ("FILTER", ".n > 100")):
                        command = ("VSEARCH", "i", query, k, *options)
                        assert client.call(*command)[0::2] == theirs.call(*command)[0::2], command
            for i in range(300):
                for command in ("VGET", "VGETATTR"):
                    assert late.call(command, "i", f"k{i}") == theirs.call(command, "i", f"k{i}")
            told = fields(ours.call("VINFO", "i"))
            assert (told[b"total"], told[b"size"], told[b"attributes-count"]) == (partitions, 300, 100)
            assert b"growing-to" not in told
        assert len(keys_left(cluster)) == 13
        theirs.call("VDROP", "i")


def test_vectors_of_other_lengths_under_cosine_are_rounded_by_consent_only(cluster, router):
    rng = seeded()
    with router.wire() as wire:
        wire.call("VNEW", "i", DIM, "PRIMITIVE", "flat", "PARTITIONS", 2)
        for i in range(200):
            wire.call("VADD", "i", f"k{i}", vector(rng))
        query = vector(rng)
        before = wire.call("VSEARCH", "i", query, 200)
        refused = wire.call("VPARTITIONS", "i", 4)
        assert isinstance(refused, ErrorReply) and "ROUNDED allows that" in refused
        assert wire.call("VSEARCH", "i", query, 200) == before
        assert len(keys_left(cluster)) == 3
        assert wire.call("VPARTITIONS", "i", 4, "ROUNDED") == "OK"
        after = wire.call("VSEARCH", "i", query, 200)
        assert sorted(after[0::2]) == sorted(before[0::2])
        for one, other in zip(before[1::2], after[1::2]):
            assert float(one) == pytest.approx(float(other), abs=1e-6)


def test_what_cannot_grow_is_told(router):
    with router.wire() as wire:
        assert wire.call("VPARTITIONS", "i", 4) == "ERR no such index 'i'"
        assert "without braces" in wire.call("VPARTITIONS", "{i}", 4)
        assert wire.call("VPARTITIONS", "i").startswith("ERR wrong number of arguments")
        assert "must be an integer" in wire.call("VPARTITIONS", "i", "many")
        assert wire.call("VPARTITIONS", "i", 4, "QUICKLY") == "ERR syntax error"
        flat = ("PRIMITIVE", "flat")
        for options, partitions, why in (
            (flat, 3, "has 1 partitions, which become twice as many at a time, got 3"),
            ((*flat, "DECAY", "static"), 2, "DECAY is about all items"),
            ((*flat, "QUANT", "sq8"), 2, "keeps codes without vectors"),
            (("QUANT", "sq8", "RERANK", "none"), 2, "keeps codes without vectors"),
            (("PRIMITIVE", "hebb"), 2, "takes PARTITIONS 1"),
        ):
            assert wire.call("VNEW", "i", 8, *options, "PARTITIONS", 1) == "OK", options
            refused = wire.call("VPARTITIONS", "i", partitions)
            assert isinstance(refused, ErrorReply) and why in refused, (options, refused)
            assert wire.call("VCARD", "i") == 0
            assert wire.call("VDROP", "i") == "OK"
        assert wire.call("VNEW", "i", 8, *flat, "PARTITIONS", 1024) == "OK"
        assert "at most 1024 partitions" in wire.call("VPARTITIONS", "i", 2048)


def test_an_index_of_an_older_router_is_told_from_one_without_options(cluster, router):
    with router.wire() as wire:
        assert wire.call("VNEW", "i", 2, "PARTITIONS", 2) == "OK"
        replace_layout(cluster, (" made 2", ""))
        with cluster.router().wire() as other:
            assert "kept no record of its options" in other.call("VPARTITIONS", "i", 4)


class Writer:
    """A client of all routers that owns some keys, and knows what each of them holds."""

    def __init__(self, routers, number, seed):
        self.routers = routers
        self.rng = random.Random(f"{seed} {number}")
        self.number = number
        self.held = {f"w{number}-{i}": None for i in range(KEYS_OF_WRITER)}
        self.attributes = {}
        self.version = 0
        self.rounds = 0

    def run(self, over):
        wires = [router.wire() for router in self.routers]
        actions = (self.add, self.add_several, self.delete, self.set_attributes, self.read, self.search)
        while not over.is_set():
            wire = self.rng.choice(wires)
            self.rng.choices(actions, (6, 2, 3, 3, 8, 2))[0](wire, self.rng.choice([*self.held]))
            self.rounds += 1
        for wire in wires:
            wire.__exit__()

    def make(self):
        self.version += 1
        return self.version, version(self.version)

    def add(self, wire, key):
        number, made = self.make()
        reply = wire.call("VADD", "i", key, made)
        assert reply == (1 if self.held[key] is None else 0), (key, reply)
        self.held[key] = number

    def add_several(self, wire, _):
        keys = self.rng.sample([*self.held], 10)
        made = {key: self.make() for key in keys}
        reply = wire.call("VMADD", "i", *(x for key in keys for x in (key, made[key][1])))
        assert reply == sum(self.held[key] is None for key in keys), (keys, reply)
        for key in keys:
            self.held[key] = made[key][0]

    def delete(self, wire, key):
        reply = wire.call("VDEL", "i", key)
        assert reply == (0 if self.held[key] is None else 1), (key, reply)
        self.held[key] = None
        self.attributes.pop(key, None)

    def set_attributes(self, wire, key):
        text = f'{{"n": {self.rng.randrange(1000)}}}'
        reply = wire.call("VSETATTR", "i", key, text)
        assert reply == (0 if self.held[key] is None else 1), (key, reply)
        if self.held[key] is not None:
            self.attributes[key] = text.encode()

    def read(self, wire, key):
        number = self.held[key]
        assert wire.call("VGET", "i", key) == (None if number is None else version(number)), key
        assert wire.call("VISMEMBER", "i", key) == (0 if number is None else 1), key
        assert wire.call("VGETATTR", "i", key) == self.attributes.get(key), key

    def search(self, wire, _):
        """All items, each once, those of its own as it has left them."""
        reply = wire.call("VSEARCH", "i", version(0), 100_000)
        assert not isinstance(reply, ErrorReply), reply
        found = {key.decode(): round(float(distance)) for key, distance in zip(reply[0::2], reply[1::2])}
        assert len(found) == len(reply) // 2, "a key was answered twice"
        assert {f"s{i}": i for i in range(STABLE_KEYS)}.items() <= found.items(), "a key is missing"
        mine = {key: number for key, number in found.items() if key.startswith(f"w{self.number}-")}
        assert mine == {key: number for key, number in self.held.items() if number is not None}


class Load:
    """Writers that work until the block ends."""

    def __init__(self, routers, seed, count=3):
        self.failures = []
        self.writers = [Writer(routers, number, seed) for number in range(count)]
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(writer,)) for writer in self.writers]

    def _run(self, writer):
        with live.noting(self.failures):
            writer.run(self._over)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()

    def go_on(self):
        before = [writer.rounds for writer in self.writers]
        live.wait_until(
            lambda: self.failures
            or all(writer.rounds > rounds + 3 for writer, rounds in zip(self.writers, before)),
            "writers go on",
        )
        self.check()

    def check(self):
        if self.failures:
            raise self.failures[0]

    def items(self):
        return STABLE_KEYS + sum(
            number is not None for writer in self.writers for number in writer.held.values()
        )


def make_index(router, partitions):
    with router.wire() as wire:
        made = ("VNEW", "i", DIM, "METRIC", "l2", "PRIMITIVE", "flat")
        assert wire.call(*made, "PARTITIONS", partitions) == "OK"
        for first in range(0, STABLE_KEYS, BATCH):
            words = [x for i in range(first, first + BATCH) for x in (f"s{i}", version(i))]
            assert wire.call("VMADD", "i", *words) == BATCH


def check_whole(cluster, load, partitions):
    with cluster.routers[1].wire() as wire:
        assert wire.call("VCARD", "i") == load.items()
        assert fields(wire.call("VINFO", "i"))[b"total"] == partitions
        for writer in load.writers:
            writer.search(wire, None)
            for key in writer.held:
                writer.read(wire, key)
    # Nothing of growth but, for some seconds, what a router that was killed when all was done holds.
    live.wait_until(lambda: len(keys_left(cluster)) == 1 + partitions, "nothing else is left")


def test_clients_notice_nothing(cluster, router):
    rng = seeded()
    make_index(router, 1)
    with Load(cluster.routers[:2], rng.random()) as load, router.wire() as wire:
        for partitions in (2, 4, 8, 16):
            load.go_on()
            assert wire.call("VPARTITIONS", "i", partitions) == "OK"
        load.go_on()
    load.check()
    check_whole(cluster, load, 16)


def test_only_one_router_is_at_it(cluster, router):
    rng = seeded()
    make_index(router, 2)
    replies = []

    def grow(of):
        with of.wire() as wire:
            replies.append(wire.call("VPARTITIONS", "i", 4))

    with Load(cluster.routers[:2], rng.random(), count=1) as load:
        threads = [threading.Thread(target=grow, args=(of,)) for of in cluster.routers[:2] * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        load.go_on()
    load.check()
    # One that comes when all is done has nothing to do.
    assert "OK" in replies and all(reply == "OK" or UNDER_WAY in reply for reply in replies), replies
    check_whole(cluster, load, 4)


def grow_until_done(router, partitions):
    """Repeats the command while a router that has ended counts as one that is at it."""

    def is_done():
        with router.wire() as wire:
            reply = wire.call("VPARTITIONS", "i", partitions)
        assert reply == "OK" or UNDER_WAY in reply, reply
        return reply == "OK"

    live.wait_until(is_done, "growth comes to its end", seconds=60)


@pytest.mark.parametrize("state", ["opening", "growing", "closing", "clearing"])
def test_what_a_killed_router_has_begun_another_finishes(cluster, router, state, tmp_path):
    """It is killed in that state, or else soon after: some of them do not last long."""
    rng = seeded()
    make_index(router, 2)
    home = cluster.owner_of(cluster.slot_of("i"))
    victim = Router(tmp_path / "victim", cluster.addresses(), "--node-timeout", 20_000)
    copied = rng.randrange(STABLE_KEYS)
    with Load(cluster.routers[:2], rng.random()) as load, home.wire() as node, victim.wire() as wire:

        def is_time():
            meta = node.call("GET", "i:{i}:meta").decode()
            told = node.call("GET", "i:{i}:meta:growth")
            is_far = state != "growing" or (told and int(told.split()[1]) >= copied)
            is_over = "partitions 4" in meta
            return load.failures or is_over or (meta.endswith(f" state {state}") and is_far)

        load.go_on()
        wire.send("VPARTITIONS", "i", 4)
        while not is_time():
            pass
        victim.kill()
        load.go_on()
        grow_until_done(router, 4)
        load.go_on()
    load.check()
    check_whole(cluster, load, 4)


def replace_layout(cluster, *changes):
    """What a router that has ended may have left. Each change is of one text into another."""
    home = cluster.owner_of(cluster.slot_of("i"))
    meta = home.call("GET", "i:{i}:meta").decode()
    for old, new in changes:
        assert old in meta
        meta = meta.replace(old, new)
    assert home.call("SET", "i:{i}:meta", meta) == "OK"


def rename_some(cluster, old, new):
    """Half of the partitions have their new keys."""
    keys = [key for key in keys_left(cluster) if key.endswith(f":{old}".encode())]
    for key in keys[: len(keys) // 2]:
        node = cluster.owner_of(cluster.slot_of(key.decode()))
        assert node.call("RENAME", key, key.replace(str(old).encode(), str(new).encode())) == "OK"


@pytest.mark.parametrize("state", ["opening", "closing"])
def test_an_index_that_was_left_between_two_layouts_is_opened_again(cluster, router, state):
    rng = seeded()
    make_index(router, 4)
    with router.wire() as wire:
        epoch = fields(wire.call("VINFO", "i"))[b"epoch"]
        more = "" if state == "opening" else f" into 8:{epoch + 2}"
        replace_layout(
            cluster,
            (f" epoch {epoch}", f" epoch {epoch + 1}"),
            ("state ready", f"grown 1 from 4:{epoch}{more} state {state}"),
        )
        rename_some(cluster, epoch, epoch + 1)
        for client in (router, cluster.routers[1]):
            with client.wire() as other:
                assert other.call("VADD", "i", "s7", version(7)) == 0
                assert other.call("VCARD", "i") == STABLE_KEYS
        told = fields(wire.call("VINFO", "i"))
        assert (told[b"growing-to"], told[b"growth"], told[b"size"]) == (8, b"stopped", STABLE_KEYS)
        with Load(cluster.routers[:2], rng.random(), count=1) as load:
            assert wire.call("VPARTITIONS", "i", 8) == "OK"
        load.check()
        check_whole(cluster, load, 8)


def test_an_index_that_was_left_growing_is_dropped_whole(cluster, router):
    make_index(router, 2)
    with router.wire() as wire:
        epoch = fields(wire.call("VINFO", "i"))[b"epoch"]
        replace_layout(cluster, ("state ready", f"grown 1 into 4:{epoch + 1} away 4:{epoch + 2} state growing"))
        with cluster.routers[1].wire() as other:
            assert other.call("VADD", "i", "noted", version(1)) == 1
            assert other.call("VCARD", "i") == STABLE_KEYS + 1
        assert any(key.endswith(b":written") for key in keys_left(cluster))
        assert wire.call("VDROP", "i") == "OK"
    assert keys_left(cluster) == []


def test_writes_answer_the_same_while_an_index_grows(cluster, router, protocol):
    """Though scripts carry them out."""
    commands = [
        ("VADD", "i", "a", version(1)),
        ("VADD", "i", "a", "VALUES", DIM, *range(DIM)),
        ("VADD", "i", "b", version(2), "SETATTR", '{"n": 1}'),
        ("VADD", "i", "c", version(2), "UNLESS", "WITHIN", "0.5"),
        ("VADD", "i", "d", version(2) + b"\0\0\0\0"),
        ("VADD", "i", "d", "VALUES", DIM, *["x"] * DIM),
        ("VMADD", "i", "a", version(3), "e", "VALUES", DIM, *range(DIM)),
        ("VMADD", "i", "f", "VALUES", DIM, *["1e99"] * DIM),
        ("VSETATTR", "i", "b", '{"n": 2}'),
        ("VSETATTR", "i", "b", "no object"),
        ("VSETATTR", "i", "nobody", '{"n": 2}'),
        ("VDEL", "i", "e"),
        ("VDEL", "i", "e"),
        ("VDEL", "i", "b", "REPLICAS", 1, "TIMEOUT", 1),
        ("VGET", "i", "a"),
        ("VMADD", "i", *(x for i in range(5000) for x in (f"m{i}", version(i)))),
        ("VCARD", "i"),
    ]
    replies = []
    with router.wire(protocol) as wire:
        for is_growing in (False, True):
            wire.call("VDROP", "i")
            made = ("VNEW", "i", DIM, "METRIC", "l2", "PRIMITIVE", "flat", "PARTITIONS", 1)
            assert wire.call(*made) == "OK"
            if is_growing:
                replace_layout(cluster, ("state ready", "grown 1 state growing"))
            with cluster.router().wire(protocol) as other:
                replies.append([other.call_raw(*command) for command in commands])
        assert any(key.endswith(b":written") for key in keys_left(cluster))
        assert "changes an index as a whole" in wire.call("VTUNE", "i")
    for command, before, after in zip(commands, *replies):
        assert re.sub(rb"i:\{.*?\}:\d+", b"", before) == re.sub(rb"i:\{.*?\}:\d+", b"", after), command[:3]


def test_recalls_and_readers_of_replicas_find_all_that_was_there(tmp_path):
    rng = seeded()
    items = {f"k{i}": vector(rng) for i in range(1000)}
    failures, rounds, over = [], [], threading.Event()

    def recall(router):
        with live.noting(failures), router.wire() as wire:
            while not over.is_set():
                told = wire.call("VRECALL", "i", "VEC", items["k5"], "BETA", 50, "SEP", "softmax")
                assert not isinstance(told, ErrorReply) and b"k5" in told, told

    def read(router):
        own = random.Random(rng.random())
        with live.noting(failures), router.wire() as wire:
            while not over.is_set():
                key = own.choice([*items])
                assert wire.call("VGET", "i", key) == items[key]
                assert wire.call("VISMEMBER", "i", key) == 1
                assert wire.call("VCARD", "i") == len(items)
                assert wire.call("VSEARCH", "i", items[key], 1)[0] == key.encode()
                rounds.append(router)

    with Cluster(tmp_path / "cluster", masters=3, replicas=1) as cluster:
        flags = ("--node-timeout", 20_000, "--reads")
        routers = [cluster.router(*flags, reads) for reads in ("master", "replica", "hedge")]
        with routers[0].wire() as wire:
            made = ("VNEW", "i", DIM, "METRIC", "l2", "PRIMITIVE", "flat", "PARTITIONS", 2)
            assert wire.call(*made) == "OK"
            words = (x for item in items.items() for x in item)
            assert wire.call("VMADD", "i", *words, "REPLICAS", 1, "TIMEOUT", 60_000) == len(items)

            def replica_reads():
                return routers[1].redis().info("router")["replica_reads"]

            work = [(recall, routers[0]), *((read, router) for router in routers)]
            threads = [threading.Thread(target=act, args=(of,)) for act, of in work]
            for thread in threads:
                thread.start()
            try:
                for partitions in (2, 4, 8):
                    assert wire.call("VPARTITIONS", "i", partitions) == "OK"
                    before = replica_reads()
                    live.wait_until(lambda: failures or replica_reads() > before, "a replica is read")
            finally:
                over.set()
                for thread in threads:
                    thread.join()
            assert not failures, failures
            assert {*rounds} == {*routers}
