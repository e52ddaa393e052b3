# SPDX-License-Identifier: Apache-2.0
"""The examples of experiments/examples, each as a user runs it, with less data."""

import re
import subprocess
import sys
from pathlib import Path

import engramdb
import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "experiments/examples"


def run(name, *arguments):
    command = [sys.executable, EXAMPLES / name, *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout


def test_mock_data_are_searched(tmp_path):
    path = tmp_path / "vectors.bin"
    assert "2,000 rows of 384 float32" in run("mock_data.py", path, "--rows", 2000)
    told = run("benchmark.py", path, "--queries", 50)
    assert "vectors are in the file" in told
    assert float(re.search("recall@10 (.*?),", told)[1]) >= 0.9


def test_sentences_are_found_by_what_they_are_about():
    assert "dogs chased a rabbit" in run("sentences.py", "a small dog in the house")
    assert "Shares fell" in run("sentences.py", "trading of shares", "--k", 1)
    assert run("sentences.py", "trading of shares", "--about", "sport").count("\n") == 3


def test_images_are_completed():
    told = run("complete_images.py", "--images", 200, "--cues", 20)
    assert int(re.search(r"(\d+) of 20 recalled", told)[1]) >= 18


def test_a_primitive_is_compared_with_hopfield():
    lines = run("compare_primitives.py", "--patterns", 200, "--cues", 20).splitlines()
    assert lines[0].split() == ["noise", "ranks", "hopfield"]
    assert lines[1].count("1.00 right") == 2


@pytest.mark.long
def test_types_are_checked_strictly(tmp_path, monkeypatch):
    mypy = pytest.importorskip("mypy.api")
    monkeypatch.setenv("MYPYPATH", str(ROOT / "experiments"))
    package = Path(engramdb.__file__).parent
    scripts = sorted(map(str, EXAMPLES.glob("*.py")))
    assert len(scripts) == 5
    told, errors, status = mypy.run(
        ["--strict", "--cache-dir", str(tmp_path), "--follow-imports=silent", str(package), *scripts]
    )
    assert status == 0, told + errors
