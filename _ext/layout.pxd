# Where each field of a record batch (magic 2) stands: every offset is the previous one plus its width.
# in:  nothing; constants only
# out: byte positions inside the batch header, attribute bits, bounds of records
# thread and GIL: none
# next: record_batch_writer, record_batch_reader
# Source: DefaultRecordBatch, KIP-98. The CRC covers everything from ATTRIBUTES to the end.

cdef enum:
    BASE_OFFSET_AT = 0                                                # int64
    BATCH_LENGTH_AT = BASE_OFFSET_AT + 8                              # int32, bytes after this field
    PARTITION_LEADER_EPOCH_AT = BATCH_LENGTH_AT + 4                   # int32
    MAGIC_AT = PARTITION_LEADER_EPOCH_AT + 4                          # int8
    CRC_AT = MAGIC_AT + 1                                             # uint32, CRC-32C
    ATTRIBUTES_AT = CRC_AT + 4                                        # int16
    LAST_OFFSET_DELTA_AT = ATTRIBUTES_AT + 2                          # int32
    BASE_TIMESTAMP_AT = LAST_OFFSET_DELTA_AT + 4                      # int64
    MAX_TIMESTAMP_AT = BASE_TIMESTAMP_AT + 8                          # int64
    PRODUCER_ID_AT = MAX_TIMESTAMP_AT + 8                             # int64
    PRODUCER_EPOCH_AT = PRODUCER_ID_AT + 8                            # int16
    BASE_SEQUENCE_AT = PRODUCER_EPOCH_AT + 2                          # int32
    RECORDS_COUNT_AT = BASE_SEQUENCE_AT + 4                           # int32
    RECORD_BATCH_HEADER_BYTES = RECORDS_COUNT_AT + 4                  # 61
    LOG_OVERHEAD_BYTES = BATCH_LENGTH_AT + 4                          # 12: what BATCH_LENGTH leaves out

    COMPRESSION_MASK = 0x07
    TIMESTAMP_TYPE_BIT = 0x08
    TRANSACTIONAL_BIT = 0x10
    CONTROL_BIT = 0x20

    MAGIC_V2 = 2
    # length, attributes, timestamp delta, offset delta, key length, value length, header count
    RECORD_BYTES_MIN = 7
    # length 5, attributes 1, timestamp delta 10, offset delta 5, key 5, value 5, header count 5
    RECORD_OVERHEAD_BYTES_MAX = 36
    SEQUENCE_MASK = 0x7FFFFFFF                                        # sequences wrap after 2^31 - 1
