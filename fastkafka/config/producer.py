"""Properties of the producer."""

from __future__ import annotations

from fastkafka.config.property import INT_MAX, PRODUCER, Property, choose

_PARTITIONERS = choose(
    "random", "consistent", "consistent_random", "murmur2", "murmur2_random", "fnv1a",
    "fnv1a_random", "xxhash64", "round_robin",
)  # fmt: skip

PROPERTIES: tuple[Property, ...] = (
    Property("acks", "choice", -1,
             "Replicas that must have a batch before it counts: all, 1 (the leader) or 0 (nobody "
             "answers).",
             PRODUCER, aliases=("request.required.acks",),
             choices={"all": -1, "-1": -1, "1": 1, "0": 0}),
    Property("enable.idempotence", "bool", True,
             "Records are written once and in order, whatever is repeated.", PRODUCER),
    Property("transactional.id", "str", "",
             "Name of this producer in transactions; whoever had it before is fenced by "
             "init_transactions().", PRODUCER),
    Property("transaction.timeout.ms", "int", 60000,
             "How long a transaction may stay open before its coordinator aborts it. With "
             "transactional.id it is also the most that delivery.timeout.ms may be, and bounds "
             "socket.timeout.ms unless that is set.", PRODUCER,
             minimum=1000, maximum=INT_MAX),
    Property("enable.gapless.guarantee", "bool", False,
             "Stop for good when a batch fails between others.", PRODUCER,
             why_not="a batch that failed is skipped, and its error says so"),
    Property("linger.ms", "float", 5.0,
             "How long an unfilled batch waits for more records; an eighth more where that spares "
             "a wake-up.",
             PRODUCER, aliases=("queue.buffering.max.ms",), minimum=0, maximum=900000),
    Property("batch.size", "int", 1000000,
             "Bytes of a full batch.", PRODUCER, minimum=1, maximum=INT_MAX),
    Property("batch.num.messages", "int", 10000,
             "Records of a full batch.", PRODUCER, minimum=1, maximum=1000000),
    Property("queue.buffering.max.messages", "int", 0,
             "Records that may wait for their outcome; 0 counts memory only.",
             PRODUCER, minimum=0, maximum=INT_MAX),
    Property("queue.buffering.max.kbytes", "int", 131072,
             "Memory of records that wait for their outcome, in KiB. When it is full, produce() "
             "raises BufferFull.",
             PRODUCER, minimum=1, maximum=INT_MAX),
    Property("max.block.ms", "int", 60000,
             "How long a call waits for memory. Bulk calls wait so long; produce() waits only "
             "when this is set.",
             PRODUCER, minimum=0, maximum=INT_MAX),
    Property("queue.buffering.backpressure.threshold", "int", 1,
             "Requests not yet written to the socket that hold new batches back.",
             PRODUCER, minimum=1, maximum=1000000,
             why_not="batches grow while requests in flight are at their bound"),
    Property("compression.type", "choice", "none",
             "How batches are compressed.", PRODUCER, aliases=("compression.codec",),
             choices=choose("none", "gzip", "snappy", "lz4", "zstd")
             | {"inherit": "none"}),
    Property("compression.level", "int", -1,
             "Level of the compression, gzip 0 to 9, lz4 and zstd 0 to 12; -1 is the codec's own.",
             PRODUCER, minimum=-1, maximum=12),
    Property("compression.workers", "int", -1,
             "Threads that compress full batches beside the I/O thread; 0: it does so itself, -1: "
             "as many as there are cores but two, at most 4.",
             PRODUCER, minimum=-1, maximum=64),
    Property("compression.gzip.level", "int", -1,
             "The Java client's name of the level when compression.type is gzip.",
             PRODUCER, minimum=-1, maximum=9),
    Property("compression.lz4.level", "int", 9,
             "The Java client's name of the level when compression.type is lz4.",
             PRODUCER, minimum=1, maximum=17),
    Property("compression.zstd.level", "int", 3,
             "The Java client's name of the level when compression.type is zstd. Its negative "
             "levels are not offered.",
             PRODUCER, minimum=1, maximum=22),
    Property("retries", "int", INT_MAX,
             "How often a batch is sent again; delivery.timeout.ms ends it too.",
             PRODUCER, aliases=("message.send.max.retries",), minimum=0, maximum=INT_MAX),
    Property("delivery.timeout.ms", "int", 120000,
             "Time from produce() to an outcome; 0 is for ever.",
             PRODUCER, aliases=("message.timeout.ms",), minimum=0, maximum=INT_MAX),
    Property("request.timeout.ms", "int", 30000,
             "How long the leader waits for its followers.", PRODUCER,
             minimum=1, maximum=900000),
    Property("partitioner", "choice", "consistent_random",
             "How a record without a partition gets one. consistent_random is librdkafka's "
             "(CRC32), murmur2_random that of the Java client; xxhash64 hashes keys with XXH64, "
             "round_robin takes one partition after the other, whatever the key.",
             PRODUCER, choices=_PARTITIONERS),
    Property("partitioner_cb", "callback", None,
             "Chooses in place of partitioner: called with (topic, keys, partition_count), a list "
             "of some hundred keys as they were given, returns a partition for each. The first "
             "record of a topic waits up to max.block.ms until its partitions are known.",
             PRODUCER),
    Property("partitioner.adaptive.partitioning.enable", "bool", True,
             "Records without a key go the rarer to a partition the more batches wait for it "
             "(KIP-794).", PRODUCER),
    Property("partitioner.availability.timeout.ms", "int", 0,
             "Records without a key leave out partitions whose broker had something ready and took "
             "none of it for so long (KIP-794); 0 is never. It goes by how much waits with "
             "partitioner.adaptive.partitioning.enable only.",
             PRODUCER, minimum=0, maximum=INT_MAX),
    Property("sticky.partitioning.linger.ms", "int", 10,
             "Time after which records without a key go to another partition.",
             PRODUCER, minimum=0, maximum=900000,
             why_not="the partition of keyless records changes by bytes"),
    Property("allow.auto.create.topics", "bool", True,
             "Let the broker create a topic that is produced to and does not exist.", PRODUCER),
    Property("on_delivery", "callback", None,
             "Called with (KafkaError or None, Message) for each record; from poll() and flush().",
             PRODUCER),
    Property("enable.delivery.ranges", "bool", False,
             "Note the outcome of each batch for delivery_ranges(), 56 bytes each until it is "
             "called.", PRODUCER),
    Property("delivery.ranges.max", "int", 1000000,
             "How many batches are noted for delivery_ranges(); of more the oldest are dropped "
             "and counted.",
             PRODUCER, minimum=1, maximum=INT_MAX),
    Property("delivery.report.only.error", "strict_bool", False,
             "Call on_delivery for records that failed only.", PRODUCER),
    # accepted so that existing configurations work
    Property("queuing.strategy", "choice", "fifo", "Order of a partition's queue.",
             PRODUCER, choices=choose("fifo", "lifo"), why_not="the order is always fifo"),
    Property("produce.offset.report", "bool", True, "Report the offsets of records.",
             PRODUCER, why_not="offsets are always reported"),
)  # fmt: skip
