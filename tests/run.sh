#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs the tests of engram:
#
#   tests/run.sh            the quick ones, in a few minutes: what finds most faults
#   tests/run.sh all        every test there is
#   tests/run.sh rest       what `all` adds to the quick ones
#   tests/run.sh STAGE...   the named stages:
#
#     quick   release build with g++; unit, conformance and end-to-end suites, rules of the house
#     long    the same build with benchmarks; the suites marked 'long' in tests/*/meson.build
#     simd    the kernels for every instruction set of this architecture, not only that of this machine
#     asan    clang++ with AddressSanitizer and UndefinedBehaviorSanitizer, all suites but long end-to-end ones; of Python
#             what runs in the interpreter's process
#     fuzz    fuzzers for FUZZ_SECONDS (30) each, in a build that tells them which ways their inputs take: those
#             that FUZZERS names, separated by spaces, or all but http_routes_fuzz, which needs the whole server
#             (asan replays what it has found)
#     tsan    clang++ with ThreadSanitizer, the suites that have threads
#     neon    the kernels for ARM, cross-compiled and run under emulation
#     format  clang-format
#     lint    clang-tidy
#
# Missing Debian packages are installed. Where there is ccache, what was compiled before is not compiled
# again. Beside other stages, `lint` takes the processor time that they leave. A stage that fails does not
# stop the next. The summary says what each stage took and its budget; a stage fails if it takes `patience`
# times its budget. The last line reads "N passed, N failed", and the exit status says whether anything
# failed.
set -uo pipefail
cd "$(dirname "$0")/.."
# Debian's tools, whatever else the caller has on the path.
export PATH="/usr/bin:/bin:$PATH"
export PYTHONDONTWRITEBYTECODE=1
# So that clones of one history share what they compile.
export CCACHE_BASEDIR="$PWD" CCACHE_NOHASHDIR=1

all_stages=(quick long simd asan fuzz tsan neon format lint)
# Seconds on two cores that others use a little, too.
declare -A budget=([quick]=300 [long]=450 [simd]=120 [asan]=420 [fuzz]=240 [tsan]=420 [neon]=90 [format]=20 [lint]=330)
# Machines three times as slow, and busy, stay below this.
patience=5
fuzz_seconds="${FUZZ_SECONDS:-30}"
results="$(mktemp -d)"
current=  # the process group of the stage that runs
behind=   # and of the one behind it
launcher=()  # stands before each `meson test`

# check NAME COMMAND...: runs a command and counts it as one test.
check() {
  local name="$1"
  shift
  if "$@"; then
    echo pass >>"$results/checks"
  else
    echo "FAILED: $name"
    echo "fail $name" >>"$results/checks"
    return 1
  fi
}

# configure DIRECTORY COMPILERS [OPTION]...; COMPILERS is gcc or clang.
configure() {
  local directory="$1" cc="$2" cxx=g++ mode=()
  [[ "$cc" == clang ]] && cxx=clang++
  command -v ccache >/dev/null && cc="ccache $cc" cxx="ccache $cxx"
  shift 2
  [[ -f "$directory/build.ninja" ]] && mode=(--reconfigure)
  CC="$cc" CXX="$cxx" meson setup "$directory" "${mode[@]}" --werror "$@" >"$results/$directory.log" ||
    { cat "$results/$directory.log"; return 1; }
}

# All errors in one go: what is learned from a build of many minutes should be everything.
build() { ninja -C "$1" --quiet -k 0 "${@:2}"; }

# Turns the log of `meson test` into one line for each test.
count_meson_tests() {
  /usr/bin/python3 - "$1/meson-logs/testlog.json" "$2" <<'EOF'
import json, sys
for line in open(sys.argv[1], encoding="utf-8"):
    test = json.loads(line)
    if test["result"] == "SKIP":
        continue
    good = test["result"] in ("OK", "EXPECTEDFAIL")
    print("pass" if good else f"fail {sys.argv[2]}: {test['name']} ({test['result']})")
EOF
}

# test_in DIRECTORY STAGE [ARGUMENT]... of `meson test`
test_in() {
  local directory="$1" stage="$2"
  shift 2
  rm -f "$directory/meson-logs/testlog.json"
  "${launcher[@]}" meson test -C "$directory" --no-rebuild --print-errorlogs "$@"
  count_meson_tests "$directory" "$stage" >>"$results/checks" || check "$stage: tests ran" false
}

stage_quick() {
  check "quick: configure" configure build-gcc gcc -Dbenchmarks=false -Dgrpc=enabled &&
    check "quick: build" build build-gcc &&
    test_in build-gcc quick --no-suite long
}

stage_long() {
  check "long: configure" configure build-gcc gcc -Dbenchmarks=true -Dgrpc=enabled &&
    check "long: build" build build-gcc &&
    test_in build-gcc long --suite long
}

stage_simd() {
  local primitives_test=tests/primitives/primitives_test
  check "simd: configure" configure build-simd gcc -Dsimd=all -Dbenchmarks=false -Dprimitives=flat &&
    check "simd: build" build build-simd tests/core/core_test "$primitives_test" &&
    check "simd: core tests" build-simd/tests/core/core_test &&
    check "simd: byte products" "build-simd/$primitives_test" '--source-file=*byte_product_test.cc'
}

# Assertions on, and of debug information the lines that a report names. Code that ends at an error is smaller than code that
# may go on.
sanitizing_args="-g1 -fno-sanitize-recover=all"
sanitized=(-Dbuildtype=debug -Doptimization=1 -Dcpp_args="$sanitizing_args" -Db_lundef=false -Dbenchmarks=false)

stage_asan() {
  export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1
  export UBSAN_OPTIONS=print_stacktrace=1
  check "asan: configure" \
    configure build-asan clang "${sanitized[@]}" -Dsimd=all -Db_sanitize=address,undefined -Dfuzzers=true &&
    check "asan: build" build build-asan &&
    test_in build-asan asan --timeout-multiplier 4
}

fuzzers() {
  meson introspect build-fuzz --targets |
    /usr/bin/python3 -c 'import json, os, sys
for target in json.load(sys.stdin):
    wanted = os.environ.get("FUZZERS", "").split()
    name = target["name"]
    if name.endswith("_fuzz") and (name in wanted if wanted else name != "http_routes_fuzz"):
        print(os.path.relpath(target["filename"][0], "build-fuzz"))'
}

# Without fuzzer-no-link, libFuzzer sees the ways through the fuzzer's own file alone, and guesses at the rest.
stage_fuzz() {
  local names path name corpus
  check "fuzz: configure" configure build-fuzz clang "${sanitized[@]}" -Db_sanitize=address,undefined -Dfuzzers=true \
    "-Dcpp_args=$sanitizing_args -fsanitize=fuzzer-no-link" || return
  names="$(fuzzers)"
  # shellcheck disable=SC2086
  check "fuzz: build" build build-fuzz $names || return
  for path in $names; do
    name="$(basename "$path")"
    corpus="$results/corpus/$name"
    mkdir -p "$corpus/new"
    tests/fuzz/corpus.py unpack "tests/fuzz/corpus/$name.tar.xz" "$corpus/kept"
    check "fuzz: $name" "build-fuzz/$path" -max_total_time="$fuzz_seconds" -rss_limit_mb=2048 -timeout=10 \
      -print_final_stats=1 -verbosity=0 -artifact_prefix="$results/" "$corpus/new" "$corpus/kept" &
    while (($(jobs -rp | wc -l) >= $(nproc))); do wait -n; done
  done
  wait
}

stage_tsan() {
  # A page of a snapshot is verified by the handler of the fault at its first touch, which interrupts nothing that holds
  # a lock: it may ask for memory.
  export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:report_signal_unsafe=0
  # ThreadSanitizer of clang 14 does not know the address layouts that newer kernels randomize into.
  setarch --addr-no-randomize true 2>/dev/null && launcher=(setarch --addr-no-randomize)
  check "tsan: configure" configure build-tsan clang "${sanitized[@]}" -Db_sanitize=thread &&
    check "tsan: build" build build-tsan &&
    test_in build-tsan tsan --timeout-multiplier 6 --no-suite core &&
    check "tsan: core tests that have threads" "${launcher[@]}" build-tsan/tests/core/core_test \
      --source-file='*row_blocks_test.cc,*slot_set_test.cc,*vector_store*_test.cc'
}

stage_neon() {
  check "neon: core tests" tests/core/neon.sh build-neon
}

sources() { git ls-files -- '*.cc' '*.h' '*.c'; }

stage_format() {
  check "format: there are sources" test -n "$(sources)" &&
    check "format: clang-format" xargs -P "$(nproc)" -n 32 clang-format --dry-run -Werror < <(sources)
}

# Files that are compiled as one are checked as one, in half the time; to the analyzer, all but the file that includes
# them are headers. Kernels are compiled by themselves, and it is not to look into the headers of Highway.
stage_lint() {
  # How far the static analyzer follows the paths of a function; by default it is nine times as far. Three times as far took
  # twice the time.
  local effort=(-extra-arg=-Xclang -extra-arg=-analyzer-config -extra-arg=-Xclang -extra-arg=max-nodes=25000)
  local included=(-extra-arg=-Xclang -extra-arg=-analyzer-opt-analyze-headers)
  check "lint: configure" configure build-lint clang -Dtests=false -Dbenchmarks=false || return
  check "lint: files compiled as one" \
    run-clang-tidy -quiet "${effort[@]}" "${included[@]}" -p build-lint '.*-unity[0-9]+\.cpp$'
  check "lint: other files" \
    run-clang-tidy -quiet "${effort[@]}" -p build-lint "$PWD/(core|primitives|server)/.*\.cc$"
}

# CPU seconds of the children that process $1 has waited for.
cpu_seconds() {
  local hertz
  hertz="$(getconf CLK_TCK)"
  awk -v hertz="$hertz" '{ sub(/.*\) /, ""); print int(($14 + $15) / hertz) }' "/proc/$1/stat"
}

failures() { grep -c "^fail ${1:-}" "$results/checks"; }

# note_stage STAGE TIME CPU_SECONDS [REMARK]
note_stage() {
  local verdict=passed
  (($(failures "$1:") > 0)) && verdict=FAILED
  printf '%-7s %s, %4d CPU s  %s\n' "$1" "$2" "$3" "$verdict${4:-}" >>"$results/stages"
}

run_stage() {
  local stage="$1" start="$SECONDS" cpu_before took limit remark=
  printf '\n=== %s\n' "$stage"
  cpu_before="$(cpu_seconds "$$")"
  # In the background as a process group of its own, so that an interrupted run can end all of it.
  set -m
  "stage_$stage" </dev/null &
  current=$!
  wait "$current"
  set +m
  current=
  took="$((SECONDS - start))" limit="${budget[$stage]}"
  ((took <= patience * limit)) || check "$stage: ends within $((patience * limit)) s" false
  ((took <= limit)) || remark=", OVER BUDGET"
  note_stage "$stage" "$(printf '%4d s of %3d s' "$took" "$limit")" \
    "$(($(cpu_seconds "$$") - cpu_before))" "$remark"
}

# Lint waits for nothing, tests often do. Beside them it is not judged by how long it takes.
lint_behind() {
  local self="$BASHPID"
  renice -n 19 -p "$self" >/dev/null
  stage_lint
  note_stage lint "  behind the rest" "$(cpu_seconds "$self")"
}

start_lint_behind() {
  set -m
  lint_behind </dev/null >"$results/lint.log" 2>&1 &
  behind=$!
  set +m
}

# Not by a subshell that kills it after a time: one that is killed as soon as it is forked still runs this shell's traps, and
# removes the results.
finish_lint() {
  local limit="$((patience * budget[lint]))"
  printf '\n=== lint\n'
  timeout "$limit" tail --pid="$behind" -f /dev/null || kill -TERM -- "-$behind"
  wait "$behind" || check "lint: ends within $limit s of the others" false
  behind=
  cat "$results/lint.log"
}

end() {
  local group
  for group in $current $behind; do kill -TERM -- "-$group" 2>/dev/null; done
  rm -rf "$results"
}

summarize() {
  local passed failed
  passed="$(grep -c '^pass' "$results/checks")"
  failed="$(failures)"
  printf '\n=== summary\n'
  cat "$results/stages"
  sed -n 's/^fail /failed: /p' "$results/checks"
  printf '\n%d passed, %d failed\n' "$passed" "$failed"
  ((failed == 0 && passed > 0))
}

stages=("$@")
case "$*" in
  "") stages=(quick) ;;
  all) stages=("${all_stages[@]}") ;;
  rest) stages=("${all_stages[@]:1}") ;;
esac
packages=(run test)
for stage in "${stages[@]}"; do
  if [[ " ${all_stages[*]} " != *" $stage "* ]]; then
    echo "tests/run.sh: there is no stage '$stage'; the stages are ${all_stages[*]}" >&2
    exit 2
  fi
  [[ "$stage" == quick ]] || packages=(run test all)
done
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
touch "$results/checks" "$results/stages"
.ci/install.sh "${packages[@]}" || exit 1
((${#stages[@]} > 1)) && [[ " ${stages[*]} " == *" lint "* ]] && start_lint_behind
for stage in "${stages[@]}"; do
  [[ -n "$behind" && "$stage" == lint ]] || run_stage "$stage"
done
[[ -z "$behind" ]] || finish_lint
summarize
