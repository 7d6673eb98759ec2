# What to ask of which broker: of the leader, or of the replica that it has named, what has room.
# in:  the assigned positions, their leaders, what of them has room
# out: the positions that are chosen for a broker, and the version that says them
# thread and GIL: I/O thread, no GIL
# next: fetch_sessions says what of them the broker does not know yet
from libc.stdint cimport int16_t
from fastkafka._core.cluster_view cimport Broker
from fastkafka._core.connection cimport Connection
from fastkafka._core.fetch_position cimport FetchPosition
from fastkafka._core.fetcher cimport BrokerFetcher, Fetcher

cdef Broker* targets_source(Fetcher* fetcher, FetchPosition* position) noexcept nogil
cdef bint targets_choose(Fetcher* fetcher, BrokerFetcher* broker_fetcher) noexcept nogil
cdef int16_t targets_version(BrokerFetcher* broker_fetcher, Connection* connection) noexcept nogil
