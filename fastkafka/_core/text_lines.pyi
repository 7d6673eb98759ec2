"""A text file, a line for a record: see _ext/text_lines.pyx."""

import os
from types import TracebackType

class TextLines:
    path: str | os.PathLike[str]
    def __init__(self, path: str | os.PathLike[str]) -> None: ...
    @property
    def lines_taken(self) -> int: ...
    def close(self) -> None: ...
    def __enter__(self) -> TextLines: ...
    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
