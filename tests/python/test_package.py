# SPDX-License-Identifier: Apache-2.0
"""The wheel in a fresh virtual environment, and the types. ENGRAM_WHEEL names the wheel."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import engramdb

HERE = Path(__file__).resolve().parent
PACKAGE = Path(engramdb.__file__).parent


def test_the_wheel_is_installed_and_searches(tmp_path):
    environment = tmp_path / "environment"
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", "--system-site-packages", environment], check=True
    )
    python = environment / "bin" / "python3"
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "--no-index", os.environ["ENGRAM_WHEEL"]], check=True)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    subprocess.run([python, HERE / "example.py", tmp_path / "rows.bin"], check=True, env=clean, cwd=tmp_path, timeout=60)
    shown = subprocess.run([*pip, "show", "engramdb"], check=True, capture_output=True, text=True, env=clean).stdout
    assert "Name: engramdb" in shown


def test_the_wheel_has_types_and_nothing_from_the_machine():
    with zipfile.ZipFile(os.environ["ENGRAM_WHEEL"]) as wheel:
        names = wheel.namelist()
        assert "engramdb/py.typed" in names
        assert "engramdb/_engine.pyi" in names
        assert not [name for name in names if name.startswith("/") or ".." in name]


def test_the_compiled_store_is_a_place_as_the_protocol_says():
    from engramdb import _engine, _place

    asked = {name for name in vars(_place.Place) if not name.startswith("_")}
    assert {name for name in vars(_engine.EngineStore) if not name.startswith("_")} == asked


@pytest.mark.long
def test_types_are_checked_strictly(tmp_path):
    mypy = pytest.importorskip("mypy.api")
    told, errors, status = mypy.run(
        ["--strict", "--cache-dir", str(tmp_path), "--follow-imports=silent", str(PACKAGE), str(HERE / "example.py")]
    )
    assert status == 0, told + errors


@pytest.mark.long
def test_the_overhead_is_measured():
    build = PACKAGE.parents[3]
    script = HERE.parents[1] / "experiments" / "python_overhead.py"
    command = [sys.executable, script, "--build", build, "--queries", "50", "--rounds", "1"]
    told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout
    assert "single search, p50: C++ " in told
    assert "8 Python threads: " in told


@pytest.mark.long
def test_the_package_is_compared_with_others(tmp_path):
    pytest.importorskip("hnswlib")
    pytest.importorskip("faiss")
    build = PACKAGE.parents[3]
    script = HERE.parents[1] / "experiments" / "compare_python.py"
    command = [sys.executable, script, "slice", "--build", build, "--queries", "50", "--rounds", "2", "--ef", "10", "200"]
    done = subprocess.run([*command, "--output", tmp_path], check=True, capture_output=True, text=True, timeout=300)
    assert "engramdb-sq4 / hnswlib" in done.stdout
    written = json.loads((tmp_path / "python-slice.json").read_text())
    assert [curve["system"] for curve in written["curves"]] == ["engramdb", "engramdb-sq8", "engramdb-sq4", "hnswlib", "faiss"]
    for curve in written["curves"]:
        assert curve["points"][-1]["recall"] >= 0.95, curve["system"]
