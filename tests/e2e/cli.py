# SPDX-License-Identifier: Apache-2.0
"""The command line, run at a directory or at a server."""

import os
import re
import subprocess

import numpy
import pytest

import live

DONE, REFUSED, MISUSED = 0, 1, 2


class Cli:
    """Runs subcommands at one place."""

    def __init__(self, folder, *place, environment=None):
        self.folder = folder
        self.data = folder / "data"  # where the place keeps it
        self.place = [str(word) for word in place]
        self.environment = {**os.environ, **(environment or {})}
        self.environment.setdefault("TERM", "dumb")

    def __call__(self, command, *arguments, code=DONE):
        done = subprocess.run(
            self.words(command, *arguments),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=6 * live.PATIENCE_SECONDS,
            cwd=self.folder,
            env=self.environment,
        )
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        lines = done.stderr.decode().splitlines()
        if code != DONE:
            assert lines and all(
                line.startswith("engram: ") for line in lines if "vectors in" not in line
            )
        self.errors = done.stderr.decode()
        return done.stdout.decode()

    def words(self, command, *arguments):
        return live.engram_command(command, *self.place, *arguments)


@pytest.fixture
def places(tmp_path, start):
    """A directory, and a server; both empty."""
    server = start()
    directory = Cli(tmp_path, "--data-dir", tmp_path / "data")
    served = Cli(tmp_path, "--port", server.port)
    served.data = server.folder
    return [directory, served]


def both(places, command, *arguments, code=DONE):
    """What a subcommand prints, which is the same at each place."""
    answers = [(place(command, *arguments, code=code), rateless(place.errors)) for place in places]
    assert answers[0] == answers[1]
    return answers[0][0]


def float32(numbers):
    return numpy.array(numbers, "f4").tolist()


def rateless(errors):
    return re.sub(r" in [0-9.]+ s, [0-9,]+/s", "", errors)


def write_vectors(folder, count, dim, seed=5):
    vectors = numpy.random.default_rng(seed).standard_normal((count, dim)).astype("<f4")
    numpy.save(folder / "vectors.npy", vectors)
    return vectors
