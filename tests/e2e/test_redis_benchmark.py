# SPDX-License-Identifier: Apache-2.0
"""redis-benchmark ends its run at the first error reply, so a run that ends well had none."""

import re
import subprocess

import pytest

from live import PATIENCE_SECONDS, SANITIZED

REQUESTS = 5_000 if SANITIZED else 50_000


def benchmark(server, *arguments):
    """Runs redis-benchmark; returns the throughput of each test by name."""
    done = subprocess.run(
        ["redis-benchmark", "-p", str(server.port), "-q", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=3 * PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Error" not in done.stdout and "WARNING" not in done.stderr + done.stdout
    lines = done.stdout.replace("\r", "\n")
    return re.findall(r"^(.+): ([\d.]+) requests per second", lines, re.MULTILINE)


@pytest.mark.parametrize("pipeline", [1, 16])
def test_usual_tests(server, pipeline):
    requests = REQUESTS * pipeline // 16
    results = benchmark(
        server, "-t", "ping,set,get,incr", "-P", pipeline, "-c", 50, "-n", requests
    )
    assert [name for name, _ in results] == ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR"]
    # A last pipeline is always full, on each of the connections.
    assert requests <= int(server.redis().get("counter:__rand_int__")) <= requests + 50 * pipeline


def test_random_keys(server):
    benchmark(server, "-t", "set,get", "-r", 1000, "-P", 16, "-n", REQUESTS, "-d", 512)
    assert server.redis().dbsize() == pytest.approx(1000, abs=20)


def test_vectors(server):
    """Each placeholder is 12 digits: three floats without a NUL byte. Two of them are 6 dimensions."""
    client = server.redis()
    client.execute_command("VNEW", "index", 6)
    requests = REQUESTS // 10
    load = ["-r", 2_000_000_000, "-n", requests, "-c", 50]
    vector = "__rand_int____rand_int__"
    benchmark(server, *load, "VADD", "index", "key:__rand_int__", vector)
    info = client.execute_command("VINFO", "index")
    assert dict(zip(info[::2], info[1::2]))[b"size"] == pytest.approx(requests, abs=10)
    benchmark(server, *load, "-P", 4, "VSEARCH", "index", vector, 10)
