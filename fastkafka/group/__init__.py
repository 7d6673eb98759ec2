"""Group membership: the classic protocol and KIP-848 behind one face, assignors, committed offsets.

Nothing is here yet: Consumer.subscribe and Consumer.commit raise _NOT_IMPLEMENTED until it is.
In:     subscriptions, heartbeats' answers
Out:    assignments, committed offsets
Thread: control
Next:   control (coordinators), consumer
"""
