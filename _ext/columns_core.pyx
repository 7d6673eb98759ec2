# Records out in columns: the part of a Consumer that makes no object per record.
# in:  consume_batch() of the application
# out: FetchedRecords
# thread and GIL: Python methods with the GIL, which only waiting releases
# next: fetched_columns shows what was taken; Messages one by one are consumer_core's
from libc.stdint cimport INT32_MAX, int32_t, int64_t
from fastkafka._core.consumer_core cimport MESSAGES_MAX, consumer_begin_call
from fastkafka._core.fetched_columns cimport FetchedRecords, fetched_records_new
from fastkafka._core.fetched_parts cimport FetchedPart
from fastkafka._core.fetched_records cimport FetchedBatch
from fastkafka._core.lock cimport signal_read
from fastkafka._core.message cimport Message, messages_of_entries
from fastkafka._core.waiter cimport deadline_after


cdef inline Py_ssize_t _taken(FetchedRecords records) noexcept:
    return records.parts.records_count + len(records.event_messages)


cdef class ColumnsCore(ConsumerCore):
    """Records by the thousand. `fastkafka.Consumer` is its face."""

    def consume_batch(self, Py_ssize_t num_messages, double timeout=-1.0):
        """Return up to `num_messages` records as columns: as soon as there are so many, else what came within `timeout`.

        As consume(), but with one object for all records. What consume() gives as Messages with an error, errors of
        partitions and _PARTITION_EOF, stands in the result's `errors`, in order, and counts as one of `num_messages`
        each; no exception is raised for them. Positions move behind what was returned. Fewer records come back when
        more bytes than 2 GiB would, and at once when the group rebalances.

        Args:    timeout: seconds; negative waits for ever
        Returns: FetchedRecords, of no records when none came in time
        Raises:  ValueError; ClosedError; what a signal handler raised (no record is lost: the next call has them)
        Thread:  any; the GIL is released only while waiting
        Cost:    per batch, not per record: nothing is copied
        Example: records = consumer.consume_batch(10000, timeout=1.0); records.value_lengths.sum()
        """
        cdef FetchedRecords records
        cdef int64_t deadline_ns
        cdef int32_t seen
        if not 0 <= num_messages <= MESSAGES_MAX:
            raise ValueError("num_messages must be between 0 and 1000000 (1M)")
        consumer_begin_call(self)
        if self.takes_whole:
            self.take_as(False)
        deadline_ns = deadline_after(timeout)
        records = fetched_records_new()
        try:
            while True:
                seen = signal_read(&self.fetcher.queue.arrived)
                if self.events:
                    if self.has_step and _taken(records):
                        return records
                    self.serve_events()
                self.take_unreturned(records, num_messages)
                if self.take_queued(records, num_messages) or self.is_woken:
                    self.is_woken = False
                    return records
                if not self.wait_for_more(seen, num_messages - _taken(records), deadline_ns):
                    return records
        except BaseException:
            self.put_back(records)
            raise

    cdef int take_unreturned(self, FetchedRecords records, Py_ssize_t limit) except -1:
        """Take the Messages of a call that Ctrl-C ended: nobody has seen them, so each still has its entry."""
        cdef Message message
        cdef FetchedBatch* batch
        cdef Py_ssize_t index, count = min(<Py_ssize_t>len(self.unreturned), limit - _taken(records))
        for index in range(count):
            message = self.unreturned[index]
            self.count_as_new(message)
            if message.entry == NULL:
                records.event_messages.append(message)
                continue
            batch = <FetchedBatch*>message.source
            records.take(<str>batch.topic, batch, <int32_t>(message.entry - batch.entries), 1)
        del self.unreturned[:count]
        return 0

    cdef int take_queued(self, FetchedRecords records, Py_ssize_t limit) except -1:
        """Take what is there; 1 when that is enough."""
        cdef FetchedBatch* batch
        cdef int32_t count
        while _taken(records) < limit:
            batch = self.next_batch()
            if batch == NULL:
                return 0
            if batch.error_code != 0:
                records.event_messages.append(self.take_event())
                continue
            if records.parts.span_bytes + batch.records_bytes > INT32_MAX and records.parts.count > 0:
                return 1                  # positions in the data are 32 bits
            count = <int32_t>min(<Py_ssize_t>(batch.entries_count - batch.entry_index), limit - _taken(records))
            records.take(<str>batch.position.topic_name, batch, batch.entry_index, count)
            self.advance(batch, count)
        return 1

    cdef int put_back(self, FetchedRecords records) except -1:
        """Keep what was taken for the next call, whichever it is: in the one form that all of them know."""
        cdef list messages = []
        cdef FetchedPart* part
        cdef Py_ssize_t index
        for index in range(records.parts.count):
            part = &records.parts.parts[index]
            messages_of_entries(messages, records.topic_names[part.topic_index], part.batch, part.entries, part.count)
        self.unreturned = messages + records.event_messages + self.unreturned
        return 0

include "faces/columns_core.pxi"
