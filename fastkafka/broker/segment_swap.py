"""How a compacted segment takes the place of those it was made from, whatever crashes in between.

It is written as `.log.cleaned`; from its new name `.log.swap` on it counts, and a start finishes
what was begun: the segments that it replaces go, then it gets the name of the first of them.
Source: LogSegments.java, LogLoader.java (.cleaned and .swap files)
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from fastkafka.broker.data_dir import sync_folder
from fastkafka.broker.log_segment import (
    CLEANED_SUFFIX,
    SWAP_SUFFIX,
    LogSegment,
    end_offset_of,
    segment_path,
)

_LOG_SUFFIX = ".log"
_SUFFIXES = (_LOG_SUFFIX, ".index", ".timeindex")


def swap(cleaned_path: Path, replaced: Sequence[LogSegment]) -> None:
    """Let a complete file, which is on the disk, replace neighbouring segments; raises OSError."""
    folder, base_offset = cleaned_path.parent, replaced[0].base_offset
    swap_path = segment_path(folder, base_offset, SWAP_SUFFIX)
    os.replace(cleaned_path, swap_path)
    sync_folder(folder)
    for segment in replaced:
        segment.remove()
    os.replace(swap_path, segment_path(folder, base_offset, _LOG_SUFFIX))


def finish_swaps(folder: Path) -> None:
    """Finish what a crash has interrupted; raises OSError."""
    for path in folder.glob(f"*{CLEANED_SUFFIX}"):
        path.unlink()
    for path in sorted(folder.glob(f"*{SWAP_SUFFIX}")):
        base_offset = int(path.name.removesuffix(SWAP_SUFFIX))
        end_offset = end_offset_of(path)
        # A replaced segment from `end_offset` on kept no record; left alone it does no harm.
        for segment in folder.glob(f"*{_LOG_SUFFIX}"):
            if segment.stem.isdecimal() and base_offset < int(segment.stem) < end_offset:
                for suffix in _SUFFIXES:
                    segment.with_suffix(suffix).unlink(missing_ok=True)
        os.replace(path, segment_path(folder, base_offset, _LOG_SUFFIX))
