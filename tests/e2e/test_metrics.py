# SPDX-License-Identifier: Apache-2.0
"""What the server tells of its work: INFO's statistics of commands, LATENCY, SLOWLOG and MONITOR."""

import re

import pytest

from live import SANITIZED, wait_until
from wire import ErrorReply, encode, pack


@pytest.fixture
def quiet(server):
    """A connection to a server that has counted nothing."""
    with server.wire() as connection:
        for name, value in (
            ("latency-tracking", "yes"),
            ("latency-tracking-info-percentiles", "50 99 99.9"),
            ("slowlog-log-slower-than", 10_000),
            ("slowlog-max-len", 128),
            ("requirepass", ""),
        ):
            assert connection.call("CONFIG", "SET", name, value) == "OK"
        assert connection.call("SLOWLOG", "RESET") == "OK"
        assert connection.call("CONFIG", "RESETSTAT") == "OK"
        yield connection


def section(connection, name):
    """The lines of a section of INFO, as a dictionary of dictionaries of numbers."""
    lines = connection.call("INFO", name).decode().splitlines()
    assert lines[0] == f"# {name.capitalize()}"
    told = (line.split(":") for line in lines[1:])
    return {
        key: {field: float(number) for field, number in (pair.split("=") for pair in rest.split(","))}
        for key, rest in told
    }


def calls(connection, command):
    return section(connection, "commandstats").get(f"cmdstat_{command}", {}).get("calls", 0)


# --- INFO -----------------------------------------------------------------------------------------


def test_commandstats_count_calls_rejections_and_failures(quiet):
    quiet.call("SET", "a", "text")
    for _ in range(3):
        quiet.call("GET", "a")
    assert isinstance(quiet.call("GET"), ErrorReply)  # too few arguments: rejected
    assert isinstance(quiet.call("INCR", "a"), ErrorReply)  # begun, and failed
    assert isinstance(quiet.call("NONSENSE"), ErrorReply)  # no command
    quiet.call("CONFIG", "GET", "port")
    stats = section(quiet, "commandstats")
    get = stats["cmdstat_get"]
    assert get["calls"] == 3 and get["rejected_calls"] == 1 and get["failed_calls"] == 0
    assert get["usec_per_call"] == pytest.approx(get["usec"] / 3, abs=0.4)
    incr = stats["cmdstat_incr"]
    assert incr["calls"] == 1 and incr["rejected_calls"] == 0 and incr["failed_calls"] == 1
    assert stats["cmdstat_config|get"]["calls"] == 1
    # RESETSTAT counts itself when it has reset the others, as in Redis.
    assert set(stats) == {
        "cmdstat_set", "cmdstat_get", "cmdstat_incr", "cmdstat_config|get", "cmdstat_config|resetstat"
    }  # fmt: skip


def test_errorstats_count_by_first_word(quiet):
    quiet.call("SET", "a", "text")
    quiet.call("INCR", "a")
    quiet.call("NONSENSE")
    quiet.call("VCARD", "a")
    assert section(quiet, "errorstats") == {"errorstat_ERR": {"count": 2}, "errorstat_WRONGTYPE": {"count": 1}}
    assert b"total_error_replies:3\r\n" in quiet.call("INFO", "stats")


def test_what_a_worker_answers_is_timed_until_its_answer(quiet):
    quiet.call("VNEW", "notes", 256, "PRIMITIVE", "flat")
    rows = [x for n in range(2000) for x in (f"k{n}", pack(*[n + 1] * 256))]
    assert quiet.call("VMADD", "notes", *rows) == 2000
    assert isinstance(quiet.call("VSEARCH", "notes", pack(1, 2), 3), ErrorReply)
    for _ in range(5):
        assert len(quiet.call("VSEARCH", "notes", pack(*range(256)), 3)) == 6
    stats = section(quiet, "commandstats")
    assert stats["cmdstat_vsearch"]["calls"] == 6 and stats["cmdstat_vsearch"]["failed_calls"] == 1
    assert stats["cmdstat_vmadd"]["calls"] == 1
    # A search of two thousand rows takes longer than an error, a batch longer than either.
    latency = section(quiet, "latencystats")
    search = latency["latency_percentiles_usec_vsearch"]
    assert 1 < search["p50"] <= search["p99"] <= search["p99.9"]
    assert latency["latency_percentiles_usec_vmadd"]["p50"] > 100


def test_steps_of_a_transaction_count_and_so_does_exec(quiet):
    quiet.call("VNEW", "notes", 2, "PRIMITIVE", "flat")
    quiet.call("MULTI")
    assert isinstance(quiet.call("GET"), ErrorReply)
    quiet.call("DISCARD")
    quiet.call("MULTI")
    added = [("VADD", "notes", f"k{n}", pack(n, 2)) for n in range(5)]
    for command in (("SET", "a", "1"), *added, ("GET", "a")):
        assert quiet.call(*command) == "QUEUED"
    assert quiet.call("EXEC") == ["OK", 1, 1, 1, 1, 1, b"1"]
    stats = section(quiet, "commandstats")
    assert stats["cmdstat_get"]["calls"] == 1 and stats["cmdstat_get"]["rejected_calls"] == 1
    assert [stats[f"cmdstat_{name}"]["calls"] for name in ("set", "vadd", "exec", "multi")] == [1, 5, 1, 2]
    steps = sum(stats[f"cmdstat_{name}"]["usec"] for name in ("set", "vadd", "get"))
    assert stats["cmdstat_exec"]["usec"] + 7 >= steps


def test_a_pipeline_is_counted_whole(quiet):
    quiet.call("SET", "text", "x")
    names = ["GET a", "GET text", "GET a", "INCR n", "INCR text", "INCR n", "GET", "GET a", "SET a 1"] + ["GET a"] * 100
    quiet.send_bytes(b"".join(encode(*name.split()) for name in names + ["CONFIG GET port"]))
    for _ in range(len(names) + 1):
        quiet.read()
    stats = section(quiet, "commandstats")
    get, incr = stats["cmdstat_get"], stats["cmdstat_incr"]
    assert (get["calls"], get["rejected_calls"], get["failed_calls"]) == (104, 1, 0)
    assert (incr["calls"], incr["failed_calls"]) == (3, 1)
    assert stats["cmdstat_set"]["calls"] == 2 and stats["cmdstat_config|get"]["calls"] == 1
    assert get["usec"] > 0 and quiet.call("LATENCY", "HISTOGRAM", "get")[1][1] == 104


def test_steps_that_follow_a_pipeline_are_counted(quiet):
    quiet.call("VNEW", "notes", 2, "PRIMITIVE", "flat")
    steps = ["GET a", "GET a", "VCARD notes", "VADD notes k VALUES 2 1 2", "GET a", "GET a", "GET a"]
    names = ["GET a"] * 3 + ["MULTI"] + steps + ["EXEC"] + ["GET a"] * 3
    quiet.send_bytes(b"".join(encode(*name.split()) for name in names))
    replies = [quiet.read() for _ in names]
    assert replies[-4] == [None, None, 0, 1, None, None, None]
    assert calls(quiet, "get") == 11 and calls(quiet, "vadd") == 1 and calls(quiet, "exec") == 1


def test_what_the_password_keeps_out_is_rejected(quiet, server):
    quiet.call("CONFIG", "SET", "requirepass", "secret")
    with server.wire() as stranger:
        assert stranger.call("GET", "a").startswith("NOAUTH")
        assert stranger.call("AUTH", "wrong").startswith("WRONGPASS")
    assert section(quiet, "commandstats")["cmdstat_get"]["rejected_calls"] == 1
    assert set(section(quiet, "errorstats")) == {"errorstat_NOAUTH", "errorstat_WRONGPASS"}
    quiet.call("CONFIG", "SET", "requirepass", "")


def test_percentiles_are_those_that_are_asked_for(quiet):
    quiet.call("GET", "a")
    quiet.call("CONFIG", "SET", "latency-tracking-info-percentiles", "0 12.5 100")
    assert quiet.call("CONFIG", "GET", "latency-tracking-info-percentiles")[1] == b"0 12.5 100"
    assert list(section(quiet, "latencystats")["latency_percentiles_usec_get"]) == ["p0", "p12.5", "p100"]
    for wrong in ("101", "-1", "nan", "50 x"):
        assert "CONFIG SET failed" in quiet.call("CONFIG", "SET", "latency-tracking-info-percentiles", wrong)
    quiet.call("CONFIG", "SET", "latency-tracking", "no")
    assert section(quiet, "latencystats") == {}
    quiet.call("GET", "a")
    quiet.call("CONFIG", "SET", "latency-tracking", "yes")
    assert quiet.call("LATENCY", "HISTOGRAM", "get")[1][1] == 1
    assert calls(quiet, "get") == 2


def test_sections_of_info_are_those_of_redis(quiet):
    titles = re.findall(rb"# (\w+)", quiet.call("INFO"))
    assert b"Errorstats" in titles and b"Commandstats" not in titles and b"Latencystats" not in titles
    assert titles == re.findall(rb"# (\w+)", quiet.call("INFO", "default"))
    for everything in ("all", "everything"):
        assert {b"Commandstats", b"Latencystats"} < set(re.findall(rb"# (\w+)", quiet.call("INFO", everything)))


def test_redis_py_reads_the_statistics(quiet, server):
    with server.redis() as client, server.redis() as other:
        client.set("a", 1)
        assert client.info("commandstats")["cmdstat_set"]["calls"] == 1
        client.config_set("slowlog-log-slower-than", 0)
        client.get("a")
        entry = client.slowlog_get(1)[0]
        assert entry["command"] == b"GET a" and entry["duration"] >= 0
        assert client.slowlog_len() == 3 and client.slowlog_reset()
        with client.monitor() as monitor:
            other.get("b")
            seen = monitor.next_command()
        assert seen["command"] == "GET b" and seen["client_type"] == "tcp" and seen["db"] == 0


# --- LATENCY --------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [2, 3])
def test_latency_histogram_counts_what_is_not_slower(quiet, server, version):
    quiet.call("SET", "a", 1)
    for _ in range(20):
        quiet.call("GET", "a")
    with server.wire(version) as wire:
        reply = wire.call("LATENCY", "HISTOGRAM", "get", "nonsense", "SET")
        everything = wire.call("LATENCY", "HISTOGRAM")
        config = wire.call("LATENCY", "HISTOGRAM", "config")
        one = wire.call("LATENCY", "HISTOGRAM", "config|resetstat")
    if version == 3:
        assert isinstance(reply["get"]["histogram_usec"], dict)
    else:

        def pairs(flat):
            keys = (key.decode() if isinstance(key, bytes) else key for key in flat[::2])
            return dict(zip(keys, flat[1::2]))

        reply, everything, config, one = map(pairs, (reply, everything, config, one))
        reply = {name: pairs(told) for name, told in reply.items()}
        for told in reply.values():
            told["histogram_usec"] = pairs(told["histogram_usec"])
    assert list(reply) == ["get", "set"]
    assert reply["get"]["calls"] == 20
    counts = reply["get"]["histogram_usec"]
    assert set(counts) <= {((1 << power) + (1 << power - 7) - 1) // 1000 for power in range(10, 43)}
    assert list(counts) == sorted(counts) and list(counts.values()) == sorted(set(counts.values()))
    assert list(counts.values())[-1] == 20
    assert {"get", "set", "config|resetstat"} <= set(everything)
    assert set(config) == set(one) == {"config|resetstat"}


def test_latency_keeps_no_events(quiet):
    assert quiet.call("LATENCY", "LATEST") == []
    assert quiet.call("LATENCY", "RESET") == 0
    assert quiet.call("LATENCY", "RESET", "command") == 0
    assert quiet.call("LATENCY", "HELP")[0].startswith("LATENCY")
    assert quiet.call("LATENCY", "DOCTOR").startswith("ERR unknown subcommand")


# --- SLOWLOG --------------------------------------------------------------------------------------


def test_slowlog_keeps_the_newest_first(quiet, server):
    quiet.call("CLIENT", "SETNAME", "tester")
    quiet.call("CONFIG", "SET", "slowlog-log-slower-than", 0)
    quiet.call("CONFIG", "SET", "slowlog-max-len", 3)
    for number in range(5):
        quiet.call("SET", "a", number)
    entries = quiet.call("SLOWLOG", "GET")
    assert [entry[3] for entry in entries] == [[b"SET", b"a", b"%d" % n] for n in (4, 3, 2)]
    ids = [entry[0] for entry in entries]
    assert ids == [ids[0], ids[0] - 1, ids[0] - 2]
    assert all(entry[1] > 1_600_000_000 and entry[2] >= 0 for entry in entries)
    assert all(entry[4].startswith(b"127.0.0.1:") and entry[5] == b"tester" for entry in entries)
    assert quiet.call("SLOWLOG", "LEN") == 3
    assert len(quiet.call("SLOWLOG", "GET", 1)) == 1
    assert len(quiet.call("SLOWLOG", "GET", -1)) == 3
    for wrong in (-2, "x"):
        assert quiet.call("SLOWLOG", "GET", wrong) == "ERR count should be greater than or equal to -1"
    quiet.call("CONFIG", "SET", "slowlog-log-slower-than", -1)
    quiet.call("SLOWLOG", "RESET")
    quiet.call("GET", "a")
    assert quiet.call("SLOWLOG", "GET") == []


def test_slowlog_cuts_arguments_as_redis_does(quiet):
    quiet.call("CONFIG", "SET", "slowlog-log-slower-than", 0)
    quiet.call("SET", "a", "x" * 130)
    quiet.call("EXISTS", *range(40))
    quiet.call("EXISTS", *range(31))
    whole, many, long = (entry[3] for entry in quiet.call("SLOWLOG", "GET", 3))
    assert long == [b"SET", b"a", b"x" * 128 + b"... (2 more bytes)"]
    assert many == [b"EXISTS", *(b"%d" % n for n in range(30)), b"... (10 more arguments)"]
    assert len(whole) == 32 and whole[-1] == b"30"


def test_slowlog_has_what_workers_answer_and_steps(quiet):
    quiet.call("VNEW", "notes", 2, "PRIMITIVE", "flat")
    quiet.call("CONFIG", "SET", "slowlog-log-slower-than", 0)
    quiet.call("VADD", "notes", "k", pack(1, 2))
    quiet.call("MULTI")
    quiet.call("VADD", "notes", "l", pack(3, 4))
    quiet.call("EXEC")
    words = [entry[3] for entry in quiet.call("SLOWLOG", "GET", -1)]
    assert words[:3] == [[b"VADD", b"notes", b"l", pack(3, 4)], [b"MULTI"], [b"VADD", b"notes", b"k", pack(1, 2)]]


# What is sent, and what is told of it.
SECRETS = [
    ("AUTH hidden", "AUTH (redacted)"),
    ("auth default hidden", "auth (redacted) (redacted)"),
    ("AUTH default hidden hidden", "AUTH (redacted) (redacted) (redacted)"),
    ("HELLO 3 AUTH default hidden SETNAME shown", "HELLO 3 AUTH (redacted) (redacted) SETNAME shown"),
    ("HELLO 2 setname shown auth default hidden", "HELLO 2 setname shown auth (redacted) (redacted)"),
    ("HELLO 2 AUTH auth hidden", "HELLO 2 AUTH (redacted) (redacted)"),
    # Without a version; with words too many, or too few.
    ("HELLO AUTH default hidden", "HELLO AUTH (redacted) (redacted)"),
    ("hello 2 auth default hidden hidden", "hello 2 auth (redacted) (redacted) (redacted)"),
    ("HELLO 2 AUTH hidden", "HELLO 2 AUTH (redacted)"),
]
SECRETS_OF_ADMINISTRATORS = [
    ("CONFIG SET requirepass hidden", "CONFIG SET requirepass (redacted)"),
    ("config set timeout 0 RequirePass hidden", "config set timeout 0 RequirePass (redacted)"),
    ("CONFIG SET timeout requirepass hidden", "CONFIG SET timeout requirepass (redacted)"),
    ("CONFIG SET requirepass hidden hidden hidden", "CONFIG SET requirepass (redacted) (redacted) (redacted)"),
    ("CONFIG SET masterauth hidden", "CONFIG SET masterauth (redacted)"),
    ("CONFIG SET tls-key-file-pass hidden", "CONFIG SET tls-key-file-pass (redacted)"),
]


@pytest.mark.parametrize("kind", ["array", "inline", "step"])
def test_secrets_are_not_told(quiet, server, kind):
    quiet.call("CONFIG", "SET", "slowlog-log-slower-than", 0, "slowlog-max-len", 1000)
    cases = [case for case in SECRETS if kind != "step" or case[0].lower().startswith("auth")]
    told = [tells for _, tells in cases]
    with server.wire() as watcher, server.wire() as wire:
        assert watcher.call("MONITOR") == "OK"
        for sent, _ in cases + SECRETS_OF_ADMINISTRATORS:
            if kind == "step":
                assert wire.call("MULTI") == "OK"
            if kind == "inline":
                wire.send_bytes(sent.encode() + b"\r\n")
                wire.read()
            else:
                wire.call(*sent.split())
            if kind == "step":
                wire.call("EXEC")
            quiet.call("CONFIG", "SET", "requirepass", "")
        wire.call("ECHO", "end")
        lines = []
        while '"ECHO"' not in (line := watcher.read()):
            lines.append(line.split("] ")[1].replace('"', ""))
    assert [line for line in lines if line not in ("MULTI", "EXEC")] == told
    words = [b" ".join(entry[3]).decode() for entry in quiet.call("SLOWLOG", "GET", -1)]
    assert not any("hidden" in text for text in words)
    assert set(told) | {tells for _, tells in SECRETS_OF_ADMINISTRATORS} <= set(words)


# --- MONITOR --------------------------------------------------------------------------------------

LINE = re.compile(r"(\d+\.\d{6}) \[0 (127\.0\.0\.1:\d+)\] (.*)")


def test_monitor_shows_commands_as_redis_does(quiet, server):
    with server.wire() as watcher:
        assert watcher.call("MONITOR") == "OK"
        quiet.call("SET", "a", b'x"\\\n\r\t\a\b\x00\xff')
        quiet.call("GET")  # not executed
        quiet.call("CONFIG", "GET", "port")  # of administrators
        quiet.call("INCR", "a")  # fails
        quiet.call("MULTI")
        quiet.call("get", "a")
        quiet.call("EXEC")
        lines = [LINE.fullmatch(watcher.read()).groups() for _ in range(5)]
        assert [line[2] for line in lines] == [
            r'"SET" "a" "x\"\\\n\r\t\a\b\x00\xff"',
            '"INCR" "a"',
            '"MULTI"',
            '"get" "a"',
            '"EXEC"',
        ]
        times = [float(line[0]) for line in lines]
        assert times == sorted(times) and times[0] > 1_600_000_000
        assert len({line[1] for line in lines}) == 1
        with server.redis() as client:
            assert "O" in [row["flags"] for row in client.client_list()]
        # Until RESET; what it shows until then comes before the reply.
        watcher.send("RESET")
        while (line := watcher.read()) != "RESET":
            assert LINE.fullmatch(line)
        quiet.call("GET", "a")
        assert watcher.call("PING") == "PONG"


def test_monitor_is_no_step_of_a_transaction(quiet):
    quiet.call("MULTI")
    quiet.call("MONITOR")
    assert quiet.call("EXEC") == [ErrorReply("ERR MONITOR isn't allowed for DENY BLOCKING client")]


def test_a_monitor_that_does_not_read_is_closed(server):
    with server.wire() as watcher, server.wire() as wire:
        assert watcher.call("MONITOR") == "OK"
        before = server.resident_bytes()
        # A megabyte each; what does not fit into it is not shown.
        batch = encode("SET", "a", bytes(900_000)) * 4
        for _ in range(16):
            wire.send_bytes(batch)
            assert [wire.read() for _ in range(4)] == ["OK"] * 4
        with server.redis() as client:
            wait_until(lambda: len(client.client_list()) == 2, "the monitor is closed")
        # A sanitizer holds back what was freed.
        assert server.resident_bytes() - before < (1024 if SANITIZED else 120) << 20
        wire.call("SET", "a", bytes(5_000_000))


def test_monitor_cuts_what_is_very_long(quiet, server):
    with server.wire() as watcher:
        assert watcher.call("MONITOR") == "OK"
        quiet.call("MSET", "a", "x" * 1000, "b", bytes(2_000_000), "c", "x")
        assert watcher.read().endswith('"... (3 more arguments)"')
