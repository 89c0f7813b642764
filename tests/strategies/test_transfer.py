"""The strategy `transfer` on real tables and on spaces made up for a purpose."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from tuner.objective import Metric, Objective, find_metric
from tuner.ports import Belief, SourceData, StrategyContext
from tuner.search.candidates import Candidates
from tuner.search.observations import Observations
from tuner.space import Condition, ConfigurationSpace, Option, table_space
from tuner.study.distributions import suggest
from tuner.tables.table import read_table, table_source
from tuner_plugins.strategies.transfer.predictor import TransferPredictor
from tuner_plugins.strategies.transfer.strategy import TransferSampler, TransferStrategy

optuna.logging.set_verbosity(optuna.logging.WARNING)

SOURCE = "inceptionv3_600x600"
TARGETS = ("inceptionv3_400x400", "xception_200x200", "xception_600x600")


class Target:
    """A measured table as something to be tuned."""

    def __init__(self, folder: Path, stem: str, quantity: str) -> None:
        table = read_table(folder / "opml19_tx2" / f"{stem}.csv")
        source = table_source(table)
        metric = find_metric(quantity, source.metrics)
        assert metric is not None
        self.metric, self.quantity = metric, quantity
        self.space = table_space(table.options, table.configurations)
        self.candidates = Candidates(self.space)
        assert self.space.rows is not None
        self.values = dict(zip(self.space.rows, source.values[metric.name], strict=True))

    def until_best(self, sources: tuple[SourceData, ...], most: int, seed: int = 0) -> tuple[int, Belief | None]:
        """Return after how many measurements the table's least value was found (`most` + 1: not)."""
        predictor = TransferPredictor(self.candidates, sources, self.quantity)
        sampler = TransferSampler(self.space, seed=seed, predictor=predictor)
        rng, rows = np.random.default_rng(seed), []
        best = min(self.values.values())
        for count in range(1, most + 1):
            told = observations(rows, [self.values[r] for r in rows], len(self.space.options))
            chosen = sampler.suggest(self.candidates, told, rng)
            assert chosen is not None
            rows.append(tuple(chosen))
            if self.values[rows[-1]] == best:
                return count, sampler.belief
        return most + 1, sampler.belief


def observations(rows: list[Any], values: list[float], width: int) -> Observations:
    n, none = len(rows), np.zeros((0, width), dtype=np.int64)
    return Observations(
        indices=np.array(rows, dtype=np.int64).reshape(n, width),
        values=np.array(values),
        constraints=np.zeros((n, 0)),
        violations=np.zeros(n),
        relative_errors=np.full(n, np.nan),
        failed=none,
        pending=none,
    )


def source_of(folder: Path, stem: str = SOURCE) -> SourceData:
    return table_source(read_table(folder / "opml19_tx2" / f"{stem}.csv"))


def reversed_ranks(source: SourceData, name: str) -> SourceData:
    values = np.array(source.values[name])
    turned, order = np.empty_like(values), np.argsort(values)
    turned[order] = values[order][::-1]
    return replace(source, values={**source.values, name: tuple(turned)})


def shuffled(source: SourceData, name: str) -> SourceData:
    values = np.random.default_rng(0).permutation(np.array(source.values[name]))
    return replace(source, name="shuffled", values={**source.values, name: tuple(values)})


@pytest.mark.parametrize("quantity", ["latency", "energy"])
@pytest.mark.parametrize("stem", TARGETS)
def test_the_optimum_of_a_related_table(shared_data: Path, stem: str, quantity: str) -> None:
    count, _ = Target(shared_data, stem, quantity).until_best((source_of(shared_data),), 12)
    assert count <= 12


@pytest.mark.parametrize("quantity", ["latency", "energy"])
def test_a_source_that_misleads_is_overcome(shared_data: Path, quantity: str) -> None:
    target = Target(shared_data, "xception_200x200", quantity)
    count, _ = target.until_best((reversed_ranks(source_of(shared_data), target.metric.name),), 30)
    assert count <= 30


@pytest.mark.parametrize("quantity", ["latency", "energy"])
def test_no_source_is_needed(shared_data: Path, quantity: str) -> None:
    count, belief = Target(shared_data, "inceptionv3_400x400", quantity).until_best((), 35)
    assert count <= 35
    assert belief is not None
    assert belief.sources == {}


def test_of_two_sources_the_one_that_is_borne_out_counts(shared_data: Path) -> None:
    target = Target(shared_data, "xception_600x600", "energy")
    good = source_of(shared_data)
    bad = replace(reversed_ranks(good, target.metric.name), name="bad")
    predictor = TransferPredictor(target.candidates, (bad, good), "energy")
    sampler = TransferSampler(target.space, seed=0, predictor=predictor)
    rows = list(target.values)[::97]
    sampler.suggest(
        target.candidates, observations(rows, [target.values[r] for r in rows], 7), np.random.default_rng(0)
    )
    assert sampler.belief is not None
    weights = sampler.belief.sources
    assert weights[good.name] > 0.9 > 0.1 > weights["bad"]


def test_noise_is_no_source(shared_data: Path) -> None:
    target = Target(shared_data, "xception_600x600", "latency")
    assert not TransferPredictor(
        target.candidates, (shuffled(source_of(shared_data), target.metric.name),), "latency"
    ).names


def test_levels_that_the_source_never_saw_are_found(shared_data: Path) -> None:
    target, full = Target(shared_data, "xception_200x200", "latency"), source_of(shared_data)
    (gpu,) = [o for o in full.options if o.name == "gpu_freq_hz"]
    kept = [i for i, c in enumerate(full.configurations) if c["gpu_freq_hz"] in gpu.values[:2]]
    part = SourceData(
        "low clocks",
        tuple(replace(o, values=o.values[:2]) if o.name == "gpu_freq_hz" else o for o in full.options),
        tuple(full.configurations[i] for i in kept),
        {m: tuple(v[i] for i in kept) for m, v in full.values.items()},
        full.metrics,
    )
    assert target.until_best((part,), 25)[0] <= 25


@pytest.mark.parametrize("quantity", ["latency", "energy"])
@pytest.mark.parametrize("stem", TARGETS)
def test_a_model_from_19_measurements(shared_data: Path, stem: str, quantity: str) -> None:
    target = Target(shared_data, stem, quantity)

    def err(sources: tuple[SourceData, ...]) -> float:
        context = StrategyContext(target.space, Objective(quantity, target.metric), 0, None, sources)
        strategy = TransferStrategy()
        design = strategy.design(context, 19, "rt")
        measured = [target.values[target.space.indices(c)] for c in design]
        model = strategy.target_model(context, "rt", design, measured)
        held = {target.space.indices(c) for c in design}
        others = [r for r in target.values if r not in held]
        predicted = np.array(model.predict([target.space.from_indices(r) for r in others]))
        actual = np.array([target.values[r] for r in others])
        return float(100 * np.mean(np.abs(predicted - actual) / actual))

    with_source = err((source_of(shared_data),))
    assert with_source < 8.0
    assert with_source < err(())


def test_a_belief_is_made_of_probabilities(shared_data: Path) -> None:
    target = Target(shared_data, "inceptionv3_400x400", "energy")
    predictor = TransferPredictor(target.candidates, (source_of(shared_data),), "energy")
    sampler, gains = TransferSampler(target.space, seed=0, predictor=predictor), []
    ordered = sorted(target.values, key=lambda r: -target.values[r])
    for rows in (ordered[:4], [*ordered[:4], *ordered[-20:]]):
        values = [target.values[r] for r in rows]
        sampler.suggest(target.candidates, observations(rows, values, 7), np.random.default_rng(0))
        belief = sampler.belief
        assert belief is not None
        assert all(0.0 <= p <= 1.0 for p in belief.probability_within.values())
        assert belief.probability_within[1.0] <= belief.probability_within[5.0]
        assert all(0.0 <= share <= 1.0 for _, share in belief.terms)
        assert belief.expected_gain_percent is not None
        gains.append(belief.expected_gain_percent)
    assert gains[0] > gains[1] >= 0.0


def grid_space(levels: int = 6, options: int = 3) -> ConfigurationSpace:
    return ConfigurationSpace(tuple(Option(f"o{i}", tuple(range(levels))) for i in range(options)))


def test_constraints_keep_it_away_from_the_forbidden_optimum() -> None:
    space = grid_space()
    study = optuna.create_study(sampler=TransferSampler(space, seed=1))
    feasible = []
    for _ in range(30):
        trial = study.ask()
        x = [suggest(trial, o) for o in space.options]
        trial.set_constraint("sum", 5.0 - sum(x))  # at least 5 in all, where the least value is at 0
        study.tell(trial, float(np.exp(0.2 * sum(x))))
        feasible.append(sum(x) >= 5)
    assert any(feasible)
    best = min(t.value for t, ok in zip(study.trials, feasible, strict=True) if ok)
    assert best == pytest.approx(np.exp(1.0))
    assert sum(feasible[10:]) >= 15


def test_trials_that_run_elsewhere_are_not_asked_for_again() -> None:
    space = grid_space()
    study = optuna.create_study(sampler=TransferSampler(space, seed=1))
    for _ in range(6):
        trial = study.ask()
        study.tell(trial, 1.0 + sum(suggest(trial, o) for o in space.options))
    running = []
    for _ in range(5):
        trial = study.ask()
        running.append(tuple(suggest(trial, o) for o in space.options))
    assert len(set(running)) == 5


def test_a_region_that_fails_is_left() -> None:
    space = grid_space()
    study = optuna.create_study(sampler=TransferSampler(space, seed=3))
    failed = []
    for _ in range(30):
        trial = study.ask()
        x = [suggest(trial, o) for o in space.options]
        broken = x[0] == 0  # where the least values would be
        failed.append(broken)
        if broken:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, float(np.exp(0.2 * sum(x))))
    assert study.best_params == {"o0": 1, "o1": 0, "o2": 0}
    assert sum(failed[20:]) < 8


def test_a_space_too_large_to_store() -> None:
    options = [Option(f"n{i}", tuple(range(4))) for i in range(36)]
    options += [
        Option("mode", ("a", "b", "c"), "categorical"),
        Option("size", (1, 2, 4, 8), condition=Condition("mode", ("b",))),
        Option("fixed", (7,)),
    ]
    space = ConfigurationSpace(tuple(options))
    assert space.size > 10**20
    study = optuna.create_study(sampler=TransferSampler(space, seed=0))
    seen = set()
    for _ in range(8):
        trial = study.ask()
        active = set(trial.relative_params)
        row = tuple(suggest(trial, o) if o.name in active else -1 for o in space.options)
        configuration = space.from_indices(row)
        assert configuration in space
        assert ("size" in configuration) == (configuration["mode"] == "b")
        seen.add(row)
        study.tell(trial, 1.0 + sum(max(0, v) for v in row))
    assert len(seen) == 8


def test_anybodys_study() -> None:
    study = optuna.create_study(sampler=TransferSampler(seed=0), direction="maximize")

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", -2.0, 2.0)
        n = trial.suggest_int("n", 1, 9, step=2)
        kind = trial.suggest_categorical("kind", ["good", "bad"])
        return -((x - 0.5) ** 2) - 0.1 * abs(n - 5) - (kind == "bad")

    study.optimize(objective, n_trials=35)
    assert study.best_value > -0.05


def test_a_source_in_other_units_gives_its_shape() -> None:
    space = grid_space()
    source_metric, metric = Metric("energy_ticks", "energy", "ticks"), Metric("energy_j", "energy", "J")
    configurations = tuple(space.configurations())
    values = tuple(1e6 * float(np.exp(0.3 * c["o0"] - 0.3 * c["o1"])) for c in configurations)  # type: ignore[operator]
    source = SourceData("ticks", space.options, configurations, {"energy_ticks": values}, (source_metric,))
    context = StrategyContext(space, Objective("energy", metric), 0, None, (source,))
    strategy = TransferStrategy()
    strategy.check(context)
    study = optuna.create_study(sampler=strategy.sampler(context))
    trial = study.ask()
    assert (suggest(trial, space.options[0]), suggest(trial, space.options[1])) == (0, 5)
