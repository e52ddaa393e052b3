# SPDX-License-Identifier: Apache-2.0
"""Primitives that tests share: that of the package's README, and one that fails as it is told to."""

import re
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "server/hosts/python/README.md").read_text()
LEARNED = re.search("^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)[1]
COMMANDS = re.search("five commands:\n\n```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)[1].splitlines()

module = {"__name__": "learned"}
exec(compile(LEARNED, "learned.py", "exec"), module)
Learned = module["Learned"]


def rows_of(seed, count, dim=8):
    return np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)


def names(count):
    return [str(i) for i in range(count)]


class Trouble:
    """Raises what it is told to."""

    raises = {}

    def __init__(self, memory):
        self.memory = memory
        self.held = set()

    def insert(self, slot):
        self.complain("insert")
        self.held.add(slot)

    def erase(self, slot):
        self.complain("erase")
        self.held.remove(slot)

    def search(self, query, k):
        self.complain("search")
        return self.raises.get("answer", lambda held: list(held))(self.held)

    def complain(self, method):
        if method in self.raises:
            raise self.raises[method]
