# SPDX-License-Identifier: Apache-2.0
"""The program as its user meets it: flags, the configuration file, signals, ports."""

import signal

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


def test_help_and_version():
    shown = live.run_engram("--help")
    assert shown.returncode == 0 and "serve" in shown.stdout
    shown = live.run_engram("serve", "--help")
    for flag in ("--port", "--bind", "--maxclients", "--dir", "--appendonly", "--fsync", "--workers", "--kernel", "--log-level"):
        assert flag in shown.stdout
    shown = live.run_engram("check", "--help")
    assert shown.returncode == 0 and "--repair" in shown.stdout
    shown = live.run_engram("--version")
    assert shown.returncode == 0 and shown.stdout.startswith("engram 0.")


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        ([], "subcommand"),
        (["nosuch"], "subcommand"),
        (["serve", "--nosuch"], "--nosuch"),
        (["serve", "--port", "many"], "--port: argument couldn't be parsed into an integer"),
        (["serve", "--port", "65536"], "--port: argument must be between 0 and 65535"),
        (["serve", "--port", "0", "--kernel", "abacus"], "abacus"),
        (["serve", "--port", "0", "--dir", "/no/such/folder"], "/no/such/folder"),
        (["serve", "--port", "0", "--bind", "no.such.host.invalid"], "no.such.host.invalid"),
        (["serve", "/no/such/file"], "cannot open /no/such/file"),
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
    assert str(server.port) in done.stderr and "in use" in done.stderr
    assert server.redis().ping()


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
