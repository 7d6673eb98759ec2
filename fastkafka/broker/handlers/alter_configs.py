"""AlterConfigs (key 33), versions 0 to 2: replace the whole configuration of topics.

What the request does not name goes back to its default. IncrementalAlterConfigs has replaced it
(KIP-339), older tools still send it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastkafka.broker.altered_configs import alter_resources, answer_resources
from fastkafka.broker.answers import Body, Handler

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request


def handle(broker: Broker, request: Request) -> Body:
    """Replace the configuration of each resource, or leave it as it is."""
    return alter_resources(
        broker, request, lambda _, rows: {row["name"]: row["value"] for row in rows}
    )


def refuse(request: Request, error_code: int) -> Body:
    """Answer every resource with one error."""
    return answer_resources(request, error_code)


HANDLER = Handler("alter_configs", 0, 2, handle, refuse)
