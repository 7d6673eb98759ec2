# What a broker said of a batch that it refused: its message, and which records are at fault (KIP-467).
# in:  the answer to a batch
# out: the words for a record's report, when the application asks for reports
# thread and GIL: the I/O thread writes before the batch has its outcome; whoever serves its reports reads; no GIL
# next: delivery_reports makes a KafkaError of it
from libc.stdint cimport int32_t
from fastkafka._core.partition_queue cimport ProducerBatch
from fastkafka._core.produce_response cimport PartitionAnswer

cdef struct RefusalText:
    int32_t begin                          # in the Refusal's text
    int32_t bytes                          # REFUSAL_NOT_NAMED, or none said: 0

cdef enum:
    REFUSAL_NOT_NAMED = -1

cdef struct Refusal:                       # one block of memory, freed with its batch
    int32_t named_count                    # records that the broker named
    RefusalText of_batch
    RefusalText* of_records                # one per record of the batch; NULL when named_count is 0
    char* text

cdef void refusal_note(ProducerBatch* batch, const PartitionAnswer* answer) noexcept nogil
