"""Transactions: the talk with the coordinators; the gate of each partition lives in `sequences`.

In:     calls of the application; partitions that the core wants to write to
Out:    requests to the coordinators of the transaction and of groups; moves of the core's gate
Thread: the control thread; fastkafka.Producer hands the calls over
Next:   transactions.py (the calls), transaction_state.py (what may follow what), coordinators.py
        (who is asked, and again), verdicts.py (what an error code means), group_metadata.py
"""

from fastkafka.transactions.group_metadata import OffsetToCommit, as_group_metadata, as_offsets
from fastkafka.transactions.transactions import Transactions

__all__ = ["OffsetToCommit", "Transactions", "as_group_metadata", "as_offsets"]
