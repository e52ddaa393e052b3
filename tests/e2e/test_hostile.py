# SPDX-License-Identifier: Apache-2.0
"""Input that no honest client sends: it is answered with an error or a closed connection, others are
served meanwhile, and memory stays bounded."""

import contextlib
import random
import re
import resource
import socket
import struct
import threading
from pathlib import Path

import numpy as np
import pytest

from live import SANITIZED, wait_until
from wire import Closed, ErrorReply, encode

MIB = 1 << 20
SEED = 77
# A sanitizer holds back what was freed.
LEEWAY = 1024 * MIB if SANITIZED else 0


@pytest.fixture
def server(start):
    return start()


@contextlib.contextmanager
def growth_below(server, most):
    """Once the block has ended, resident memory exceeds that of its start by less than `most` bytes."""
    before = server.resident_bytes()
    yield
    # What is freed last is given back a little later.
    wait_until(
        lambda: server.resident_bytes() - before < most + LEEWAY,
        f"memory has grown by less than {(most + LEEWAY) / MIB:.0f} MiB",
    )


def assert_serving(server, clients=1):
    """Others are served; those that went away are forgotten."""

    def only_these_are_left():
        # While too many have not been forgotten, this one is refused.
        with contextlib.suppress(Closed, OSError), server.wire() as wire:
            info = wire.call("INFO", "clients")
            return isinstance(info, bytes) and b"connected_clients:%d\r\n" % clients in info
        return False

    wait_until(only_these_are_left, f"{clients} clients are left")


@pytest.mark.parametrize(
    "data, complaint",
    [
        (b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1073741824\r\n", "invalid bulk length"),
        (b"*1\r\n$-5\r\n", "invalid bulk length"),
        (b"*1\r\n$99999999999999999999\r\n", "invalid bulk length"),
        (b"*2000000\r\n", "invalid multibulk length"),
        (b"*nine\r\n", "invalid multibulk length"),
        (b"*1\r\n:4\r\n", "expected '$', got ':'"),
        (b"*" + b"1" * 70_000, "too big mbulk count string"),
        (b"x" * 70_000, "too big inline request"),
        (b'SET a "open\r\n', "unbalanced quotes in request"),
    ],
    ids=lambda value: value if isinstance(value, str) else "bytes",
)
def test_broken_framing_is_named_and_the_connection_closed(server, data, complaint):
    with growth_below(server, 16 * MIB), server.wire() as wire:
        wire.send_bytes(data)
        reply = wire.read()
        assert isinstance(reply, ErrorReply) and reply == "ERR Protocol error: " + complaint
        assert wire.is_closed()
    assert_serving(server)


@pytest.mark.parametrize("line", [b"POST / HTTP/1.1\r\n", b"Host: localhost\r\n"])
def test_a_web_page_gets_nothing(server, line):
    with server.wire() as wire:
        wire.send_bytes(line + encode("SET", "a", 1))
        assert wire.is_closed()
    assert server.redis().get("a") is None


def test_an_announced_bulk_costs_nothing_before_it_comes(server):
    with contextlib.ExitStack() as stack, growth_below(server, 32 * MIB):
        for _ in range(20):
            wire = stack.enter_context(server.wire())
            wire.send_bytes(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\n" + b"x" * 1000)
        assert_serving(server, clients=21)
    assert_serving(server)


def test_a_command_of_a_million_arguments(server):
    with server.wire() as wire:
        with growth_below(server, 192 * MIB):
            wire.send_bytes(b"*1000000\r\n$3\r\nDEL\r\n" + b"$1\r\na\r\n" * 999_999)
            assert wire.read() == 0
        assert wire.call("PING") == "PONG"


def test_a_request_beyond_the_limit_gets_its_sentence_while_it_is_sent(server):
    with server.wire() as wire:
        wire.call("CONFIG", "SET", "client-query-buffer-limit", "1mb")
        many = [part for number in range(20) for part in (number, b"x" * 900_000)]
        assert wire.call("MSET", *many) == "OK"  # the limit is on each argument, as in Redis
        wire.send_bytes(encode("SET", "k", b"x" * 32 * MIB))
        assert wire.read() == "ERR the request exceeds client-query-buffer-limit"
        assert wire.is_closed()
    with server.wire() as wire:
        wire.send_bytes(b"*1\r\n$600000000\r\n" + b"x" * 32 * MIB)
        assert wire.read() == "ERR Protocol error: invalid bulk length"
    assert_serving(server)


def test_a_batch_of_searches_is_answered_as_fast_as_it_is_read(server):
    """64 MiB of replies, of a request of 17 KiB."""
    key, queries = b"k" * 65536, 1024
    with server.wire() as wire:
        wire.call("VNEW", "index", 2, "PRIMITIVE", "flat", "METRIC", "l2")
        wire.call("VADD", "index", key, bytes(8))
        request = encode("VMSEARCH", "index", 1, *[bytes(8)] * queries)
        with growth_below(server, 24 * MIB), server.socket() as idle:
            idle.sendall(request)
            wire.send_bytes(request + encode("PING"))
            expected = b"*%d\r\n" % queries + b"*2\r\n$65536\r\n%s\r\n$1\r\n0\r\n" % key * queries
            assert wire.read_raw() == expected
            assert wire.read() == "PONG"
            assert_serving(server, clients=3)
    assert_serving(server)


def test_patterns_hold_nobody(server):
    patterns = [b"*" + b"a" * 30_000 + b"b", b"*" + b"?a" * 15_000 + b"b*", b"*" + b"[b-c]?" * 15_000 + b"*"]
    with server.wire() as wire, server.wire() as other:
        for number in range(3):
            wire.call("SET", b"a" * (60_000 + number), 1)
        for pattern in patterns:
            wire.send_bytes(encode("KEYS", pattern) + encode("SCAN", 0, "MATCH", pattern, "COUNT", 1000))
            other.socket.settimeout(2)
            for _ in range(10):
                assert other.call("PING") == "PONG"
            assert other.call("CONFIG", "GET", pattern) == []
            assert wire.read() == [] and wire.read() == [b"0", []]


@pytest.mark.long
def test_idle_clients_cost_little(server):
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(server.wire()) for _ in range(500)]
        before = server.resident_bytes()
        for wire in wires:
            assert len(wire.call("ECHO", b"x" * 60_000)) == 60_000
        wait_until(lambda: server.resident_bytes() < before + 8 * MIB + LEEWAY, "buffers are given back")


OOM = "OOM command not allowed when used memory > 'maxmemory'."


@pytest.mark.skipif(SANITIZED, reason="the allocator of a sanitizer does not tell what it has given")
def test_beyond_maxmemory_writes_are_refused_and_reads_go_on(start):
    server = start("--maxmemory", "64mb", "--appendonly", "no")  # what waits for the disk counts
    with server.wire() as wire, server.wire() as queuing:
        assert wire.call("VNEW", "index", 256, "PRIMITIVE", "flat") == "OK"
        assert wire.call("VADD", "index", "a", b"\0\0\x80\x3f" * 256) == 1
        assert queuing.call("MULTI") == "OK" and queuing.call("SET", "k", 1) == "QUEUED"
        replies = [wire.call("SET", number, b"x" * MIB) for number in range(80)]
        # At the limit a refused value, not let go of yet, decides about the next.
        accepted = [number for number, reply in enumerate(replies) if reply == "OK"]
        assert 30 < len(accepted) < 64 and accepted[:30] == list(range(30))
        assert set(replies) == {"OK", OOM}
        assert wire.call("CONFIG", "SET", "maxmemory", "32mb") == "OK"
        wait_until(lambda: wire.call("SET", "k", 1) == OOM, "less is allowed")
        for command in (("SET", "k", 1), ("INCR", "n"), ("VADD", "index", "b", bytes(1024)), ("VNEW", "i", 2)):
            assert wire.call(*command) == OOM
        assert queuing.call("EXEC") == "EXECABORT Transaction discarded because of: " + OOM
        assert queuing.call("MULTI") == "OK" and queuing.call("PING") == OOM
        assert queuing.call("EXEC").startswith("EXECABORT Transaction discarded because of previous errors")
        assert wire.call("VGET", "index", "a") is not None and len(wire.call("GET", 0)) == MIB
        assert wire.call("VSEARCH", "index", b"\0\0\x80\x3f" * 256, 1)[0] == b"a"
        assert wire.call("DEL", *accepted) == len(accepted)
        wait_until(lambda: wire.call("SET", 0, b"x" * MIB) == "OK", "there is room again")
        assert wire.call("CONFIG", "SET", "maxmemory", 0) == "OK" and wire.call("SET", "k", 1) == "OK"


@pytest.mark.skipif(SANITIZED, reason="the allocator of a sanitizer does not tell what it has given")
def test_beyond_maxmemory_no_columns_are_built_and_those_there_are_serve(start):
    server = start("--appendonly", "no")
    point = b"\0\0\x80\x3f" * 4
    search = ("VSEARCH", "index", point, 1, "FILTER")
    with server.wire() as wire:
        assert wire.call("VNEW", "index", 4, "PRIMITIVE", "flat") == "OK"
        assert wire.call("VADD", "index", "a", point, "SETATTR", '{"n": 1, "m": 1}') == 1
        assert wire.call(*search, ".n == 1")[0] == b"a"
        assert wire.call("CONFIG", "SET", "maxmemory", 1) == "OK"
        wait_until(lambda: wire.call("SET", "k", 1) == OOM, "less is allowed")
        assert "used memory > 'maxmemory'" in wire.call(*search, ".m == 1")
        assert wire.call(*search, ".n == 1")[0] == b"a"
        assert wire.call("CONFIG", "SET", "maxmemory", 0) == "OK"
        assert wire.call(*search, ".m == 1")[0] == b"a"


@pytest.mark.skipif(SANITIZED, reason="a sanitizer ends the process where it runs out of memory")
@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs prlimit")
def test_a_filter_whose_column_finds_no_memory_is_refused_and_the_server_lives(start):
    server = start("--appendonly", "no")
    point = b"\0\0\x80\x3f" * 4
    search = ("VSEARCH", "index", point, 1)
    with server.wire() as wire:
        assert wire.call("VNEW", "index", 4, "PRIMITIVE", "flat") == "OK"
        for i in range(8000):  # 28 MB of texts
            wire.call("VADD", "index", f"k{i}", point, "SETATTR", '{"s": "%s"}' % (f"{i:07}" * 500))
        assert wire.call(*search, "FILTER", ".n == 1") == []  # so that what a search takes is there
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        used = int(re.search(r"VmSize:\s+(\d+) kB", status).group(1)) * 1024
        _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_AS)
        resource.prlimit(server.process.pid, resource.RLIMIT_AS, (used + 8 * MIB, hard))
        for _ in range(3):
            assert "out of memory" in wire.call(*search, "FILTER", '.s != "x"')
            assert wire.call(*search)[0] == b"k0" and wire.call(*search, "FILTER", ".n == 1") == []
        resource.prlimit(server.process.pid, resource.RLIMIT_AS, (hard, hard))
        assert wire.call(*search, "FILTER", '.s != "x"')[0] == b"k0"


@pytest.mark.skipif(SANITIZED, reason="the allocator of a sanitizer does not tell what it has given")
def test_memory_is_told_apart_by_what_it_is_for(server):
    with server.wire() as wire:
        fields = lambda: {name: int(value) for name, value in (  # noqa: E731
            line.split(b":") for line in wire.call("INFO", "memory").splitlines() if b":" in line)
            if value.isdigit()}  # fmt: skip
        before = fields()
        wire.call("VNEW", "index", 64, "PRIMITIVE", "hnsw", "M", 16)
        items = [part for number in range(3000) for part in (b"%0100d" % number, struct.pack("<64f", *range(number, number + 64)))]
        assert wire.call("VMADD", "index", *items) == 3000
        after = fields()
        grown = {name: after[name] - before[name] for name in after}
        assert grown[b"used_memory_vectors"] >= 3000 * 64 * 4
        assert grown[b"used_memory_links"] >= 3000 * 2 * 16 * 4
        assert grown[b"used_memory_keys"] >= 3000 * 100
        parts = sum(grown[b"used_memory_" + part] for part in (b"vectors", b"links", b"keys"))
        assert grown[b"used_memory"] > 0.8 * parts
        assert after[b"mem_clients_normal"] > 0 and after[b"maxmemory"] == 0


def test_long_work_leaves_room_for_short(server):
    """Every worker is at a recall that takes long, and one more waits; searches come through."""
    vector = struct.pack("<64f", *[0.1] * 64)
    with contextlib.ExitStack() as stack, server.wire() as wire:
        wire.call("VNEW", "quick", 2, "PRIMITIVE", "flat", "METRIC", "l2")
        wire.call("VADD", "quick", "a", bytes(8))
        for number in range(3):
            wire.call("VNEW", f"slow{number}", 64, "PRIMITIVE", "drdam", "FEATURES", 16384, "BETA", 0.01)
            assert wire.call("VADD", f"slow{number}", "a", vector) == 1
        for number in range(3):
            busy = stack.enter_context(server.socket())
            busy.sendall(encode("VRECALL", f"slow{number}", "VEC", bytes(256), "STEPS", 5, "TOL", 0))
        wire.socket.settimeout(2)
        for _ in range(100):
            assert wire.call("VSEARCH", "quick", bytes(8), 1)[0] == b"a"


def test_a_large_value_is_let_go(server):
    value = b"x" * (64 * MIB)
    with server.wire() as wire:
        with growth_below(server, 32 * MIB):
            for _ in range(3):
                assert wire.call("SET", "a", value) == "OK"
                assert wire.call("GET", "a") == value
                assert wire.call("DEL", "a") == 1


def test_random_bytes(server):
    source = random.Random(SEED)
    starts = [b"", b"*", b"*3\r\n$", b"*1\r\n$4\r\nVADD\r\n*", b"*2\r\n$4\r\nVGET\r\n$"]
    with growth_below(server, 32 * MIB):
        for _ in range(300):
            data = source.choice(starts) + source.randbytes(source.randrange(1, 2000))
            with server.socket() as connection, contextlib.suppress(ConnectionError):
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass
    assert_serving(server)


def test_random_arguments_of_every_command(server):
    source = random.Random(SEED)
    pieces = [b"index", b"string", b"k", b"0", b"-1", b"9223372036854775807", b"", b"EF", b"GET",
              b"\x00\x00\x80\x3f\x00\x00\x00\x00", b"\xff" * 8, b"1e400", b"*", b"[", b"\\"]  # fmt: skip
    with server.wire() as wire:
        names = {command[0].decode() for command in wire.call("COMMAND")}
        names = sorted(names - {"shutdown", "quit", "client"})
        wire.call("VNEW", "index", 2)
        wire.call("SET", "string", "x")
        for number in range(5_000):
            name = source.choice(names)
            arguments = [source.choice(pieces) for _ in range(source.randrange(6))]
            if name == "config" and arguments:
                arguments[0] = b"GET"
            wire.call(name, *arguments)
            if number % 50 == 0:
                wire.call("RESET")
    assert_serving(server)


def test_half_sent_frames_from_many_connections(server):
    whole = encode("VADD", "index", "key", bytes(400))
    with growth_below(server, 64 * MIB):
        with contextlib.ExitStack() as stack:
            for number in range(500):
                connection = stack.enter_context(server.socket())
                connection.sendall(whole[: number % len(whole)])
            assert_serving(server, clients=501)
        assert_serving(server)


def test_a_client_that_never_reads_its_replies(server):
    """2 GiB of replies are asked for: the server stops serving such a client, or closes it."""
    with server.wire() as wire:
        wire.call("SET", "a", b"x" * (100 * 1024))
    with growth_below(server, 256 * MIB), server.socket() as connection:
        connection.settimeout(1)
        with contextlib.suppress(TimeoutError, ConnectionError):
            connection.sendall(encode("GET", "a") * 20_000)
        assert_serving(server, clients=2)
    assert_serving(server)


def leave_abruptly(connection):
    """Closes with a reset, so that the server's replies fail."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_clients_that_disconnect_in_mid_search_harm_nobody(server):
    dim, count, leaving = 256, 4_000, 60
    vectors = np.random.default_rng(SEED).normal(size=(count, dim)).astype("<f4")
    with server.wire() as steady:
        assert steady.call("VNEW", "index", dim, "PRIMITIVE", "flat") == "OK"
        items = [part for row in range(count) for part in (b"%d" % row, vectors[row].tobytes())]
        assert steady.call("VMADD", "index", *items) == count

        def search_and_leave():
            for number in range(leaving):
                connection = server.socket()
                connection.sendall(encode("VSEARCH", "index", vectors[number].tobytes(), 1000) * 20)
                leave_abruptly(connection)
                # A newcomer may get the place of the one that left, never its replies.
                with server.wire() as newcomer:
                    assert newcomer.call("ECHO", number) == b"%d" % number

        thread = threading.Thread(target=search_and_leave)
        thread.start()
        while thread.is_alive():
            for row in (0, 1, count - 1):
                reply = steady.call("VSEARCH", "index", vectors[row].tobytes(), 1)
                assert reply[0] == b"%d" % row
        thread.join()
    assert_serving(server)


def test_a_pipeline_of_a_client_that_left_is_not_replayed_to_the_next(server):
    with server.socket() as connection:
        connection.sendall(encode("ECHO", "secret") * 1000)
        leave_abruptly(connection)
    with server.wire() as wire:
        assert wire.call("PING") == "PONG"
        with pytest.raises((TimeoutError, Closed)):
            wire.socket.settimeout(0.1)
            wire.read()


def test_more_clients_than_are_allowed(start):
    server = start("--maxclients", 3)
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            assert stack.enter_context(server.wire()).call("PING") == "PONG"
        one_too_many = stack.enter_context(server.wire())
        assert one_too_many.read() == "ERR max number of clients reached"
        assert one_too_many.is_closed()
    assert_serving(server)
