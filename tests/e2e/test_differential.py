# SPDX-License-Identifier: Apache-2.0
"""The same commands to engram and to Debian's Redis 7: the replies are the same bytes.

Left out is what differs on purpose: who the server is (HELLO, INFO, COMMAND, CONFIG's values), passwords,
Redis's other data types, negative cursors (which engram refuses), and commands of more than 1,048,576
arguments (Redis 7 takes them)."""

import contextlib
import os
import random
import shutil

import pytest

import live
from random_transactions import Dialogue, Talk
from wire import Closed, encode

pytestmark = pytest.mark.skipif(
    shutil.which("redis-check-rdb") is None, reason="redis-tools is not installed"
)

MARK = b"the end of a dialogue"
FAR = 4_102_444_800  # 2100-01-01

# Each sequence starts with an empty server. Commands are written as one types them; a tuple has arguments
# that contain spaces or other bytes.
SEQUENCES = {
    "ping and echo": ["PING", "PING hello", "PING a b", "ECHO x", "ECHO", "ECHO a b", ("ECHO", b"\0\r\n\xff")],
    "get and set": ["GET a", "SET a 1", "GET a", "set A 2", "GET A", "GET", "SET a", ("SET", "", ""), ("GET", "")],
    "set conditions": [
        "SET a 1 XX", "SET a 1 NX", "SET a 2 NX", "SET a 2 XX", "GET a", "SET a 3 GET", "SET b 1 GET",
        "SET b 2 NX GET", "SET c 1 NX GET", "GET c", "SET d 1 XX GET", "GET d", "SET a 1 NX XX", "SET a 1 BOGUS",
        "SET a 1 nx", "SET a 4 xx get", "GET a",
    ],
    "set expiry": [
        "SET a 1 EX 100", "TTL a", "SET a 2 KEEPTTL", "TTL a", "SET a 3", "TTL a", "SET a 1 PX 100000", "TTL a",
        f"SET a 1 EXAT {FAR}", f"SET a 1 PXAT {FAR}000", "SET a 1 EXAT 1", "GET a", "EXISTS a",
        "SET a 1 EX 0", "SET a 1 EX -1", "SET a 1 EX abc", "SET a 1 PX 0", "SET a 1 EX", "SET a 1 EX 1 PX 1",
        "SET a 1 EX 10 KEEPTTL", "SET a 1 EX 9223372036854775807", "SET a 1 PX 9223372036854775807",
        "SET a 1 EX 99999999999999999999", "GET a",
    ],
    "set get of a wrong condition": ["SET a 1", "SET a 2 GET NX", "GET a", "SET a 2 GET XX", "GET a"],
    "delete and exists": [
        "SET a 1", "SET b 1", "EXISTS a a none b", "DEL a a none", "EXISTS a", "DEL none", "DEL", "EXISTS", "DBSIZE",
    ],
    "append": ["APPEND a x", "APPEND a yz", "GET a", ("APPEND", "a", ""), "APPEND a", "GET a", ("APPEND", "b", ""), "EXISTS b"],
    "counters": [
        "INCR a", "INCR a", "DECR a", "INCRBY a 10", "DECRBY a 3", "GET a", "INCRBY a -20", "INCRBY a abc",
        "INCRBY a 1.5", "SET a 9223372036854775807", "INCR a", "DECR a", "SET a -9223372036854775808", "DECR a",
        "DECRBY a 1", "INCRBY a -1", "DECRBY a -9223372036854775808", "INCR", "INCR a b", "INCRBY a",
    ],
    "counters of what is no number": [
        ("SET", "a", " 1"), "INCR a", "SET a 01", "INCR a", "SET a abc", "INCR a", "SET a 1.0", "INCR a",
        ("SET", "a", ""), "INCR a", "SET a -0", "INCR a", "SET a +1", "INCR a", "SET a 0", "INCR a", "GET a",
        "SET a 99999999999999999999", "INCR a",
    ],
    "a counter keeps its expiry": ["SET a 1 EX 100", "INCR a", "TTL a", "APPEND a 0", "TTL a", "GET a"],
    "expiry": [
        "EXPIRE none 10", "SET a 1", "TTL a", "PTTL a", "TTL none", "PTTL none", "EXPIRE a 100", "TTL a", "PERSIST a",
        "PERSIST a", "PERSIST none", "TTL a", "PEXPIRE a 100000", "TTL a", "EXPIRE a abc", "EXPIRE a",
        "EXPIRE a 9223372036854775807", "EXPIRE a -1", "EXISTS a", "TTL", "TTL a b",
    ],
    "expiry conditions": [
        "SET a 1", "EXPIRE a 100 XX", "EXPIRE a 100 GT", "EXPIRE a 100 LT", "EXPIRE a 200 NX", "EXPIRE a 50 GT",
        "EXPIRE a 200 GT", "EXPIRE a 300 LT", "EXPIRE a 150 LT", "TTL a", "EXPIRE a 10 NX XX", "EXPIRE a 10 GT LT",
        "EXPIRE a 10 BOGUS",
    ],
    "types": ["SET a 1", "TYPE a", "TYPE none", "TYPE", "TYPE a b"],
    "keys": [
        "KEYS *", "SET a 1", "KEYS *", "KEYS a", "KEYS b", "KEYS ?", "KEYS [a-c]", "KEYS [^a]", "KEYS \\a", "KEYS",
        "SET abc 1", "KEYS a?c", "KEYS a[b-d]c", "KEYS *c", "KEYS ab[x", "DBSIZE", "DBSIZE x",
    ],
    "scan": [
        "SCAN 0", "SET a 1", "SCAN 0", "SCAN 0 MATCH a*", "SCAN 0 MATCH b*", "SCAN 0 COUNT 100", "SCAN 0 TYPE string",
        "SCAN 0 TYPE hash", "SCAN 0 COUNT 0", "SCAN 0 COUNT abc", "SCAN 0 BOGUS", "SCAN abc", "SCAN", "SCAN 0 MATCH",
    ],
    "flush": ["SET a 1", "FLUSHALL", "DBSIZE", "SET a 1", "FLUSHALL ASYNC", "FLUSHALL SYNC", "FLUSHALL BOGUS", "FLUSHDB", "DBSIZE"],
    "unknown": [
        "NoSuch", "NoSuch a b", ("NoSuch", "two words", "x" * 300), ("y" * 300, "a"), "CONFIG NOPE", "CLIENT NOPE",
        "CONFIG", "CLIENT", "CONFIG GET", "CONFIG SET port", "CLIENT ID x", "get", "COMMAND NOPE",
        ("NoSuch", "x" * 100, "y" * 100, "z"), ("No\r\nSuch", "a\nb"),
    ],
    "config": [
        "CONFIG GET nosuch", "CONFIG SET nosuch 1", "CONFIG SET port abc",
        "CONFIG SET databases 5", "CONFIG SET timeout 10", "CONFIG GET timeout", "CONFIG SET timeout 0",
        ("CONFIG", "SET", "save", "900 1 300 10"), "CONFIG GET save", "CONFIG SET save 900", "CONFIG SET save x",
        ("CONFIG", "SET", "save", ""), "CONFIG GET save", "CONFIG SET appendfsync sometimes", "CONFIG RESETSTAT", "CONFIG SET timeout 1 timeout 2",
        "CONFIG SET timeout -1", "CONFIG REWRITE",
    ],
    "saves": ["SAVE", "SAVE x", "BGSAVE NOPE", "BGSAVE SCHEDULE x", "LASTSAVE x"],
    "client": [
        "CLIENT GETNAME", "CLIENT SETNAME me", "CLIENT GETNAME", ("CLIENT", "SETNAME", "a b"), "CLIENT GETNAME",
        ("CLIENT", "SETNAME", ""), "CLIENT GETNAME", "CLIENT NO-EVICT ON", "CLIENT NO-EVICT BOGUS", "CLIENT REPLY ON",
        "CLIENT REPLY BOGUS", "CLIENT KILL ID abc", "CLIENT KILL ID 999999", "CLIENT KILL 1.2.3.4:5", "CLIENT LIST ID x",
        "CLIENT LIST TYPE bogus", "CLIENT SETNAME", "CLIENT KILL",
    ],
    "replies are switched": [
        "CLIENT REPLY SKIP", "PING skipped", "PING seen", "CLIENT REPLY OFF", "PING", "NoSuch", "CLIENT REPLY ON", "PING",
    ],
    "select": ["SELECT 0", "SELECT -1", "SELECT 99", "SELECT abc", "SELECT", "SELECT 0 0"],
    "hello errors": [
        "HELLO 4", "HELLO abc", "HELLO 1", "HELLO 3 BOGUS", "HELLO 3 AUTH x", "HELLO 3 SETNAME", "GET none", "PING",
        ("HELLO", "3", "SETNAME", "a b"), "HELLO 2 AUTH nobody x", "GET none",
    ],
    "reset": ["CLIENT SETNAME me", "RESET", "CLIENT GETNAME", "GET none", "RESET x"],
    "quit": ["SET a 1", "QUIT", "SET a 2"],
    "quit with arguments": ["QUIT x y"],
    "time": ["TIME x"],
    "large values": [("SET", "a", "x" * 100_000), "GET a", ("APPEND", "a", "y" * 100_000), "GET a", ("ECHO", "z" * 70_000)],
}  # fmt: skip

INLINE = {
    "words": b"PING\r\nping\nSET a 1\r\n  GET   a  \r\n",
    "quotes": b'SET a "x y\\n\\x41\\t"\r\nGET a\r\nSET b \'it\\\'s\'\r\nGET b\r\nECHO ""\r\n',
    "blank lines": b"\r\n\n  \r\nPING\r\n",
    "empty arrays": b"*0\r\n*-1\r\n*1\r\n$4\r\nPING\r\n",
    "empty command": b'*1\r\n$0\r\n\r\n""\r\nPING\r\n',
    "unbalanced quotes": b'SET a "x\r\nPING\r\n',
    "text after a quote": b'SET a "x"y\r\n',
    "bad bulk": b"*1\r\n:1\r\n",
    "bad bulk length": b"*1\r\n$abc\r\n",
    "negative bulk length": b"*1\r\n$-1\r\n",
    "bulk too long": b"*1\r\n$536870913\r\n",
    "bad array length": b"*abc\r\n",
    "array too long": b"*2147483648\r\n",
    "bulk followed by anything": b"*1\r\n$4\r\nPINGxxPING\r\n",
    "web page": b"PING\r\nPOST / HTTP/1.1\r\nPING\r\n",
    "pipeline with an error inside": b"PING\r\n*1\r\n$4\r\nPING\r\nNOSUCH\r\nPING\r\n*x\r\nPING\r\n",
}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    servers = (
        live.Server(tmp_path_factory.mktemp("engram")),
        live.Redis(tmp_path_factory.mktemp("redis")),
    )
    yield servers
    for server in servers:
        server.end()


def dialogue(server, data, protocol=2):
    """Every reply of an otherwise empty server to `data`, up to a mark that follows it or the end of the
    connection."""
    with server.wire() as wire:
        assert wire.call("FLUSHALL") == "OK"
    replies = []
    with server.wire(protocol) as wire:
        wire.send_bytes(data + encode("ECHO", MARK))
        with contextlib.suppress(Closed):
            while not replies or MARK not in replies[-1]:
                replies.append(wire.read_raw())
    return replies


def as_bytes(command):
    return encode(*(command.split() if isinstance(command, str) else command))


def assert_same(both, data, protocol=2):
    engram, redis = (dialogue(server, data, protocol) for server in both)
    for number, (one, other) in enumerate(zip(engram, redis)):
        assert one == other, f"reply {number}"
    assert len(engram) == len(redis)


@pytest.mark.parametrize("protocol", [2, 3], ids=["RESP2", "RESP3"])
@pytest.mark.parametrize("name", SEQUENCES)
def test_commands(both, name, protocol):
    assert_same(both, b"".join(map(as_bytes, SEQUENCES[name])), protocol)


@pytest.mark.parametrize("name", INLINE)
def test_framing(both, name):
    assert_same(both, INLINE[name])


CLIENTS = 3
TRANSACTIONS = 500 if live.SANITIZED else 2_000


@pytest.mark.parametrize("count", [TRANSACTIONS, pytest.param(5 * TRANSACTIONS, marks=pytest.mark.long)])
def test_random_transactions(both, capsys, count):
    """ENGRAM_TEST_SEED=<seed> repeats a run."""
    seed = int(os.environ.get("ENGRAM_TEST_SEED", random.SystemRandom().getrandbits(32)))
    with capsys.disabled():
        print(f"ENGRAM_TEST_SEED={seed}", flush=True)
    rng = random.Random(seed)
    protocols = [rng.choice([2, 3]) for _ in range(CLIENTS)]
    talks = [Talk(server, protocols) for server in both]
    dialogue = Dialogue(rng, CLIENTS)
    number = 0
    while dialogue.execs < count:
        client, commands = dialogue.next_packet()
        for talk in talks:
            talk.send(client, commands)
        engram, redis = (talk.read(client, commands) for talk in talks)
        for command, one, other in zip(commands, engram, redis):
            assert one == other, f"seed {seed}, packet {number} of client {client}: {command}"
        number += 1
    for talk in talks:
        talk.end()
