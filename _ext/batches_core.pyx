# Whole batches out: the part of a Consumer that relays read from.
# in:  batches() of the application
# out: RecordBatches, slices of the receive buffer
# thread and GIL: Python methods with the GIL, which only waiting releases
# next: relay_core passes them on to another cluster
from fastkafka.errors import exception_for

from libc.stdint cimport int32_t, int64_t
from fastkafka._core.consumer_core cimport consumer_begin_call
from fastkafka._core.fetch_position cimport FetchPosition, position_note_call
from fastkafka._core.fetched_columns cimport whole_batch_view
from fastkafka._core.fetched_records cimport FetchedBatch
from fastkafka._core.lock cimport signal_read
from fastkafka._core.message cimport Message
from fastkafka._core.record_batch cimport RecordBatch, record_batch_of
from fastkafka._core.waiter cimport deadline_after


cdef class BatchesCore(ColumnsCore):
    """Batches out, as they came from their log. `fastkafka.Consumer` is its face."""

    def batches(self, double timeout=-1.0):
        """Return an iterator over whole record batches, compressed as they are, for relays and mirrors.

        Their CRC is checked and nothing else; they are slices of the receive buffer. read_committed leaves out what was
        aborted, markers of transactions and batches without records never come. A batch is whole also where the
        position is within it: its first records may lie before the position. The position moves behind each batch as it
        is returned. Calls may take turns with consume(), poll() and consume_batch(); each change fetches again
        what was read ahead.

        Args:    timeout: the iteration ends when no batch came for so many seconds (negative: never), or at wakeup()
        Raises:  while iterating: KafkaException for an error of a partition, and for its end where
                 enable.partition.eof is set: the same iterator then goes on behind it; ClosedError
        Thread:  any; the GIL is released only while waiting
        Cost:    per batch some µs, nothing per record. A RecordBatch pins its receive buffer, which counts as held_bytes
        Example:
            for batch in consumer.batches(timeout=5.0):
                producer.produce_batches("mirror", [batch])
        """
        cdef FetchedBatches batches = FetchedBatches.__new__(FetchedBatches)
        self.check_usable()
        deadline_after(timeout)           # refuses what is no number
        batches.consumer = self
        batches.timeout = timeout
        return batches

    cdef RecordBatch next_whole(self, double timeout):
        """Return the next batch, or None when time is over."""
        cdef FetchedBatch* batch
        cdef Message message
        cdef int32_t seen
        cdef int64_t deadline_ns = -1
        consumer_begin_call(self)
        if not self.takes_whole:
            self.take_as(True)
        while True:
            seen = signal_read(&self.fetcher.queue.arrived)
            if self.events:
                self.serve_events()
            if self.unreturned:
                # take_as() has rewound records: these are errors of the group.
                message = self.unreturned.pop(0)
                raise exception_for(message.error())
            batch = self.next_batch()
            if batch != NULL:
                if batch.error_code == 0:
                    return self.return_whole(batch)
                message = self.take_event()
                raise exception_for(message.error())
            if self.is_woken:
                self.is_woken = False
                return None
            if deadline_ns < 0:
                deadline_ns = deadline_after(timeout)
            if not self.wait_for_more(seen, 1, deadline_ns):
                return None

    cdef RecordBatch return_whole(self, FetchedBatch* batch):
        """Make the RecordBatch of the first batch, and move the position behind it."""
        cdef FetchPosition* position = batch.position
        cdef RecordBatch made = record_batch_of(whole_batch_view(batch), <str>position.topic_name, batch.partition,
                                                batch.whole, self.fetcher.decoder.check_crcs)
        # Making objects may run the garbage collector, and that a finalizer that seeks: then the batch is gone.
        if self.taken == batch:
            position_note_call(position, self.calls, position.position)
            position.position = batch.next_offset
            position.position_leader_epoch = batch.leader_epoch
            self.finish_batch()
        return made


cdef class FetchedBatches:
    """The iterator of Consumer.batches()."""

    def __init__(self):
        raise TypeError("whole batches come from Consumer.batches()")

    def __iter__(self):
        return self

    def __next__(self):
        cdef RecordBatch batch = self.consumer.next_whole(self.timeout)
        if batch is None:
            raise StopIteration
        return batch

include "faces/batches_core.pxi"
