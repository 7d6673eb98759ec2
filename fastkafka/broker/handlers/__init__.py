"""One file per API that the broker has; this is the only list of them.

A handler is registered by its line here, and ApiVersions offers exactly what is registered.
"""

from __future__ import annotations

from fastkafka.broker.answers import Handler
from fastkafka.broker.handlers import (
    add_offsets_to_txn,
    add_partitions_to_txn,
    alter_configs,
    api_versions,
    create_partitions,
    create_topics,
    delete_groups,
    delete_records,
    delete_topics,
    describe_cluster,
    describe_configs,
    describe_groups,
    describe_log_dirs,
    describe_producers,
    describe_topic_partitions,
    fetch,
    find_coordinator,
    heartbeat,
    describe_transactions,
    end_txn,
    incremental_alter_configs,
    init_producer_id,
    join_group,
    leave_group,
    list_groups,
    list_offsets,
    metadata,
    offset_commit,
    offset_delete,
    list_transactions,
    offset_fetch,
    offset_for_leader_epoch,
    produce,
    sync_group,
    write_txn_markers,
)
from fastkafka.protocol import API_BY_NAME

_REGISTERED: tuple[Handler, ...] = (
    txn_offset_commit,
    produce.HANDLER,
    fetch.HANDLER,
    list_offsets.HANDLER,
    metadata.HANDLER,
    offset_commit.HANDLER,
    offset_fetch.HANDLER,
    find_coordinator.HANDLER,
    join_group.HANDLER,
    heartbeat.HANDLER,
    leave_group.HANDLER,
    sync_group.HANDLER,
    describe_groups.HANDLER,
    list_groups.HANDLER,
    api_versions.HANDLER,
    create_topics.HANDLER,
    delete_topics.HANDLER,
    delete_records.HANDLER,
    init_producer_id.HANDLER,
    write_txn_markers.HANDLER,
    offset_for_leader_epoch.HANDLER,
    describe_configs.HANDLER,
    alter_configs.HANDLER,
    describe_log_dirs.HANDLER,
    create_partitions.HANDLER,
    add_partitions_to_txn.HANDLER,
    add_offsets_to_txn.HANDLER,
    end_txn.HANDLER,
    incremental_alter_configs.HANDLER,
    txn_offset_commit.HANDLER,
    delete_groups.HANDLER,
    offset_delete.HANDLER,
    describe_cluster.HANDLER,
    describe_producers.HANDLER,
    describe_topic_partitions.HANDLER,
)

HANDLERS: dict[int, Handler] = {API_BY_NAME[handler.api].key: handler for handler in _REGISTERED}

api_versions.offer(HANDLERS)
    describe_transactions.HANDLER,
    list_transactions.HANDLER,
