"""Group membership: the classic protocol and KIP-848 behind one face, assignors, committed offsets.

In:     subscriptions, heartbeats' answers
Out:    assignments, committed offsets
Thread: control; rebalances are carried out by the application's poll()
Next:   control (coordinators), consumer
"""

from fastkafka.group.consumer_group import ConsumerGroup, Listeners
from fastkafka.group.membership import subscription_of

__all__ = ["ConsumerGroup", "Listeners", "subscription_of"]
