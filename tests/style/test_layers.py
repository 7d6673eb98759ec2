"""The layers of `_ext/`: circular cimports work silently, so only a test keeps them out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.style.project_files import ROOMS

# Bottom first. A room may cimport from its own layer and from those below it.
LAYERS: dict[str, str] = {
    "leaves": "endian varint layout murmur2 xxhash64 lock atomic clock cache_line pin error_codes "
    "native_thread spare_bytes arrow_layout lease",
    "bytes": "buffer crc32c compression snappy_block codec_gzip codec_snappy codec_lz4 codec_zstd"
    " record_batch_reader",
    "shared state": "topics cluster_view histogram counters log_ring waiter completions",
    "transport": "event_loop connection tls frame submissions repeating",
    "outbound": "partitioner topic_policy batch_ledger record_source record_column arrow_import"
    " buffer_import text_lines record_batch_writer partition_queue accumulator whole_batches"
    " batch_compression sequences sender availability gathering delivery delivery_ranges"
    " produce_request produce_response refusal",
    "inbound": "fetch_position fetcher fetch_targets fetch_sessions fetch_validation fetch_intake"
    " fetch_request fetch_response aborted_transactions fetched_records fetch_wishes fetched_parts"
    " arrow_export fetched_columns"
    " recent_batches",
    "faces": "message client_core delivery_reports producer_core bulk_core record_batch"
    " relay_core transaction_core topic_handle consumer_core columns_core batches_core group_core"
    " inquiry statistics health",
}
LAYER_OF = {room: layer for layer, rooms in LAYERS.items() for room in rooms.split()}
HEIGHT = {layer: height for height, layer in enumerate(LAYERS)}
CIMPORT = re.compile(r"^\s*from\s+fastkafka\._core\.(\w+)\s+cimport\b", re.MULTILINE)
UNTRACKED_CIMPORT = re.compile(
    r"^\s*(?:from\s+fastkafka\._core\s+cimport|cimport\s+fastkafka)\b.*", re.MULTILINE
)
FILES = sorted([*ROOMS.glob("*.pyx"), *ROOMS.glob("*.pxd")])


def cimports(path: Path) -> set[str]:
    """Return the rooms that a file cimports, itself left out (a .pyx sees its own .pxd)."""
    return set(CIMPORT.findall(path.read_text())) - {path.stem}


def test_every_room_has_a_layer() -> None:
    assert {path.stem for path in FILES} <= set(LAYER_OF), "a new room needs a place in LAYERS"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_room_cimports_nothing_from_above(path: Path) -> None:
    layer = LAYER_OF[path.stem]
    for room in sorted(cimports(path)):
        below = LAYER_OF[room]
        assert HEIGHT[below] <= HEIGHT[layer], f"{path.stem} ({layer}) cimports {room} ({below})"
        assert {layer, below} != {"outbound", "inbound"}, f"{path.stem} cimports {room}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_cimport_names_the_room_that_it_depends_on(path: Path) -> None:
    # `from fastkafka._core cimport varint` compiles, but a touched varint.pxd does not rebuild its
    # user then, and a stale room corrupts memory.
    assert not UNTRACKED_CIMPORT.findall(path.read_text())


def test_no_room_depends_on_itself_through_others() -> None:
    # Two .pyx may cimport each other's .pxd: that is two rooms, one conversation. Faces may not.
    faces = {path.stem: cimports(path) for path in FILES if path.suffix == ".pxd"}
    finished: set[str] = set()

    def visit(room: str, way: tuple[str, ...]) -> None:
        assert room not in way, f"the faces cimport in a circle: {' -> '.join((*way, room))}"
        if room not in finished:
            for other in sorted(faces.get(room, ())):
                visit(other, (*way, room))
            finished.add(room)

    for room in sorted(faces):
        visit(room, ())
