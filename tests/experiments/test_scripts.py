# SPDX-License-Identifier: Apache-2.0
"""The scripts against a real server, on the bundled words; ENGRAM_SERVER names the program to run.
ENGRAM_COMPARE_GRAPHS names the native half of the scripts that have one."""

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
def run_alone(tmp_path):
    """Runs a script and returns its standard output, or its standard error if it is to fail."""

    def run_script(name, *arguments, expect=0):
        command = [sys.executable, str(SCRIPTS / name), *arguments]
        environment = {**os.environ, "ENGRAM_DATA": str(tmp_path)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == expect, done.stderr
        return done.stdout if expect == 0 else done.stderr

    return run_script


@pytest.fixture
def run(port, run_alone):
    """The same for a script that asks the server."""
    return lambda *arguments, **options: run_alone(*arguments, "--port", str(port), **options)


@pytest.fixture
def compare_graphs_flags():
    """The native half, on a small graph that is quickly built and searched."""
    if "ENGRAM_COMPARE_GRAPHS" not in os.environ:
        pytest.skip("ENGRAM_COMPARE_GRAPHS does not name the native half")
    program = os.environ["ENGRAM_COMPARE_GRAPHS"]
    return ["--program", program, "--m", "8", "--ef-construction", "40", "--rounds", "2", *QUERIES]


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
    run("recall.py", "slice", "--sweep", "EF=10,200", "--rounds", "2", "--beside", "flat", *QUERIES)
    results = json.loads((tmp_path / "results" / "recall-slice-cosine-hnsw.json").read_text())
    assert results["rounds"] == 2
    low, high = (point["recall"] for point in results["points"])
    assert low <= high and high >= 0.98
    assert [(point["setting"], point["recall"]) for point in results["beside"]] == [("flat", 1.0)]
    assert (tmp_path / "results" / "recall-slice-cosine-hnsw.png").stat().st_size > 0


def test_hnsw_does_not_age(run, tmp_path):
    run("churn.py", "slice", "--rounds", "2", *QUERIES)
    results = json.loads((tmp_path / "results" / "churn-slice-cosine-hnsw.json").read_text())
    stages = {stage["name"]: stage for stage in results["stages"]}
    assert list(stages) == ["built", "round 1", "round 2", "fresh"]
    assert abs(stages["round 2"]["recall"] - stages["fresh"]["recall"]) < 0.02


def test_graphs_are_built_with_each_count_of_threads(run_alone, compare_graphs_flags, tmp_path):
    systems = ["--system", "engram-sq4", "--system", "hnswlib"]
    flags = [*systems, "--threads", "1", "2", "--ef", "10", "40"]
    out = run_alone("compare_graphs.py", "slice", *flags, *compare_graphs_flags)
    assert "engram-sq4 / hnswlib" in out
    results = json.loads((tmp_path / "results" / "graphs-slice.json").read_text())
    for curve in results["curves"]:
        assert list(curve["build_seconds"]) == ["1", "2"]
        assert [point["ef"] for point in curve["points"]] == [10, 40]
        assert all(min(point["p50_us_of_rounds"]) > 0 for point in curve["points"])
        assert all(min(point["qps_of_rounds"]) > 0 for point in curve["points"])
    assert (tmp_path / "results" / "graphs-slice.png").stat().st_size > 0


def test_the_server_finds_what_the_process_finds(run_alone, compare_graphs_flags, tmp_path):
    server = ["--server", os.environ["ENGRAM_SERVER"], "--ef", "10", "200"]
    assert "at recall 0.95" in run_alone("serve_cost.py", "slice", *server, *compare_graphs_flags)
    results = json.loads((tmp_path / "results" / "serve-cost-slice-sq4.json").read_text())
    assert [point["served"]["ef"] for point in results["points"]] == [10, 200]
    for point in results["points"]:
        assert abs(point["served"]["recall"] - point["in_process"]["recall"]) < 0.05
        assert len(point["served"]["qps_of_rounds"]) == 2


def test_growth_goes_over_all_prefixes(run_alone, compare_graphs_flags, tmp_path):
    flags = ["--sizes", "1000", "2000", "--ef", "10", "80", "--shuffle"]
    out = run_alone("growth.py", "slice", *flags, *compare_graphs_flags)
    assert "build seconds per vector ~ n^" in out
    results = json.loads((tmp_path / "results" / "growth-slice.json").read_text())
    assert [system["system"] for system in results["systems"]] == ["engram", "engram-sq4"]
    for system in results["systems"]:
        assert [size["rows"] for size in system["sizes"]] == [900, 1900, 9900]
        assert system["build_exponent"] is not None
    assert (tmp_path / "results" / "growth-slice.png").stat().st_size > 0


def test_anchors_hold(run_alone, tmp_path):
    server = ["--server", os.environ["ENGRAM_SERVER"]]
    folder = tmp_path / "anchors"
    run_alone("anchors.py", "--only", "A1,A2", "--quick", "--output", str(folder), *server)
    claims = json.loads((folder / "report.json").read_text())["claims"]
    assert [claim["name"] for claim in claims] == ["A1", "A2"]
    for claim in claims:
        assert claim["checks"] and all(check["held"] for check in claim["checks"])
        assert (folder / f"{claim['name']}.png").stat().st_size > 0
    assert "| A2 |" in (folder / "report.md").read_text()
    assert "datasets.py fetch" in run_alone("anchors.py", "--only", "A1,A7", *server, expect=1)


def test_candidates_recall_what_a_scan_does(run, tmp_path):
    assert "times as fast" in run("recall_cost.py", "slice", "--queries", "5")
    results = json.loads((tmp_path / "results" / "recall-cost-slice.json").read_text())
    scan, graph = results["costs"]
    assert scan["trunc"] == 0 and graph["trunc"] <= 1e-3
    assert graph["error"] < 2e-3
