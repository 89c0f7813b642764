"""Many cases on one place, each drawn from (seed, number) alone, so that any of them can be run again alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.kills.case import Case, CaseError
from tests.kills.place import PLACES, Place, standing
from tests.kills.scenarios import SCENARIOS, Scenario
from tests.kills.strike import Course, Plan, Victim, count, strike

#: A restore that is killed, too, gets the signal at one of its first changes.
_RESTORE = Victim("-m tuner restore")


@dataclass(frozen=True)
class Verdict:
    """The result of a case: a line to print, whether there was a kill, and what is wrong (else ``""``)."""

    line: str
    killed: bool
    trouble: str


class Campaign:
    """Cases on one place.

    Args:
        name: The place's, of `PLACES`.
        seed: Of everything random.
        folder: Where the place and the cases live; short, for the sake of socket names.
        keep: Keep the folder of a case that failed.
    """

    def __init__(self, name: str, seed: int, folder: Path, keep: bool = False) -> None:
        self._name, self._seed, self._folder, self._keep = name, seed, folder, keep
        self._courses: dict[str, Course] = {}
        self._complete: dict[str, tuple[str, ...]] = {}
        self._mounts = 0

    def run(self, numbers: Sequence[int]) -> Iterator[Verdict]:
        """Run the cases of these numbers; a place that one left dirty is mounted again."""
        left = list(numbers)
        while left:
            with self._standing() as place:
                while left and not place.dirty():
                    yield self._one(place, left.pop(0))

    @contextmanager
    def _standing(self) -> Iterator[Place]:
        self._mounts += 1
        folder = self._folder / f"{self._name}{self._mounts}"
        folder.mkdir()
        with standing(self._name, folder) as place:
            # What was learned holds on: only paths of the emulated board itself are compared.
            yield place

    def _one(self, place: Place, number: int) -> Verdict:
        rng = random.Random(f"{self._seed}:{number}")
        what = rng.choices(list(SCENARIOS), [s.weight for s in SCENARIOS.values()])[0]
        plan = Plan.draw(rng, SCENARIOS[what].victim)
        head = f"{number} {place.name}: {what}, {plan.names}"
        case, killed, trouble = self._case(place, str(number), rng), False, ""
        try:
            course = self._courses.get(what) or self._learn(place, what)
            head = f"{head} {plan.when(course)}"
            killed = self._kill(case, SCENARIOS[what], plan, course)
        except CaseError as error:
            trouble = f"{head}\n  {'; '.join(case.history)}\n  {error}"
        finally:
            case.close(self._keep and bool(trouble))
        outcome = "" if killed else " (it had ended before)"
        return Verdict(f"{head}{outcome}: {'; '.join(case.history)}", killed, trouble)

    def _kill(self, case: Case, scenario: Scenario, plan: Plan, course: Course) -> bool:
        scenario.prepare(case)
        killed = strike(case, scenario.launch, scenario.victim, plan, course)
        self._recover(case, scenario)
        case.check(self._allowed(scenario))
        return killed

    def _case(self, place: Place, name: str, rng: random.Random) -> Case:
        return Case(place, self._folder / f"c{name}", rng)

    def _recover(self, case: Case, scenario: Scenario) -> None:
        """Let the service recover, then restore; the restore is killed, too, up to two times."""
        scenario.recover(case)
        while case.rng.random() < 0.3:
            plan = Plan("step", case.rng.random(), Plan.draw(case.rng, _RESTORE).signals, 0.05)
            course = Course(8, 8, 1.0)
            strike(case, lambda c, hook: c.start(c.tuner("restore"), hook), _RESTORE, plan, course)
            case.history.append("so did a restore that was killed")
        case.must("restore")

    def _allowed(self, scenario: Scenario) -> list[tuple[str, ...]]:
        return [self._complete[state] for state in {scenario.before, scenario.after} if state]

    # --- what an undisturbed run does -------------------------------------------------------------

    def _learn(self, place: Place, what: str) -> Course:
        """Run a scenario undisturbed: how long it is, and what the board has when a profile is complete.

        Raises:
            CaseError: even that does not end well.
        """
        scenario = SCENARIOS[what]
        if (scenario.before or scenario.after) and not self._complete:
            self._learn_profiles(place)
        case = self._case(place, f"l{len(self._courses)}", random.Random(0))
        try:
            scenario.prepare(case)
            course = count(case, scenario.launch, scenario.victim)
            scenario.recover(case)
            case.must("restore")
            case.check(self._allowed(scenario))
        finally:
            case.close(False)
        self._courses[what] = course
        return course

    def _learn_profiles(self, place: Place) -> None:
        case = self._case(place, "profiles", random.Random(0))
        try:
            for state, second in (("first", False), ("both", True)):
                case.must("profile", "apply", str(case.profile(second)))
                self._complete[state] = place.dirty()
            case.must("profile", "apply", str(case.profile()), "--revert")
            if place.dirty() or not self._complete["first"]:
                raise CaseError("a profile is not applied and reverted even undisturbed")
        finally:
            case.close(False)


def numbers_of(name: str, count: int) -> range:
    """Return which of `count` cases happen on a place."""
    return range(list(PLACES).index(name), count, len(PLACES))


def run_all(count: int, seed: int, folder: Path, only: int | None, keep: bool, tell: Callable[[Verdict], None]) -> None:
    """Run `count` cases on all places (or the one case `only`)."""
    for name in PLACES:
        numbers = numbers_of(name, count)
        chosen = list(numbers) if only is None else [n for n in [only] if n % len(PLACES) == numbers.start]
        for verdict in Campaign(name, seed, folder, keep).run(chosen):
            tell(verdict)
