# SPDX-License-Identifier: Apache-2.0
"""The experiments with clusters: cluster.py shows one that works, and leaves nothing behind; router_cost.py measures."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import redis

import live
from module_scripts import NEEDS_MODULE

pytestmark = [NEEDS_MODULE, pytest.mark.long]
EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"


def run(script, *arguments):
    built = ("--program", os.environ["ENGRAM_SERVER"], "--module", os.environ["ENGRAM_MODULE"])
    return subprocess.run(
        [sys.executable, EXPERIMENTS / script, *arguments, *built],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=4 * live.PATIENCE_SECONDS,
    )


def show(folder, *arguments):
    return run("cluster.py", *arguments, "--folder", folder)


def assert_shown(done):
    assert done.returncode == 0, done.stdout + done.stderr
    for text in (
        "router1: king 0.000, prince",
        "without PARTIAL: MISSING 3 of 8 partitions of index 'words' did not answer",
        "s: PARTIAL tells of 8 of 8 partitions",
        "is back, as a replica",
        "each found all 10,000 words, each once",
        "nothing missing or double",
    ):
        assert text in done.stdout, done.stdout


def pids(folder):
    return [int(file.read_text()) for file in folder.glob("*/pid")]


def runs(pid):
    """One that nobody has waited for yet does not."""
    return Path(f"/proc/{pid}/exe").exists()


def test_with_once_it_ends_by_itself(tmp_path):
    folder = tmp_path / "cluster"
    try:
        done = show(folder, "up", "--once")
    finally:
        left = show(folder, "down")
    assert_shown(done)
    assert left.stdout == "0 processes have ended\n"
    assert done.stdout.endswith("\n8 processes have ended\n")
    assert not folder.exists()


def test_a_folder_of_somebody_else_stays(tmp_path):
    (tmp_path / "letter").write_text("dear")
    for what in ("up", "down"):
        refused = show(tmp_path, what)
        assert refused.returncode == 1 and "is not a cluster's: it has letter" in refused.stderr
    assert (tmp_path / "letter").exists()


def test_what_is_up_stays_until_it_is_ended(tmp_path):
    folder = tmp_path / "cluster"
    try:
        done = show(folder, "up")
        assert_shown(done)
        again = show(folder, "up")
        assert again.returncode == 1 and "a cluster runs in" in again.stderr
        port = int(done.stdout.partition("neighbours.py --port ")[2].split()[0])
        with redis.Redis(port=port) as client:
            assert client.execute_command("VCARD", "words") >= 10_000
        left = pids(folder)
        assert len(left) == 8 and all(runs(pid) for pid in left)
    finally:
        ended = show(folder, "down")
    assert ended.stdout == "8 processes have ended\n"
    assert not any(runs(pid) for pid in left)
    assert show(folder, "down").stdout == "0 processes have ended\n"


def test_what_a_router_costs_is_measured():
    done = run("router_cost.py", "--rows", "1000", "--queries", "300", "--rounds", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^The router adds -?\d+ us to the median\.$", done.stdout, re.MULTILINE)
    for place in ("at the node", "through a router", "engram's server, 2 workers", "that node through a router"):
        assert re.search(rf"^\| {place} \| [\d,.]+ \| [\d.]+ \| [\d.]+ \|", done.stdout, re.MULTILINE), done.stdout
