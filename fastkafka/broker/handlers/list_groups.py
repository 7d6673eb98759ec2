"""ListGroups (key 16), versions 0 to 5: the groups that the node coordinates.

Version 4 chooses by state, 5 by type (KIP-848).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastkafka.broker.answers import Body, Handler
from fastkafka.broker.refusal import NO_ERROR

if TYPE_CHECKING:
    from fastkafka.broker.broker import Broker
    from fastkafka.broker.request import Request


def handle(broker: Broker, request: Request) -> Body:
    """Answer with the groups."""
    rows = broker.groups.listed(request.body["states_filter"], request.body["types_filter"])
    leadership = broker.leadership
    return {
        "error_code": NO_ERROR,
        "groups": [
            row for row in rows if leadership.coordinator_of(row["group_id"]) is request.node
        ],
    }


def refuse(request: Request, error_code: int) -> Body:
    """Answer with an error."""
    return {"error_code": error_code, "groups": []}


HANDLER = Handler("list_groups", 0, 5, handle, refuse)
