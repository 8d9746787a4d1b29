"""Figures for Prometheus: what waits, how old it is, what was written; read when asked for."""

from fastapi.responses import PlainTextResponse
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from counterflow.api.route import The, make_router, needs
from counterflow.store import connection_queries, delivery_queries, metric_queries

router = make_router("metrics")

_WRITTEN = {
    "deliveries": ("counterflow_deliveries", "Deliveries kept"),
    "inbox": ("counterflow_facts", "Facts stored"),
    "log": ("counterflow_decisions", "Decisions written to the log"),
    "attempts": ("counterflow_attempts", "Calls made for effects"),
}
_CIRCUIT = {"closed": 0, "open": 1, "stopped": 2}


@router.get("/metrics", response_class=PlainTextResponse, **needs("metrics.read"))
async def metrics(the: The) -> PlainTextResponse:
    """The Prometheus text format. Facts and effects are counted over all processes, requests in this one."""
    async with the.pool.connection() as conn:
        inbox = await metric_queries.inbox(conn)
        effects = await metric_queries.effects(conn)
        exceptions = await metric_queries.exceptions(conn)
        written = await metric_queries.written(conn)
        workers, drains = await metric_queries.at_work(conn)
        rejected = await metric_queries.rejected(conn)
        odd = await delivery_queries.odd(conn)
        standing = await connection_queries.standing(conn)
    now = the.clock()
    depth = GaugeMetricFamily("counterflow_inbox_facts", "Facts that no case has taken", labels=["status"])
    age = GaugeMetricFamily("counterflow_inbox_oldest_seconds", "Age of the oldest of them", labels=["status"])
    for status, (count, oldest) in inbox.items():
        depth.add_metric([status], count)
        age.add_metric([status], (now - oldest).total_seconds() if oldest else 0)
    open_effects = GaugeMetricFamily(
        "counterflow_effects", "Effects that are not finished", labels=["connection", "status"]
    )
    for connection, status, count in effects:
        open_effects.add_metric([connection, status], count)
    waits = GaugeMetricFamily("counterflow_effects_oldest_seconds", "Age of the oldest of them", labels=["connection"])
    circuit = GaugeMetricFamily("counterflow_circuit", "0 closed, 1 open, 2 stopped", labels=["connection"])
    for row in standing:
        waits.add_metric([row.name], (now - row.oldest_at).total_seconds() if row.oldest_at else 0)
        circuit.add_metric([row.name], _CIRCUIT[row.circuit])
    needed = GaugeMetricFamily("counterflow_exceptions", "Open exceptions", labels=["kind", "currency"])
    impact = GaugeMetricFamily(
        "counterflow_exceptions_impact_minor", "Money that they hold, in minor units", labels=["kind", "currency"]
    )
    for kind, currency, count, minor in exceptions:
        needed.add_metric([kind, currency], count)
        impact.add_metric([kind, currency], minor)
    refused = CounterMetricFamily(
        "counterflow_deliveries_rejected", "Deliveries nobody vouched for", labels=["connection", "reason"]
    )
    for connection, reason, count in rejected:
        refused.add_metric([connection, reason], count)
    unread = GaugeMetricFamily(
        "counterflow_deliveries_odd", "Deliveries ignored or malformed, and still kept", labels=["connection", "status"]
    )
    for connection, status, count in odd:
        unread.add_metric([connection, status], count)
    counters = [CounterMetricFamily(name, text, value=written.get(key, 0)) for key, (name, text) in _WRITTEN.items()]
    alive = GaugeMetricFamily("counterflow_workers", "Worker processes alive", value=workers)
    draining = GaugeMetricFamily("counterflow_drains", "Shards being drained now", value=drains)
    found = [depth, age, open_effects, waits, circuit, needed, impact, refused, unread, *counters, alive, draining]
    text = generate_latest(_registry(found)) + generate_latest(the.metrics)
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4; charset=utf-8")


class _Once:
    """The families of one scrape, as a collector."""

    def __init__(self, families: list[Metric]) -> None:
        self.families = families

    def collect(self) -> list[Metric]:
        return self.families


def _registry(families: list[Metric]) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Once(families))
    return registry
