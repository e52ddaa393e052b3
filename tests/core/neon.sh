#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds core and its tests for 64-bit Arm with Debian's cross compiler and runs them under user-mode
# emulation, so that the NEON kernels are held to the oracle on machines without NEON. All of
# core/ and tests/core/ is one program, so there is no list of files to keep in step with Meson's.
#
# usage: tests/core/neon.sh BUILD_DIR [doctest option...]
# needs: g++-aarch64-linux-gnu qemu-user libhwy-dev doctest-dev libexpected-dev
set -eu

if [ $# -lt 1 ]; then
  echo "usage: $0 BUILD_DIR [doctest option...]" >&2
  exit 2
fi
root=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$1"
build=$(cd "$1" && pwd)
shift

# The headers of these packages are the same for every architecture, but the folder that holds them
# also holds the C library's for this one. Their libraries are not needed: with NEON as the only
# target, Highway decides at compile time.
mkdir -p "$build/include" "$build/objects"
for package in hwy doctest tl; do
  ln -sfn "/usr/include/$package" "$build/include/$package"
done

cd "$root"
rm -f "$build"/objects/*
# What Meson compiles as one is one file here, too; kernels for instruction sets and tests are not.
printf '#include "%s"\n' core/*.cc core/groups/*.cc $(ls core/kernels/*.cc | grep -v /simd) >"$build/core.cc"
{
  printf '%s\n' "$build/core.cc -O2"
  printf '%s -O2\n' core/kernels/simd*.cc
  printf '%s -O1\n' tests/core/*.cc tests/support/main.cc tests/support/scarce_memory.cc
} | xargs -P "$(nproc)" -L 1 sh -c '
    aarch64-linux-gnu-g++ -std=c++20 "$3" -Wall -Wextra -Wpedantic -Werror -DNDEBUG \
      -I. -isystem "$1/include" -c "$2" -o "$1/objects/$(echo "$2" | tr / _).o"
  ' sh "$build"
# Static, so that the emulator needs no library path.
aarch64-linux-gnu-g++ -static "$build"/objects/*.o -o "$build/core_test"
exec qemu-aarch64 "$build/core_test" "$@"
