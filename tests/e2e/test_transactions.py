# SPDX-License-Identifier: Apache-2.0
"""MULTI, EXEC, DISCARD: what is queued, what is executed, and what a mistake costs. The same tests run
against Redis 7, whose bytes engram must send."""

import subprocess

import pytest

import live
import transactions
from transactions import (  # noqa: F401: the fixtures
    ABORTED,
    DISCARDED,
    NESTED,
    NO_INTEGER,
    NO_MULTI,
    NOT_ALLOWED,
    QUEUED,
    WATCH_INSIDE,
    a,
    b,
    connect,
    field,
    packet,
    text,
)


@pytest.fixture(scope="module", params=transactions.SERVERS)
def shared(request, tmp_path_factory):
    server = transactions.start(request.param, tmp_path_factory.mktemp(request.param))
    yield server
    server.end()


def wrong_arity(name):
    return f"-ERR wrong number of arguments for '{name}' command"


# ---- queueing and executing


def test_commands_wait_for_exec_and_are_answered_together(a, b):
    a.queue("SET x 1", "INCR x", "GET x", "GET none", "EXISTS x x", "DEL x", "TYPE x")
    b("EXISTS x", 0)
    a("EXEC", ["+OK", 2, b"2", None, 2, 1, "+none"])
    a("PING", "+PONG")


def test_a_transaction_may_be_empty(a):
    a("MULTI", "+OK")
    a("EXEC", [])


def test_names_of_commands_come_in_any_case(a):
    a("multi", "+OK")
    a("sEt x 1", QUEUED)
    a("Exec", ["+OK"])


def test_discard_drops_the_queue(a):
    a.queue("SET x 1", "INCR x")
    a("DISCARD", "+OK")
    a("GET x", None)
    a("EXEC", NO_MULTI)


def test_one_transaction_may_follow_another(a):
    for number in range(1, 4):
        a.queue("INCR x")
        a("EXEC", [number])
    a.queue("INCR x")
    a("DISCARD", "+OK")
    a.queue("INCR x")
    a("EXEC", [4])


def test_exec_and_discard_need_a_multi(a):
    a("EXEC", NO_MULTI)
    a("DISCARD", "-ERR DISCARD without MULTI")
    a.queue("PING")
    a("EXEC", ["+PONG"])
    a("EXEC", NO_MULTI)
    a("DISCARD", "-ERR DISCARD without MULTI")


def test_a_nested_multi_is_refused_and_harms_nothing(a):
    a.queue("SET x 1")
    a("MULTI", NESTED)
    a("INCR x", QUEUED)
    a("EXEC", ["+OK", 2])


@pytest.mark.parametrize("name", ["multi", "discard", "unwatch"])
def test_commands_of_transactions_take_no_arguments(a, name):
    a(f"{name} x", wrong_arity(name))
    a.queue("SET x 1")
    a(f"{name} x", wrong_arity(name))
    a("EXEC", DISCARDED)
    a("EXISTS x", 0)


def test_an_exec_of_wrong_arity_discards_the_transaction(a):
    abort = f"-EXECABORT Transaction discarded because of: {wrong_arity('exec')[5:]}"
    a("EXEC x", abort)
    a.queue("SET x 1")
    a("EXEC x", abort)
    a("GET x", None)
    a("EXEC", NO_MULTI)


def test_arguments_are_kept_as_they_were_sent(a):
    value = bytes(range(256)) * 40
    a("MULTI", "+OK")
    a(("SET", b"\0\r\n", value), QUEUED)
    a(("ECHO", ""), QUEUED)
    for number in range(200):  # what the server read them into is written over
        a(("SET", f"key {number}", b"%d" % number * 100), QUEUED)
    a("EXEC", ["+OK", b"", *["+OK"] * 200])
    a(("GET", b"\0\r\n"), value)
    a(("GET", "key 199"), b"199" * 100)


def test_ten_thousand_commands_are_one_transaction(a, b):
    count = 10_000
    a("MULTI", "+OK")
    a.wire.send_bytes(packet("INCR x") * count)
    a.expect(*[QUEUED] * count)
    b("EXISTS x", 0)
    a("EXEC", list(range(1, count + 1)))


def test_large_replies_come_whole(a):
    value = b"x" * 300_000
    a(("SET", "x", value), "+OK")
    a.queue(*["GET x"] * 20)
    a("EXEC", [value] * 20)


def test_queries_of_all_kinds_see_what_was_done_before_them(a):
    a("SET x 1 EX 100", "+OK")
    a.queue(
        "DBSIZE", "KEYS *", "FLUSHALL", "DBSIZE", "SCAN 0", "MSET y 1 z 2", "MGET y none z", "TTL x", "STRLEN y",
        "APPEND y 23", "DECRBY y 3", "EXPIRE y 100", "TTL y", "PERSIST y", "TTL y", "SET y 9 NX", "SET y 9 GET", "ECHO hi",
    )  # fmt: skip
    a("EXEC", [
        1, [b"x"], "+OK", 0, [b"0", []], "+OK", [b"1", None, b"2"], -2, 1, 3, 120, 1, 100, 1, -1, None, b"120", b"hi",
    ])  # fmt: skip


# ---- mistakes


@pytest.mark.parametrize(
    "command, complaint",
    [
        ("NoSuch a", "-ERR unknown command 'NoSuch', with args beginning with: 'a' "),
        ("GET", wrong_arity("get")),
        ("SET x", wrong_arity("set")),
        ("CLIENT", wrong_arity("client")),
        ("CLIENT ID x", wrong_arity("client|id")),
        ("CONFIG NOPE", "-ERR unknown subcommand 'NOPE'. Try CONFIG HELP."),
        ("COMMAND NOPE", "-ERR unknown subcommand 'NOPE'. Try COMMAND HELP."),
        ("WATCH", wrong_arity("watch")),
        ("RESET x", wrong_arity("reset")),
        ("SAVE", NOT_ALLOWED),
        ("SAVE x", wrong_arity("save")),
        ("SHUTDOWN", NOT_ALLOWED),
        ("SHUTDOWN NOSAVE", NOT_ALLOWED),
    ],
)
def test_what_cannot_be_queued_discards_the_transaction(a, command, complaint):
    a.queue("SET x 1")
    a(command, complaint)
    a("INCR y", QUEUED)
    a("EXEC", DISCARDED)
    a("EXISTS x y", 0)
    a("EXEC", NO_MULTI)
    a.queue("SET x 2")
    a("EXEC", ["+OK"])


def test_discard_forgets_what_could_not_be_queued(a):
    a("MULTI", "+OK")
    a("NoSuch", "-ERR unknown command 'NoSuch', with args beginning with: ")
    a("DISCARD", "+OK")
    a.queue("PING")
    a("EXEC", ["+PONG"])


def test_a_command_that_fails_does_not_stop_those_after_it(a):
    a.queue("SET x text", "INCR x", "SET y 1", "SET z 1 EX abc", "EXPIRE y 1 NX XX", "INCR y", "SELECT 99", "GET y")
    a("EXEC", [
        "+OK", NO_INTEGER, "+OK", NO_INTEGER, "-ERR NX and XX, GT or LT options at the same time are not compatible",
        2, "-ERR DB index is out of range", b"2",
    ])  # fmt: skip
    a("GET y", b"2")


def test_a_mistake_of_the_protocol_executes_nothing(a, b):
    a.queue("SET x 1")
    a.wire.send_bytes(b"*1\r\n:1\r\n" + packet("EXEC"))
    a.expect("-ERR Protocol error: expected '$', got ':'")
    assert a.wire.is_closed()
    b("EXISTS x", 0)


# ---- commands about the connection


def test_quit_is_obeyed_at_once(a, b):
    a.queue("SET x 1")
    a("QUIT", "+OK")
    assert a.wire.is_closed()
    b("EXISTS x", 0)


def test_a_client_that_leaves_executes_nothing(connect, b):
    for last in (("SET", "x", 1), ("DISCARD",), ("NoSuch",)):
        leaving = connect()
        leaving("WATCH x", "+OK")
        leaving.queue("SET x 1")
        leaving.wire.send(*last)
        leaving.wire.read()
        leaving.wire.socket.close()
    b("SET y 1", "+OK")
    b("EXISTS x", 0)


def test_reset_ends_the_transaction(a):
    a.protocol, protocol = 2, a.protocol
    a.queue("SET x 1")
    a("RESET", "+RESET")
    a("EXEC", NO_MULTI)
    a("EXISTS x", 0)
    if protocol == 3:
        a.wire.call("HELLO", 3)
        a.protocol = 3
    a.queue("GET x")
    a("EXEC", [None])


def test_hello_takes_effect_where_it_stands(a):
    a("MULTI", "+OK")
    for command in ("GET x", "HELLO 3", "GET x", "HELLO 2", "GET x", "HELLO 4"):
        a(command, QUEUED)
    a.wire.send("EXEC")
    raw = a.wire.read_raw()
    assert raw.startswith(b"*6\r\n" + transactions.encoded(None, a.protocol) + b"%")
    assert b"\r\n_\r\n*" in raw
    assert raw.endswith(b"$-1\r\n-NOPROTO unsupported protocol version\r\n")
    a.protocol = 2
    a("GET x", None)


def test_the_reply_of_exec_is_in_the_protocol_of_its_time(a):
    a("WATCH x", "+OK")
    a("SET x 1", "+OK")
    other = 5 - a.protocol
    a.ask(f"HELLO {other}")
    a.protocol = other
    a.queue("GET x")
    a("EXEC", ABORTED)


def test_settings_of_the_client_are_made_in_their_turn(a):
    a.queue("CLIENT SETNAME me", "CLIENT GETNAME", "SELECT 0", "CLIENT SETNAME you", "CLIENT KILL ID abc")
    a("CLIENT GETNAME", QUEUED)
    a("EXEC", ["+OK", b"me", "+OK", "+OK", "-ERR client-id should be greater than 0", b"you"])


def test_replies_may_be_switched_off_before_a_transaction(a):
    a.wire.send("CLIENT", "REPLY", "OFF")
    a.wire.send_bytes(packet("MULTI", "SET x 1", "EXEC"))
    a("CLIENT REPLY ON", "+OK")
    a("GET x", b"1")


def test_replies_switched_on_while_queueing_stay_off_until_exec(a):
    a.wire.send("CLIENT", "REPLY", "OFF")
    a.wire.send_bytes(packet("MULTI", "SET x 1", "CLIENT REPLY ON"))
    a("EXEC", "+OK")  # of CLIENT REPLY; the head of the array was sent before
    a("GET x", b"1")


def test_skip_skips_the_answer_to_multi(a):
    a.wire.send("CLIENT", "REPLY", "SKIP")
    a.wire.send("MULTI")
    a("PING x", QUEUED)
    a("EXEC", [b"x"])


@pytest.mark.parametrize(
    "commands, replies",
    [
        (
            ["PING x", "CLIENT REPLY OFF", "PING y", "CLIENT REPLY ON", "PING z", "EXEC", "PING"],
            ["+OK", *[QUEUED] * 5, "*5", b"x", "+OK", b"z", "+PONG"],
        ),
        (
            ["PING x", "CLIENT REPLY SKIP", "PING y", "PING z", "EXEC", "PING", "PING end"],
            ["+OK", *[QUEUED] * 4, "*4", b"x", b"y", b"z", b"end"],
        ),
        (
            ["CLIENT REPLY OFF", "PING x", "EXEC", "PING", "CLIENT REPLY ON", "PING end"],
            ["+OK", *[QUEUED] * 2, "*2", "+OK", b"end"],
        ),
    ],
    ids=["off and on", "skip", "off"],
)
def test_switching_replies_inside_leaves_holes_in_the_array(server, protocol, commands, replies):
    """The array's head counts all answers, those too that are then not sent."""
    with server.wire(protocol) as wire:
        wire.send_bytes(packet("MULTI", *commands))
        transactions.receive(wire, replies, protocol)


def test_client_list_counts_what_is_queued(a, b):
    multi, flags = a.client_field("multi"), a.client_field("flags")
    assert (multi(b), flags(b)) == ("-1", "N")
    a("MULTI", "+OK")
    assert (multi(b), flags(b)) == ("0", "x")
    a("SET x 1", QUEUED)
    a("CLIENT INFO", QUEUED)
    assert (multi(b), flags(b)) == ("2", "x")
    set_reply, line = a.ask("EXEC")
    assert (set_reply, field(line, "multi"), field(line, "flags")) == ("OK", "2", "x")
    assert (multi(b), flags(b)) == ("-1", "N")
    a("WATCH y", "+OK")
    b("SET y 1", "+OK")
    assert (multi(b), flags(b)) == ("-1", "d")
    a("MULTI", "+OK")
    assert (multi(b), flags(b)) in (("0", "xd"), ("0", "dx"))
    a("DISCARD", "+OK")
    assert (multi(b), flags(b)) == ("-1", "N")


def test_another_client_may_be_closed_from_inside(a, b):
    number = b.ask("CLIENT ID")
    b("WATCH x", "+OK")
    b.queue("SET x 1")
    a.queue(f"CLIENT KILL ID {number}", "SET y 1")
    a("EXEC", [1, "+OK"])
    assert b.wire.is_closed()
    a("EXISTS x y", 1)


def test_a_client_that_closes_itself_inside_has_its_transaction_executed(a, b):
    number = a.ask("CLIENT ID")
    a.queue("SET x 1", f"CLIENT KILL ID {number} SKIPME no", "SET y 1")
    a.wire.send("EXEC")
    a.wire.is_closed()
    b("MGET x y", [b"1", b"1"])


COMMANDS = {
    "multi": (1, {"noscript", "loading", "stale", "fast", "allow_busy"}, 0, 0, 0),
    "exec": (1, {"noscript", "loading", "stale", "skip_slowlog"}, 0, 0, 0),
    "discard": (1, {"noscript", "loading", "stale", "fast", "allow_busy"}, 0, 0, 0),
    "watch": (-2, {"noscript", "loading", "stale", "fast", "allow_busy"}, 1, -1, 1),
    "unwatch": (1, {"noscript", "loading", "stale", "fast", "allow_busy"}, 0, 0, 0),
}


def test_command_info_describes_them(a):
    for name, described in zip(COMMANDS, a.ask(f"COMMAND INFO {' '.join(COMMANDS)}"), strict=True):
        title, arity, flags, first, last, step, categories = described[:7]
        assert title == name.encode()
        assert (arity, set(flags), first, last, step) == COMMANDS[name]
        assert set(categories) == {"@transaction", "@slow" if name == "exec" else "@fast"}


def test_command_info_says_what_is_not_allowed_inside(a):
    names = ["save", "shutdown", "bgsave", "set", "exec"]
    described = a.ask(f"COMMAND INFO {' '.join(names)}")
    barred = [name for name, entry in zip(names, described) if "no_multi" in entry[2]]
    assert barred == ["save", "shutdown"]


def test_a_snapshot_that_is_asked_for_inside_is_taken_afterwards(a):
    a.queue("SET x 1", "BGSAVE", "SET y 1")
    a("EXEC", ["+OK", "+Background saving scheduled", "+OK"])
    # "In progress" would not do: Redis begins up to a tenth of a second later.
    live.wait_until(lambda: "rdb_changes_since_last_save:0" in text(a.ask("INFO persistence")), "it is saved")


# ---- packets

SENT = [
    "SET x 1", "MULTI", "INCR x", "GET x", "EXEC", "GET x",
    "MULTI", "INCR", "EXEC", "MULTI", "PING", "DISCARD", "INCR x",
]  # fmt: skip
REPLIES = [
    "+OK", "+OK", QUEUED, QUEUED, [2, b"2"], b"2",
    "+OK", wrong_arity("incr"), DISCARDED, "+OK", QUEUED, "+OK", 3,
]  # fmt: skip


def test_a_transaction_may_be_one_packet(a):
    a.wire.send_bytes(packet(*SENT) * 50)
    for _ in range(50):
        a.expect(*REPLIES)


def test_a_transaction_may_be_cut_anywhere(a, b):
    data = packet(*SENT[:6])
    for cut in range(1, len(data)):
        a.wire.send_bytes(data[:cut])
        b("PING", "+PONG")
        a.wire.send_bytes(data[cut:])
        a.expect(*REPLIES[:6])


def test_a_transaction_may_come_byte_by_byte(a):
    for byte in packet(*SENT):
        a.wire.send_bytes(bytes([byte]))
    a.expect(*REPLIES)


def test_inline_commands_are_queued_too(a):
    a.wire.send_bytes(b'MULTI\r\nSET x "a b"\n\r\n  GET x\r\nEXEC\r\nGET x\r\n')
    a.expect("+OK", QUEUED, QUEUED, ["+OK", b"a b"], b"a b")


def test_watch_is_refused_inside_and_harms_nothing(a, b):
    a("MULTI", "+OK")
    a("WATCH x", WATCH_INSIDE)
    a("GET x", QUEUED)
    b("SET x 1", "+OK")
    a("EXEC", [b"1"])


def test_redis_cli_runs_a_transaction(server):
    done = subprocess.run(
        ["redis-cli", "-p", str(server.port)],
        input="MULTI\nSET x 1\nINCR x\nEXEC\nEXEC\n",
        capture_output=True,
        text=True,
        timeout=live.PATIENCE_SECONDS,
    )
    assert done.stdout.split("\n")[:5] == ["OK", "QUEUED", "QUEUED", "OK", "2"]
    assert "EXEC without MULTI" in done.stdout
