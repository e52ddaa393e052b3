#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a wheel of the built package, which is a zip file with a list of what is in it; Meson calls this:

  wheel.py --out WHEEL --version VERSION --readme FILE FILE ...

It is also what `pip install server/hosts/python` builds by (PEP 517): there Meson builds the package first, in a folder of its
own or in that of `--config-settings build-dir=DIR`.
"""

import argparse
import base64
import hashlib
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
PACKAGE = "engramdb"
# The same files give the same bytes.
LONG_AGO = (1980, 1, 1, 0, 0, 0)
METADATA = """Metadata-Version: 2.1
Name: {package}
Version: {version}
Summary: An associative vector memory in this process, in a directory, or in a server
License: Apache-2.0
Requires-Python: >=3.11
Requires-Dist: numpy
Provides-Extra: server
Requires-Dist: redis; extra == 'server'
Description-Content-Type: text/markdown

{readme}"""
WHEEL = """Wheel-Version: 1.0
Generator: engram
Root-Is-Purelib: false
Tag: {tag}
"""


def write_wheel(target, version, readme, files):
    """target: PACKAGE-VERSION-TAG.whl."""
    tag = target.stem.removeprefix(f"{PACKAGE}-{version}-")
    information = f"{PACKAGE}-{version}.dist-info"
    contents = {f"{PACKAGE}/{file.name}": file.read_bytes() for file in sorted(files)}
    contents[f"{information}/METADATA"] = METADATA.format(
        package=PACKAGE, version=version, readme=readme.read_text(encoding="utf-8")
    ).encode()
    contents[f"{information}/WHEEL"] = WHEEL.format(tag=tag).encode()
    record = ""
    for name, data in contents.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record += f"{name},sha256={digest},{len(data)}\n"
    contents[f"{information}/RECORD"] = (record + f"{information}/RECORD,,\n").encode()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in contents.items():
            entry = zipfile.ZipInfo(name, LONG_AGO)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """What pip calls. Returns the name of the file in `wheel_directory`."""
    with tempfile.TemporaryDirectory() as temporary:
        build = Path((config_settings or {}).get("build-dir", temporary))
        if not (build / "build.ninja").exists():
            options = ["-Dpython=enabled", "-Dtests=false", "-Dbenchmarks=false"]
            subprocess.run(["meson", "setup", build, ROOT, *options], check=True)
        subprocess.run(["ninja", "-C", build, "engramdb-wheel"], check=True)
        (wheel,) = (build / "server/hosts/python").glob("*.whl")
        shutil.copy(wheel, wheel_directory)
        return wheel.name


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--readme", type=Path, required=True)
    parser.add_argument("files", type=Path, nargs="+")
    given = parser.parse_args()
    write_wheel(given.out, given.version, given.readme, given.files)


if __name__ == "__main__":
    main()
