"""Carries out a planned training inside its run folder: journal, checkpoints, samples, status, scores."""

import time
from contextlib import suppress

from creuset.device import memory_errors
from creuset.errors import CheckpointError, CreusetError, Interrupted, ResourceError
from creuset.evaluation import suites
from creuset.models.base import FittedModel
from creuset.progress import Progress, Silent
from creuset.runs.checkpoint import Checkpoint, load_checkpoint
from creuset.runs.folder import RunFolder
from creuset.runs.journal import Journal, go_back
from creuset.runs.recovery import nothing_whole
from creuset.training.fit import fit
from creuset.training.loop import Loop, Outcome
from creuset.training.recorder import Recorder
from creuset.training.session import Session, build_model
from creuset.training.watch import Watch
from creuset.workflows.evaluate import evaluate
from creuset.workflows.plan import Plan
from creuset.workflows.report import write_run_report
from creuset.workflows.rewards import with_policy
from creuset.workflows.rollback import (
    answers,
    go_back_with,
    journal_bytes,
    seconds_so_far,
    stopped_by,
)
from creuset.workflows.step_samples import alarm_sheet, sample_writer


def make_session(plan: Plan) -> Session | FittedModel:
    """The untrained model of a plan, ready for its training.

    Raises:
        UsageError: The family cannot take the data, or has no such player.
        ResourceError: The model does not fit into memory.
    """
    with memory_errors("choose a smaller model.size"):
        if "gradient" in plan.family.traits:
            session = Session.prepare(plan.recipe, plan.family, plan.dataset, plan.precision, plan.processes)
            return with_policy(session)
        model = build_model(plan.family, plan.recipe.model, plan.dataset.spec, plan.recipe.training.seed)
    assert isinstance(model, FittedModel)
    return model


def carry_out(
    plan: Plan,
    session: Session | FittedModel,
    folder: RunFolder,
    *,
    max_seconds: float | None,
    progress: Progress,
) -> Outcome:
    """Trains in a run folder, from its last good checkpoint where there is one.

    Raises:
        Interrupted: A signal came; a checkpoint was made.
        GateError: The model collapsed, and the recipe says to stop then, or its loss stays at what guessing
            costs; a checkpoint was made.
        NumericalError, ResourceError, CheckpointError: See `creuset.train`; the manifest says "failed".
        UsageError: Another process trains there.
    """
    with plan.processes.losing_none():
        if plan.processes.first:
            with folder.lock() as elsewhere:
                if elsewhere is not None:
                    progress.say(
                        f"warning: {elsewhere} did not give back the lock of {folder.id}: it was killed, or "
                        "this file system keeps locks from other hosts; see that it does not train there"
                    )
                outcome = _with_status(plan, session, folder, max_seconds, progress)
        else:
            outcome = _train(plan, session, folder, max_seconds, Silent())
    plan.processes.close()
    if outcome.alarm is not None:
        raise stopped_by(outcome.alarm, outcome.step, folder.reference)
    if outcome.stuck is not None:
        rate = plan.recipe.training.learning_rate
        raise outcome.stuck.error(step=outcome.step, run=folder.reference, learning_rate=rate)
    if outcome.signal_number is None:
        return outcome
    if outcome.reason == "finished":
        raise Interrupted(
            f"training is finished at step {outcome.step}, but was not measured",
            signal_number=outcome.signal_number,
            next_step=f"creuset eval {folder.reference}",
        )
    raise Interrupted(
        f"stopped after step {outcome.step}; checkpoint {folder.manifest().last}",
        signal_number=outcome.signal_number,
        next_step=f"creuset train --resume {folder.reference}",
    )


def measure(plan: Plan, folder: RunFolder, progress: Progress) -> None:
    """Evaluates a trained run as its recipe says, and writes its report."""
    if plan.recipe.evaluation.suite != "none" and suites(plan.family, plan.dataset.spec):
        found = evaluate(folder, dataset=plan.dataset, progress=progress)
        for line in (*found.findings, *found.remarks):
            progress.say(f"evaluation: {line}")
    write_run_report(folder, dataset=plan.dataset)


def _with_status(
    plan: Plan,
    session: Session | FittedModel,
    folder: RunFolder,
    max_seconds: float | None,
    progress: Progress,
) -> Outcome:
    """The training, with its status in the manifest before and after."""
    processes = plan.processes
    before = folder.manifest()
    if before.num_processes not in (None, processes.world_size):
        progress.say(
            f"warning: the last digits may differ from an uninterrupted run: num_processes "
            f"{before.num_processes} is now {processes.world_size}"
        )
    folder.update(
        status="running",
        stop_reason=None,
        num_processes=processes.world_size,
        distributed=processes.strategy if processes.distributed else None,
    )
    try:
        outcome = _train(plan, session, folder, max_seconds, progress)
    except KeyboardInterrupt:
        folder.update(status="stopped", stop_reason="interrupted")
        raise
    except Exception as error:
        with suppress(ResourceError):  # the disk may be full; then the status is told by the lock
            folder.update(status="failed", stop_reason=_first_line(error))
        raise
    finished = outcome.reason in ("finished", "early_stop")
    folder.update(
        status="finished" if finished else "stopped", stop_reason=outcome.reason, seconds=outcome.seconds
    )
    return outcome


def _train(
    plan: Plan,
    session: Session | FittedModel,
    folder: RunFolder,
    max_seconds: float | None,
    progress: Progress,
) -> Outcome:
    """The training itself, on this process; again from a healthy checkpoint where it collapsed on the way."""
    limit = None if max_seconds is None else time.monotonic() + max_seconds
    checkpoint = _last_good(plan, folder, progress)
    length, rolled_back = journal_bytes(folder, checkpoint)
    lost: CheckpointError | None = None
    if plan.processes.first:
        lost = go_back(folder.journal_path, length=length, step=0 if checkpoint is None else checkpoint.step)
        if lost is not None:
            progress.say(f"warning: {lost}")
    while True:
        recorder = _recorder(plan, folder, checkpoint, progress)
        try:
            with memory_errors(_smaller(checkpoint)):
                if isinstance(session, FittedModel):
                    return _fit(plan, session, folder, checkpoint, recorder, lost)
                loop = _loop(plan, session, folder, checkpoint, recorder)
                if rolled_back:
                    loop.count_from(*seconds_so_far(folder))
                if checkpoint is not None and not rolled_back:
                    _record_resume(recorder, checkpoint, lost)
                outcome = loop.run(None if limit is None else limit - time.monotonic())
                if outcome.alarm is None or not outcome.alarm.goes_back:
                    return outcome
                plan = go_back_with(plan, folder, outcome.alarm, recorder, outcome.seconds)
        finally:
            recorder.close()
        checkpoint, rolled_back = _last_good(plan, folder, progress), True
        session = make_session(plan)


def _recorder(plan: Plan, folder: RunFolder, checkpoint: Checkpoint | None, progress: Progress) -> Recorder:
    """What is told from a checkpoint on; nothing by any but the first process."""
    step = 0 if checkpoint is None else checkpoint.step
    if not plan.processes.first:
        return Recorder(None, None, step=step, progress=progress)
    return Recorder(Journal(folder.journal_path), folder.tensorboard, step=step, progress=progress)


def _loop(
    plan: Plan, session: Session, folder: RunFolder, checkpoint: Checkpoint | None, recorder: Recorder
) -> Loop:
    """The loop at its start, or at a checkpoint."""
    recorder.progress.say(f"{plan.family.name} on {plan.device}, {plan.precision_reason}")
    begin = time.monotonic()
    signals = session.collapse_signals(recorder.progress.say)
    seconds = time.monotonic() - begin
    loop = session.loop(
        recorder,
        sample=sample_writer(session, folder),
        save=lambda saved, best: folder.keep(saved, best=best),
        watch=None
        if signals is None
        else Watch(
            signals, answer=answers(plan, folder), sheet=alarm_sheet(session, folder), seconds=seconds
        ),
    )
    if checkpoint is not None:
        loop.restore(checkpoint, folder.checkpoints / checkpoint.name)
        manifest = folder.manifest()
        if manifest.remedies and manifest.best is None:
            loop.forget_best()
    return loop


def _last_good(plan: Plan, folder: RunFolder, progress: Progress) -> Checkpoint | None:
    """The checkpoint to go on from, the same on every process; the first one finds it and tidies up."""
    found: Checkpoint | None = None

    def find() -> str | None:
        nonlocal found
        found, damaged = folder.last_good()
        for error in damaged:
            progress.say(f"warning: {error}")
        if damaged and found is None:
            raise nothing_whole(folder.path, damaged)
        return None if found is None else found.name

    name = plan.processes.share_result(find)
    return found if plan.processes.first or name is None else load_checkpoint(folder.checkpoints / name)


def _record_resume(recorder: Recorder, checkpoint: Checkpoint, lost: CheckpointError | None) -> None:
    """The checkpoint's own line was written after it, so a cut journal lacks it.

    Where earlier lines were lost, the line of the resume says so, and comes before all that is new.
    """
    clock = {"seconds": checkpoint.facts["seconds"]}
    if lost is not None:
        _record_loss(recorder, checkpoint, lost)
    if checkpoint.facts["scheduled"]:
        recorder.record(checkpoint.step, "checkpoint", {}, clock=clock)
    if lost is None:
        recorder.record(checkpoint.step, "resume", {}, clock=clock)


def _record_loss(recorder: Recorder, checkpoint: Checkpoint, lost: CheckpointError) -> None:
    values = {"lost": lost.message}
    recorder.record(checkpoint.step, "resume", values, clock={"seconds": checkpoint.facts["seconds"]})


def _fit(
    plan: Plan,
    model: FittedModel,
    folder: RunFolder,
    checkpoint: Checkpoint | None,
    recorder: Recorder,
    lost: CheckpointError | None,
) -> Outcome:
    if checkpoint is None:
        outcome, checkpoint = fit(model, plan.recipe, plan.dataset, recorder)
        folder.keep(checkpoint, best=True)
        return outcome
    if lost is not None:
        _record_loss(recorder, checkpoint, lost)
    return Outcome(
        step=checkpoint.step,
        reason="finished",
        signal_number=None,
        seconds=float(checkpoint.facts["seconds"]),
    )


def _smaller(checkpoint: Checkpoint | None) -> str:
    kept = "" if checkpoint is None else f"what was trained up to {checkpoint.name} is kept; "
    return f"{kept}lower data.batch_size, or raise training.accumulate, in a new run"


def _first_line(error: BaseException) -> str:
    text = str(error) if isinstance(error, CreusetError) else f"{type(error).__name__}: {error}"
    return text.splitlines()[0] if text else type(error).__name__
