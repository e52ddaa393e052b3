#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes files as a C++ table, so that the program carries them.

  embed.py OUTPUT [NAME=]FILE...

index.html is served at /, every other file at /assets/ with its name. Lines of index.html that lead to a file of
/assets/ which is not there are left out: what a build lacks is not asked for.
"""

import hashlib
import re
import sys
from pathlib import Path

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
LINE_BYTES = 60


def literal(data):
    """Adjacent string literals. Escapes have three octal digits, so that none runs into what follows."""
    lines = []
    for begin in range(0, len(data), LINE_BYTES):
        piece = data[begin : begin + LINE_BYTES]
        text = "".join(chr(b) if 32 <= b < 127 and b not in b'"\\?' else f"\\{b:03o}" for b in piece)
        lines.append(f'    "{text}"')
    return "\n".join(lines) or '    ""'


def without_missing(page, names):
    """`page` without the lines that lead to assets which are not among `names`."""
    lines = page.decode().splitlines(keepends=True)
    return "".join(line for line in lines if set(re.findall(r'"/assets/([^"]+)"', line)) <= names).encode()


def entry(name, data):
    where = "/" if name == "index.html" else f"/assets/{name}"
    tag = hashlib.sha256(data).hexdigest()[:16]
    return (
        f'  {{"{where}", "{TYPES[Path(name).suffix]}", "\\"{tag}\\"", std::string_view(\n{literal(data)},\n'
        f"    {len(data)})}},\n"
    )


def main():
    output, *files = sys.argv[1:]
    assets = {}
    for file in files:
        name, _, path = file.rpartition("=")
        assets[name or Path(path).name] = Path(path).read_bytes()
    assets["index.html"] = without_missing(assets["index.html"], set(assets))
    entries = "".join(entry(name, data) for name, data in sorted(assets.items()))
    Path(output).write_text(
        "// Compilers may refuse literals of more than 65,536 bytes, and these do not.\n"
        '#pragma GCC diagnostic ignored "-Woverlength-strings"\n'
        '#include "server/doors/http/assets.h"\n\nnamespace engram {\nnamespace {\n\n'
        f"constexpr Asset kAssets[] = {{\n{entries}}};\n\n}}  // namespace\n\n"
        "std::span<const Asset> assets() {\n  return kAssets;\n}\n\n}  // namespace engram\n",
        encoding="ascii",
    )


if __name__ == "__main__":
    main()
