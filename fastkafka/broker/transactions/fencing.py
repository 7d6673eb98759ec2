"""What a producer that was replaced is told, by the version of its request (KIP-588).

Older clients know INVALID_PRODUCER_EPOCH only; partitions answer it in every version.
"""

from __future__ import annotations

from fastkafka.errors import KafkaError


def fencing_code(error_code: int, is_known: bool) -> int:
    """Return the error code for a client that knows PRODUCER_FENCED, or does not."""
    if error_code == KafkaError.PRODUCER_FENCED and not is_known:
        return KafkaError.INVALID_PRODUCER_EPOCH
    return error_code
