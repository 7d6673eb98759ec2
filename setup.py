"""Build the compiled rooms of `_ext/` as `fastkafka._core.<room>`.

`_ext/<room>.pyx` is the body of a room and `_ext/<room>.pxd` its C face. Cython must find the faces
under their package name, so a link `build/cimport/fastkafka/_core -> _ext` stands in for the
package: in the form `from fastkafka._core.varint cimport size` a touched .pxd rebuilds its users.

FASTKAFKA_BUILD=debug|asan|annotate chooses another build than the optimised one.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

ROOT = Path(__file__).resolve().parent
SOURCES = ROOT / "_ext"
MODE = os.environ.get("FASTKAFKA_BUILD", "release")

COMPILE_FLAGS = {
    "release": ["-O2", "-g1"],
    "annotate": ["-O2", "-g1"],
    "debug": ["-O0", "-g3"],
    "asan": ["-O1", "-g", "-fsanitize=address,undefined", "-fno-omit-frame-pointer"],
}
LINK_FLAGS = {"asan": ["-fsanitize=address,undefined"]}

# The one list of compiled rooms, layers bottom first, with the libraries a room links to.
ROOMS: dict[str, tuple[str, ...]] = {
    # bytes
    "crc32c": (),
    "buffer": (),
    "snappy_block": (),
    "codec_gzip": ("zlib",),
    "codec_snappy": (),
    "codec_lz4": ("liblz4",),
    "codec_zstd": ("libzstd",),
    "compression": (),
    "record_batch_reader": (),
    # shared state
    "topics": (),
    "cluster_view": (),
    "histogram": (),
    "counters": (),
    "log_ring": (),
    "waiter": (),
    "completions": (),
    # transport
    "event_loop": (),
    "connection": (),
    "tls": (),
    "frame": (),
    "submissions": (),
    "repeating": (),
    # outbound
    "partitioner": (),
    "record_source": (),
    "record_column": (),
    "arrow_import": (),
    "buffer_import": (),
    "text_lines": (),
    "record_batch_writer": (),
    "partition_queue": (),
    "batch_ledger": (),
    "delivery_ranges": (),
    "accumulator": (),
    "whole_batches": (),
    "sequences": (),
    "sender": (),
    "availability": (),
    "gathering": (),
    "batch_compression": (),
    "delivery": (),
    "produce_request": (),
    "produce_response": (),
    "refusal": (),
    # inbound
    "fetch_position": (),
    "fetcher": (),
    "fetch_intake": (),
    "fetch_sessions": (),
    "fetch_targets": (),
    "fetch_validation": (),
    "fetch_request": (),
    "fetch_response": (),
    "aborted_transactions": (),
    "fetched_records": (),
    "fetch_wishes": (),
    "fetched_parts": (),
    "arrow_export": (),
    "fetched_columns": (),
    "recent_batches": (),
    # faces
    "message": (),
    "client_core": (),
    "delivery_reports": (),
    "producer_core": (),
    "bulk_core": (),
    "record_batch": (),
    "relay_core": (),
    "transaction_core": (),
    "topic_handle": (),
    "consumer_core": (),
    "columns_core": (),
    "batches_core": (),
    "group_core": (),
    "inquiry": (),
    "statistics": (),
    "health": (),
}

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "embedsignature": True,
    "embedsignature.format": "clinic",
    "binding": False,
    "freethreading_compatible": False,
}


# The Debian packages of libraries whose name there is not `<library>-dev`.
DEBIAN_PACKAGES = {"zlib": "zlib1g-dev"}


def pkg_config(library: str, what: str) -> list[str]:
    """Return what pkg-config says of `library`, or stop with the package to install."""
    if shutil.which("pkg-config") is None:
        sys.exit("fastkafka: pkg-config is missing. On Debian: apt-get install pkg-config")
    answer = subprocess.run(
        ["pkg-config", what, library], capture_output=True, text=True, check=False
    )
    if answer.returncode != 0:
        sys.exit(
            f"fastkafka: {library} was not found by pkg-config. "
            f"On Debian: apt-get install {DEBIAN_PACKAGES.get(library, f'{library}-dev')}"
        )
    return answer.stdout.split()


def link_cimport_tree() -> Path:
    """Make `build/cimport/fastkafka/_core` point at `_ext/` and return the include path."""
    package = ROOT / "build" / "cimport" / "fastkafka"
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").touch()
    link = package / "_core"
    if not link.is_symlink() or link.resolve() != SOURCES.resolve():
        # A copied tree brings a link into the tree that it was copied from.
        link.unlink(missing_ok=True)
        link.symlink_to(SOURCES)
    return package.parent


FACE = re.compile(r"^\s*from fastkafka\._core\.(\w+) cimport", re.MULTILINE)


def faces_of(room: str) -> dict[str, str]:
    """Hash every .pxd that a room sees, directly or not: C structs have no size check."""
    faces: dict[str, str] = {}
    waiting = [SOURCES / f"{room}.pyx", SOURCES / f"{room}.pxd"]
    while waiting:
        source = waiting.pop()
        if not source.exists():
            continue
        if source.suffix == ".pxd":
            if source.stem in faces:
                continue
            faces[source.stem] = hashlib.sha256(source.read_bytes()).hexdigest()[:12]
        waiting += [SOURCES / f"{name}.pxd" for name in FACE.findall(source.read_text())]
    return dict(sorted(faces.items()))


def write_faces(room: str) -> None:
    """Write what a room's last line includes, only when it changed: a write rebuilds the room."""
    target = ROOT / "build" / "cimport" / "faces" / f"{room}.pxi"
    target.parent.mkdir(parents=True, exist_ok=True)
    text = f"FACES = {faces_of(room)!r}\n"
    if not target.exists() or target.read_text() != text:
        target.write_text(text)


def extensions() -> list[Extension]:
    found = []
    for room, libraries in ROOMS.items():
        source = SOURCES / f"{room}.pyx"
        if not source.exists() and os.environ.get("FASTKAFKA_PARTIAL") == "1":
            continue
        write_faces(room)
        compile_flags = [*COMPILE_FLAGS[MODE], "-Wno-unused-function"]
        link_flags = list(LINK_FLAGS.get(MODE, []))
        for library in libraries:
            compile_flags += pkg_config(library, "--cflags")
            link_flags += pkg_config(library, "--libs")
        found.append(
            Extension(
                f"fastkafka._core.{room}",
                [f"_ext/{room}.pyx"],
                extra_compile_args=compile_flags,
                extra_link_args=link_flags,
            )
        )
    return found


if __name__ == "__main__":
    os.chdir(ROOT)
    include = str(link_cimport_tree())
    setup(
        ext_modules=cythonize(
            extensions(),
            include_path=[include],
            build_dir="build/cython",
            compiler_directives=DIRECTIVES,
            annotate=MODE == "annotate",
            nthreads=int(os.environ.get("FASTKAFKA_JOBS", os.cpu_count() or 1)),
            gdb_debug=False,
        ),
        options={"build_ext": {"parallel": os.cpu_count() or 1}},
    )
