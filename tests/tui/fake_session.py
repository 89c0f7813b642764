"""Plausible events, for tests and for looking at the live face: ``python tests/tui/fake_session.py``.

Nothing here is a measurement: the numbers come from a formula.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict

from tuner.events import (
    Event,
    ImportanceUpdated,
    Notice,
    SensorReading,
    SessionFinished,
    SessionStarted,
    TrialFinished,
    TrialPhase,
    TrialReading,
    TrialStarted,
)
from tuner.measurement.price import Price
from tuner.space import OptionValue

OPTIONS: dict[str, tuple[OptionValue, ...]] = {
    "a57_cores_online": (0, 1, 2, 3, 4),
    "denver_cores_online": (0, 1, 2),
    "cpu_freq_khz": (345600, 806400, 1267200, 1574400, 2035200),
    "gpu_freq_hz": (114750000, 522750000, 930750000, 1134750000, 1300500000),
    "emc_freq_hz": (408000000, 1062400000, 1600000000, 1866000000),
    "scheduling_policy": ("SCHED_OTHER", "SCHED_FIFO"),
}


def many_options(count: int) -> dict[str, tuple[OptionValue, ...]]:
    """Return `count` options, for crowded screens."""
    return {f"option_number_{i}": tuple(range(4)) for i in range(count)}


def events(
    trials: int = 30,
    options: Mapping[str, tuple[OptionValue, ...]] = OPTIONS,
    start_s: float = 1_000_000.0,
    trial_s: float = 2.0,
) -> Iterator[Event]:
    """Yield the events of a session; their times advance by `trial_s` a trial."""
    rng = random.Random(1)
    now_s = start_s
    yield SessionStarted(
        now_s,
        study="fake-energy",
        device="emulated:fake-board",
        device_reason="named by --device",
        board="fake-board",
        workload="reference",
        emulated=True,
        objective="energy",
        unit="J",
        constraints=("latency <= 120 ms",),
        strategy="tpe",
        options=options,
        unavailable={"fan_pwm": "no such file in sysfs"},
        space_size=4800,
        budget=f"{trials}",
        budget_trials=trials,
        budget_s=None,
    )
    yield Notice(now_s, "info", "weights of the reference network are synthetic")
    baseline: dict[str, OptionValue] = {name: values[-1] for name, values in options.items()}
    best_value, best_trial, best, baseline_value = math.inf, 0, baseline, 0.0
    for trial in range(trials):
        origin = "baseline" if trial == 0 else "tpe"
        chosen = baseline if trial == 0 else {name: rng.choice(values) for name, values in options.items()}
        value = 0.4 * (1 + 0.1 * rng.random()) * (1 if trial == 0 else 0.5 + rng.random() * 0.9)
        failed = trial % 11 == 10
        yield TrialStarted(now_s, trial, chosen, origin)
        for step, phase in enumerate(("apply", "warm-up", "measure")):
            yield TrialPhase(now_s + trial_s * step / 5, trial, phase)
        for repeat in range(3, 6):
            at_s = now_s + trial_s * repeat / 6
            values = {"energy_j": value, "latency_s": 0.03 + value / 20, "power_w": 7 + value * 3}
            yield TrialReading(at_s, trial, repeat, values, 0.05 / repeat)
            temperature_c = 40 + 10 * math.sin(trial / 5) + repeat
            yield SensorReading(at_s, temperature_c, 6 + 4 * value + 0.3 * repeat)
        now_s += trial_s
        if trial == 0:
            baseline_value = value
        if not failed and value < best_value:
            best_value, best_trial, best = value, trial, dict(chosen)
        yield TrialFinished(
            now_s,
            trial,
            state="failed" if failed else "complete",
            configuration=chosen,
            origin=origin,
            value=None if failed else value,
            values={} if failed else {"energy_j": value},
            ci=None if failed else (value * 0.99, value * 1.01),
            reason="gpu_freq_hz reads back 1134750000 Hz" if failed else "",
            best_value=best_value,
            best_trial=best_trial,
            baseline_value=baseline_value,
            saving_percent=100 * (1 - best_value / baseline_value),
            duration_s=trial_s,
        )
        if trial >= 5 and trial % 3 == 0:
            weights = [1 / (i + 1) for i in range(len(options))]
            shares = [w / sum(weights) for w in weights]
            yield ImportanceUpdated(now_s, dict(zip(options, shares, strict=True)))
    yield SessionFinished(
        now_s,
        study="fake-energy",
        objective="energy",
        unit="J",
        best=best,
        best_value=best_value,
        baseline_value=baseline_value,
        saving_percent=100 * (1 - best_value / baseline_value),
        saving_ci_percent=(30.1, 41.7),
        saving_ci_basis="95% by Student's t of 6 rounds",
        trials=trials,
        failed=trials // 11,
        feasible=True,
        stopped_by="budget",
        profile="/nowhere/best.toml",
        apply_command="tuner profile apply /nowhere/best.toml",
        values={"energy_j": best_value, "latency_s": 0.05},
        baseline=baseline,
        confirmed=True,
        result="saves 37.2% ± 4.5% energy, latency +25%",
        price={
            "energy_j": asdict(
                Price(
                    quantity="energy",
                    unit="J",
                    baseline=baseline_value,
                    best=best_value,
                    change_percent=-37.2,
                    change_ci_percent=(-41.7, -30.1),
                )
            ),
            "latency_s": asdict(Price(quantity="latency", unit="s", baseline=0.04, best=0.05, change_percent=25.0)),
        },
    )


def main() -> None:
    """Feed the face that fits this terminal in real time, then print the summary."""
    from rich.console import Console

    from tuner.tui.choose import choose_face
    from tuner.tui.summary import print_summary

    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--trial-s", type=float, default=1.0)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--crash-at", type=int, default=None, help="raise at this trial")
    parser.add_argument("--hold-at", type=int, default=None, help="stop feeding at this trial till a signal comes")
    given = parser.parse_args()
    finished = None
    with choose_face(given.json, given.plain, sys.stdout) as sink:
        began_s = time.time()
        for event in events(given.trials, start_s=began_s, trial_s=given.trial_s):
            time.sleep(max(0.0, event.time_s - time.time()))
            sink(event)
            if isinstance(event, TrialReading) and event.repeats == 5:
                if event.trial == given.crash_at:
                    raise RuntimeError("crash asked for by --crash-at")
                while event.trial == given.hold_at:
                    time.sleep(1)
            if isinstance(event, SessionFinished):
                finished = event
    if finished is not None and not given.json:
        print_summary(Console(), finished)


if __name__ == "__main__":
    main()
