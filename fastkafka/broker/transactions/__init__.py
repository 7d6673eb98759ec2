"""The transaction coordinator: who owns a transactional id, and how its transactions end.

A request's way: handlers/<api>.py -> transaction_coordinator.py, which writes what changes to
`__transaction_state` before it answers, and markers to the partitions of a transaction that ends.
"""
