# SPDX-License-Identifier: Apache-2.0
"""tidy.py finds each kind of breach in a tree that has no other."""

import subprocess
from pathlib import Path

import pytest

SPDX = "// SPDX-License-Identifier: Apache-2.0\n"
CLEAN = {
    "core/a.h": "#pragma once\n",
    "core/a.cc": '#include "core/a.h"\n',
    "server/net/b.h": "#pragma once\n",
    "server/runtime/c.h": "#pragma once\n",
    "server/commands/d.cc": '#include "server/net/b.h"\n#include "core/a.h"\n',
    "tests/core/a_test.cc": '#include "core/a.h"\n',
    "tests/server/commands/d_test.cc": "",
    "tests/meson.build": "'core/a_test.cc', 'server/commands/d_test.cc'\n",
    "tests/primitives/example/lsh.cc": "int example;\n",
    "README.md": "```cpp\nint example;\n```\n",
}


def tidy(folder, changes):
    for path, text in {**CLEAN, **changes}.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text if text.startswith("no licence") else SPDX + text)
    program = Path(__file__).with_name("tidy.py")
    return subprocess.run([program, folder], capture_output=True, text=True)


def test_a_tidy_tree_passes(tmp_path):
    done = tidy(tmp_path, {})
    assert done.returncode == 0 and done.stdout == "8 files, 0 breaches\n"


@pytest.mark.parametrize(
    "path, text, complaint",
    [
        ("core/a.cc", '#include "server/net/b.h"\n', "core/ lies below server/"),
        ("server/net/b.h", '#pragma once\n#include "server/runtime/c.h"\n', "net lies not above runtime"),
        ("server/net/b.h", '#pragma once\n#include "tests/x.h"\n', "no file of this tree"),
        ("server/attic/e.h", '#pragma once\n#include "server/net/b.h"\n', "does not know the room"),
        ("core/a.cc", "void f() { printf(\"x\"); }\n", "does not print"),
        ("core/a.cc", "int x;\n" * 501, "502 lines"),
        ("core/a.cc", "// TO" + "DO later\n", "unfinished"),
        ("core/a.cc", "no licence\n", "the licence is missing"),
        ("core/a.h", "int x();\n", "#pragma once is missing"),
        ("core/p/p.cc", "", "no test is in a folder"),
        ("tests/core/b_test.cc", "", "no meson.build of tests/ names it"),
        ("README.md", "```cpp\nint other;\n```\n", "shows a line that is not in"),
    ],
)
def test_each_breach_is_found(tmp_path, path, text, complaint):
    done = tidy(tmp_path, {path: text})
    assert done.returncode == 1
    assert [line for line in done.stdout.splitlines() if line.startswith(path.rpartition("/")[0])]
    assert complaint in done.stdout
