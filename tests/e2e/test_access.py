# SPDX-License-Identifier: Apache-2.0
"""Who is served and when: passwords, protected mode, pauses."""

import contextlib
import socket
import struct
import subprocess
import time

import pytest

import live
from wire import Closed, Wire, encode

NO_AUTH = "NOAUTH Authentication required."
WRONG_PASS = "WRONGPASS invalid username-password pair or user is disabled."


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    """engram and Redis with the same password."""
    servers = (
        live.Server(tmp_path_factory.mktemp("engram"), "--requirepass", "secret"),
        live.Redis(tmp_path_factory.mktemp("redis")),
    )
    with servers[1].wire() as wire:
        assert wire.call("CONFIG", "SET", "requirepass", "secret") == "OK"
    yield servers
    for server in servers:
        server.end()


# Commands are written as one types them.
DIALOGUES = {
    "strangers": ["PING", "GET a", "NoSuch", "GET", "INFO", "COMMAND", "CONFIG GET x", "HELLO 3", "HELLO", "ECHO x", "SELECT 0"],
    "wrong passwords": [
        "AUTH wrong", "AUTH", "AUTH default wrong", "AUTH nobody secret", "AUTH default secret x", "AUTH secre", "AUTH secrets", "HELLO 3 AUTH default wrong",
        "HELLO 2 AUTH nobody secret", "HELLO 3 AUTH default", "HELLO 9 AUTH default secret", "HELLO 3 AUTH default secret BOGUS", "PING",
    ],
    "the password": ["AUTH secret", "PING", "AUTH wrong", "PING", "AUTH default secret", "RESET", "PING", "AUTH default secret", "PING"],
    "hello": ["HELLO 2 AUTH default secret SETNAME me", "CLIENT GETNAME", "HELLO 2 AUTH default wrong", "CLIENT GETNAME", "RESET", "CLIENT GETNAME"],
    "transactions of strangers": ["MULTI", "SET a 1", "EXEC", "DISCARD", "WATCH a", "UNWATCH"],
    "a transaction that was begun": ["AUTH secret", "MULTI", "AUTH wrong", "PING", "EXEC"],
    "quit": ["QUIT", "PING"],
}  # fmt: skip

FRAMES = {
    "many arguments": encode(*["ECHO"] * 11),
    "ten arguments": encode(*["ECHO"] * 10) + encode("PING"),
    "a large argument": b"*2\r\n$4\r\nAUTH\r\n$16385\r\n",
    "the largest argument": encode("AUTH", "x" * 16384),
    "both after a login": encode("AUTH", "secret") + encode("ECHO", "x" * 20_000) + encode("DEL", *["x"] * 20),
}


def replies(server, data):
    found = []
    with server.wire() as wire:
        wire.send_bytes(data)
        wire.socket.shutdown(socket.SHUT_WR)
        with contextlib.suppress(Closed):
            while True:
                found.append(wire.read_raw())
    return found


@pytest.mark.parametrize("name", DIALOGUES)
def test_a_password_is_asked_for_as_redis_does(locked, name):
    data = b"".join(encode(*command.split()) for command in DIALOGUES[name])
    # Who greets, and as whom, differs.
    engram, peer = ([reply for reply in replies(server, data) if b"$6\r\nserver" not in reply] for server in locked)
    assert engram == peer


@pytest.mark.parametrize("name", FRAMES)
def test_strangers_may_send_little(locked, name):
    engram, peer = (replies(server, FRAMES[name]) for server in locked)
    assert engram == peer


def test_a_greeting_with_the_password_opens(locked):
    with locked[0].wire() as wire:
        assert wire.call("HELLO", 3) == locked[1].wire().call("HELLO", 3)
        assert wire.call("HELLO", 3, "AUTH", "default", "secret")["proto"] == 3
        assert wire.call("PING") == "PONG"


def test_a_password_set_at_run_time_is_for_those_who_come(start):
    server = start()
    with server.wire() as early:
        assert early.call("CONFIG", "SET", "requirepass", "secret") == "OK"
        assert early.call("PING") == "PONG"
        with server.wire() as late:
            assert late.call("PING") == NO_AUTH
            assert late.call("AUTH", "secre\0") == WRONG_PASS
            assert early.call("CONFIG", "SET", "requirepass", "") == "OK"
            assert late.call("PING") == "PONG"
        assert early.call("CONFIG", "SET", "requirepass", "x" * 513).startswith("ERR CONFIG SET failed")


def foreign_address():
    """An address of this machine that is no loopback address."""
    found = subprocess.run(["hostname", "-I"], capture_output=True, text=True).stdout.split()
    found = [address for address in found if ":" not in address]
    return found[0] if found else pytest.skip("this machine has no other address")


def first_line(host, port):
    with socket.create_connection((host, port), timeout=live.PATIENCE_SECONDS) as peer:
        peer.sendall(b"PING\r\n")
        with contextlib.suppress(ConnectionError):
            return peer.recv(4096).decode()


def test_protected_mode_serves_this_computer_alone(start):
    host = foreign_address()
    server = start("--bind", "0.0.0.0")
    assert "without a password" in server.output()
    assert first_line(host, server.port).startswith("-DENIED engram is running in protected mode")
    assert first_line("127.0.0.1", server.port) == "+PONG\r\n"
    with server.wire() as wire:
        assert wire.call("CONFIG", "GET", "protected-mode") == [b"protected-mode", b"yes"]
        assert wire.call("CONFIG", "SET", "requirepass", "secret") == "OK"
        assert first_line(host, server.port).startswith("-NOAUTH")
        assert wire.call("CONFIG", "SET", "requirepass", "") == "OK"
        assert first_line(host, server.port).startswith("-DENIED")
        assert wire.call("CONFIG", "SET", "protected-mode", "no") == "OK"
        assert first_line(host, server.port) == "+PONG\r\n"
        assert wire.call("CONFIG", "SET", "protected-mode", "maybe").startswith("ERR CONFIG SET failed")


def test_an_address_that_is_bound_later_is_protected_too(start):
    host = foreign_address()
    server = start()
    with server.wire() as wire:
        assert wire.call("CONFIG", "SET", "bind", f"127.0.0.1 {host}") == "OK"
        assert first_line(host, server.port).startswith("-DENIED")


def test_without_protection_strangers_are_served_with_a_warning(start):
    host = foreign_address()
    server = start("--bind", "0.0.0.0", "--protected-mode", "no")
    assert "anyone" in server.output()
    assert first_line(host, server.port) == "+PONG\r\n"


def test_a_client_is_told_the_bytes_of_its_own_command(server):
    with server.wire() as wire:
        for command in (b"*2\r\n$6\r\nclient\r\n$4\r\ninfo\r\n", b"*2\r\n$6\r\nclient\r\n$4\r\nlist\r\n"):
            wire.send_bytes(command)
            assert b" qbuf=26 " in wire.read()


# --- CLIENT PAUSE ---------------------------------------------------------------------------------


def waiting(server):
    with server.wire() as wire:
        return int(wire.call("INFO", "clients").decode().partition("blocked_clients:")[2].split()[0])


def wait_for_waiting(server, count):
    live.wait_until(lambda: waiting(server) == count, f"{count} clients wait")


def test_a_pause_of_writes_lets_reads_pass(server):
    with server.wire() as admin, server.wire() as writer, server.wire() as reader:
        assert admin.call("SET", "a", 1) == "OK"
        assert admin.call("CLIENT", "PAUSE", 100_000, "WRITE") == "OK"
        writer.send("GET", "a")
        writer.send("SET", "a", 2)
        writer.send("GET", "a")
        assert writer.read() == b"1"
        assert reader.call("GET", "a") == b"1"
        assert reader.call("SET", "a") == "ERR wrong number of arguments for 'set' command"
        wait_for_waiting(server, 1)
        assert admin.call("CLIENT", "UNPAUSE") == "OK"
        assert [writer.read(), writer.read()] == ["OK", b"2"]
        assert waiting(server) == 0


def test_a_pause_stops_transactions_that_write(server):
    with server.wire() as admin, server.wire() as writer, server.wire() as reader:
        assert writer.call("MULTI") == "OK"
        assert writer.call("SET", "a", 1) == "QUEUED"
        assert admin.call("CLIENT", "PAUSE", 100_000, "WRITE") == "OK"
        assert reader.call("MULTI") == "OK"
        assert reader.call("GET", "a") == "QUEUED"
        assert reader.call("EXEC") == [None]
        writer.send("EXEC")
        wait_for_waiting(server, 1)
        assert reader.call("GET", "a") is None
        assert admin.call("CLIENT", "UNPAUSE") == "OK"
        assert writer.read() == ["OK"]


def test_a_pause_of_all_ends_by_itself_or_by_unpause(server):
    with server.wire() as admin, server.wire() as other:
        began = time.monotonic()
        assert admin.call("CLIENT", "PAUSE", 300) == "OK"
        assert other.call("PING") == "PONG"
        assert time.monotonic() - began >= 0.29
        assert admin.call("CLIENT", "PAUSE", 100_000, "ALL") == "OK"
        other.send("PING")
        other.send("ECHO", "x")
        assert admin.call("CLIENT", "UNPAUSE") == "OK"
        assert [other.read(), other.read()] == ["PONG", b"x"]


def test_a_shorter_or_smaller_pause_takes_nothing_back(server):
    with server.wire() as admin, server.wire() as other:
        began = time.monotonic()
        admin.send("CLIENT", "PAUSE", 300, "ALL")
        admin.send("CLIENT", "PAUSE", 1, "WRITE")
        assert admin.read() == "OK"
        assert other.call("PING") == "PONG"
        assert time.monotonic() - began >= 0.29
        assert admin.read() == "OK"


def test_a_client_that_leaves_a_pause_is_forgotten(server):
    with server.wire() as admin:
        assert admin.call("CLIENT", "PAUSE", 100_000, "WRITE") == "OK"
        with server.wire() as writer:
            writer.send("SET", "a", 1)
            wait_for_waiting(server, 1)
            # Not as a client that may still read.
            writer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wait_for_waiting(server, 0)
        assert admin.call("CLIENT", "UNPAUSE") == "OK"
        assert admin.call("GET", "a") is None
