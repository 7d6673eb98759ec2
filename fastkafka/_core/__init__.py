"""The doorway to the compiled rooms of `_ext/`.

In:     the extension modules that setup.py built beside this file
Out:    an ImportError that names the build command; build_info(); a check that the rooms fit
Thread: imported once, with the GIL
Next:   producer_core, consumer_core and client_core
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

# The faces of clients; importing them imports every room below them.
_TOP_ROOMS = ("client_core", "producer_core", "batches_core")


def _import_rooms() -> None:
    for room in _TOP_ROOMS:
        try:
            importlib.import_module(f"fastkafka._core.{room}")
        except ModuleNotFoundError as error:
            raise ImportError(
                f"fastkafka's compiled core is not built ({error}). In a clone run `make build`, "
                "or `python setup.py build_ext --inplace`; it needs a C compiler, pkg-config, "
                "liblz4-dev, libzstd-dev and zlib1g-dev."
            ) from error


def _check_faces() -> None:
    """Refuse rooms that were compiled against different C structs: they would corrupt memory."""
    seen: dict[str, tuple[str, str]] = {}
    prefix = f"{__name__}."
    for room, module in list(sys.modules.items()):
        if not room.startswith(prefix):
            continue
        for face, digest in getattr(module, "FACES", {}).items():
            first_room, first_digest = seen.setdefault(face, (room, digest))
            if digest != first_digest:
                raise ImportError(
                    f"the compiled rooms {first_room} and {room} disagree about {face}.pxd: "
                    "one of them is stale. Run `make build`; if that does not help, remove "
                    "build/ and fastkafka/_core/*.so first."
                )


def build_info() -> dict[str, Any]:
    """Return what was built: the CRC kernel in use and the codecs that this build speaks.

    Example: python -c "import fastkafka._core as core; print(core.build_info())"
    """
    from fastkafka._core.compression import CODECS
    from fastkafka._core.crc32c import kernel

    return {"crc32c": kernel(), "codecs": list(CODECS)}


_import_rooms()
_check_faces()
