# A producer's door to transactions: where the gate stands, what is part of the transaction, how it failed.
# in:  moves and added partitions from the control thread; commits and aborts of the application
# out: submissions that move the gate of `sequences`; the first failure of a batch
# thread and GIL: control thread and application threads, GIL held but for waiting; hooks run on the I/O thread
# next: sequences has the gate; fastkafka/transactions talks with the coordinator
from libc.stdint cimport int64_t
from fastkafka._core.relay_core cimport RelayCore

cdef class TransactionCore(RelayCore):
    cdef int64_t gate_ticket                  # of the last move
