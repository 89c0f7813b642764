"""`GET /metrics`: the daemon and its sessions, for Prometheus."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import get_args

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from tuner import __version__
from tuner.daemon.models import SessionView, State
from tuner.daemon.supervisor import Supervisor

CONTENT_TYPE = CONTENT_TYPE_LATEST


class SessionCollector(Collector):
    """Asks the supervisor at each scrape; only sessions that have not ended get series of their own."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        sessions = self._supervisor.all()
        yield _labelled("tuner_build_info", "The running version.", ["version"], [((__version__,), 1)])
        counts = Counter(s.state for s in sessions)
        yield _labelled(
            "tuner_sessions", "Sessions by state.", ["state"], [((state,), counts[state]) for state in get_args(State)]
        )
        yield GaugeMetricFamily(
            "tuner_followers", "Clients that follow a session.", value=self._supervisor.followers.count()
        )
        yield GaugeMetricFamily(
            "tuner_stalled", "1 where something does not advance.", value=bool(self._supervisor.stalled())
        )
        yield from _of_sessions([s for s in sessions if not s.ended])


def _of_sessions(active: list[SessionView]) -> Iterator[Metric]:
    labels = ["session", "device", "objective"]
    keys = [(s.id, s.device, s.objective) for s in active]
    trials = CounterMetricFamily("tuner_session_trials", "Finished trials.", labels=labels)
    failed = CounterMetricFamily("tuner_session_failed_trials", "Failed trials.", labels=labels)
    for key, session in zip(keys, active, strict=True):
        trials.add_metric(key, session.trials)
        failed.add_metric(key, session.failed)
    yield trials
    yield failed
    now_s = time.time()
    for name, text, values in (
        ("best_value", "Best value of the objective, in its unit.", [s.best_value for s in active]),
        ("saving_percent", "Saving against the baseline.", [s.saving_percent for s in active]),
        ("event_age_seconds", "Since the last event.", [now_s - s.updated_s for s in active]),
        ("quarantined", "Configurations never to be tried again.", [len(s.quarantined) for s in active]),
    ):
        rows = [(k, v) for k, v in zip(keys, values, strict=True) if v is not None]
        yield _labelled(f"tuner_session_{name}", text, labels, rows)


def _labelled(
    name: str, text: str, labels: list[str], rows: Sequence[tuple[tuple[str, ...], float]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for key, value in rows:
        family.add_metric(key, value)
    return family


def metrics_registry(supervisor: Supervisor) -> CollectorRegistry:
    """Return what `/metrics` shows: the daemon's process and its sessions."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(SessionCollector(supervisor))
    return registry


def exposition(registry: CollectorRegistry) -> bytes:
    """Return the text of `/metrics`."""
    return generate_latest(registry)
