# SPDX-License-Identifier: Apache-2.0
"""WATCH and UNWATCH: which changes of a watched key prevent an EXEC, and that nothing else does. The same
tests run against Redis 7, whose bytes engram must send."""

import threading
import time

import pytest

import transactions
from transactions import (  # noqa: F401: the fixtures
    ABORTED,
    DISCARDED,
    NO_MULTI,
    QUEUED,
    Caller,
    a,
    b,
    connect,
    packet,
    run_all,
)


@pytest.fixture(scope="module", params=transactions.SERVERS)
def shared(request, tmp_path_factory):
    server = transactions.start(request.param, tmp_path_factory.mktemp(request.param))
    yield server
    server.end()


def is_prevented(caller):
    """Whether an EXEC of this client is; it forgets what it watches by this."""
    caller.queue("SET mark set")
    reply = caller.ask("EXEC")
    assert reply in (None, ["OK"])
    caller("GET mark", None if reply is None else b"set")
    caller(("DEL", "mark"), 0 if reply is None else 1)
    return reply is None


TOUCHING = {
    "a new value": "SET x 2",
    "the same value": "SET x 1",
    "a value and the old one": "SET x 2 GET",
    "a condition that holds": "SET x 2 XX",
    "several keys": "MSET y 1 x 2",
    "appending": "APPEND x 2",
    "counting": "INCR x",
    "counting by nothing": "INCRBY x 0",
    "deleting": "DEL y x",
    "an expiry": "EXPIRE x 100",
    "an expiry in the past": "EXPIRE x -1",
    "an expiry in milliseconds": "PEXPIRE x 100000",
    "emptying": "FLUSHALL",
    "emptying the database": "FLUSHDB",
}

NOT_TOUCHING = {
    "reading": "GET x",
    "reading several": "MGET x y",
    "length": "STRLEN x",
    "type": "TYPE x",
    "existence": "EXISTS x",
    "time to live": "TTL x",
    "another key": "SET y 1",
    "a name that differs in case": "SET X 1",
    "deleting another key": "DEL y",
    "a condition that does not hold": "SET x 2 NX",
    "an expiry whose condition does not hold": "EXPIRE x 100 XX",
    "no expiry to remove": "PERSIST x",
    "a command that fails": "SET x 1 EX 0",
    "a command of wrong arity": "SET x",
    "counting what is too large": "INCRBY x 9223372036854775807",
}


@pytest.mark.parametrize("what", TOUCHING)
def test_a_change_of_a_watched_key_prevents_exec(a, b, what):
    a("SET x 1", "+OK")
    a("WATCH x", "+OK")
    b.ask(TOUCHING[what])
    assert is_prevented(a)
    assert not is_prevented(a), "an EXEC ends the watch"


@pytest.mark.parametrize("what", NOT_TOUCHING)
def test_what_changes_nothing_prevents_nothing(a, b, what):
    a("SET x 1", "+OK")
    a("WATCH x", "+OK")
    b.ask(NOT_TOUCHING[what])
    assert not is_prevented(a)


@pytest.mark.parametrize("command", ["SET x 2", "DEL x", "EXPIRE x 100", "FLUSHALL"])
def test_a_change_by_the_watching_client_prevents_its_exec(a, command):
    a("SET x 1", "+OK")
    a("WATCH x", "+OK")
    a.ask(command)
    assert is_prevented(a)


def test_a_change_that_is_undone_has_happened(a, b):
    a("WATCH x", "+OK")
    b("SET x 1", "+OK")
    b("DEL x", 1)
    assert is_prevented(a)


def test_persisting_a_key_that_would_expire_is_a_change(a, b):
    a("SET x 1 EX 100", "+OK")
    a("WATCH x", "+OK")
    b("PERSIST x", 1)
    assert is_prevented(a)


def test_a_change_before_the_watch_does_not_count(a, b):
    b("SET x 1", "+OK")
    a("WATCH x", "+OK")
    a.queue("INCR x")
    a("EXEC", [2])


def test_a_change_while_commands_are_queued_counts(a, b):
    a("WATCH x", "+OK")
    a.queue("SET x mine")
    b("SET x yours", "+OK")
    a("INCR y", QUEUED)
    a("EXEC", ABORTED)
    a("MGET x y", [b"yours", None])


def test_a_change_by_a_transaction_counts(a, b):
    a("SET x 1", "+OK")
    a("WATCH x", "+OK")
    b.queue("GET x", "INCR x")
    assert not is_prevented(a)
    a("WATCH x", "+OK")
    b("EXEC", [b"1", 2])
    assert is_prevented(a)


def test_changes_by_the_transaction_itself_do_not_count(a):
    a("WATCH x y", "+OK")
    a.queue("SET x 1", "SET y 2", "FLUSHALL")
    a("EXEC", ["+OK"] * 3)
    assert not is_prevented(a)


def test_a_discarded_transaction_changes_nothing(a, b):
    a("WATCH x", "+OK")
    b.queue("SET x 1")
    b("DISCARD", "+OK")
    b("MULTI", "+OK")
    b("SET x 1", QUEUED)
    b("SET", "-ERR wrong number of arguments for 'set' command")
    b("EXEC", DISCARDED)
    b("WATCH y", "+OK")
    b("SET y 1", "+OK")
    b.queue("SET x 1")
    b("EXEC", ABORTED)
    assert not is_prevented(a)


# ---- keys that are not there, or not for ever


def test_a_missing_key_that_is_made_is_changed(a, b):
    a("WATCH x", "+OK")
    b("SET x 1", "+OK")
    assert is_prevented(a)


def test_a_missing_key_stays_missing_when_all_is_emptied(a, b):
    b("SET y 1", "+OK")
    a("WATCH x", "+OK")
    b("FLUSHALL", "+OK")
    b("DEL x", 0)
    assert not is_prevented(a)


def test_emptying_changes_those_watched_keys_that_were_there(a, b, connect):
    c = connect()
    b("SET x 1", "+OK")
    a("WATCH none x", "+OK")
    c("WATCH none", "+OK")
    b("FLUSHALL", "+OK")
    assert is_prevented(a) and not is_prevented(c)


def await_expiry(caller, key):
    """Waits for the time only: looking at the key would delete it."""
    time.sleep(caller.ask(f"PTTL {key}") / 1000 + 0.005)


def test_a_watched_key_that_expires_is_changed(a):
    a("SET x 1 PX 20", "+OK")
    a("WATCH x", "+OK")
    await_expiry(a, "x")
    assert is_prevented(a)


def test_a_watched_key_that_expires_and_is_missed_by_somebody_is_changed(a, b):
    a("SET x 1 PX 20", "+OK")
    a("WATCH x", "+OK")
    await_expiry(b, "x")
    b("GET x", None)
    assert is_prevented(a)


def test_a_key_that_expires_while_commands_are_queued_is_changed(a):
    a("SET x 1 PX 30", "+OK")
    a("WATCH x", "+OK")
    ttl_ms = a.ask("PTTL x")
    a.queue("SET x mine")
    time.sleep(ttl_ms / 1000 + 0.005)
    a("EXEC", ABORTED)
    a("GET x", None)


def test_a_key_that_had_expired_before_the_watch_is_missing(a, b):
    a("SET x 1 PX 10", "+OK")
    await_expiry(a, "x")
    a("WATCH x", "+OK")
    b("GET x", None)
    b("DEL x", 0)
    assert not is_prevented(a)
    a("SET x 1 PX 10", "+OK")
    await_expiry(a, "x")
    a("WATCH x", "+OK")
    b("SET x 2", "+OK")
    assert is_prevented(a)


def test_a_key_with_an_expiry_far_away_is_as_any_other(a):
    a("SET x 1 EX 100", "+OK")
    a("WATCH x", "+OK")
    assert not is_prevented(a)


# ---- what ends a watch


def test_unwatch_forgets_every_key(a, b):
    a("UNWATCH", "+OK")
    a("WATCH x y", "+OK")
    b("SET x 1", "+OK")
    a("UNWATCH", "+OK")
    b("SET y 1", "+OK")
    assert not is_prevented(a)


def test_unwatch_inside_comes_too_late(a, b):
    a("WATCH x", "+OK")
    b("SET x 1", "+OK")
    a.queue("UNWATCH")
    a("EXEC", ABORTED)
    a.queue("UNWATCH", "PING")
    a("EXEC", ["+OK", "+PONG"])


def test_discard_forgets_every_key(a, b):
    a("WATCH x y", "+OK")
    b("SET x 1", "+OK")
    a("MULTI", "+OK")
    a("DISCARD", "+OK")
    b("SET y 1", "+OK")
    assert not is_prevented(a)


def test_exec_forgets_every_key_whatever_it_answers(a, b):
    a("WATCH x", "+OK")
    a("MULTI", "+OK")
    a("EXEC", [])
    b("SET x 1", "+OK")
    assert not is_prevented(a)
    a("WATCH x", "+OK")
    b("SET x 2", "+OK")
    a("MULTI", "+OK")
    a("SET", "-ERR wrong number of arguments for 'set' command")
    a("EXEC", DISCARDED)
    assert not is_prevented(a)


def test_exec_and_discard_without_multi_forget_nothing(a, b):
    a("WATCH x", "+OK")
    a("EXEC", NO_MULTI)
    a("DISCARD", "-ERR DISCARD without MULTI")
    b("SET x 1", "+OK")
    assert is_prevented(a)


def test_reset_forgets_every_key(a, b):
    a.wire.call("HELLO", 2)
    a.protocol = 2
    a("WATCH x y", "+OK")
    b("SET x 1", "+OK")
    a("RESET", "+RESET")
    b("SET y 1", "+OK")
    assert not is_prevented(a)


def test_a_mistake_in_watch_keeps_what_is_watched(a, b):
    a("WATCH x", "+OK")
    a("WATCH", "-ERR wrong number of arguments for 'watch' command")
    a("UNWATCH x", "-ERR wrong number of arguments for 'unwatch' command")
    b("SET x 1", "+OK")
    assert is_prevented(a)


# ---- many keys, many clients


def test_watched_keys_add_up(a, b):
    a("WATCH x", "+OK")
    a("WATCH y z", "+OK")
    b("SET y 1", "+OK")
    assert is_prevented(a)
    a("WATCH x", "+OK")
    a("WATCH y z", "+OK")
    b("SET x 1", "+OK")
    assert is_prevented(a)


def test_a_key_may_be_watched_twice(a, b):
    a("WATCH x x", "+OK")
    a("WATCH x", "+OK")
    b("SET x 1", "+OK")
    assert is_prevented(a) and not is_prevented(a)
    a("WATCH x x", "+OK")
    assert not is_prevented(a)


def test_a_change_concerns_all_who_watch(a, b, connect):
    c = connect()
    for caller in (a, b, c):
        caller("WATCH x", "+OK")
    b("UNWATCH", "+OK")
    c("SET x 1", "+OK")
    assert is_prevented(a) and not is_prevented(b) and is_prevented(c)


def test_of_two_who_want_the_same_the_first_wins(a, b):
    for caller in (a, b):
        caller("WATCH x", "+OK")
        caller("GET x", None)
        caller.queue("INCR x")
    a("EXEC", [1])
    b("EXEC", ABORTED)
    a("GET x", b"1")


def test_a_watching_client_may_leave(connect, a, b):
    leaving = connect()
    leaving("WATCH x y", "+OK")
    a("WATCH y", "+OK")
    leaving.wire.socket.close()
    b("SET x 1", "+OK")
    assert not is_prevented(a)
    a("WATCH y", "+OK")
    b("SET y 1", "+OK")
    assert is_prevented(a)


def test_a_thousand_keys_may_be_watched(a, b):
    keys = [f"key {number}" for number in range(1_000)]
    a(("WATCH", *keys), "+OK")
    b("SET other 1", "+OK")
    assert not is_prevented(a)
    for touched in (keys[0], keys[499], keys[-1]):
        a(("WATCH", *keys), "+OK")
        b(("SET", touched, 1), "+OK")
        assert is_prevented(a)


def test_a_watched_transaction_may_be_one_packet(a):
    commands = ["SET x 1", "WATCH x", "SET x 2", "MULTI", "GET x", "EXEC", "WATCH x", "MULTI", "GET x", "EXEC"]
    a.wire.send_bytes(packet(*commands))
    a.expect("+OK", "+OK", "+OK", "+OK", QUEUED, ABORTED, "+OK", "+OK", QUEUED, [b"2"])


# ---- what it is for


def test_counting_by_reading_and_writing_loses_nothing(server, protocol):
    clients, rounds = 8, 25

    def count():
        caller = Caller(server, protocol)
        done = 0
        while done < rounds:
            caller("WATCH n", "+OK")
            number = int(caller.ask("GET n") or 0)
            caller.queue(f"SET n {number + 1}")
            done += caller.ask("EXEC") is not None
        caller.wire.socket.close()

    run_all(*[count] * clients)
    Caller(server, protocol)("GET n", b"%d" % (clients * rounds))


def test_nobody_sees_half_a_transaction(server, protocol):
    done = threading.Event()

    def write():
        caller = Caller(server, protocol)
        for number in range(300):
            caller.wire.send_bytes(
                packet("MULTI", f"SET x {number}", f"SET y {number}", "INCR x", "INCR y", "EXEC")
            )
            caller.expect("+OK", *[QUEUED] * 4, ["+OK", "+OK", number + 1, number + 1])
        done.set()

    def read():
        caller = Caller(server, protocol)
        while not done.is_set():
            x, y = caller.ask("MGET x y")
            assert x == y
            caller.queue("GET y", "GET x")
            y, x = caller.ask("EXEC")
            assert x == y

    try:
        run_all(write, read, read)
    finally:
        done.set()
