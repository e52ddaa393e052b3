# SPDX-License-Identifier: Apache-2.0
"""Every mode of redis-cli that makes sense for one server."""

import json
import subprocess

import numpy as np
import pytest

from live import PATIENCE_SECONDS
from wire import encode


@pytest.fixture
def cli(server):
    """Runs redis-cli; returns its output, as text if the input is."""

    def run(*arguments, given=b""):
        done = subprocess.run(
            ["redis-cli", "-p", str(server.port), *map(str, arguments)],
            input=given if isinstance(given, bytes) else given.encode(),
            capture_output=True,
            timeout=PATIENCE_SECONDS,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout if isinstance(given, bytes) else done.stdout.decode()

    return run


def test_one_shot(cli):
    assert cli("SET", "a", "1") == b"OK\n"
    assert cli("GET", "a") == b"1\n"
    assert cli("--no-raw", "GET", "none") == b"(nil)\n"
    assert cli("NOSUCH", "x") == (
        b"ERR unknown command 'NOSUCH', with args beginning with: 'x' \n\n"
    )


def test_resp3(cli):
    cli("VNEW", "index", "3", "PRIMITIVE", "flat")
    assert cli("-3", "--no-raw", "VINFO", "index").startswith(b' 1# quant-type => f32')
    info = json.loads(cli("--json", "VINFO", "index"))
    assert (info["vector-dim"], info["primitive"], info["size"]) == (3, "flat", 0)


def test_interactive_from_a_pipe(cli):
    output = cli(given='SET a "two words"\nGET a\nHELLO 3\nINCR n\nVLIST\n')
    lines = output.splitlines()
    assert lines[:2] == ["OK", "two words"] and "1" in lines
    assert "ERR" not in output


def test_repeat_and_interval(cli):
    assert cli("-r", 3, "-i", "0.01", "INCR", "n") == b"1\n2\n3\n"


def test_pipe_mode(cli):
    commands = b"".join(encode("SET", f"key {number}", number) for number in range(5000))
    output = cli("--pipe", given=commands)
    assert b"errors: 0, replies: 5000" in output
    assert cli("DBSIZE") == b"5000\n"


def test_scans(cli):
    cli("--pipe", given=b"".join(encode("SET", f"key:{number}", "x") for number in range(1000)))
    cli("VNEW", "index", "3")
    assert len(set(cli("--scan", given="").split())) == 1001
    assert len(cli("--scan", "--pattern", "key:1*", given="").split()) == 111
    assert cli("TYPE", "index") == b"vectorset\n"


def test_bigkeys(cli):
    cli("SET", "small", "x")
    cli("SET", "large", "x" * 1000)
    cli("VNEW", "index", "3")
    output = cli("--bigkeys", given="")
    assert "Sampled 3 keys" in output
    assert 'Biggest string found \'"large"\' has 1000 bytes' in output


def test_stat_runs_until_interrupted(server):
    process = subprocess.Popen(
        ["redis-cli", "-p", str(server.port), "-i", "0.01", "--stat"],
        stdout=subprocess.PIPE,
        text=True,
    )
    lines = [process.stdout.readline() for _ in range(5)]
    process.terminate()
    process.wait(timeout=PATIENCE_SECONDS)
    assert "clients" in lines[1] and lines[2].split()[0] == "0"


def test_value_from_standard_input(cli, server):
    every_byte = bytes(range(256))
    assert cli("-x", "SET", "a", given=every_byte) == b"OK\n"
    assert server.redis().get("a") == every_byte
    assert cli("-X", "value", "SET", "b", "value", given=every_byte) == b"OK\n"
    assert server.redis().get("b") == every_byte


def test_a_stored_vector_is_the_query_of_the_next_command(cli):
    cli("VNEW", "index", "300", "METRIC", "l2", "PRIMITIVE", "flat")
    vectors = np.random.default_rng(8).normal(size=(20, 300)).astype("<f4")
    for number, vector in enumerate(vectors):
        assert cli("-x", "VADD", "index", f"key {number}", given=vector.tobytes()) == b"1\n"
    stored = cli("-D", "", "--raw", "VGET", "index", "key 7")
    assert stored == vectors[7].tobytes()
    answer = cli("-X", "query", "VSEARCH", "index", "query", "3", given=stored).splitlines()
    assert answer[0] == b"key 7" and float(answer[1]) == pytest.approx(0, abs=1e-6)
    assert len(answer) == 6


def test_help_of_the_server_reaches_the_prompt(cli):
    docs = json.loads(cli("--json", "COMMAND", "DOCS", "vsearch"))
    assert "nearest" in docs["vsearch"]["summary"]


def test_latency_probe(cli):
    assert len(cli("--latency", "-i", "0.1", "--raw", given="").split()) == 4
