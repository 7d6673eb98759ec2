"""Who commits offsets in a transaction, in whatever shape send_offsets_to_transaction() has it.

In:     the group metadata of a consumer: ours or confluent_kafka's
Out:    a ConsumerGroupMetadata
Thread: any
Next:   transactions.py

confluent_kafka's consumer_group_metadata() gives bytes, as librdkafka writes them:
"CGMDv2:", generation id (int32, the machine's order), group id, NUL, member id, NUL,
one byte that is 1 when there is no group instance id, and, when it is 0, that id and NUL.
Source: rd_kafka_consumer_group_metadata_write
"""

from __future__ import annotations

import sys

from fastkafka.types import ConsumerGroupMetadata

_MAGIC = b"CGMDv2:"
_BYTES_MAX = 65536


def as_group_metadata(given: object) -> ConsumerGroupMetadata:
    """Return who commits; `given` is ours, confluent_kafka's bytes, or has Java's four fields.

    Raises: TypeError, ValueError for what is none of these
    """
    if isinstance(given, ConsumerGroupMetadata):
        found = given
    elif isinstance(given, (bytes, bytearray)):
        found = _read(bytes(given))
    elif hasattr(given, "group_id"):
        found = ConsumerGroupMetadata(
            given.group_id,
            getattr(given, "generation_id", -1),
            getattr(given, "member_id", ""),
            getattr(given, "group_instance_id", None),
        )
    else:
        raise TypeError(
            "group_metadata must be what consumer_group_metadata() returned, or a "
            f"ConsumerGroupMetadata, not {type(given).__name__}"
        )
    if not isinstance(found.group_id, str) or not found.group_id:
        raise ValueError("group_metadata names no group")
    return found


def _read(data: bytes) -> ConsumerGroupMetadata:
    wrong = ValueError("group_metadata: these bytes are not those of consumer_group_metadata()")
    if not data.startswith(_MAGIC) or len(data) > _BYTES_MAX:
        raise wrong
    rest = data[len(_MAGIC) :]
    parts = rest[4:].split(b"\0", 2)
    if len(parts) != 3 or not parts[2]:
        raise wrong
    group_id, member_id, instance = parts
    if instance == b"\1":
        instance_id = None
    elif instance[0] == 0 and instance.endswith(b"\0") and instance.count(b"\0") == 2:
        instance_id = instance[1:-1]
    else:
        raise wrong
    try:
        return ConsumerGroupMetadata(
            group_id.decode(),
            int.from_bytes(rest[:4], sys.byteorder, signed=True),
            member_id.decode(),
            None if instance_id is None else instance_id.decode(),
        )
    except UnicodeDecodeError:
        raise wrong from None
