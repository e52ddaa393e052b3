# SPDX-License-Identifier: Apache-2.0
"""The scripts against a real server, on the bundled words; ENGRAM_SERVER names the program to run."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis

SCRIPTS = Path(__file__).resolve().parents[2] / "experiments"
START_SECONDS = 20
QUERIES = ["--queries", "100", "--seed", "5"]

pytestmark = pytest.mark.skipif(
    "ENGRAM_SERVER" not in os.environ, reason="ENGRAM_SERVER does not name a server program"
)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_it_answers(process, port):
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server ended by itself"
        try:
            return redis.Redis(port=port).ping()
        except redis.ConnectionError:
            time.sleep(0.02)
    raise AssertionError(f"the server did not answer within {START_SECONDS} s")


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    number = free_port()
    folder = tmp_path_factory.mktemp("server")
    command = [os.environ["ENGRAM_SERVER"], "serve", "--port", str(number), "--dir", str(folder)]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_until_it_answers(process, number)
        yield number
    finally:
        process.terminate()
        process.wait(timeout=START_SECONDS)


@pytest.fixture
def run(port, tmp_path):
    """Runs a script against the server and returns its standard output."""

    def run_script(name, *arguments, expect=0):
        command = [sys.executable, str(SCRIPTS / name), *arguments, "--port", str(port)]
        environment = {**os.environ, "ENGRAM_DATA": str(tmp_path)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == expect, done.stderr
        return done.stdout if expect == 0 else done.stderr

    return run_script


def test_loads_words_and_finds_neighbours(run):
    assert "10,000 vectors" in run("load.py", "slice", "--index", "words")
    assert "give --replace" in run("load.py", "slice", "--index", "words", expect=1)
    found = run("neighbours.py", "king", "-k", "3").split()
    assert {"prince", "queen"} <= set(found) and "king" not in found
    assert "no key 'kingg'" in run("neighbours.py", "kingg", expect=1)
    assert "refused VNEW" in run("load.py", "slice", "--primitive", "nonsense", expect=1)


@pytest.mark.parametrize("mode", ["stored", "unseen"])
@pytest.mark.parametrize("metric", ["cosine", "l2", "dot"])
def test_flat_returns_exactly_the_ground_truth(run, tmp_path, mode, metric):
    kind = ["--primitive", "flat", "--sweep", "none", "--check-exact"]
    run("recall.py", "slice", *kind, "--mode", mode, "--metric", metric, *QUERIES)
    results = json.loads((tmp_path / "results" / f"recall-slice-{metric}-flat.json").read_text())
    assert results["flat_against_float64"]["wrong"] == 0
    assert results["points"][0]["recall"] == 1.0


def test_recall_of_hnsw_rises_with_ef(run, tmp_path):
    run("recall.py", "slice", "--sweep", "EF=10,200", *QUERIES)
    results = json.loads((tmp_path / "results" / "recall-slice-cosine-hnsw.json").read_text())
    low, high = (point["recall"] for point in results["points"])
    assert low <= high and high >= 0.98
    assert (tmp_path / "results" / "recall-slice-cosine-hnsw.png").stat().st_size > 0


def test_hnsw_does_not_age(run, tmp_path):
    run("churn.py", "slice", "--rounds", "2", *QUERIES)
    results = json.loads((tmp_path / "results" / "churn-slice-cosine-hnsw.json").read_text())
    stages = {stage["name"]: stage for stage in results["stages"]}
    assert list(stages) == ["built", "round 1", "round 2", "fresh"]
    assert abs(stages["round 2"]["recall"] - stages["fresh"]["recall"]) < 0.02
