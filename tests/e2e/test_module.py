# SPDX-License-Identifier: Apache-2.0
"""The module in Debian's Redis: it answers as the server does, and keeps to the rules of its host."""

import os
import random
import shutil
import struct
import threading

import pytest
import redis

import live
from module_scripts import (
    EAST,
    NEEDS_MODULE,
    PRIMITIVES,
    SCRIPTS,
    answers,
    fill,
    options_of,
    vector,
    DIM,
)
from wire import Closed, ErrorReply, pack

pytestmark = NEEDS_MODULE


@pytest.fixture(scope="module")
def shared_host(tmp_path_factory):
    host = live.ModuleHost(tmp_path_factory.mktemp("host"))
    yield host
    host.end()


@pytest.fixture
def host(shared_host):
    with shared_host.redis() as client:
        client.flushall()
    return shared_host



@pytest.mark.parametrize("script", SCRIPTS)
def test_answers_are_those_of_the_server(server, host, protocol, script):
    with server.wire(protocol) as theirs, host.wire(protocol) as ours:
        for command in SCRIPTS[script]:
            if protocol == 2:
                assert ours.call_raw(*command) == theirs.call_raw(*command), command
            else:
                assert ours.call(*command) == theirs.call(*command), command


@pytest.mark.parametrize("name", PRIMITIVES)
def test_every_primitive_answers_as_in_the_server(server, host, name):
    with server.wire() as theirs, host.wire() as ours:
        for client in (theirs, ours):
            client.call("VNEW", "i", DIM, *options_of(name))
            rng = random.Random(1)
            for i in range(60):
                client.call("VADD", "i", f"k{i}", vector(rng))
        assert answers(ours, "i") == answers(theirs, "i")


@pytest.mark.parametrize("name", ["flat", "hnsw", "hopfield"])
def test_full_names_and_plain_ones_are_the_same(host, name):
    with host.wire() as client:
        assert client.call("engram.vnew", "i", DIM, *options_of(name)) == "OK"
        fill(client, "i", random.Random(2))
        assert answers(client, "i", prefix="ENGRAM.") == answers(client, "i")


def test_searches_run_inline_where_nobody_may_block(host):
    with host.wire() as client:
        client.call("VNEW", "i", 2, "PRIMITIVE", "hnsw")
        client.call("VADD", "i", "a", EAST)
        alone = client.call("VSEARCH", "i", EAST, 1)
        client.call("MULTI")
        client.call("VSEARCH", "i", EAST, 1)
        client.call("VADD", "i", "b", EAST)
        assert client.call("EXEC") == [alone, 1]
        script = "return redis.call('VSEARCH', KEYS[1], ARGV[1], 1)"
        assert client.call("EVAL", script, 1, "i", EAST) == alone
        script = "return redis.call('ENGRAM.VADD', KEYS[1], 'c', ARGV[1])"
        assert client.call("EVAL", script, 1, "i", EAST) == 1
        assert client.call("VCARD", "i") == 3


def test_keys_are_the_hosts(host):
    with host.wire() as client:
        client.call("VNEW", "i", DIM, "PRIMITIVE", "hnsw")
        fill(client, "i", random.Random(4))
        before = answers(client, "i")
        assert client.call("TYPE", "i") == "engramIDX"
        assert client.call("COPY", "i", "j") == 1
        assert answers(client, "j") == before
        assert client.call("DEBUG", "DIGEST-VALUE", "i") == client.call("DEBUG", "DIGEST-VALUE", "j")
        client.call("VDEL", "j", "k1")
        assert answers(client, "i") == before
        assert client.call("DEBUG", "DIGEST-VALUE", "i") != client.call("DEBUG", "DIGEST-VALUE", "j")
        assert client.call("RENAME", "i", "r") == "OK"
        assert answers(client, "r") == before
        assert client.call("MOVE", "r", 5) == 1
        assert client.call("SELECT", 5) == "OK"
        assert answers(client, "r") == before
        assert client.call("EXPIRE", "r", 100) == 1
        assert client.call("VADD", "r", "new", vector(random.Random(5))) == 1
        assert client.call("TTL", "r") > 0
        assert client.call("UNLINK", "r") == 1
        assert client.call("FLUSHALL", "ASYNC") == "OK"
        assert client.call("DBSIZE") == 0


def test_memory_is_counted(host):
    def used():
        return host.redis().info("memory")["used_memory"]

    def is_freed():
        return used() < before + (2 << 20)

    before = live.wait_until_steady(used, 256 << 10)  # others' indexes may still be being freed
    rng = random.Random(6)
    count, dim = 4000, 512
    with host.wire() as client:
        client.call("VNEW", "i", dim, "PRIMITIVE", "flat")
        for first in range(0, count, 500):
            rows = (
                x
                for i in range(first, first + 500)
                for x in (f"k{i}", pack(*(rng.random() for _ in range(dim))))
            )
            client.call("VMADD", "i", *rows)
        data = count * dim * 4
        assert client.call("MEMORY", "USAGE", "i") > data
        assert used() > before + data
        client.call("CONFIG", "SET", "maxmemory", before + data // 2)
        assert client.call("VADD", "i", "more", bytes(4 * dim)).startswith("OOM")
        client.call("CONFIG", "SET", "maxmemory", 0)
        client.call("DEL", "i")
    live.wait_until(is_freed, "the memory of the index is free")


def test_acl_by_command_and_key(host):
    with host.wire() as client, host.wire() as guest:
        client.call("VNEW", "mine:a", 2, "PRIMITIVE", "flat", "DECAY", "static")
        client.call("VNEW", "other", 2, "PRIMITIVE", "flat")
        client.call("ACL", "SETUSER", "guest", "on", ">secret", "~mine:*", "+vsearch", "+vconsolidate")
        client.call("ACL", "SETUSER", "reader", "on", ">secret", "%R~mine:*", "+vsearch", "+vcard", "+vadd")
        guest.call("AUTH", "guest", "secret")
        assert guest.call("VSEARCH", "mine:a", EAST, 1) == []
        assert guest.call("VSEARCH", "other", EAST, 1).startswith("NOPERM")
        assert guest.call("VADD", "mine:a", "x", EAST).startswith("NOPERM")
        refused = guest.call("VCONSOLIDATE", "mine:a", "RADIUS", 1, "INTO", "other")
        assert refused.startswith("NOPERM")
        guest.call("AUTH", "reader", "secret")
        assert guest.call("VCARD", "mine:a") == 0
        assert guest.call("VADD", "mine:a", "x", EAST).startswith("NOPERM")
        assert guest.call("VSEARCH", "mine:a", EAST, 1) == []
        assert guest.call("VSEARCH", "mine:a", EAST, 1, "TOUCH", 1).startswith("NOPERM")
        client.call("ACL", "SETUSER", "reader", "~mine:*")
        assert guest.call("VSEARCH", "mine:a", EAST, 1, "TOUCH", 1) == []


def test_watch_and_events_tell_of_changes_only(host):
    with host.wire() as client, host.redis() as watcher:
        client.call("CONFIG", "SET", "notify-keyspace-events", "KEA")
        client.call("VNEW", "i", 2, "PRIMITIVE", "flat")
        events = watcher.pubsub()
        events.psubscribe("__keyspace@0__:*")
        live.wait_until(lambda: events.get_message(), "the subscription")
        client.call("WATCH", "i")
        client.call("VADD", "i", "a", b"bad")
        client.call("VSEARCH", "i", EAST, 1)
        client.call("MULTI")
        assert client.call("EXEC") == []
        client.call("WATCH", "i")
        client.call("VADD", "i", "a", EAST)
        client.call("MULTI")
        assert client.call("EXEC") is None
        message = live.wait_until(
            lambda: events.get_message(ignore_subscribe_messages=True), "an event"
        )
        assert message["data"] == b"engram.vadd"


def test_clients_that_go_leave_nothing(host):
    rng = random.Random(7)
    with host.wire() as client:
        client.call("VNEW", "i", DIM, "PRIMITIVE", "hopfield")
        fill(client, "i", rng)
        for _ in range(50):
            with host.wire() as gone:
                gone.send("VRECALL", "i", "VEC", vector(rng))
        live.wait_until(
            lambda: b"blocked_clients:0" in client.call("INFO", "clients"), "nobody is blocked"
        )
        assert client.call("VCARD", "i") > 0


def test_many_clients_write_and_search(host):
    def work(number, failures):
        rng = random.Random(number)
        try:
            with host.wire() as client:
                for i in range(200):
                    if client.call("VADD", "i", f"{number}-{i}", vector(rng)) != 1:
                        failures.append("not new")
                    if len(client.call("VSEARCH", "i", vector(rng), 5)) < 2:
                        failures.append("nothing found")
        except (Closed, OSError) as error:
            failures.append(error)

    with host.wire() as client:
        client.call("VNEW", "i", DIM, "PRIMITIVE", "hnsw")
        failures = []
        threads = [threading.Thread(target=work, args=(n, failures)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        assert client.call("VCARD", "i") == 1200


def test_the_hosts_own_commands_refuse_an_index(host):
    with host.redis() as client:
        client.execute_command("VNEW", "i", 2)
        with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
            client.get("i")
        assert client.info("engram_module")["engram_workers"] == 2


def test_arguments_are_checked(tmp_path):
    with pytest.raises(AssertionError, match="arguments of the module"):
        live.ModuleHost(tmp_path / "host", "workers", "many")


def test_what_repeats_changes_checks_them(host):
    rng = random.Random(8)
    with host.wire() as client:
        client.call("VNEW", "i", 2, "PRIMITIVE", "hnsw")
        client.call("VADD", "i", "a", EAST)
        before = client.call("VSEARCH", "i", EAST, 3)
        for _ in range(500):
            frame = bytes([rng.randrange(16)]) + rng.randbytes(rng.randrange(80))
            client.call("ENGRAM.APPLY", rng.choice(("i", "new")), frame)
            client.call("ENGRAM.LOAD", "l", rng.randrange(3), rng.randbytes(rng.randrange(60)))
        assert isinstance(client.call("ENGRAM.APPLY", "none", b"x"), ErrorReply)
        assert isinstance(client.call("ENGRAM.APPLY", "i"), ErrorReply)
        assert client.call("VSEARCH", "i", EAST, 3) == before


def field(text):
    return struct.pack("<I", len(text)) + text


def creation(key=b"new", expires_ms=-1, number=0, options=None):
    """Makes a flat index of two coordinates."""
    head = b"\x06" + field(key) + struct.pack("<qQI", expires_ms, number, 2)
    texts = [field(name) + field(value) for name, value in (options or {}).items()]
    return head + field(b"cosine") + field(b"flat") + struct.pack("<I", len(texts)) + b"".join(texts)


def put(slot, key=b"a", number=0):
    return b"\x07" + struct.pack("<QI", number, slot) + field(key) + field(EAST)


FOREIGN_CHANGES = {
    "SetString": b"\x01" + field(b"ghost") + struct.pack("<q", -1) + field(b"x"),
    "AppendString": b"\x02" + field(b"ghost") + struct.pack("<Q", 0) + field(b"x"),
    "EraseKey": b"\x03" + field(b"i"),
    "SetExpiry": b"\x04" + field(b"i") + struct.pack("<q", 1),
    "ClearKeys": b"\x05",
    "OverwriteString": b"\x0a" + field(b"ghost") + struct.pack("<Q", 0) + field(b"x"),
    "MoveCollection": b"\x0b" + field(b"ghost") + struct.pack("<qQ", -1, 0),
    "a put to another index": put(1, number=7),
    "another index": creation(b"ghost", number=1),
    "an expired index": creation(b"ghost", expires_ms=1, number=1),
}


@pytest.mark.parametrize("change", FOREIGN_CHANGES)
def test_a_frame_changes_the_index_of_its_key_alone(host, change):
    foreign = FOREIGN_CHANGES[change]
    with host.wire() as client:
        client.call("VNEW", "i", 2, "PRIMITIVE", "flat")
        client.call("VADD", "i", "a", EAST)
        before = client.call("DUMP", "i")
        for key, frame in (
            ("i", foreign),
            ("i", put(1, b"b") + foreign),
            ("new", creation() + foreign),
            ("new", creation() + put(0) + foreign),
        ):
            assert client.call("ENGRAM.APPLY", key, frame).startswith("ERR the frame "), frame
        assert client.call("DUMP", "i") == before
        assert client.call("DBSIZE") == 1
        assert client.call("VNEW", "ghost", 2) == "OK"


def test_a_frame_makes_the_index_of_its_key(host):
    with host.wire() as client:
        for made in (creation(b"ghost"), creation(expires_ms=1), creation(number=1)):
            assert client.call("ENGRAM.APPLY", "new", made).startswith("ERR the frame makes")
        twice = creation() + creation()
        assert client.call("ENGRAM.APPLY", "new", twice).startswith("ERR the frame changes more")
        assert client.call("DBSIZE") == 0
        assert client.call("ENGRAM.APPLY", "new", creation() + put(0)) == "OK"
        assert client.call("VSEARCH", "new", EAST, 1)[0] == b"a"


def test_a_frame_puts_to_no_slot_that_nothing_fills(host):
    with host.wire() as client:
        client.call("ENGRAM.APPLY", "new", creation() + put(0))
        for frame in (put(2, b"b"), put((1 << 28) - 1, b"b"), put(1, b"b") + put(3, b"c")):
            assert client.call("ENGRAM.APPLY", "new", frame).startswith("ERR the frame puts to slot")
        made = creation(b"other") + put(1)
        assert client.call("ENGRAM.APPLY", "other", made).startswith("ERR the frame puts to slot")
        assert client.call("VCARD", "new") == 1
        assert client.call("ENGRAM.APPLY", "new", put(2, b"c") + put(1, b"b")) == "OK"
        assert client.call("VCARD", "new") == 3


def test_it_is_not_loaded_twice(start_host):
    host = start_host("--enable-module-command", "yes")
    copy = host.folder / "copy.so"
    shutil.copy(os.environ["ENGRAM_MODULE"], copy)
    with host.wire() as client:
        client.call("VNEW", "i", 2, "PRIMITIVE", "flat")
        client.call("VADD", "i", "a", EAST)
        before = client.call("VSEARCH", "i", EAST, 1)
        for path in (os.environ["ENGRAM_MODULE"], copy):
            assert isinstance(client.call("MODULE", "LOAD", str(path)), ErrorReply)
            assert client.call("VSEARCH", "i", EAST, 1) == before
        assert client.call("VADD", "i", "b", EAST) == 1
        assert client.call("DEL", "i") == 1
    assert host.log.read_text().count("engram is loaded already") == 2


def test_a_module_calls_it_in_the_name_of_no_user(start_host):
    host = start_host("--loadmodule", os.environ["ENGRAM_CALLING_MODULE"])
    with host.wire() as client:
        client.call("VNEW", "i", 2, "PRIMITIVE", "flat", "DECAY", "static")
        client.call("VADD", "i", "a", EAST)
        before = client.call("VSTRENGTH", "i", "a")
        search = ("VSEARCH", "i", EAST, 1)
        found = client.call("CALLING.CALL", *search)
        assert found == client.call(*search)
        assert client.call("CALLING.CALL", *search, "TOUCH", 1) == found
        assert client.call("VSTRENGTH", "i", "a") != before


def test_merging_by_itself_is_refused(host):
    with host.wire() as client:
        merging = ("VNEW", "i", 2, "PRIMITIVE", "flat", "DECAY", "static", "merge", 0.1)
        assert client.call(*merging).startswith("ERR MERGE is not for a module")
        made = creation(options={b"DECAY": b"static merge 0.1"})
        assert client.call("ENGRAM.APPLY", "new", made).startswith("ERR the index merges by itself")
        assert client.call("DBSIZE") == 0
        made = creation(options={b"DECAY": b"static"})
        assert client.call("ENGRAM.APPLY", "new", made) == "OK"
