#!/usr/bin/env bash
# Run the tests on every supported Python that this machine has, each with its own environment .venv-X.Y.
# The compiled rooms of the versions lie side by side: their file names carry the version.
#
#   bash tools/matrix.sh [make target, default: test]      VERSIONS="3.10 3.13" chooses
set -euo pipefail
cd "$(dirname "$0")/.."
TARGET=${1:-test}

find_python() {
    local candidate
    for candidate in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/python3 \
                     "$(command -v "python$1" || true)" "$(command -v python3 || true)"; do
        if [ -x "$candidate" ] && [ "$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$1" ]; then
            echo "$candidate"; return
        fi
    done
}

passed=() failed=() missing=()
for version in ${VERSIONS:-3.10 3.11 3.12 3.13}; do
    python=$(find_python "$version")
    if [ -z "$python" ]; then missing+=("$version"); continue; fi
    printf '\n=== Python %s (%s)\n' "$version" "$python"
    if make --no-print-directory "$TARGET" PYTHON="$python" VENV=".venv-$version"; then
        passed+=("$version")
    else
        failed+=("$version")
    fi
done
printf '\nmatrix: passed on %s; failed on %s; not on this machine: %s\n' \
    "${passed[*]:-none}" "${failed[*]:-none}" "${missing[*]:-none}"
[ ${#failed[@]} = 0 ] && [ ${#passed[@]} -gt 0 ]
