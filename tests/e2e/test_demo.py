# SPDX-License-Identifier: Apache-2.0
"""The walk through HTTP and the command line shows everything, and all of it works."""

import os
import subprocess
from pathlib import Path

import live

DEMO = Path(__file__).resolve().parents[2] / "experiments" / "demo.sh"


def demo(script):
    return subprocess.run(
        [script, os.environ["ENGRAM_SERVER"]],
        capture_output=True,
        text=True,
        timeout=5 * live.PATIENCE_SECONDS,
    )


def test_every_route_and_every_subcommand_is_shown():
    done = demo(DEMO)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '{"id":"a","created":true}' in done.stdout
    assert done.stdout.endswith("That was every route and every subcommand.\n")


def test_what_it_leaves_out_or_what_fails_ends_it(tmp_path):
    text = DEMO.read_text()
    (tmp_path / "experiments").mkdir()
    for line, told in (
        ("  ask GET /health\n", "these are not shown:\nGET /health\n"),
        ("  engram get v2\n", "these are not shown:\nengram get\n"),
        ("  ask PUT /collections/notes ", "this command failed: curl"),
    ):
        assert line in text
        script = tmp_path / "experiments" / "demo.sh"
        script.write_text(text.replace(line, "  : ", 1))
        script.chmod(0o755)
        done = demo(script)
        assert done.returncode == 1 and told in done.stderr, done.stderr
