"""One session from settings to profile: what `tuner start` runs."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tuner.config.resume import resume_command, working_folder
from tuner.config.settings import given
from tuner.config.values import Settings
from tuner.control import ControlSession
from tuner.errors import BoardLostError, DiskFullError, Interrupted, NoTrialError, OverheatedError
from tuner.events import ConfigurationQuarantined, Notice, SessionFinished, Sink
from tuner.objective import find_metric
from tuner.opening import default_context
from tuner.ports import Control, ControlledElsewhere, Device, StopToken
from tuner.profiles import write_profile
from tuner.profiles.kept import profile_path
from tuner.session.loop import BASELINE, Outcome, TrialLoop, report_progress
from tuner.session.result import Result, conclude, finished_event, profile_of
from tuner.session.session import Goal, Session, Target
from tuner.session.setup import (
    journal_dir,
    new_study_name,
    open_strategy,
    open_target,
    read_goal,
    recover_journals,
    require_restored,
    started_event,
)
from tuner.session.stop import TripStop
from tuner.session.supervision import Supervision
from tuner.space import Configuration
from tuner.study.storage import open_storage, storage_url
from tuner.study.study import LeftInFlight, StudyStore, identity

if TYPE_CHECKING:
    from tuner.search.matching import Matching


def run_session(
    settings: Settings, emit: Sink, stop: StopToken, supervision: Supervision | None = None
) -> SessionFinished:
    """Tune, and return (and emit) the result.

    Args:
        settings: The session's.
        emit: Takes the events.
        stop: Ends the session.
        supervision: What the program that runs the session knows of it.

    Raises:
        Interrupted, BoardLostError, OverheatedError, DiskFullError: their hint ends in the command that goes on.
        TunerError: no result; the device is as it was found unless a `RestoreError` says otherwise.
    """
    watched = supervision or Supervision()
    unfinished = recover_journals(emit, watched.rights)
    with TripStop(stop) as either:  # the device's guard ends a workload through the same token as a signal
        target = open_target(default_context(settings, either, watched.rights))
        try:
            require_restored(unfinished, target.device)
            goal = read_goal(settings, target)
            strategy, context = open_strategy(settings, target, goal, either, watched.rights)
            session = Session(
                target=target,
                goal=goal,
                strategy=strategy,
                context=context,
                store=_open_study(settings, target, goal),
                emit=emit,
                stop=either,
                supervision=watched,
            )
            with going_on(session):
                return _tune(session)
        finally:
            target.meter_choice.close()
            target.device.close()


@contextlib.contextmanager
def going_on(session: Session) -> Iterator[None]:
    """Add to an error that ends a session the command that goes on with it."""
    try:
        yield
    except (Interrupted, BoardLostError, OverheatedError, DiskFullError) as error:
        error.hint = f"{error.hint} Go on with: {_resume(session)}".lstrip()
        raise


def _resume(session: Session) -> str:
    name, made = session.store.name, session.supervision.resume
    return made(name) if made else resume_command(given(session.settings), name, working_folder())


def _open_study(settings: Settings, target: Target, goal: Goal) -> StudyStore:
    url = storage_url(settings.storage)
    name = settings.study or new_study_name(target.device.board, goal.objective.name)
    store = StudyStore(open_storage(url), url, name, target.space)
    store.claim(identity(target.environment, goal.objective, goal.constraints, target.space))
    return store


def _tune(session: Session) -> SessionFinished:
    target, store = session.target, session.store
    with _control_of(target.device) as control:
        stale = store.clean(_went_down(session))
        resumed = sum(r.trial not in session.supervision.unreported for r in store.records())
        session.emit(started_event(session, resumed))
        _report_notes(session, stale)
        _report_sources(session)
        target.workload.check()
        _enqueue(session)
        outcome, result = None, None
        try:
            loop = TrialLoop(session, control)
            outcome, result = conclude(session, control, loop.run(), loop.wait_while_paused)
        finally:
            last = outcome or Outcome(tuple(store.records()), "failed")
            report_progress(session, last, result.saving_percent if result else last.saving_percent)
    store.verify()  # it may have gone after the last trial: the result would name a study that does not exist
    finished = _finish(session, outcome, result)
    session.emit(finished)
    return finished


def _control_of(device: Device) -> Control:
    """Return what writes to the device: its own control where it has one, else ours with our journal."""
    if isinstance(device, ControlledElsewhere):
        return device.control()
    return ControlSession(device.actuator, device.spec, journal_dir())


def _went_down(session: Session) -> bool:
    """Return whether the device, or the process of the session, went down since the last session."""
    device = session.target.device
    restarted = session.store.note_boot(device.actuator.boot_id())
    if device.rows() is not None:
        return False  # a table of measurements cannot crash; its boot is the process's
    return restarted or session.supervision.crashed


def _report_notes(session: Session, stale: list[LeftInFlight]) -> None:
    emit = session.emit
    for note in session.target.device.notes():
        emit(Notice(time.time(), "info", note))
    if session.target.meter is not None and not session.target.device.emulated:
        emit(Notice(time.time(), "info", session.target.meter_choice.text()))
    if session.target.meter is None and session.settings.meter:
        emit(Notice(time.time(), "warning", session.target.meter_choice.text()))
    for left in stale:
        cause = "the device went down" if left.crashes else "its process died"
        text = f"trial {left.number} was in flight when {cause}: marked failed"
        emit(Notice(time.time(), "warning", text))
        if left.quarantined:
            emit(ConfigurationQuarantined(time.time(), left.configuration, left.crashes))


def _report_sources(session: Session) -> None:
    """Report for each source which of its options match the target's."""
    from tuner.search.matching import match  # only sessions with a source need arrays

    for source in session.context.sources:
        metric = find_metric(session.goal.objective.metric.quantity, source.metrics)
        if metric is None:
            text, level = (f"holds no {session.goal.objective.metric.quantity}, and is of no use here", "warning")
        else:
            found = match(source, session.target.space.options)
            text, level = matching_text(found), "info" if found.matched else "warning"
        session.emit(Notice(time.time(), level, f"source {source.name} {text}"))
        for notice in source.notices:
            session.emit(Notice(time.time(), "info", f"source {source.name}: {notice}"))


def matching_text(found: Matching) -> str:
    """Return what a source can and cannot speak of here, for the notice of a session."""
    parts = [f"speaks of {', '.join(found.names) or 'no option of this space'}"]
    for names, what in (
        ([m.option.name for m in found.held], "it has only one level of"),
        (found.incomparable, "it has other levels, which cannot be compared, of"),
        (found.unmatched_target, "it does not know"),
        (found.fixed, "here is only one level of"),
        (found.unmatched_source, "here is no"),
    ):
        parts += [f"{what} {', '.join(names)}"] if names else []
    return "; ".join(parts)


def _enqueue(session: Session) -> None:
    """Queue what comes first: the baseline, the vendor's modes, the strategy's own seeds."""
    target, store = session.target, session.store
    store.enqueue(target.baseline, BASELINE)
    for mode in target.device.power_modes():
        configuration: Configuration = {**target.baseline, **mode.configuration}
        if configuration in target.space:
            store.enqueue(target.space.normalise(configuration), f"stock {mode.name}")
    for configuration in session.strategy.seeds(session.context):
        store.enqueue(configuration, session.strategy.name)


def _finish(session: Session, outcome: Outcome, result: Result | None) -> SessionFinished:
    if result is None:
        if outcome.stopped_by == "interrupted":
            raise Interrupted("The session was stopped before its first trial ended.")
        raise NoTrialError("No trial succeeded.", "Read the reasons above; `tuner doctor` checks the machine.")
    path = _profile_path(session)
    profile = profile_of(session, outcome, result)
    write_profile(path, profile)
    return finished_event(session, outcome, result, profile, path=path, resume=_resume(session))


def _profile_path(session: Session) -> Path:
    if session.settings.output:
        return Path(session.settings.output).resolve()
    return profile_path(session.store.name)
