"""The contract of a strategy as a pytest suite: subclass `StrategyContract`, return your strategy, run pytest."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest

from tuner.errors import MissingDependencyError, TunerError
from tuner.ports import Belief, ModellingStrategy, SourceData, Strategy
from tuner.space import Configuration, ConfigurationSpace, Option, configuration_key
from tuner.study.distributions import to_params
from tuner.testing.driving import Driver, Indices, context_for
from tuner.testing.environments import TICKS, latency_s, shared_by, source, spaces

if TYPE_CHECKING:
    import optuna

SPACES = spaces()
ORDINAL = SPACES["ordinal"]
#: User attribute of a trial for the relative standard error of its value.
NOISE = "relative_error"


class StrategyContract:
    """Tests that every strategy must pass. Subclass it in a test module and implement `strategy`.

    Attributes:
        needs_source: `check` refuses without a source (with a `TunerError`).
        whole: Its sampler suggests only complete, new configurations of the space, so that it is also tested
            without `SpaceSampler`. Set it if your sampler is a `ConfigurationSampler`.
        same_unit_only: `check` refuses a source whose values have another unit.
        makes_models: It also makes performance models of the target: a `ModellingStrategy`.

    Tests of what a strategy does not claim are not collected.
    """

    needs_source = False
    whole = False
    same_unit_only = False
    makes_models = False

    def __init_subclass__(cls) -> None:
        """Leave out the tests of what the subclass does not claim: pytest collects nothing that is None."""
        super().__init_subclass__()
        claims = {
            "test_constraints_are_honoured": cls.whole,
            "test_a_design_keeps_to_the_budget": cls.makes_models,
            "test_a_model_of_positive_values_predicts_positive_values": cls.makes_models,
            "test_on_its_own_in_an_optuna_study": cls.standalone is not StrategyContract.standalone,
        }
        for name, claimed in claims.items():  # in this order, so that every process collects the same
            if name not in vars(cls):
                setattr(cls, name, getattr(StrategyContract, name) if claimed else None)

    def strategy(self) -> Strategy:
        """Return a new instance of the strategy under test."""
        raise NotImplementedError("return your strategy here")

    def standalone(self, sources: Sequence[SourceData], seed: int) -> optuna.samplers.BaseSampler:
        """Return your sampler for ``optuna.create_study(sampler=...)``, which knows no space. Optional."""
        raise NotImplementedError

    # --- helpers ---------------------------------------------------------------------------------

    def sources_for(self, space: ConfigurationSpace) -> tuple[SourceData, ...]:
        """Return a source for a strategy that needs one, else none."""
        return (source(space),) if self.needs_source else ()

    def drive(
        self, space: ConfigurationSpace, sources: Sequence[SourceData] | None = None, seed: int = 0, **more: Any
    ) -> Driver:
        """Return a driver of a new instance; skips where `check` says that a package is missing.

        Raises:
            TunerError: `check` refuses for another reason.
        """
        given = self.sources_for(space) if sources is None else tuple(sources)
        wrapped, study = more.pop("wrapped", True), more.pop("study", None)
        strategy, context = self.strategy(), context_for(space, given, seed, **more)
        try:
            strategy.check(context)
        except MissingDependencyError as error:
            pytest.skip(f"{error.what} {error.hint}")
        return Driver(strategy, context, study, wrapped)

    @staticmethod
    def fresh(space: ConfigurationSpace, found: Sequence[Indices], taken: Sequence[Indices] = ()) -> None:
        """Assert that all of `found` lie in the space, differ, and are not `taken`."""
        for indices in found:
            assert space.indices(space.from_indices(indices)) == indices, "an inactive option has a value"
            assert space.from_indices(indices) in space
        assert len(set(found)) == len(found), "a configuration was suggested twice"
        assert not set(found) & set(taken), "a configuration that was taken was suggested"

    # --- spaces ----------------------------------------------------------------------------------

    @pytest.mark.parametrize("name", [n for n in SPACES if n != "constant only"])
    def test_every_suggestion_is_new_and_in_the_space(self, name: str) -> None:
        """Holds in each kind of space, with `SpaceSampler` and, if `whole`, without.

        A space of 60 options may be refused, with a typed error.
        """
        space = SPACES[name]
        for wrapped in (True, False) if self.whole else (True,):
            try:
                driver = self.drive(space, wrapped=wrapped)
            except TunerError:
                if name != "60 options":
                    raise
                return
            self.fresh(space, driver.run(min(10, space.size)))

    def test_a_space_without_choice(self) -> None:
        """One configuration: it is suggested, or the refusal is typed."""
        try:
            driver = self.drive(SPACES["constant only"])
        except TunerError:
            return
        assert driver.run(1) == [(0, 0)]

    def test_a_small_space_is_exhausted(self) -> None:
        """Every configuration is reachable, also those that no source measured."""
        space = SPACES["conditional"]
        driver = self.drive(space, budget_trials=space.size)
        assert len(set(driver.run(space.size))) == space.size

    def test_seeds_lie_in_the_space(self) -> None:
        """The configurations of `seeds` are distinct and in the space."""
        for space in (ORDINAL, SPACES["conditional"], SPACES["a table with holes"]):
            driver = self.drive(space)
            seeds = list(driver.strategy.seeds(driver.context))
            assert all(c in space for c in seeds)
            assert len({configuration_key(c) for c in seeds}) == len(seeds)

    # --- seeds and resuming ----------------------------------------------------------------------

    def test_the_same_seed_suggests_the_same(self) -> None:
        """Two sessions with one seed are the same; those of other seeds stay valid."""
        for space in (ORDINAL, SPACES["categorical"]):
            assert self.drive(space, seed=3).run(8) == self.drive(space, seed=3).run(8)
            for seed in (0, 1, 2):
                self.fresh(space, self.drive(space, seed=seed).run(5))

    @pytest.mark.parametrize("first", [1, 3, 7])
    def test_resuming_goes_on_where_it_was(self, first: int) -> None:
        """A new instance over the same study suggests what the old one would have, and repeats no start-up point."""
        whole = self.drive(ORDINAL, seed=5).run(10)
        driver = self.drive(ORDINAL, seed=5)
        begun = driver.run(first)
        resumed = self.drive(ORDINAL, seed=5, study=driver.study)
        rest = resumed.run(10 - first)
        self.fresh(ORDINAL, [*begun, *rest])
        assert [*begun, *rest] == whole

    # --- trials of all kinds ---------------------------------------------------------------------

    def test_failed_trials_are_not_asked_for_again(self) -> None:
        """FAIL and PRUNED trials have no value; the strategy continues."""
        from optuna.trial import TrialState

        driver = self.drive(ORDINAL)
        found = []
        for i in range(9):
            trial, indices = driver.ask()
            found.append(indices)
            state = (TrialState.FAIL, TrialState.PRUNED, None)[i % 3]
            if state is None:
                driver.study.tell(trial, driver.value(indices))
            else:
                driver.study.tell(trial, state=state)
        self.fresh(ORDINAL, found)

    def test_nothing_but_failures(self) -> None:
        """A session in which every trial failed still gets new suggestions."""
        from optuna.trial import TrialState

        driver = self.drive(ORDINAL)
        found = []
        for _ in range(6):
            trial, indices = driver.ask()
            driver.study.tell(trial, state=TrialState.FAIL)
            found.append(indices)
        self.fresh(ORDINAL, found)

    def test_enqueued_trials_come_first(self) -> None:
        """Enqueued configurations are measured unchanged, learned from, and not suggested again."""
        driver = self.drive(ORDINAL)
        wanted = [ORDINAL.from_indices(i) for i in ((0, 0, 0), (2, 3, 2), (1, 1, 1))]
        fresh = [c for c in wanted if c not in list(driver.strategy.seeds(driver.context))]
        for configuration in wanted:
            driver.study.enqueue_trial(to_params(ORDINAL, configuration), skip_if_exists=True)
        found = driver.run(9)
        self.fresh(ORDINAL, found)
        assert {ORDINAL.indices(c) for c in fresh} <= set(found)

    @pytest.mark.parametrize("finished", [0, 6])
    def test_parallel_workers_get_different_configurations(self, finished: int) -> None:
        """Trials that run at the same time (several boards on one study) do not repeat each other."""
        for wrapped in (True, False) if self.whole else (True,):
            driver = self.drive(ORDINAL, wrapped=wrapped)
            begun = driver.run(finished)
            running = [driver.ask() for _ in range(4)]
            self.fresh(ORDINAL, [*begun, *(indices for _, indices in running)])
            for trial, indices in reversed(running):  # they end in another order
                driver.study.tell(trial, driver.value(indices))
            self.fresh(ORDINAL, driver.run(3), [*begun, *(indices for _, indices in running)])

    def test_noise_levels_are_accepted(self) -> None:
        """Trials with and without a noise level may be mixed."""
        driver = self.drive(ORDINAL)
        found = []
        for i in range(8):
            trial, indices = driver.ask()
            if i % 2:
                trial.set_user_attr(NOISE, 0.01 * (1 + i))
            driver.study.tell(trial, driver.value(indices))
            found.append(indices)
        self.fresh(ORDINAL, found)

    @pytest.mark.parametrize("values", [(1.0,), (-3.0, -2.0, -5.0), (0.0, 2.0, -1.0), (1e-9, 1e9)])
    def test_any_values(self, values: tuple[float, ...]) -> None:
        """Equal, negative, mixed and far apart values are accepted."""
        driver = self.drive(ORDINAL)
        found: list[Indices] = []
        for i in range(8):
            found += driver.run(1, lambda _, i=i: values[i % len(values)])  # type: ignore[misc]
        self.fresh(ORDINAL, found)

    def test_constraints_are_honoured(self) -> None:
        """If an option's lowest level violates a constraint, later suggestions satisfy it more often than by chance.

        Tested of `whole` samplers only: others do not decide alone.
        """
        kept, count = 0, 0
        for seed in range(3):
            driver = self.drive(ORDINAL, seed=seed, has_constraints=True, budget_trials=20)
            for i in range(16):
                trial, indices = driver.ask()
                violation = 1.0 - indices[2]  # the lowest GPU clock of three breaks it
                trial.set_constraint("bound", violation)
                driver.study.tell(trial, driver.value(indices))
                if i >= 8:
                    kept, count = kept + (violation <= 0), count + 1
        assert kept / count > 2 / 3, "no better than chance"

    # --- sources ---------------------------------------------------------------------------------

    def test_no_source(self) -> None:
        """It works, or `check` refuses with a typed error."""
        context = context_for(ORDINAL)
        if self.needs_source:
            with pytest.raises(TunerError):
                self.strategy().check(context)
        else:
            self.fresh(ORDINAL, self.drive(ORDINAL, ()).run(6))

    def test_two_sources_one_of_them_misleading(self) -> None:
        """Any number of sources may be given."""
        both = (source(ORDINAL, "good"), source(ORDINAL, "bad", misleading=True))
        driver = self.drive(ORDINAL, both)
        self.fresh(ORDINAL, driver.run(12))
        self.believes(driver)

    def test_a_misleading_source(self) -> None:
        """Suggestions guided by a misleading source are still new and in the space."""
        self.fresh(ORDINAL, self.drive(ORDINAL, (source(ORDINAL, misleading=True),)).run(10))

    def test_a_source_with_other_options(self) -> None:
        """Options that only source or target has are accepted, and none of their levels is excluded."""
        extra = Option("fan", (0, 1, 2))
        known = source(shared_by(ORDINAL, 2), also=(extra,))
        driver = self.drive(ORDINAL, (known,), budget_trials=ORDINAL.size)
        found = driver.run(ORDINAL.size)
        assert len(set(found)) == ORDINAL.size

    def test_options_unknown_to_the_source_are_explored(self) -> None:
        """Options that the source does not know are varied too."""
        levels = set()
        for seed in range(6):
            driver = self.drive(ORDINAL, (source(shared_by(ORDINAL, 2)),), seed=seed)
            levels |= {indices[2] for indices in driver.run(3)}
        assert levels == {0, 1, 2}

    def test_a_source_in_another_unit(self) -> None:
        """It is used for its shape, or refused with a typed error (`same_unit_only`)."""
        other = source(ORDINAL, metric=TICKS)
        if self.same_unit_only:
            with pytest.raises(TunerError):
                self.strategy().check(context_for(ORDINAL, (other,)))
        else:
            self.fresh(ORDINAL, self.drive(ORDINAL, (other,)).run(8))

    @staticmethod
    def believes(driver: Driver) -> None:
        """Assert that the sampler's belief, if it reports one, is in range."""
        base = driver.study.sampler
        belief = getattr(base, "belief", None) or getattr(getattr(base, "_base", None), "belief", None)
        if belief is None:
            return
        assert isinstance(belief, Belief)
        assert all(-1e-9 <= w <= 1 + 1e-9 for w in belief.sources.values())
        assert all(-1e-9 <= share <= 1 + 1e-9 for _, share in belief.terms)
        assert all(-1e-9 <= p <= 1 + 1e-9 for p in belief.probability_within.values())

    # --- on its own ------------------------------------------------------------------------------

    @pytest.mark.parametrize("with_source", [True, False])
    def test_on_its_own_in_an_optuna_study(self, with_source: bool) -> None:
        """The sampler works in ``study.optimize`` over parameters of every kind, maximising too."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        known = (source(ORDINAL),) if with_source else ()
        for direction in ("minimize", "maximize"):
            study = optuna.create_study(sampler=self.standalone(known, 1), direction=direction)
            study.optimize(_objective, n_trials=12)
            assert len(study.trials) == 12
            assert all(t.state.name == "COMPLETE" for t in study.trials)

    # --- a model of the target -------------------------------------------------------------------

    def test_it_makes_models_where_it_says_so(self) -> None:
        """`makes_models` is what the strategy is."""
        assert isinstance(self.strategy(), ModellingStrategy) == self.makes_models

    @pytest.mark.parametrize(
        ("name", "count"),
        [
            *itertools.product(("ordinal", "conditional", "a table with holes"), (1, 6, 10_000)),
            *itertools.product(("60 options",), (1, 6)),
        ],
    )
    def test_a_design_keeps_to_the_budget(self, name: str, count: int) -> None:
        """At most `count` configurations, distinct and in the space."""
        space, maker = SPACES[name], self.maker()
        context = context_for(space, self.sources_for(space), budget_trials=count)
        design = list(maker.design(context, count, "rt"))
        assert len(design) <= count
        assert all(c in space for c in design)
        assert len({configuration_key(c) for c in design}) == len(design)

    @pytest.mark.parametrize("name", ["ordinal", "conditional", "60 options"])
    def test_a_model_of_positive_values_predicts_positive_values(self, name: str) -> None:
        """Finite, positive, one per configuration."""
        import math

        space, maker = SPACES[name], self.maker()
        context = context_for(space, self.sources_for(space))
        measured: list[Configuration] = list(maker.design(context, 8, "rt"))
        values = [latency_s(c) for c in measured]
        predicted = list(maker.target_model(context, "rt", measured, values).predict(_asked(space)))
        assert len(predicted) == len(_asked(space))
        assert all(math.isfinite(v) and v > 0 for v in predicted)

    def maker(self) -> ModellingStrategy:
        """Return the strategy as one that also makes models of the target."""
        strategy = self.strategy()
        assert isinstance(strategy, ModellingStrategy)
        return strategy


def _asked(space: ConfigurationSpace) -> Sequence[Configuration]:
    if space.size <= 100:
        return list(space.configurations())
    return [space.from_indices([i % len(o.values) for o in space.options]) for i in range(4)]


def _objective(trial: optuna.Trial) -> float:
    cores = trial.suggest_int("cores", 1, 4)
    clock = trial.suggest_float("cpu_freq_hz", 3e5, 2e6, log=True)
    level = trial.suggest_float("gpu_freq_hz", 0.0, 1.0)
    governor = trial.suggest_categorical("governor", ["performance", "powersave"])
    return 1.0 / cores + 1e6 / clock + (1.0 - level) ** 2 + (governor == "powersave")
