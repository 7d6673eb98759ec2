"""Transactions: the talk with the coordinator; the gate of each partition lives in `sequences`.

Nothing is here yet: the property transactional.id is refused until it is.
In:     begin, commit and abort of the application
Out:    requests to the transaction coordinator
Thread: control
Next:   control, producer
"""
