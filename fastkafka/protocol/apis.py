"""The APIs that Kafka's protocol has, with the versions that are stable.

What:   Api rows by key and by name; the tables of an API are imported when first asked for
In:     the generated index messages/__init__.py
Out:    API_BY_KEY, API_BY_NAME, api_of
Thread: any; two threads may load the same tables at once, either import is the same module
Next:   frames.py
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Final, cast

from fastkafka.errors import UnsupportedVersion
from fastkafka.protocol.messages import APIS
from fastkafka.protocol.schema import Message

API_VERSIONS_KEY: Final = 18


class Api:
    """One API: its key, its name in snake_case, its stable versions and its two tables."""

    __slots__ = (
        "flexible_version",
        "key",
        "max_version",
        "min_version",
        "name",
    )

    def __init__(
        self, key: int, name: str, min_version: int, max_version: int, flexible_version: int | None
    ) -> None:
        self.key = key
        self.name = name
        self.min_version = min_version
        self.max_version = max_version
        self.flexible_version = flexible_version

    def __repr__(self) -> str:
        return f"Api({self.key}, {self.name!r}, {self.min_version}-{self.max_version})"

    @property
    def request(self) -> Message:
        """Table of the request."""
        return load_table(self.name, "REQUEST")

    @property
    def response(self) -> Message:
        """Table of the response."""
        return load_table(self.name, "RESPONSE")

    def is_flexible(self, version: int) -> bool:
        """Whether this version has compact lengths and tagged fields (KIP-482)."""
        return self.flexible_version is not None and version >= self.flexible_version

    def request_header_version(self, version: int) -> int:
        """Version of the header in front of a request of this version."""
        return 2 if self.is_flexible(version) else 1

    def response_header_version(self, version: int) -> int:
        """Version of the header in front of a response of this version.

        ApiVersions stays at 0: its reader cannot know yet what the broker speaks (KIP-511).
        """
        return 1 if self.is_flexible(version) and self.key != API_VERSIONS_KEY else 0

    def check_version(self, version: int) -> None:
        """Raise UnsupportedVersion unless the version is one of the stable ones."""
        if not self.min_version <= version <= self.max_version:
            raise UnsupportedVersion(
                f"{self.name} (api key {self.key}) version {version} is not supported, "
                f"versions {self.min_version} to {self.max_version} are"
            )


API_BY_KEY: Final[dict[int, Api]] = {row[0]: Api(*row) for row in APIS}
API_BY_NAME: Final[dict[str, Api]] = {api.name: api for api in API_BY_KEY.values()}


def api_of(api_key: int) -> Api:
    """Return the API with this key; raises UnsupportedVersion when there is none."""
    api = API_BY_KEY.get(api_key)
    if api is None:
        raise UnsupportedVersion(f"api key {api_key} is not known")
    return api


@cache
def load_table(module: str, constant: str) -> Message:
    """Import one table of the messages package."""
    return cast(Message, getattr(import_module(f"fastkafka.protocol.messages.{module}"), constant))
