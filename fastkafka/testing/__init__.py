"""What users' own tests need: a pytest plugin, a TCP fault proxy, a history checker.

Nothing is here yet; `fastkafka.broker.EmbeddedBroker` is a broker for tests already.
In:     faults on demand, histories
Out:    fixtures, verdicts
Thread: the tests'
Next:   broker
"""
