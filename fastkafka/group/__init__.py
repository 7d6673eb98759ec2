"""Group membership: the classic protocol and KIP-848 behind one face, assignors, committed offsets.

No Consumer uses it yet: there is no member of either protocol so far, and Consumer.subscribe and
Consumer.commit raise _NOT_IMPLEMENTED until there is.
In:     subscriptions, heartbeats' answers
Out:    assignments, committed offsets
Thread: control
Next:   control (coordinators), consumer
"""
