"""Every installed performance model: the estimator's contract, learning, uncertainty, saving."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
from sklearn.exceptions import NotFittedError
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils.estimator_checks import check_estimator

from tuner import models, registry
from tuner.errors import MalformedFileError, TunerError, UnknownModelError, UsageError
from tuner.models.encoding import encode
from tuner.models.persistence import from_document, to_document
from tuner.tables.table import read_table, table_source

LEARNERS = ["boosted", "forest", "gp", "nn", "rt", "stepwise", "transfer"]
WITH_STD = ["forest", "gp", "stepwise", "transfer"]


def data(rows: int = 60, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    design = rng.choice([-1.0, -0.5, 0.0, 0.5, 1.0], size=(rows, 3))
    log = 0.6 * design[:, 0] - 0.3 * design[:, 1] + 0.2 * design[:, 0] * design[:, 1]
    return design, np.exp(log + 0.01 * rng.standard_normal(rows))


def test_all_are_installed() -> None:
    assert set(LEARNERS) <= set(registry.names("models"))


@pytest.mark.parametrize("name", LEARNERS)
def test_scikit_learns_own_checks(name: str) -> None:
    model = models.create(name)
    # Few trees are enough to check a contract.
    small = {"trees": 5, "restarts": 0}
    model.set_params(**{k: v for k, v in small.items() if k in model.get_params()})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(model, on_fail=None)
    failed = {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    assert failed == {}, failed


@pytest.mark.parametrize("name", LEARNERS)
def test_it_learns(name: str) -> None:
    design, values = data()
    unseen, truth = data(seed=1)
    model = models.create(name).fit(design, values)
    err = np.mean(np.abs(model.predict(unseen) - truth) / truth)
    constant = np.mean(np.abs(values.mean() - truth) / truth)
    assert err < 0.3 * constant


@pytest.mark.parametrize("name", LEARNERS)
def test_equal_seeds_give_equal_models(name: str) -> None:
    design, values = data()
    model = models.create(name)
    a, b = (clone(model).fit(design, values).predict(design) for _ in range(2))
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", LEARNERS)
def test_values_of_any_sign(name: str) -> None:
    design, values = data()
    shifted = values - values.mean()
    predicted = models.create(name).fit(design, shifted).predict(design)
    assert np.corrcoef(predicted, shifted)[0, 1] > 0.9


@pytest.mark.parametrize("name", WITH_STD)
def test_uncertainty_grows_away_from_the_data(name: str) -> None:
    rng = np.random.default_rng(0)
    design = rng.uniform(-1.0, 0.0, size=(40, 2))
    values = np.exp(0.5 * design[:, 0] + 0.05 * rng.standard_normal(40))
    model = models.create(name).fit(design, values)
    near, far = (model.predict(np.full((1, 2), -0.5), return_std=True), model.predict(np.ones((1, 2)), return_std=True))
    assert near[1][0] >= 0
    assert far[1][0] / far[0][0] >= near[1][0] / near[0][0] or name == "forest"  # trees are flat outside


@pytest.mark.parametrize("name", sorted(set(LEARNERS) - set(WITH_STD)))
def test_no_uncertainty_is_said(name: str) -> None:
    model = models.create(name).fit(*data())
    with pytest.raises(ValueError, match="no uncertainty"):
        model.predict(data()[0], return_std=True)


@pytest.mark.parametrize("name", LEARNERS)
def test_saved_and_loaded(name: str) -> None:
    design, values = data()
    model = models.create(name).fit(design, values)
    text = json.dumps(to_document(model), allow_nan=False)
    again = from_document(json.loads(text))
    unseen, _ = data(seed=2)
    np.testing.assert_allclose(again.predict(unseen), model.predict(unseen), rtol=1e-9)
    if name in WITH_STD:
        np.testing.assert_allclose(
            again.predict(unseen, return_std=True)[1], model.predict(unseen, return_std=True)[1], rtol=1e-6, atol=1e-9
        )


def test_a_model_that_was_not_fitted_is_not_saved() -> None:
    with pytest.raises(NotFittedError):
        to_document(models.create("rt"))


def test_a_source_is_saved_with_the_model() -> None:
    design, values = data(12)
    source, theirs = data(60, seed=3)
    model = models.create("transfer").set_params(source_X=source, source_y=2.0 * theirs).fit(design, values)
    again = from_document(json.loads(json.dumps(to_document(model))))
    unseen, truth = data(seed=4)
    np.testing.assert_allclose(again.predict(unseen), model.predict(unseen), rtol=1e-9)
    alone = models.create("transfer").fit(design, values).predict(unseen)
    assert np.mean(np.abs(model.predict(unseen) / truth - 1)) < np.mean(np.abs(alone / truth - 1))


@pytest.mark.parametrize(
    "document",
    [None, [], {}, {"format": 99}, {"format": 1, "learner": "rt"}, {"format": 1, "learner": "rt", "columns": 0}],
)
def test_what_is_no_document(document: Any) -> None:
    with pytest.raises(MalformedFileError):
        from_document(document)


def test_an_unknown_learner() -> None:
    with pytest.raises(UnknownModelError, match="rtt"):
        from_document({"format": 1, "learner": "rtt"})


@settings(max_examples=100)
@given(st.data())
def test_damaged_documents_raise_nothing_else(drawn: Any) -> None:
    name = drawn.draw(st.sampled_from(LEARNERS))
    model = models.create(name)
    small = {"trees": 2, "restarts": 0}
    model.set_params(**{k: v for k, v in small.items() if k in model.get_params()})
    document = json.loads(json.dumps(to_document(model.fit(*data(12)))))
    # Walk to some place of the document and put something else there.
    at: Any = document
    while True:
        key = drawn.draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
        if not isinstance(at[key], (dict, list)) or not at[key] or drawn.draw(st.booleans()):
            break
        at = at[key]
    junk = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-3, 3),
        st.sampled_from([2**40, 10**400]),
        st.floats(),
        st.text(max_size=3),
        st.just([]),
        st.just([[1.0]]),
        st.just({}),
    )
    at[key] = drawn.draw(junk)
    try:
        loaded = from_document(document)
    except TunerError:
        return
    # What was loaded all the same predicts and is saved again: the damage keeps the numbers' form.
    with np.errstate(over="ignore", invalid="ignore"):
        if loaded.n_features_in_ == 3:  # a tree that asks for few columns fits a wider design too
            loaded.predict(np.zeros((2, 3)))
    json.dumps(to_document(loaded), allow_nan=False)


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("columns", [2**40, 10**400, -1, True, 3.0, "3"])
def test_columns_that_no_space_has(name: str, columns: Any) -> None:
    document = to_document(models.create(name).fit(*data(12)))
    with pytest.raises(MalformedFileError, match="columns"):
        from_document({**document, "columns": columns})


@pytest.mark.parametrize("name", sorted(set(LEARNERS) - {"rt", "nn", "transfer"}))
def test_a_truth_in_text_is_no_truth(name: str) -> None:
    document = to_document(models.create(name).fit(*data(12)))
    document["state"]["log"] = "false"
    with pytest.raises(MalformedFileError, match="true or false"):
        from_document(document)


def test_a_parameter_that_json_cannot_hold() -> None:
    model = models.create("rt").set_params(random_state=np.random.RandomState(0)).fit(*data(12))
    with pytest.raises(UsageError, match="random_state"):
        to_document(model)
    document = to_document(models.create("rt").fit(*data(12)))
    document["params"]["random_state"] = float("nan")
    with pytest.raises(MalformedFileError, match="parameter"):
        from_document(document)


def scikit_learns_own(name: str, design: Any, values: Any) -> Any:
    """Return the function by which scikit-learn's own estimator predicts what `name` does."""
    if name == "rt":
        return DecisionTreeRegressor(random_state=0).fit(design, values).predict
    if name == "nn":
        network = MLPRegressor(
            hidden_layer_sizes=(40,), activation="tanh", solver="lbfgs", max_iter=1000, random_state=0
        )
        pipeline = make_pipeline(StandardScaler(), network)
        return TransformedTargetRegressor(pipeline, transformer=StandardScaler()).fit(design, values).predict
    own = {
        "forest": RandomForestRegressor(100, random_state=0),
        "boosted": GradientBoostingRegressor(n_estimators=200, random_state=0),
    }[name].fit(design, np.log(values))
    return lambda unseen: np.exp(own.predict(unseen))


@pytest.mark.parametrize("name", ["rt", "nn", "forest", "boosted"])
def test_predicts_as_scikit_learns_own_estimator(name: str, shared_data: Path) -> None:
    source = table_source(read_table(shared_data / "opml19_tx2" / "inceptionv3_600x600.csv"))
    design = encode(source.options, source.configurations)
    values = np.array(source.values["inference_time_s"])
    known = np.random.default_rng(0).permutation(len(values))[:100]
    theirs = scikit_learns_own(name, design[known], values[known])
    ours = models.create(name).fit(design[known], values[known])
    # L-BFGS amplifies how the last digits were rounded; trees are the same arrays.
    np.testing.assert_allclose(ours.predict(design), theirs(design), rtol=1e-6 if name == "nn" else 1e-9)


def test_the_process_predicts_as_scikit_learns_own() -> None:
    design, values = data(40)
    unseen, _ = data(seed=1)
    ours = models.create("gp").fit(design, values)
    # scikit-learn's process at the hyperparameters that ours chose.
    kernel = ConstantKernel(ours.variance_) * Matern(ours.lengths_, nu=2.5) + WhiteKernel(ours.noise_)
    z = (np.log(values) - np.log(values).mean()) / np.log(values).std()
    theirs = GaussianProcessRegressor(kernel, optimizer=None).fit(design, z)
    mean, deviation = theirs.predict(unseen, return_std=True)
    spread = np.log(values).std()
    expected = np.exp(np.log(values).mean() + spread * mean)
    latent = spread**2 * np.maximum(deviation**2 - ours.noise_, 0.0)  # theirs holds one measurement's noise too
    predicted, std = ours.predict(unseen, return_std=True)
    np.testing.assert_allclose(predicted, expected, rtol=1e-6)
    np.testing.assert_allclose(std, predicted * np.sqrt(np.expm1(latent)), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("metric", ["inference_time_s", "energy_mw_samples"])
def test_stepwise_agrees_with_statsmodels_refit(shared_data: Path, metric: str) -> None:
    from statsmodels.regression.linear_model import OLS

    source = table_source(read_table(shared_data / "opml19_tx2" / "inceptionv3_600x600.csv"))
    design = encode(source.options, source.configurations)
    values = np.array(source.values[metric])
    model = models.create("stepwise").fit(design, values)
    names = [f"x{i}" for i in range(design.shape[1])]
    columns = [np.prod(design[:, [names.index(o) for o in t.options]], axis=1) for t in model.fit_.terms]
    refit = OLS(np.log(values), np.column_stack([np.ones(len(values)), *columns])).fit()
    np.testing.assert_allclose([t.coefficient for t in model.fit_.terms], refit.params[1:], rtol=1e-8)
    np.testing.assert_allclose([t.p_value for t in model.fit_.terms], refit.pvalues[1:], rtol=1e-6, atol=1e-12)
    assert max(t.p_value for t in model.fit_.terms) <= 0.05
    assert str(model.fit_.formula).startswith("log(y) ~ ")
    predicted = refit.get_prediction(np.column_stack([np.ones(len(values)), *columns])).se_mean
    mean, std = model.predict(design, return_std=True)
    np.testing.assert_allclose(std, mean * np.sqrt(np.expm1(predicted**2)), rtol=1e-6)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_stepwise_keeps_to_the_order(order: int) -> None:
    rng = np.random.default_rng(0)
    design = rng.choice([-1.0, 1.0], size=(200, 4))
    response = design[:, 0] + design[:, 1] + 0.5 * design[:, 2] + 0.7 * design[:, 0] * design[:, 1] * design[:, 2]
    model = models.create("stepwise").set_params(order=order).fit(design, np.exp(response + 0.01 * rng.random(200)))
    assert from_document(to_document(model)).fit_ == model.fit_
    longest = max(len(t.options) for t in model.fit_.terms)
    assert longest <= order
    assert (longest == 3) == (order == 3)


@pytest.mark.parametrize("order", [0, 4, 1.5, "2"])
def test_stepwise_refuses_other_orders(order: Any) -> None:
    with pytest.raises(ValueError, match="order must be 1, 2 or 3"):
        models.create("stepwise").set_params(order=order).fit(*data())


def test_stepwise_prints_the_options_names() -> None:
    model = models.create("stepwise").set_params(names=["gpu", "cpu", "emc"]).fit(*data())
    again = from_document(json.loads(json.dumps(to_document(model))))
    assert again.fit_.formula == model.fit_.formula == "log(y) ~ gpu + cpu + gpu:cpu"
    assert (again.fit_.terms[0].name, round(again.fit_.terms[0].coefficient, 4)) == ("gpu", 0.5989)
    for names in (["gpu", "cpu"], ["gpu", "gpu", "emc"], ["gpu", "cpu", 3]):
        with pytest.raises(ValueError, match="3 different ones"):
            clone(model).set_params(names=names).fit(*data())
