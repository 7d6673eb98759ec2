"""The control plane: one thread per client that talks to brokers about everything but records.

Importing this package costs asyncio; clients import `control_thread` when they are made.
"""
