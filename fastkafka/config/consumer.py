"""Properties of the consumer."""

from __future__ import annotations

from fastkafka.config.property import CONSUMER, INT_MAX, Property, choose

_SHARE_GROUPS = "share groups are not yet in this release"
_LEGACY = "librdkafka does nothing with it either"

_OFFSET_RESETS = {
    "earliest": "earliest",
    "smallest": "earliest",
    "beginning": "earliest",
    "latest": "latest",
    "largest": "latest",
    "end": "latest",
    "error": "error",
    "none": "error",
}

PROPERTIES: tuple[Property, ...] = (
    # where to read
    Property("group.id", "str", None,
             "Name of the consumer group; empty for a consumer that only uses assign().", CONSUMER),
    Property("auto.offset.reset", "offset_reset", "latest",
             "Where to begin when no offset is known: earliest, latest, with an error, or with the "
             "first record of the last hour (by_duration:PT1H) or another ISO 8601 duration.",
             CONSUMER, choices=_OFFSET_RESETS),
    Property("isolation.level", "choice", "read_committed",
             "Whether records of open and aborted transactions are seen.",
             CONSUMER, choices=choose("read_uncommitted", "read_committed")),
    Property("enable.partition.eof", "bool", False,
             "Tell, by a Message with the error _PARTITION_EOF, that the end was reached.",
             CONSUMER),
    Property("check.crcs", "bool", True, "Check the CRC of each batch.", CONSUMER),
    Property("max.decompressed.batch.bytes", "int", 134217728,
             "Bytes that one record batch may have when it is decompressed.",
             CONSUMER, minimum=1, maximum=INT_MAX),
    # how much to read
    Property("fetch.min.bytes", "int", 1,
             "Bytes that a broker waits for before it answers.",
             CONSUMER, minimum=1, maximum=100000000),
    Property("fetch.wait.max.ms", "int", 500,
             "How long a broker waits for fetch.min.bytes.",
             CONSUMER, aliases=("fetch.max.wait.ms",), minimum=0, maximum=300000),
    Property("fetch.max.bytes", "int", 52428800,
             "Bytes of one fetch response.", CONSUMER, minimum=0, maximum=2147483135),
    Property("max.partition.fetch.bytes", "int", 1048576,
             "Bytes of one partition in a fetch response.",
             CONSUMER, aliases=("fetch.message.max.bytes",), minimum=1, maximum=1000000000),
    Property("queued.min.messages", "int", 100000,
             "Records of a partition to have ready.",
             CONSUMER, minimum=1, maximum=10000000, why_not="bytes decide how far is read ahead"),
    Property("queued.max.messages.kbytes", "int", 65536,
             "Memory of records that are ready, in KiB.", CONSUMER, minimum=1, maximum=2097151),
    Property("fetch.error.backoff.ms", "int", 500,
             "Pause before a partition is fetched again after an error.",
             CONSUMER, minimum=0, maximum=300000),
    Property("fetch.queue.backoff.ms", "int", 1000,
             "Pause when enough is ready.",
             CONSUMER, minimum=0, maximum=300000,
             why_not="fetching goes on as soon as there is room"),
    # the group
    Property("group.instance.id", "str", "", "Name of a static member.", CONSUMER),
    Property("group.protocol", "choice", "classic",
             "Protocol of the group: classic, or consumer (KIP-848).",
             CONSUMER, choices=choose("classic", "consumer")),
    Property("group.remote.assignor", "str", "",
             "Assignor of the broker to use with group.protocol=consumer.", CONSUMER),
    Property("group.protocol.type", "str", "consumer", "Type of the classic protocol.",
             CONSUMER, why_not="groups of consumers have this type only"),
    Property("partition.assignment.strategy", "assignors", ("range", "roundrobin"),
             "Assignors of the classic protocol, the preferred one first: names, Java's class "
             "names, or a list with subclasses of fastkafka.group.assignors.Assignor.",
             CONSUMER, choices=choose("range", "roundrobin", "sticky", "cooperative-sticky")),
    Property("session.timeout.ms", "int", 45000,
             "Silence after which the group gives a member up.",
             CONSUMER, minimum=1, maximum=3600000),
    Property("heartbeat.interval.ms", "int", 3000, "Interval of heartbeats.",
             CONSUMER, minimum=1, maximum=3600000),
    Property("max.poll.interval.ms", "int", 300000,
             "Longest time between two polls of a member.",
             CONSUMER, minimum=1, maximum=86400000),
    Property("coordinator.query.interval.ms", "int", 600000,
             "Interval at which the group's coordinator is asked for.",
             CONSUMER, minimum=1, maximum=3600000,
             why_not="it is asked for when it does not answer, or is it no more"),
    # committing
    Property("enable.auto.commit", "bool", True, "Commit stored offsets by time.", CONSUMER),
    Property("auto.commit.interval.ms", "int", 5000, "Interval of automatic commits.",
             CONSUMER, minimum=0, maximum=86400000),
    Property("enable.auto.offset.store", "bool", True,
             "Store the offset of each record that the application was given.", CONSUMER),
    Property("on_commit", "callback", None,
             "Called with (KafkaError or None, [TopicPartition]) after a commit; from poll(), and "
             "from close().", CONSUMER),
    # share groups
    Property("max.poll.records", "int", 500, "Records that one poll of a share consumer gives.",
             CONSUMER, minimum=1, maximum=INT_MAX, why_not=_SHARE_GROUPS),
    Property("share.acknowledgement.mode", "choice", "implicit",
             "Who acknowledges the records of a share group.",
             CONSUMER, choices=choose("implicit", "explicit"), why_not=_SHARE_GROUPS),
    # accepted so that existing configurations work
    Property("offset.store.method", "choice", "broker", "Where offsets are kept.",
             CONSUMER, choices=choose("none", "file", "broker"),
             why_not="offsets are always kept by the broker"),
    Property("offset.store.path", "str", ".", "Where a file of offsets is.", CONSUMER,
             why_not=_LEGACY),
    Property("offset.store.sync.interval.ms", "int", -1, "How often that file is written.",
             CONSUMER, minimum=-1, maximum=86400000, why_not=_LEGACY),
    Property("consume.callback.max.messages", "int", 0, "Bound of a function that is not here.",
             CONSUMER, minimum=0, maximum=1000000, why_not=_LEGACY),
)  # fmt: skip
