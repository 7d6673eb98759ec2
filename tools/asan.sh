#!/usr/bin/env bash
# Run tests with the compiled rooms under AddressSanitizer and UndefinedBehaviorSanitizer.
#
#   bash tools/asan.sh [pytest arguments]      default: tests/unit tests/protocol tests/integration tests/asan
#
# The tree is copied to build/asan, so that the normal build stays as it is. Modification times are kept:
# only rooms that changed are compiled again.
set -euo pipefail
cd "$(dirname "$0")/.."
PY=$PWD/${VENV:-.venv}/bin/python
TREE=build/asan
mkdir -p "$TREE"

# Everything but what was built here goes first, so that a file removed from the project is gone here too.
find "$TREE" -mindepth 1 \( -path "$TREE/build" -o -name '*.so' \) -prune -o -type f -print0 | xargs -0 -r rm -f
tar -cf - --exclude='*.so' --exclude=__pycache__ _ext fastkafka tests tools benchmarks examples setup.py pyproject.toml \
    $(ls -d README.md ARCHITECTURE.md docs 2>/dev/null) | tar -xf - -C "$TREE"

cd "$TREE"
FASTKAFKA_BUILD=asan "$PY" setup.py -q build_ext --inplace

# Python itself is not instrumented, so the run-times must be there before it starts.
export LD_PRELOAD="$(readlink -f "$(gcc -print-file-name=libasan.so)") $(readlink -f "$(gcc -print-file-name=libubsan.so)")"
# pymalloc hides the borders of small blocks; leaks are CPython's own at exit; a report must end the run.
export PYTHONMALLOC=malloc
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=0:allocator_may_return_null=1:detect_stack_use_after_return=0
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export FASTKAFKA_ASAN=1 PYTHONPATH=.
if [ $# = 0 ]; then
    for folder in tests/unit tests/protocol tests/integration tests/asan; do
        if [ -d "$folder" ]; then set -- "$@" "$folder"; fi
    done
fi
# Instrumented code is several times slower: time limits of single tests grow with it.
exec "$PY" -m pytest --timeout=600 -m "not resident" "$@"
