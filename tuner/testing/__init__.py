"""For authors of plugins: test suites that say whether a plugin keeps its port's contract (needs pytest)."""

from __future__ import annotations

from tuner.testing.strategy_contract import StrategyContract

__all__ = ["StrategyContract"]
