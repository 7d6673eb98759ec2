"""asyncio clients on the same core.

Nothing is here yet.
In:     coroutines of the application
Out:    the core that the blocking clients use
Thread: the application's event loop
Next:   producer, consumer, admin
"""
