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
    "set expiry twice": [
        "SET a 1 EX 10 EX 200", "TTL a", "SET a 1 PX x PX 90000", "TTL a", "SET a 1 EX 10 PX 10", "SET a 1 EX 10 EX x",
        "SET a 1 KEEPTTL KEEPTTL", "SET a 1 KEEPTTL EX 10", "SET a 1 EX 10 PERSIST", "GETEX a EX 10 EX 300", "TTL a",
        "GETEX a PERSIST PERSIST", "GETEX a EX 10 PERSIST", "GETEX a PERSIST EX 10", "GETEX a PX 10 EX 10", "TTL a",
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
    "setnx and msetnx": [
        "SETNX a 1", "SETNX a 2", "GET a", "SETNX a", "MSETNX b 1 a 2", "EXISTS b", "MSETNX b 1 c 2 b 3", "MGET a b c",
        "MSETNX d", "MSETNX d 1 e", "MSET d 1 e", "SET a 1 EX 100", "SETNX a 2", "TTL a",
    ],
    "setex": [
        "SETEX a 100 1", "TTL a", "PSETEX a 200000 2", "TTL a", "GET a", "SETEX a 0 1", "PSETEX a -1 1", "SETEX a x 1",
        "SETEX a 9223372036854775807 1", "PSETEX a 9223372036854775807 1", "SETEX a 100", "GET a", "SET a 1", "SETEX a 10 3",
    ],
    "getset, getdel and getex": [
        "GETSET a 1", "GETSET a 2", "EXPIRE a 100", "GETSET a 3", "TTL a", "GETDEL a", "GETDEL a", "EXISTS a", "GETEX a",
        "GETEX a EX 0", "GETEX a BOGUS", "SET a 1", "GETEX a EX 100", "TTL a", "GETEX a", "TTL a", "GETEX a PERSIST", "TTL a",
        "GETEX a EX 0", "GETEX a EX x", "GETEX a EX", "GETEX a NX", "GETEX a GET", "GETEX a KEEPTTL", "GETEX a PX 9223372036854775807",
        f"GETEX a EXAT {FAR}", f"GETEX a PXAT {FAR}000", "EXPIRETIME a", "GETEX a EXAT 1", "EXISTS a", "GETEX", "GETDEL", "GETSET a",
    ],
    "ranges": [
        "GETRANGE a 0 -1", "SUBSTR a 0 -1", "SETRANGE a 3 xyz", "GET a", "SETRANGE a 0 abc", "GETRANGE a 1 3", "GETRANGE a -3 -2",
        "GETRANGE a -2 -3", "GETRANGE a 3 1", "GETRANGE a -100 100", "GETRANGE a 6 7", "GETRANGE a 0 9223372036854775807",
        "GETRANGE a -9223372036854775808 -1", "GETRANGE a x 1", "GETRANGE a 0 x", "GETRANGE a 0", "SUBSTR a 1 1", "SETRANGE a -1 x",
        "SETRANGE a x y", "SETRANGE a 536870911 yy", "SETRANGE a 536870912 y", "SETRANGE a 9223372036854775807 y", ("SETRANGE", "a", "-1", ""),
        ("SETRANGE", "a", "536870913", ""), ("SETRANGE", "a", "9", ""), "GET a", "SETRANGE a 5 QQ", "GET a", "SETRANGE a 2 --",
        "GET a", ("SETRANGE", "b", "5", ""), "EXISTS b", "SETRANGE c 0 1", "INCR c", "EXPIRE c 100", "SETRANGE c 1 5", "TTL c", "GET c",
    ],
    "real numbers": [
        "INCRBYFLOAT a 1.5", "INCRBYFLOAT a 1.5", "GET a", "INCRBYFLOAT a -3", "INCRBYFLOAT a 1e3", "INCRBYFLOAT a 0x10",
        "INCRBYFLOAT a 0.1", "INCRBYFLOAT a 1e-17", "INCRBYFLOAT a 1e-20", "INCRBYFLOAT a 1e300", "GET a", "INCRBYFLOAT a -1e300", "INCRBYFLOAT a x",
        "INCRBYFLOAT a nan", "INCRBYFLOAT a inf", "INCRBYFLOAT a -inf", ("INCRBYFLOAT", "a", " 1"), ("INCRBYFLOAT", "a", "1 "), ("INCRBYFLOAT", "a", ""),
        "INCRBYFLOAT a 1e5000", "INCRBYFLOAT a 1e-5000", ("INCRBYFLOAT", "a", "1\0"), ("INCRBYFLOAT", "a", "1" * 300), "INCRBYFLOAT a",
        "SET b text", "INCRBYFLOAT b 1", ("SET", "b", " 1"), "INCRBYFLOAT b 1", "SET b -0", "INCRBYFLOAT b 0", "SET b 1 EX 100",
        "INCRBYFLOAT b 0.25", "TTL b", "SET c 3", "INCRBYFLOAT c 0.1", "SET c 5.0e3", "INCRBYFLOAT c 200", "SET c inf", "INCRBYFLOAT c 1",
        "INCRBYFLOAT d 0.0243902439024390244", "INCRBYFLOAT d -0.0243902439024390244", "GET d",
    ],
    "rename": [
        "RENAME a b", "RENAMENX a b", "SET a 1 EX 100", "RENAME a b", "TTL b", "EXISTS a", "GET b", "SET a 2", "RENAMENX a b", "GET b", "RENAME a b",
        "GET b", "TTL b", "RENAMENX b c", "MGET a b c", "RENAME c c", "RENAMENX c c", "RENAME none none", "RENAMENX none none", "SET d 4 EX 50", "RENAME c d",
        "TTL d", "RENAME a", "RENAMENX a b c", "DBSIZE",
    ],
    "copy": [
        "COPY a b", "SET a 1 EX 100", "COPY a b", "TTL b", "COPY a b", "SET a 2", "COPY a b REPLACE", "GET b", "TTL b", "COPY a a", "COPY none none",
        "COPY a c DB 0", "GET c", "COPY a c DB x", "COPY a c DB 99", "COPY a c DB 4102444800", "COPY a c DB", "COPY a c BOGUS", "COPY a", "APPEND b 0", "GET a",
        "COPY a d REPLACE REPLACE DB 0", "GET d",
    ],
    "random keys and touches": [
        "RANDOMKEY", "SET a 1", "RANDOMKEY", "RANDOMKEY x", "TOUCH a a none", "TOUCH none", "TOUCH", "DEL a", "RANDOMKEY",
    ],
    "objects": [
        "OBJECT ENCODING a", "OBJECT REFCOUNT a", "OBJECT IDLETIME a", "OBJECT FREQ a", "SET a 123456", "OBJECT ENCODING a", "OBJECT REFCOUNT a",
        "OBJECT IDLETIME a", "OBJECT FREQ a", "APPEND a 7", "OBJECT ENCODING a", "INCR a", "OBJECT ENCODING a", "SET a text", "OBJECT ENCODING a",
        ("SET", "a", "x" * 44), "OBJECT ENCODING a", ("SET", "a", "x" * 45), "OBJECT ENCODING a", "SET a 1", "INCRBYFLOAT a 1", "OBJECT ENCODING a",
        "SETRANGE b 0 12", "OBJECT ENCODING b", "APPEND c 12", "OBJECT ENCODING c", "SET b 5", ("SETRANGE", "b", "0", ""), "OBJECT ENCODING b",
        ("APPEND", "b", ""), "OBJECT ENCODING b", "SET a 12", "RENAME a d", "OBJECT ENCODING d", "COPY b e", "OBJECT ENCODING e", "SET a 007", "OBJECT ENCODING a",
        "SET a 9223372036854775808", "OBJECT ENCODING a", "SETEX a 9 1", "OBJECT ENCODING a", "GETSET a 2", "OBJECT ENCODING a", "MSET a 3", "OBJECT ENCODING a",
        "OBJECT", "OBJECT NOPE a", "OBJECT ENCODING", "OBJECT ENCODING a b", "MEMORY USAGE none", "MEMORY USAGE a SAMPLES x", "MEMORY USAGE a SAMPLES -1",
        "MEMORY USAGE a BOGUS 1", "MEMORY USAGE a SAMPLES", "MEMORY USAGE", "MEMORY NOPE", "MEMORY",
    ],
    "keys of commands": [
        "COMMAND GETKEYS GET a", "COMMAND GETKEYS MSET a 1 b 2", "COMMAND GETKEYS set a 1", "COMMAND GETKEYS PING", "COMMAND GETKEYS NOPE a", "COMMAND GETKEYS GET",
        "COMMAND GETKEYS GET a b", "COMMAND GETKEYS OBJECT ENCODING a", "COMMAND GETKEYS OBJECT NOPE a", "COMMAND GETKEYS MEMORY USAGE a", "COMMAND GETKEYS RENAME a b",
        "COMMAND GETKEYS DEL a b a", "COMMAND GETKEYS CONFIG GET a", "COMMAND GETKEYS", "COMMAND GETKEYSANDFLAGS GET a", "COMMAND GETKEYSANDFLAGS SET a 1",
        "COMMAND GETKEYSANDFLAGS SET a 1 NX GET", "COMMAND GETKEYSANDFLAGS MGET a b", "COMMAND GETKEYSANDFLAGS DEL a", "COMMAND GETKEYSANDFLAGS PING",
        "COMMAND GETKEYSANDFLAGS APPEND a 1", "COMMAND GETKEYSANDFLAGS INCR a", "COMMAND GETKEYSANDFLAGS EXPIRE a 1", "COMMAND GETKEYSANDFLAGS GETDEL a",
        "COMMAND GETKEYSANDFLAGS GETEX a", "COMMAND GETKEYSANDFLAGS SETNX a 1", "COMMAND GETKEYSANDFLAGS SETRANGE a 1 1", "COMMAND GETKEYSANDFLAGS MSETNX a 1",
        "COMMAND GETKEYSANDFLAGS SETEX a 1 1", "COMMAND GETKEYSANDFLAGS TOUCH a", "COMMAND GETKEYSANDFLAGS TTL a", "COMMAND GETKEYSANDFLAGS EXPIRETIME a",
        "COMMAND GETKEYSANDFLAGS OBJECT ENCODING a", "COMMAND GETKEYSANDFLAGS MEMORY USAGE a", "COMMAND GETKEYSANDFLAGS GETSET a 1", "COMMAND GETKEYSANDFLAGS STRLEN a",
    ],
    "times of expiry": [
        "EXPIRETIME a", "PEXPIRETIME a", "SET a 1", "EXPIRETIME a", "PEXPIRETIME a", f"EXPIREAT a {FAR}", "EXPIRETIME a", "PEXPIRETIME a",
        "PEXPIREAT a 9223372036854770000", "PEXPIRETIME a", "EXPIRETIME", "EXPIRETIME a b",
    ],
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
        ("SCAN", ""), "SCAN +0", "SCAN 00", ("SCAN", "0\0x"), ("SCAN", " 0"), ("SCAN", "0 "), "SCAN 1x", "SCAN 99999999999999999999",
        "SCAN 0 TYPE hash", "SCAN 0 COUNT 0", "SCAN 0 COUNT abc", "SCAN 0 BOGUS", "SCAN abc", "SCAN", "SCAN 0 MATCH",
    ],
    "flush": ["SET a 1", "FLUSHALL", "DBSIZE", "SET a 1", "FLUSHALL ASYNC", "FLUSHALL SYNC", "FLUSHALL BOGUS", "FLUSHDB", "DBSIZE"],
    "unknown": [
        "NoSuch", "NoSuch a b", ("NoSuch", "two words", "x" * 300), ("y" * 300, "a"), "CONFIG NOPE", "CLIENT NOPE",
        "CONFIG", "CLIENT", "CONFIG GET", "CONFIG SET port", "CLIENT ID x", "get", "COMMAND NOPE",
        ("NoSuch", "x" * 100, "y" * 100, "z"), ("No\r\nSuch", "a\nb"), ("No\0Such", "a\0b", "c"), ("\0",), ("CONFIG", "NO\0PE"),
        ("EXPIRE", "a", "1", "BO\0GUS"), ("CONFIG", "SET", "no\0such", "1"), ("CLIENT", "LIST", "TYPE", "a\0b"), ("HELLO", "3", "a\0b"),
    ],
    "config": [
        "CONFIG GET nosuch", "CONFIG SET nosuch 1", "CONFIG SET port abc",
        "CONFIG SET databases 5", "CONFIG SET daemonize yes", "CONFIG SET databases 5 databases 6", "CONFIG SET databases 5 timeout 1 timeout 2", "CONFIG SET timeout 10", "CONFIG GET timeout", "CONFIG SET timeout 0",
        ("CONFIG", "SET", "save", "900 1 300 10"), "CONFIG GET save", "CONFIG SET save 900", "CONFIG SET save x",
        ("CONFIG", "SET", "save", ""), "CONFIG GET save", "CONFIG SET appendfsync sometimes", "CONFIG RESETSTAT", "CONFIG SET timeout 1 timeout 2",
        "CONFIG SET timeout -1", "CONFIG REWRITE",
    ],
    "statistics": [
        "SLOWLOG RESET", "SLOWLOG LEN", "SLOWLOG GET", "SLOWLOG GET 5", "SLOWLOG GET -1", "SLOWLOG GET -2", "SLOWLOG GET x", "SLOWLOG GET 1 2", "SLOWLOG LEN x",
        "SLOWLOG NOPE", "SLOWLOG", "LATENCY RESET", "LATENCY RESET x", "LATENCY LATEST", "LATENCY LATEST x", "LATENCY HISTOGRAM nonsense", "LATENCY NOPE", "LATENCY",
        "MONITOR x", "CONFIG SET latency-tracking maybe", "CONFIG GET latency-tracking", "CONFIG SET latency-tracking-info-percentiles 101",
        "CONFIG SET latency-tracking-info-percentiles x", "CONFIG SET latency-tracking-info-percentiles nan", "CONFIG GET latency-tracking-info-percentiles",
        ("CONFIG", "SET", "latency-tracking-info-percentiles", "1 99.99"), "CONFIG GET latency-tracking-info-percentiles",
        ("CONFIG", "SET", "latency-tracking-info-percentiles", ""), "CONFIG GET latency-tracking-info-percentiles",
        ("CONFIG", "SET", "latency-tracking-info-percentiles", "50 99 99.9"), "CONFIG SET slowlog-max-len -1", "CONFIG SET slowlog-log-slower-than -2",
        "CONFIG SET slowlog-log-slower-than x", "CONFIG GET slowlog-max-len", "CONFIG GET slowlog-log-slower-than", "MULTI", "MONITOR", "EXEC",
    ],
    "saves": ["SAVE", "SAVE x", "BGSAVE NOPE", "BGSAVE SCHEDULE x", "LASTSAVE x"],
    "client": [
        "CLIENT GETNAME", "CLIENT SETNAME me", "CLIENT GETNAME", ("CLIENT", "SETNAME", "a b"), "CLIENT GETNAME",
        ("CLIENT", "SETNAME", ""), "CLIENT GETNAME", "CLIENT NO-EVICT ON", "CLIENT NO-EVICT BOGUS", "CLIENT REPLY ON",
        "CLIENT REPLY BOGUS", "CLIENT KILL ID abc", "CLIENT KILL ID 999999", "CLIENT KILL 1.2.3.4:5", "CLIENT LIST ID x",
        "CLIENT LIST TYPE bogus", "CLIENT SETNAME", "CLIENT KILL", "CLIENT GETREDIR", "CLIENT TRACKINGINFO", "CLIENT UNBLOCK 1", "CLIENT UNBLOCK x",
        "CLIENT UNBLOCK 1 ERROR", "CLIENT UNBLOCK 1 timeout", "CLIENT UNBLOCK 1 BOGUS", "CLIENT UNBLOCK", "CLIENT UNBLOCK 1 ERROR x", "CLIENT PAUSE", "CLIENT PAUSE x",
        "CLIENT PAUSE -1", "CLIENT PAUSE 1 BOGUS", "CLIENT PAUSE 1 WRITE x", "CLIENT PAUSE 1 WRITE", "CLIENT UNPAUSE", "CLIENT UNPAUSE x",
    ],
    "replies are switched": [
        "CLIENT REPLY SKIP", "PING skipped", "PING seen", "CLIENT REPLY OFF", "PING", "NoSuch", "CLIENT REPLY ON", "PING",
    ],
    "select": ["SELECT 0", "SELECT -1", "SELECT 99", "SELECT abc", "SELECT", "SELECT 0 0", "SELECT 4102444800", "SELECT -2147483649", "SELECT 2147483647"],
    "no cluster": ["CLUSTER INFO", "CLUSTER NODES", "CLUSTER", "READONLY", "READWRITE", "READONLY x"],
    "no password": ["AUTH x", "AUTH default x", "AUTH nobody x", "AUTH", "AUTH a b c", "HELLO 2 AUTH nobody x", "PING"],
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
