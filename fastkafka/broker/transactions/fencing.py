"""How requests name a transactional producer, and what one that was replaced is told (KIP-588).

Clients know PRODUCER_FENCED since some version of each API, older ones INVALID_PRODUCER_EPOCH only.
Partitions answer INVALID_PRODUCER_EPOCH in every version, and so does TxnOffsetCommit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastkafka.broker.transactions.transaction_coordinator import Producer
from fastkafka.errors import KafkaError
from fastkafka.protocol import API_BY_NAME

if TYPE_CHECKING:
    from fastkafka.broker.answers import Body
    from fastkafka.broker.request import Request

_PRODUCER_FENCED_SINCE = {
    API_BY_NAME["init_producer_id"].key: 4,
    API_BY_NAME["add_partitions_to_txn"].key: 2,
    API_BY_NAME["add_offsets_to_txn"].key: 2,
    API_BY_NAME["end_txn"].key: 2,
}


def read_producer(body: Body, prefix: str = "") -> Producer:
    """Return the producer that a request names; AddPartitionsToTxn's fields have a prefix."""
    return Producer(
        body[f"{prefix}transactional_id"],
        body[f"{prefix}producer_id"],
        body[f"{prefix}producer_epoch"],
    )


def fencing_code(request: Request, error_code: int) -> int:
    """Return the error code as a client of the request's version knows it."""
    if error_code != KafkaError.PRODUCER_FENCED:
        return error_code
    since = _PRODUCER_FENCED_SINCE.get(request.api_key)
    is_known = since is not None and request.api_version >= since
    return error_code if is_known else KafkaError.INVALID_PRODUCER_EPOCH


def refuse(request: Request, error_code: int) -> Body:
    """Answer with an error, for an API whose answer is nothing else."""
    return {"error_code": fencing_code(request, error_code)}
