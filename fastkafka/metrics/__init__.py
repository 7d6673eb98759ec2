"""Metrics: statistics of clients for exporters and pipelines.

Nothing is here yet; `counters()` of each client has the core's numbers.
In:     counters of the core
Out:    Prometheus, OpenTelemetry, StatsD, collectd
Thread: the scraper's
Next:   the client faces
"""
