"""Runs SMAC or OpenBox in its own environment (it imports nothing of tuner): see `benchmarks/large_space.py`.

The first line of stdin is the problem; each line ``{"ask": [level indices]}`` on stdout is answered by a line
``{"tell": value}``.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence

Measure = Callable[[Sequence[int]], float]


def main() -> None:
    problem = json.loads(sys.stdin.readline())
    answers, sys.stdout = sys.stdout, sys.stderr  # what the libraries print goes elsewhere

    def measure(indices: Sequence[int]) -> float:
        print(json.dumps({"ask": [int(i) for i in indices]}), file=answers, flush=True)
        return float(json.loads(sys.stdin.readline())["tell"])

    {"smac": run_smac, "openbox": run_openbox}[problem["method"]](problem, measure)


def run_smac(problem: dict, measure: Measure) -> None:
    """SMAC3's HyperparameterOptimizationFacade (random forest, log expected improvement), no source."""
    from ConfigSpace import Categorical, ConfigurationSpace, Integer
    from smac import HyperparameterOptimizationFacade, Scenario
    from smac.runhistory.dataclasses import TrialValue

    space = ConfigurationSpace(seed=problem["seed"])
    for o in problem["options"]:
        if o["kind"] == "ordinal":
            space.add(Integer(o["name"], (0, o["levels"] - 1)))
        else:
            space.add(Categorical(o["name"], list(range(o["levels"]))))
    scenario = Scenario(
        space,
        n_trials=problem["evaluations"],
        deterministic=True,
        seed=problem["seed"],
        output_directory=f"smac-output/{problem['seed']}",
    )
    # The facade itself models the logs of what it is told. By default its model learns after every eighth value;
    # here after each, which is to its advantage.
    selector = HyperparameterOptimizationFacade.get_config_selector(scenario, retrain_after=1)
    facade = HyperparameterOptimizationFacade(
        scenario, lambda config, seed=0: 0.0, config_selector=selector, overwrite=True
    )
    for _ in range(problem["evaluations"]):
        info = facade.ask()
        value = measure([info.config[o["name"]] for o in problem["options"]])
        facade.tell(info, TrialValue(cost=value))


def run_openbox(problem: dict, measure: Measure) -> None:
    """OpenBox with RGPE over the source's measurements; "auto" makes it an ensemble of random forests here."""
    from openbox import Advisor, History, Observation
    from openbox import space as sp

    space = sp.Space()
    for o in problem["options"]:
        if o["kind"] == "ordinal":
            space.add_variable(sp.Int(o["name"], 0, o["levels"] - 1))
        else:
            space.add_variable(sp.Categorical(o["name"], [str(i) for i in range(o["levels"])]))

    def configuration(indices: Sequence[int]) -> sp.Configuration:
        pairs = zip(problem["options"], indices, strict=True)
        return sp.Configuration(space, values={o["name"]: i if o["kind"] == "ordinal" else str(i) for o, i in pairs})

    history = History(task_id="source", config_space=space)
    for indices, value in zip(problem["source"]["indices"], problem["source"]["values"], strict=True):
        history.update_observation(Observation(config=configuration(indices), objectives=[math.log(value)]))
    advisor = Advisor(
        space,
        num_objectives=1,
        task_id=f"target{problem['seed']}",
        random_state=problem["seed"],
        surrogate_type="auto",
        transfer_learning_history=[history],
        initial_trials=3,
    )
    for _ in range(problem["evaluations"]):
        config = advisor.get_suggestion()
        value = measure([int(config[o["name"]]) for o in problem["options"]])
        advisor.update_observation(Observation(config=config, objectives=[math.log(value)]))


if __name__ == "__main__":
    main()
