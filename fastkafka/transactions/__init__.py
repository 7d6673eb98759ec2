"""Transactions: the talk with the coordinators; the gate of each partition lives in `sequences`.

In:     calls of the application; partitions that the core wants to write to
Out:    requests to the coordinators of the transaction and of groups; moves of the core's gate
Thread: the control thread; fastkafka.Producer hands the calls over
Next:   transactions.py (the calls), transaction_state.py (what may follow what), verdicts.py (what
        an error code means), group_metadata.py; control.coordinators asks
"""

from fastkafka.transactions.group_metadata import as_group_metadata
from fastkafka.transactions.transactions import Transactions

__all__ = ["Transactions", "as_group_metadata"]
