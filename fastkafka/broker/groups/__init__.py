"""The group coordinator: classic groups, consumer groups (KIP-848) and committed offsets.

A request's way: handlers/<api>.py -> group_coordinator.py, which finds the group and writes what
changed to `__consumer_offsets` -> classic_group.py or consumer_group.py, which know the rules.
"""
