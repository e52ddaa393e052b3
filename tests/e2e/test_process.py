# SPDX-License-Identifier: Apache-2.0
"""The program as its user meets it: flags, the configuration file, signals, ports."""

import os
import re
import resource
import shutil
import signal
import socket
import subprocess

import pytest
import redis

import live


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_cleanly(start, number):
    server = start()
    client = server.redis()
    client.execute_command("VNEW", "index", 2)
    server.send_signal(number)
    assert server.wait() == 0
    with pytest.raises(redis.ConnectionError):
        client.ping()


def test_signal_in_the_midst_of_work(start):
    server = start()
    with server.wire() as wire:
        wire.call("VNEW", "index", 2)
        for number in range(2_000):
            wire.send("VADD", "index", number, bytes([0, 0, 128, 63]) * 2)
        server.send_signal(signal.SIGTERM)
        assert server.wait() == 0


def test_shutdown_command(start):
    server = start()
    with server.wire() as wire:
        wire.send("SHUTDOWN", "NOSAVE")
        assert wire.is_closed()
    assert server.wait() == 0


@pytest.mark.parametrize("is_abstract", [False, True])
def test_the_service_manager_is_told(start, tmp_path, monkeypatch, is_abstract):
    address = f"\0engram-test-{os.getpid()}" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(live.PATIENCE_SECONDS)
        monkeypatch.setenv("NOTIFY_SOCKET", address.replace("\0", "@"))
        server = start()
        assert manager.recv(100) == b"READY=1"
        assert server.redis().ping()
        server.send_signal(signal.SIGTERM)
        assert manager.recv(100) == b"STOPPING=1"
        assert server.wait() == 0
        manager.setblocking(False)
        with pytest.raises(BlockingIOError):
            manager.recv(100)


def test_a_service_manager_that_is_not_there_is_logged(start, tmp_path, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    server = start()
    assert server.redis().ping()
    assert f"cannot tell the service manager at {tmp_path / 'nobody'} READY=1: No such file" in server.output()


def test_help_and_version():
    shown = live.run_engram("--help")
    assert shown.returncode == 0 and "serve" in shown.stdout
    shown = live.run_engram("serve", "--help")
    for flag in ("--port", "--bind", "--requirepass", "--protected-mode", "--maxclients", "--dir", "--appendonly", "--fsync", "--workers", "--kernel", "--log-level"):
        assert flag in shown.stdout
    shown = live.run_engram("check", "--help")
    assert shown.returncode == 0 and "--repair" in shown.stdout
    shown = live.run_engram("--version")
    assert shown.returncode == 0 and shown.stdout.startswith("engram 0.")


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        ([], "a subcommand is needed; serve starts the server"),
        (["nosuch"], "there is no subcommand 'nosuch'; serve starts the server"),
        (["nosuch", "--port", "1"], "there is no subcommand 'nosuch'"),
        (["serve", "--nosuch"], "--nosuch"),
        (["serve", "--port", "many"], "--port: argument couldn't be parsed into an integer"),
        (["serve", "--port", "65536"], "--port: argument must be between 0 and 65535"),
        (["serve", "--port", "0", "--kernel", "abacus"], "abacus"),
        (["serve", "--port", "0", "--dir", "/no/such/folder"], "/no/such/folder"),
        (["serve", "--port", "0", "--bind", "no.such.host.invalid"], "no.such.host.invalid"),
        (["serve", "/no/such/file"], "cannot open /no/such/file"),
        (["serve", "/tmp"], "/tmp is a directory, and a configuration file is expected; to keep the data there, say --dir /tmp"),
    ],
)
def test_wrong_invocations_say_what_was_wrong(arguments, complaint, tmp_path):
    done = live.run_engram(*arguments, cwd=tmp_path)
    assert done.returncode != 0
    assert complaint in done.stdout + done.stderr


def test_configuration_file(start, tmp_path):
    file = tmp_path / "engram.conf"
    file.write_text("# comment\n\nmaxclients 77\nbind 127.0.0.1\nworkers 1\nloglevel debug\n")
    server = start(file)
    values = server.redis(decode_responses=True).config_get("*")
    assert (values["maxclients"], values["workers"], values["loglevel"]) == ("77", "1", "debug")


def test_flags_override_the_file(start, tmp_path):
    file = tmp_path / "engram.conf"
    file.write_text("maxclients 77\nport 1\n")
    server = start(file, "--maxclients", 88)
    client = server.redis(decode_responses=True)
    assert client.config_get("maxclients") == {"maxclients": "88"}


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("port 6380\nnosuch 1\n", ":2: there is no parameter 'nosuch'"),
        ("port\n", ":1: 'port' needs a value"),
        ("port x\n", ":1: 'port': argument couldn't be parsed into an integer"),
        ("appendonly maybe\n", ":1: 'appendonly': argument must be 'yes' or 'no'"),
        ("appendfsync sometimes\n", ":1: 'appendfsync': argument(s) must be one of the following"),
        ("save 60\n", ":1: 'save': "),
        ('dir "open\n', ":1: unbalanced quotes"),
        ("# it's a comment\nmaxcleints 10\n", ":2: there is no parameter 'maxcleints'"),
        ("rename-command FLUSHALL x\n", ":1: 'rename-command' is not supported: commands cannot be renamed"),
    ],
)
def test_errors_of_the_file_name_the_line(tmp_path, text, complaint):
    file = tmp_path / "engram.conf"
    file.write_text(text)
    done = live.run_engram("serve", file, cwd=tmp_path)
    assert done.returncode != 0 and f"{file}{complaint}" in done.stderr


def test_a_taken_port_is_named(start, tmp_path):
    server = start()
    done = live.run_engram("serve", "--port", server.port, "--dir", tmp_path)
    assert done.returncode != 0
    assert str(server.port) in done.stderr
    assert done.stderr.count("in use") == 1
    assert server.redis().ping()


@pytest.mark.skipif(shutil.which("redis-check-rdb") is None, reason="redis-tools is not installed")
def test_the_configuration_of_redis_is_one_of_engram(start, tmp_path):
    peer = live.Redis(tmp_path / "redis")
    names = peer.redis(decode_responses=True).config_get("*")
    peer.end()
    ours = start()
    known = ours.redis(decode_responses=True).config_get("*")
    # It does not say what engram would do otherwise.
    lines = [f'{name} "{value}"' for name, value in names.items() if name not in ("port", "dir", "bind", "aclfile")]
    file = tmp_path / "redis.conf"
    file.write_text("# Redis's own\n" + "\n".join(lines) + "\n")
    server = start(file)
    warnings = [line for line in server.output().splitlines() if "settings that mean nothing here" in line]
    assert len(warnings) == 1
    for name in names:
        assert (name in known) or (name in warnings[0]) or name == "aclfile", name
    assert "databases 16 (it is always 1)" in warnings[0]
    assert "tcp-keepalive" not in warnings[0]


def test_a_closed_terminal_does_not_end_it(start):
    server = start()
    client = server.redis()
    assert client.ping()
    server.send_signal(signal.SIGHUP)
    assert client.ping() and server.redis().ping()


def as_user_with_few_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (400, 400))
    if os.geteuid() == 0:
        os.setresuid(65534, 65534, 65534)


@pytest.mark.parametrize(
    "flags, least", [((), 300), (("--role", "router", "--cluster", "127.0.0.1:1"), 50)], ids=("server", "router")
)
def test_a_limit_of_open_files_lowers_maxclients(flags, least):
    command = live.engram_command("serve", "--port", 0, *flags)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=as_user_with_few_descriptors) as server:
        lines = [server.stderr.readline() for _ in range(3)]
        server.terminate()
        assert server.wait(timeout=live.PATIENCE_SECONDS) == 0
    warning = re.search(r"maxclients is (\d+) instead of 10000", lines[0])
    assert warning and least < int(warning.group(1)) < 400
    assert "is ready" in lines[2]


def test_port_changes_while_it_runs(start):
    server, other = start(), start()
    client = server.redis()
    with pytest.raises(redis.ResponseError, match="CONFIG SET failed"):
        client.config_set("port", other.port)
    assert server.redis().ping()
    old = server.port
    assert client.config_set("port", 0)
    server.port = int(client.config_get("port")["port"])
    assert server.port != old and server.redis().ping()
    assert client.ping(), "connections outlive the change"
    with pytest.raises(redis.ConnectionError):
        redis.Redis(port=old).ping()


def test_addresses_change_while_it_runs(start):
    server = start()
    client = server.redis()
    assert client.config_set("bind", "127.0.0.1 127.0.0.2")
    assert redis.Redis(host="127.0.0.2", port=server.port).ping()
    with pytest.raises(redis.ResponseError, match="CONFIG SET failed"):
        client.config_set("bind", "192.0.2.1")
    assert redis.Redis(host="127.0.0.2", port=server.port).ping(), "a failed change changes nothing"
    assert client.config_set("bind", "127.0.0.1")
    assert server.redis().ping()
    with pytest.raises(redis.ConnectionError):
        redis.Redis(host="127.0.0.2", port=server.port).ping()


def test_silent_clients_are_dropped(start):
    server = start()
    with server.wire() as silent:
        assert silent.call("CONFIG", "SET", "timeout", 1) == "OK"
        assert silent.is_closed()
    assert server.redis().ping()
