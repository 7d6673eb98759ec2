# What a Fetch asks a broker for, and which answer belongs to what was asked.
# in:  the assigned positions, their leaders, what of them has room
# out: FetchTargets of a broker; the target that a partition of a response answers
# thread and GIL: I/O thread, no GIL
# next: fetch_request encodes them; fetch_intake takes what was answered
from libc.stdint cimport int16_t, int32_t
from fastkafka._core.cluster_view cimport Broker
from fastkafka._core.connection cimport Connection
from fastkafka._core.fetch_position cimport FetchPosition
from fastkafka._core.fetch_request cimport FetchTarget
from fastkafka._core.fetch_response cimport FetchResponse
from fastkafka._core.fetcher cimport BrokerFetcher, Fetcher

cdef Broker* targets_source(Fetcher* fetcher, FetchPosition* position) noexcept nogil
cdef void targets_collect(Fetcher* fetcher, BrokerFetcher* broker_fetcher) noexcept nogil
cdef int16_t targets_version(BrokerFetcher* broker_fetcher, Connection* connection) noexcept nogil
cdef FetchTarget* target_of(BrokerFetcher* broker_fetcher, FetchResponse* response, int32_t partition,
                            int32_t* hint) noexcept nogil
