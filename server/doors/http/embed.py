#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes files as a C++ table, so that the program carries them.

  embed.py OUTPUT FILE...

index.html is served at /, every other file at /assets/ with its name.
"""

import hashlib
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


def entry(path):
    data = path.read_bytes()
    where = "/" if path.name == "index.html" else f"/assets/{path.name}"
    tag = hashlib.sha256(data).hexdigest()[:16]
    return (
        f'  {{"{where}", "{TYPES[path.suffix]}", "\\"{tag}\\"", std::string_view(\n{literal(data)},\n'
        f"    {len(data)})}},\n"
    )


def main():
    output, *files = sys.argv[1:]
    entries = "".join(entry(path) for path in sorted(map(Path, files)))
    Path(output).write_text(
        '#include "server/doors/http/assets.h"\n\nnamespace engram {\nnamespace {\n\n'
        f"constexpr Asset kAssets[] = {{\n{entries}}};\n\n}}  // namespace\n\n"
        "std::span<const Asset> assets() {\n  return kAssets;\n}\n\n}  // namespace engram\n",
        encoding="ascii",
    )


if __name__ == "__main__":
    main()
