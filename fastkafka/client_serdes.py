"""The serializers or deserializers of one client: taken out of its configuration, closed with it.

In:     a configuration with key.serializer, value.serializer.builder and the like
Out:    what is left of it for the client; two callables
Thread: the one that makes the client
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, ClassVar, cast

from fastkafka.client import Client
from fastkafka.errors import ClosedError, ConfigError, ConfigTypeError

if TYPE_CHECKING:
    # Any when nobody says what keys and values are: only type checkers know that before 3.13.
    from typing_extensions import TypeVar

    K = TypeVar("K", default=Any)
    V = TypeVar("V", default=Any)
else:
    from typing import TypeVar

    K = TypeVar("K")
    V = TypeVar("V")

_CLUSTER_ID_TIMEOUT_S = 60.0


class ClientSerdes:
    """The pair of one client, and the configuration without it.

    Args:   conf, kwargs: as the client was given them; kind: "serializer" or "deserializer"
    Raises: ConfigError when a callable and its builder are both given, or a builder returns
            something else than a pair; what was built before is closed then
    """

    __slots__ = ("_owned", "conf", "key", "value")

    def __init__(
        self, conf: Mapping[str, Any] | None, kwargs: Mapping[str, Any], kind: str
    ) -> None:
        if (conf is None and not kwargs) or not isinstance(conf, (Mapping, type(None))):
            raise ConfigTypeError("expected configuration dict")
        self.conf: dict[str, Any] = dict(conf or {})
        for field in ("key", "value"):
            for name in (f"{field}.{kind}", f"{field}.{kind}.builder"):
                underscored = name.replace(".", "_")
                if underscored in kwargs:
                    self.conf[name] = kwargs[underscored]
        taken = {f"{field}_{kind}{end}" for field in ("key", "value") for end in ("", "_builder")}
        self.conf.update(item for item in kwargs.items() if item[0] not in taken)
        given = [
            (name, self.conf.pop(name, None), self.conf.pop(f"{name}.builder", None))
            for name in (f"key.{kind}", f"value.{kind}")
        ]
        # Only what a builder made is closed here: the rest belongs to the program.
        self._owned = ExitStack()
        with ExitStack() as on_failure:
            on_failure.callback(self._owned.close)
            whole = dict(self.conf)
            self.key, self.value = [self._make(whole, *each) for each in given]
            on_failure.pop_all()

    def _make(self, whole: dict[str, Any], name: str, serde: Any, builder: Any) -> Any:
        if builder is None:
            if serde is not None and not callable(serde):
                raise ConfigTypeError(f"{name} requires a callable object")
            return serde
        if serde is not None:
            raise ConfigError(f"`{name}` and `{name}.builder` exclude each other")
        built = builder.build(dict(whole), name.startswith("key."))
        if not (isinstance(built, tuple) and len(built) == 2 and isinstance(built[1], dict)):
            raise ConfigError(
                f"`{name}.builder` must return (callable, dict of what is left for the client)"
            )
        made, left = built
        close = getattr(made, "close", None)
        if close is not None:
            self._owned.callback(close)
        # What one of two builders took for itself is not for the client.
        self.conf = {key: left[key] for key in self.conf if key in left}
        return made

    def connect(self, client: Client) -> None:
        """Tell the pair how to learn the id of the client's cluster."""
        resolver = _cluster_id_of(client)
        for serde in (self.key, self.value):
            take = getattr(serde, "set_cluster_id_resolver", None)
            if take is not None:
                take(resolver)

    def close(self) -> None:
        """Close all that builders made, then raise what went wrong with one of them."""
        self._owned.close()


class WithSerdes:
    """A client that has a pair of serdes: before Producer or Consumer among the bases."""

    __slots__ = ()

    _serdes: ClientSerdes
    _serde_kind: ClassVar[str]

    def __init__(self, conf: Mapping[str, Any] | None = None, /, **kwargs: Any) -> None:
        serdes = ClientSerdes(conf, kwargs, self._serde_kind)
        self._serdes = serdes  # type: ignore[misc]  # a slot of the class that mixes this in
        try:
            super().__init__(serdes.conf)  # type: ignore[call-arg]  # the client's
            serdes.connect(cast(Client, self))
        except BaseException:
            serdes.close()
            raise


def _cluster_id_of(client: Client) -> Callable[[], str | None]:
    """Return a function that asks `client`, and does not keep it alive."""
    reference = weakref.ref(client)

    def resolve() -> str | None:
        asked = reference()
        if asked is None:
            raise ClosedError("Client has been closed")
        return asked.cluster_id(_CLUSTER_ID_TIMEOUT_S)

    return resolve
