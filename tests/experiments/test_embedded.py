# SPDX-License-Identifier: Apache-2.0
"""The example of engram in a process of one's own; ENGRAM_EMBEDDED names the program."""

import os
import subprocess
from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[2] / "experiments" / "data"

pytestmark = pytest.mark.skipif(
    "ENGRAM_EMBEDDED" not in os.environ, reason="ENGRAM_EMBEDDED does not name a program"
)


def run(*arguments):
    return subprocess.run(
        [os.environ["ENGRAM_EMBEDDED"], *map(str, arguments)], capture_output=True, text=True, timeout=60
    )


def test_the_words_near_a_word_are_found_and_half_of_it_recalls_it():
    done = run(DATA, "king")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["words: 10000 words", "memory: 10000 words"]
    assert [line.split()[0] for line in lines[2:6]] == ["king", "prince", "queen", "son"]
    assert lines[-1].startswith("half of 'king' recalls 'king' with weight ")


def test_what_cannot_be_done_is_said(tmp_path):
    for arguments, sentence in (
        ([DATA, "nonesuch"], "there is no word nonesuch"),
        ([tmp_path, "king"], f"cannot read the words in {tmp_path}"),
        ([], "expected a folder of words and a word"),
    ):
        done = run(*arguments)
        assert done.returncode == 1 and sentence in done.stderr
