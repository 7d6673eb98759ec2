# What a broker said of a batch that it refused: its message, and which records are at fault (KIP-467).
# in:  the answer to a batch
# out: the words for a record's report, when the application asks for reports
# thread and GIL: the I/O thread writes before the batch has its outcome; whoever serves its reports reads; no GIL
# next: delivery_reports makes a KafkaError of it
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy
from fastkafka._core.produce_response cimport RecordError, RecordErrors, record_error_next

cdef enum:
    MESSAGE_BYTES_MAX = 1024               # of each; a broker may say up to 32 kB of each record, or 2 GB
    TEXT_BYTES_MAX = 65536                 # of all; records named behind that have the message of the batch


cdef RefusalText _keep(Refusal* refusal, int32_t* used, const char* message, int32_t message_bytes) noexcept nogil:
    cdef RefusalText kept
    kept.begin = used[0]
    kept.bytes = min(message_bytes, <int32_t>MESSAGE_BYTES_MAX, <int32_t>TEXT_BYTES_MAX - used[0]) if message != NULL else 0
    if kept.bytes > 0:
        memcpy(refusal.text + kept.begin, message, kept.bytes)
        used[0] += kept.bytes
    return kept


cdef void refusal_note(ProducerBatch* batch, const PartitionAnswer* answer) noexcept nogil:
    """Keep what the broker said; without memory for it the batch has its code alone.

    Records that the batch does not have are passed over; of a record that is named twice the first word counts.
    Cost: 8 bytes per record and up to 64 kB of text, only for a refused batch that has reports
    """
    cdef RecordErrors errors = answer.record_errors
    cdef RecordError error
    cdef Refusal* refusal
    cdef int32_t index, used = 0, rows = batch.records_count if errors.count > 0 else 0
    if not batch.keeps_records or errors.count == 0 and answer.error_message == NULL:
        return
    refusal = <Refusal*>malloc(sizeof(Refusal) + <size_t>rows * sizeof(RefusalText) + TEXT_BYTES_MAX)
    if refusal == NULL:
        return
    refusal.named_count = 0
    refusal.of_records = <RefusalText*>(refusal + 1)
    refusal.text = <char*>(refusal.of_records + rows)
    refusal.of_batch = _keep(refusal, &used, answer.error_message, answer.error_message_bytes)
    for index in range(rows):
        refusal.of_records[index].bytes = REFUSAL_NOT_NAMED
    while record_error_next(&errors, &error):
        index = error.batch_index
        if 0 <= index < rows and refusal.of_records[index].bytes == REFUSAL_NOT_NAMED:
            refusal.of_records[index] = _keep(refusal, &used, error.message, error.message_bytes)
            refusal.named_count += 1
    free(batch.refusal)
    batch.refusal = refusal

include "faces/refusal.pxi"
