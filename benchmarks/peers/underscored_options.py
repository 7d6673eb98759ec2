"""Configurations of the two clients in pure Python: options are Java's names, underscored."""

from __future__ import annotations

import argparse
from typing import Any


def configuration(options: argparse.Namespace, tuned: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration: equal guarantees always, what is in `tuned` when that is wanted."""
    conf: dict[str, Any] = {"acks": "all", "enable_idempotence": True}
    if options.settings == "tuned":
        conf.update(tuned, linger_ms=options.linger_ms)
    if options.codec != "none":
        conf["compression_type"] = options.codec
    return {"bootstrap_servers": options.bootstrap_server, **conf}
