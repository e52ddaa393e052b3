# SPDX-License-Identifier: Apache-2.0
"""Keeping data as its user meets it: restarts, snapshots, the order and the time of answers."""

import resource
import signal
import struct
import threading
import time

import pytest
import redis

import live
from wire import ErrorReply, encode

FOUR = struct.pack("<4f", 1, 2, 3, 4)


def fill(wire):
    assert wire.call("SET", "text", "value", "PX", 10_000_000) == "OK"
    assert wire.call("VNEW", "index", 4, "METRIC", "l2", "PRIMITIVE", "flat") == "OK"
    assert wire.call("VADD", "index", "k", FOUR) == 1


def assert_filled(server):
    with server.wire() as wire:
        assert wire.call("GET", "text") == b"value"
        assert 9_000_000 < wire.call("PTTL", "text") <= 10_000_000
        assert wire.call("VGET", "index", "k") == FOUR
        assert wire.call("VSEARCH", "index", FOUR, 9)[0] == b"k"


def info(wire):
    text = wire.call("INFO", "persistence").decode()
    return dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)


@pytest.mark.parametrize("policy", ["always", "everysec", "no"])
def test_data_outlives_a_clean_end_under_every_policy(start, reopen, policy):
    server = start("--fsync", policy)
    with server.wire() as wire:
        assert wire.call("CONFIG", "GET", "appendfsync")[1] == policy.encode()
        assert info(wire)["journal_policy"] == policy
        fill(wire)
    server.end()
    again = reopen(server, "--fsync", policy)
    assert_filled(again)


@pytest.mark.parametrize("policy", ["always", "everysec", "no"])
def test_what_was_answered_outlives_the_process_under_always(start, reopen, policy):
    server = start("--fsync", "everysec" if policy == "always" else policy)
    with server.wire() as wire:
        if policy == "always":
            assert wire.call("CONFIG", "SET", "appendfsync", "always") == "OK"
        fill(wire)
        if policy != "always":
            live.wait_until(lambda: info(wire)["aof_buffer_length"] == "0", "all is written")
    server.send_signal(signal.SIGKILL)
    assert server.wait() == -signal.SIGKILL
    again = reopen(server)
    assert_filled(again)


def test_policies_change_while_clients_write(start):
    server = start("--fsync", "no")
    stop = threading.Event()
    failures = []

    def write():
        with server.wire() as wire:
            number = 0
            while not stop.is_set():
                number += 1
                if wire.call("SET", "k", number) != "OK" or wire.call("GET", "k") != b"%d" % number:
                    failures.append(number)

    writer = threading.Thread(target=write)
    writer.start()
    with server.wire() as wire:
        for policy in ["always", "everysec", "no"] * 20:
            assert wire.call("CONFIG", "SET", "appendfsync", policy) == "OK"
            assert info(wire)["journal_policy"] == policy
        reply = wire.call("CONFIG", "SET", "appendfsync", "sometimes")
        assert isinstance(reply, ErrorReply)
    stop.set()
    writer.join()
    assert not failures


def test_replies_keep_their_order_while_they_wait_for_the_disk(start):
    server = start("--fsync", "always")
    with server.wire() as wire:
        assert wire.call("VNEW", "index", 1, "PRIMITIVE", "flat", "METRIC", "l2") == "OK"
        commands, expected = [], []
        for number in range(500):
            vector = struct.pack("<f", number)
            commands += [
                ("SET", "k", number),
                ("GET", "k"),
                ("VADD", "index", "v", vector),
                ("VGET", "index", "v"),
                ("PING",),
                ("NOSUCH",),
                ("INCR", "n"),
                ("VSEARCH", "index", vector, 1),
            ]
            expected += ["OK", b"%d" % number, int(number == 0), vector, "PONG"]
            expected += [ErrorReply("ERR unknown command 'NOSUCH', with args beginning with: ")]
            expected += [number + 1, [b"v", b"0"]]
        sender = threading.Thread(
            target=wire.send_bytes, args=(b"".join(encode(*command) for command in commands),)
        )
        sender.start()
        assert [wire.read() for _ in expected] == expected
        sender.join()


def test_muted_replies_that_wait_stay_muted(start):
    server = start("--fsync", "always")
    with server.wire() as wire:
        wire.send("CLIENT", "REPLY", "OFF")
        for number in range(100):
            wire.send("SET", "k", number)
        wire.send("INCR", "n")
        wire.send("CLIENT", "REPLY", "ON")
        assert wire.read() == "OK"
        assert wire.call("GET", "k") == b"99"
        wire.send("CLIENT", "REPLY", "SKIP")
        wire.send("SET", "k", "skipped")
        assert wire.call("GET", "k") == b"skipped"


def test_clients_that_leave_while_their_replies_wait_harm_nobody(start):
    server = start("--fsync", "always")
    with server.wire() as other:
        assert other.call("VNEW", "index", 4, "PRIMITIVE", "flat") == "OK"
        for number in range(50):
            with server.wire() as wire:
                wire.send("SET", "k", number)
                wire.send("VADD", "index", number, FOUR)
            assert other.call("PING") == "PONG"
        live.wait_until(lambda: other.call("GET", "k") == b"49", "the last one was executed")
        assert other.call("SET", "k", "still") == "OK"


def test_saves(start):
    server = start()
    with server.wire() as wire:
        began = int(time.time())
        assert began - 5 <= wire.call("LASTSAVE") <= began + 1
        fill(wire)
        assert int(info(wire)["rdb_changes_since_last_save"]) == 3
        for command in ("VSAVE", "SAVE"):
            assert wire.call(command) == "OK"
            assert (server.folder / "snapshot.engram").exists()
        now = info(wire)
        assert now["rdb_changes_since_last_save"] == "0"
        assert now["rdb_last_bgsave_status"] == "ok"
        assert int(now["snapshot_bytes"]) == (server.folder / "snapshot.engram").stat().st_size
        assert abs(wire.call("LASTSAVE") - time.time()) < 10
        assert wire.call("BGSAVE") == "Background saving started"
        live.wait_until(lambda: info(wire)["rdb_bgsave_in_progress"] == "0", "it is saved")
        segments = list(server.folder.glob("journal-*.log"))
        assert len(segments) <= 2
        assert wire.call("BGSAVE", "SCHEDULE") == "Background saving started"
        assert isinstance(wire.call("BGSAVE", "NOW"), ErrorReply)


def test_one_snapshot_at_a_time(start):
    server = start()
    with server.wire() as wire:
        for number in range(200):
            wire.send("SET", number, b"x" * 100_000)
        assert [wire.read() for _ in range(200)] == ["OK"] * 200
        wire.send("BGSAVE")
        wire.send("BGSAVE")
        wire.send("SAVE")
        assert wire.read() == "Background saving started"
        assert wire.read() == "ERR Background save already in progress"
        assert wire.read() == "ERR Background save already in progress"
        live.wait_until(lambda: info(wire)["rdb_bgsave_in_progress"] == "0", "it is saved")
        assert info(wire)["rdb_last_bgsave_status"] == "ok"


def test_snapshots_are_taken_by_themselves(start):
    server = start("--fsync", "no")
    with server.wire() as wire:
        assert wire.call("CONFIG", "SET", "auto-aof-rewrite-min-size", "100kb") == "OK"
        for number in range(20):
            assert wire.call("SET", "k", b"x" * 10_000) == "OK"
        live.wait_until((server.folder / "snapshot.engram").exists, "the journal was large enough")
        live.wait_until(
            lambda: int(info(wire)["aof_current_size"]) < 100_000, "what it covers is dropped"
        )
        assert wire.call("CONFIG", "SET", "auto-aof-rewrite-min-size", "64mb", "save", "1 1") == "OK"
        before = (server.folder / "snapshot.engram").stat().st_ino
        assert wire.call("SET", "k", "v") == "OK"
        live.wait_until(
            lambda: (server.folder / "snapshot.engram").stat().st_ino != before, "it is old enough"
        )


def test_shutdown_save(start, reopen):
    server = start()
    with server.wire() as wire:
        fill(wire)
        wire.send("SHUTDOWN", "SAVE")
        assert wire.is_closed()
    assert server.wait() == 0
    assert (server.folder / "snapshot.engram").exists()
    again = reopen(server)
    assert_filled(again)
    with again.wire() as wire:
        assert info(wire)["journal_replayed_frames"] == "0"
        live.wait_until(
            lambda: info(wire)["snapshot_verification"] == "verified", "it has been verified"
        )


def fill_for_a_while(wire):
    """So much that a snapshot of it is not taken at once."""
    for number in range(200):
        wire.send("SET", number, b"x" * 100_000)
    assert [wire.read() for _ in range(200)] == ["OK"] * 200


def test_shutdown_save_amid_a_snapshot(start, reopen):
    server = start()
    with server.wire() as wire:
        fill_for_a_while(wire)
        wire.send("BGSAVE")
        wire.send("SHUTDOWN", "SAVE")
        assert wire.read() == "Background saving started"
        assert wire.is_closed()
    assert server.wait() == 0
    again = reopen(server)
    with again.wire() as wire:
        assert wire.call("DBSIZE") == 200
        assert info(wire)["journal_replayed_frames"] == "0"


def test_a_signal_amid_a_snapshot_ends_the_server(start, reopen):
    server = start("--fsync", "no")
    with server.wire() as wire:
        assert wire.call("CONFIG", "SET", "save", "3600 1") == "OK"
        fill_for_a_while(wire)
        assert wire.call("BGSAVE") == "Background saving started"
    server.end()
    with reopen(server).wire() as wire:
        assert wire.call("DBSIZE") == 200


def test_a_copy_is_a_store_of_its_own(start, tmp_path):
    server = start()
    copy = tmp_path / "copy"
    copy.mkdir()
    with server.wire() as wire:
        fill(wire)
        assert wire.call("VSAVE", "TO", copy) == "OK"
        assert wire.call("VSAVE", "TO", copy) == f"ERR {copy} holds a store already"
        assert "without TO" in wire.call("VSAVE", "TO", server.folder)
        assert wire.call("VSAVE", "TO") == "ERR syntax error"
        assert info(wire)["rdb_changes_since_last_save"] == "3", "it was not saved where it is"
    checked = live.run_engram("check", copy)
    assert checked.returncode == 0, checked.stdout
    backup = live.Server(copy)
    assert_filled(backup)
    backup.end()
    assert_filled(server)


@pytest.mark.skipif(live.SANITIZED, reason="sanitizers need descriptors to look at memory")
def test_descriptors_that_ran_out_cost_no_restart(start):
    server = start()
    limits = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
    with server.wire() as wire:
        assert wire.call("SET", "a", "1") == "OK"
        # Those that are open stay so; of the first three none becomes free.
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
        assert "Too many open files" in wire.call("VSAVE")
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, limits)
        live.wait_until(lambda: wire.call("SET", "b", "2") == "OK", "writes are accepted")
        assert wire.call("VSAVE") == "OK"


def test_a_directory_that_was_made_again(start, reopen):
    server = start()
    with server.wire() as wire:
        fill(wire)
        for file in server.folder.iterdir():
            if file.name != "log":
                file.unlink()
        live.wait_until(lambda: wire.call("VSAVE") == "OK", "it is saved anew")
        live.wait_until(lambda: wire.call("SET", "b", "2") == "OK", "writes are accepted")
        live.wait_until(lambda: list(server.folder.glob("journal-*.log")), "there is a journal again")
    server.send_signal(signal.SIGKILL)
    server.wait()
    again = reopen(server)
    assert_filled(again)


def test_configuration(start):
    server = start()
    client = server.redis(decode_responses=True)
    assert client.config_get("appendonly") == {"appendonly": "yes"}
    assert client.config_get("save") == {"save": "3600 1"}
    assert client.config_get("appendfsync") == {"appendfsync": "everysec"}
    assert client.config_set("save", "900 1 300 10")
    assert client.config_get("save") == {"save": "900 1 300 10"}
    assert client.config_set("save", "")
    assert client.config_get("save") == {"save": ""}
    with pytest.raises(redis.ResponseError):
        client.config_set("save", "900")
    with pytest.raises(redis.ResponseError, match="immutable"):
        client.config_set("appendonly", "no")


def test_in_memory_only(start, reopen):
    server = start("--appendonly", "no")
    with server.wire() as wire:
        fill(wire)
        assert info(wire)["aof_enabled"] == "0"
        for command in ("VSAVE", "SAVE", "BGSAVE"):
            assert "in memory only" in wire.call(command)
    server.end()
    again = reopen(server)
    assert again.redis().dbsize() == 0


def test_a_directory_has_one_server(start):
    server = start()
    done = live.run_engram("serve", "--port", 0, "--dir", server.folder)
    assert done.returncode != 0 and str(server.folder) in done.stderr
    assert str(server.process.pid) in done.stderr
    checked = live.run_engram("check", server.folder)
    assert checked.returncode != 0 and str(server.folder) in checked.stderr
    assert server.redis().ping()


def test_a_foreign_snapshot_is_refused(start, tmp_path):
    folder = tmp_path / "foreign"
    folder.mkdir()
    (folder / "snapshot.engram").write_bytes(b"REDIS0011" + bytes(10_000))
    done = live.run_engram("serve", "--port", 0, "--dir", folder)
    assert done.returncode != 0 and "snapshot.engram" in done.stderr


def test_a_blank_sector_in_what_was_on_disk_is_refused_and_repaired(start, reopen):
    server = start("--fsync", "always")
    with server.wire() as wire:
        fill(wire)
        assert wire.call("SET", "last", "x" * 2000) == "OK"
        live.wait_until((server.folder / "engram.synced").exists, "it is noted")
    server.send_signal(signal.SIGKILL)
    server.wait()
    (journal,) = server.folder.glob("journal-*.log")
    content = bytearray(journal.read_bytes())
    sector = -(-content.index(b"x" * 1000) // 512) * 512
    content[sector : sector + 512] = bytes(512)
    journal.write_bytes(content)
    refused = live.run_engram("serve", "--port", 0, "--dir", server.folder)
    assert refused.returncode != 0
    assert "frame 4" in refused.stderr and "on disk" in refused.stderr
    assert "frame 4" in live.run_engram("check", server.folder).stdout
    assert live.run_engram("check", "--repair", server.folder).returncode == 0
    again = reopen(server)
    assert_filled(again)
    assert again.redis().exists("last") == 0


def test_check_explains_and_repairs(start, reopen):
    server = start("--fsync", "always")
    with server.wire() as wire:
        fill(wire)
        assert wire.call("SET", "last", "x" * 1000) == "OK"
        assert wire.call("SET", "very last", "y") == "OK"
    server.end()
    checked = live.run_engram("check", server.folder)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    (journal,) = server.folder.glob("journal-*.log")
    content = bytearray(journal.read_bytes())
    content[content.index(b"x" * 1000) + 500] ^= 1
    journal.write_bytes(content)
    refused = live.run_engram("serve", "--port", 0, "--dir", server.folder)
    assert refused.returncode != 0
    assert journal.name in refused.stderr and "check --repair" in refused.stderr
    assert live.run_engram("check", server.folder).returncode != 0
    assert journal.read_bytes() == content, "it only looks unless it is asked to repair"
    live.run_engram("check", "--repair", server.folder)
    assert list(server.folder.glob("*.cut"))
    again = reopen(server)
    assert_filled(again)
    assert again.redis().exists("last", "very last") == 0
