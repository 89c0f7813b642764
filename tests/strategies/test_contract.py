"""Every strategy that ships keeps the contract that `tuner.testing` tests."""

from __future__ import annotations

from collections.abc import Sequence

from optuna.samplers import BaseSampler

from tuner import registry
from tuner.ports import SourceData, Strategy
from tuner.testing import StrategyContract
from tuner_plugins.strategies.opml19.dm import DirectTransferSampler
from tuner_plugins.strategies.opml19.gs import GuidedSampler
from tuner_plugins.strategies.opml19.lms import LinearShiftSampler
from tuner_plugins.strategies.opml19.nlms import NonlinearShiftSampler
from tuner_plugins.strategies.transfer.strategy import TransferSampler


class Registered(StrategyContract):
    name = ""

    def strategy(self) -> Strategy:
        strategy: Strategy = registry.create("strategies", self.name)
        return strategy


class TestTpe(Registered):
    name = "tpe"


class TestRandom(Registered):
    name = "random"


class TestCmaEs(Registered):
    name = "cmaes"


class TestGrid(Registered):
    name = "grid"


class TestGp(Registered):
    name = "gp"


class TestDirectTransfer(Registered):
    name = "dm"
    needs_source = whole = same_unit_only = makes_models = True

    def standalone(self, sources: Sequence[SourceData], seed: int) -> BaseSampler:
        return DirectTransferSampler(sources=sources, seed=seed)


class TestLinearShift(Registered):
    name = "lms"
    needs_source = whole = makes_models = True

    def standalone(self, sources: Sequence[SourceData], seed: int) -> BaseSampler:
        return LinearShiftSampler(sources=sources, seed=seed)


class TestNonlinearShift(Registered):
    name = "nlms"
    needs_source = whole = makes_models = True

    def standalone(self, sources: Sequence[SourceData], seed: int) -> BaseSampler:
        return NonlinearShiftSampler(sources=sources, seed=seed)


class TestGuidedSampling(Registered):
    name = "gs"
    needs_source = whole = makes_models = True

    def standalone(self, sources: Sequence[SourceData], seed: int) -> BaseSampler:
        return GuidedSampler(sources=sources, seed=seed)


class TestTransfer(Registered):
    name = "transfer"
    whole = makes_models = True

    def standalone(self, sources: Sequence[SourceData], seed: int) -> BaseSampler:
        return TransferSampler(sources=sources, seed=seed)
