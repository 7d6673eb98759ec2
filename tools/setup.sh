#!/usr/bin/env bash
# Install what the build and the tests need: Debian packages, a virtual environment, Python packages.
#
#   VENV=.venv PYTHON=python3.12 bash tools/setup.sh
#
# Debian packages are installed with apt when this runs as root or sudo asks for no password; otherwise
# the exact command is printed. Java and Maven are installed only for FASTKAFKA_REQUIRE_KAFKA=1: a user who
# wants to try the client needs neither. The last line written is the stamp that makes the next run instant.
set -euo pipefail
cd "$(dirname "$0")/.."
VENV=${VENV:-.venv}

say() { printf 'setup: %s\n' "$*" >&2; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then sudo "$@"
    else return 1
    fi
}

# A name from PATH can be a pyenv shim that answers for no version, so each candidate is asked.
supported() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; }

choose_python() {
    local candidate
    if [ -n "${PYTHON:-}" ]; then
        supported "$PYTHON" || { say "$PYTHON is not Python 3.10 to 3.13"; exit 1; }
        echo "$PYTHON"; return
    fi
    if [ -x "$VENV/bin/python" ] && supported "$VENV/bin/python"; then
        "$VENV/bin/python" -c 'import sys; print(sys._base_executable)'; return
    fi
    for candidate in python3 python3.13 python3.12 python3.11 python3.10; do
        if supported "$candidate"; then echo "$candidate"; return; fi
    done
    echo python3
}

# The Debian packages that are missing, one a line. Asking what is there beats asking dpkg: a compiler or a
# library from elsewhere serves as well.
missing_packages() {
    local version
    command -v gcc >/dev/null || echo gcc
    echo '#include <stdlib.h>' | gcc -E - >/dev/null 2>&1 || echo libc6-dev
    command -v pkg-config >/dev/null || echo pkg-config
    pkg-config --exists liblz4 2>/dev/null || echo liblz4-dev
    pkg-config --exists zlib 2>/dev/null || echo zlib1g-dev
    pkg-config --exists libzstd 2>/dev/null || echo libzstd-dev
    command -v kcat >/dev/null || echo kcat
    if ! supported "$PYTHON"; then
        echo python3; echo python3-dev; echo python3-venv
    else
        version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        "$PYTHON" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' || echo "python$version-dev"
        if [ ! -x "$VENV/bin/pip" ] && ! "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; then
            echo "python$version-venv"
        fi
    fi
    if [ "${FASTKAFKA_REQUIRE_KAFKA:-}" = 1 ]; then
        command -v javac >/dev/null || echo openjdk-17-jdk-headless # golden vectors are compiled
        command -v mvn >/dev/null || echo maven
        command -v strace >/dev/null || echo strace # witnesses that the broker syncs before it answers
    fi
}

install_packages() {
    local packages
    packages=$(missing_packages | tr '\n' ' ')
    [ -n "${packages// /}" ] || return 0
    say "Debian packages: $packages"
    if ! command -v apt-get >/dev/null; then
        say "this is not Debian: install the equivalents of these packages, then run make again"; exit 1
    fi
    # shellcheck disable=SC2086  # the list is split on purpose
    if ! { as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update &&
           as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 install -y \
               --no-install-recommends $packages >&2; }; then
        say "could not install them: neither root nor password-free sudo, or apt failed. Run this, then make again:"
        say "    sudo apt-get install $packages"
        exit 1
    fi
}

make_environment() {
    if [ -x "$VENV/bin/pip" ] && supported "$VENV/bin/python"; then return; fi
    say "virtual environment $VENV with $("$PYTHON" -V)"
    if "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; then
        "$PYTHON" -m venv --clear "$VENV"
    elif "$PYTHON" -m pip --version >/dev/null 2>&1; then
        # Debian takes ensurepip out of python3; a pip from elsewhere can still fill an empty environment.
        "$PYTHON" -m venv --clear --without-pip "$VENV"
        "$PYTHON" -m pip --python "$VENV/bin/python" install -q pip
    else
        say "$PYTHON has neither ensurepip nor pip: sudo apt-get install python3-venv"; exit 1
    fi
}

# pyproject.toml is the one list of requirements; it is read here so that nothing need be built first.
requirements() {
    "$VENV/bin/python" - <<'PYTHON_END'
try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    from pip._vendor import tomli as tomllib
with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)
extras = project["project"]["optional-dependencies"]
wanted = project["build-system"]["requires"] + extras["cli"] + extras["test"] + extras["bench"]
print("\n".join(dict.fromkeys(wanted)))
PYTHON_END
}

# The clone itself, as it is: `import fastkafka` and the commands work from any folder, and a change
# of a .py file needs no installing. PYTHONPATH still comes first (the sanitised tree relies on it).
link_clone() {
    local packages python
    packages=$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    pwd > "$packages/fastkafka-clone.pth"
    python=$("$VENV/bin/python" -c 'import sys; print(sys.executable)')
    link_command fastkafka fastkafka.cli.main "$python"
    link_command fastkafka-bench fastkafka.cli.bench "$python"
}

link_command() {
    printf '#!%s\nfrom %s import run\n\nrun()\n' "$3" "$2" > "$VENV/bin/$1"
    chmod +x "$VENV/bin/$1"
}

PYTHON=$(choose_python)
install_packages
PYTHON=$(choose_python)
make_environment
say "Python packages"
requirements > "$VENV/requirements.txt"
"$VENV/bin/python" -m pip install -q --disable-pip-version-check -r "$VENV/requirements.txt"
link_clone
touch "$VENV/.stamp"
