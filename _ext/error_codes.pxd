# The error codes that native rooms act on or give: Kafka's own, and librdkafka's below zero for what happens here.
# in:  nothing; constants only
# out: numbers; errors/codes.py has the names and texts of all of them
# thread and GIL: none
# next: whoever judges a response or gives an outcome
# Source: Errors.java; confluent_kafka's KafkaError for the negative ones.

cdef enum:
    ERROR_BAD_MSG = -199
    ERROR_TRANSPORT = -195
    ERROR_MSG_TIMED_OUT = -192
    ERROR_PARTITION_EOF = -191
    ERROR_UNKNOWN_PARTITION = -190
    ERROR_TIMED_OUT = -185
    ERROR_UNSUPPORTED_FEATURE = -165
    ERROR_PURGE_QUEUE = -152
    ERROR_PURGE_INFLIGHT = -151
    ERROR_UNKNOWN_BROKER = -146
    ERROR_AUTO_OFFSET_RESET = -140
    ERROR_NO_ERROR = 0
    ERROR_OFFSET_OUT_OF_RANGE = 1
    ERROR_UNKNOWN_TOPIC_OR_PART = 3
    ERROR_LEADER_NOT_AVAILABLE = 5
    ERROR_NOT_LEADER_FOR_PARTITION = 6
    ERROR_REPLICA_NOT_AVAILABLE = 9
    ERROR_MSG_SIZE_TOO_LARGE = 10
    ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER = 45
    ERROR_DUPLICATE_SEQUENCE_NUMBER = 46
    ERROR_INVALID_PRODUCER_EPOCH = 47
    ERROR_INVALID_PRODUCER_ID_MAPPING = 49
    ERROR_KAFKA_STORAGE_ERROR = 56
    ERROR_UNKNOWN_PRODUCER_ID = 59
    ERROR_FENCED_LEADER_EPOCH = 74
    ERROR_UNKNOWN_LEADER_EPOCH = 75
    ERROR_OFFSET_NOT_AVAILABLE = 78
    ERROR_PRODUCER_FENCED = 90
    ERROR_UNKNOWN_TOPIC_ID = 100
    ERROR_INCONSISTENT_TOPIC_ID = 103
