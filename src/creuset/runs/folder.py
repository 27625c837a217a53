"""The run folder: the only place, with checkpoint.py, that knows its file names.

    runs/ID/
      recipe.yaml        the resolved recipe, each value with its origin
      manifest.json      format 3: versions, machine, seed, data, parent, status, last and best checkpoint
      journal.jsonl      what happened (journal.py)
      checkpoints/       step-00000500/{weights,optimizer,state}.safetensors + manifest.json (checkpoint.py)
      samples/           step-00000500.png, or .txt of a language model
      tokenizer/         of a language model: tokenizer.json and what its special tokens mean
      evaluation/        one JSON a suite, and SUITE.rows.safetensors (rows.py)
      tensorboard/       event files
      report.html
      .lock              held while a process trains here

A folder appears complete or not at all, and each later change of the manifest is atomic.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from creuset.data.tokenizer import Tokenizer
from creuset.errors import CreusetError, NotFoundError, UsageError, did_you_mean
from creuset.files import atomic_folder, disk_errors, remove_folder, remove_leftovers, write_atomic
from creuset.runs.checkpoint import (
    Checkpoint,
    DamagedCheckpoint,
    keep_only,
    load_checkpoint,
    save_checkpoint,
)
from creuset.runs.evaluations import read_evaluations, read_rows, write_evaluation
from creuset.runs.lock import Holder, ask_to_stop, held, holder, not_given_back
from creuset.runs.manifest import Manifest, Status, read_manifest
from creuset.runs.recovery import (
    all_damaged,
    is_healthy,
    names_at,
    names_without,
    newest_whole,
    no_such_checkpoint,
    nothing_whole,
    progress_at,
    way_out,
)
from creuset.runs.reference import reference
from creuset.runs.rows import SampleRows

_ABANDONED_SECONDS = 3600.0
"""What has been half written for so long belongs to a process that was killed."""


_AT_THE_START: dict[str, Any] = {"best_validation_loss": None, "step": 0}


class RunFolder:
    """One run on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.recipe_path = path / "recipe.yaml"
        self.manifest_path = path / "manifest.json"
        self.journal_path = path / "journal.jsonl"
        self.checkpoints = path / "checkpoints"
        self.samples = path / "samples"
        self.evaluation = path / "evaluation"
        self.tensorboard = path / "tensorboard"
        self.report_path = path / "report.html"
        self.tokenizer_path = path / "tokenizer"
        self._lock_path = path / ".lock"

    @classmethod
    def create(
        cls, path: Path, recipe_text: str, manifest: Manifest, *, tokenizer: Tokenizer | None = None
    ) -> "RunFolder":
        """Makes the folder with its recipe and manifest, and the tokenizer of a corpus, all at once.

        Raises:
            UsageError: There is something at `path` already.
        """
        refuse_existing(path)
        remove_leftovers(path.parent, older_than=_ABANDONED_SECONDS)
        try:
            with atomic_folder(path) as temporary:
                fresh = cls(temporary)
                fresh.recipe_path.write_text(recipe_text, encoding="utf-8")
                fresh.manifest_path.write_text(manifest.to_text(), encoding="utf-8")
                fresh.journal_path.touch()
                for folder in (fresh.checkpoints, fresh.samples, fresh.evaluation):
                    folder.mkdir()
                if tokenizer is not None:
                    fresh.tokenizer_path.mkdir()
                    tokenizer.save(fresh.tokenizer_path)
        except (OSError, UsageError):
            refuse_existing(path)  # another process was quicker
            raise
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """The run at `path`.

        Raises:
            NotFoundError: There is no run.
        """
        run = cls(path)
        if not run.manifest_path.is_file():
            siblings = [item.name for item in run_paths(path.parent)] if path.parent.is_dir() else []
            raise NotFoundError(
                f"no run here{did_you_mean(path.name, siblings)}", where=path, next_step="creuset runs list"
            )
        run.manifest()
        return run

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def reference(self) -> str:
        """How to name the run on the command line: its ID in the workspace's runs/, elsewhere its path."""
        return reference(self.path)

    def manifest(self) -> Manifest:
        """The manifest as it stands now.

        Raises:
            CheckpointError: It cannot be read, or a newer creuset wrote it.
        """
        return read_manifest(self.manifest_path)

    def update(self, **changes: Any) -> Manifest:
        """Changes fields of the manifest, atomically."""
        manifest = self.manifest().model_copy(update=changes)
        write_atomic(self.manifest_path, manifest.to_text())
        return manifest

    def keep(self, checkpoint: Checkpoint, *, best: bool) -> str:
        """Saves a checkpoint, then removes those that are neither the last two nor the best nor healthy.

        The manifest is changed between the two, so a kill at any moment leaves a run that can go on.
        Returns the checkpoint's name.

        Raises:
            ResourceError: The disk is full; the manifest and earlier checkpoints are as they were.
        """
        save_checkpoint(self.checkpoints, checkpoint, run=self.reference)
        before = self.manifest()
        manifest = self.update(
            last=checkpoint.name,
            previous=before.last if before.last != checkpoint.name else before.previous,
            best=checkpoint.name if best else before.best,
            healthy=checkpoint.name if is_healthy(checkpoint) else before.healthy,
            **progress_at(checkpoint),
        )
        keep_only(self.checkpoints, manifest.checkpoints)
        return checkpoint.name

    def set_aside(self, name: str) -> Path | None:
        """Copies the run as it stands, with its checkpoints, into a run folder of its own inside this one.

        For the process that holds the lock. What lies at that name already, from a process that was killed
        on the way, is replaced.

        Args:
            name: Of the folder.

        Returns:
            Where it is; None of a run without a checkpoint.
        """
        manifest = self.manifest()
        if not manifest.checkpoints:
            return None
        path = self.path / name
        if path.exists():
            remove_folder(path)
        with atomic_folder(path) as temporary:
            copy = RunFolder(temporary)
            stopped = manifest.model_copy(update={"status": "stopped", "stop_reason": "collapse"})
            copy.manifest_path.write_text(stopped.to_text(), encoding="utf-8")
            shutil.copyfile(self.recipe_path, copy.recipe_path)
            shutil.copyfile(self.journal_path, copy.journal_path)
            for folder in (self.samples, self.evaluation, self.tokenizer_path):
                if folder.is_dir():
                    shutil.copytree(folder, temporary / folder.name)
            for checkpoint in manifest.checkpoints:
                shutil.copytree(self.checkpoints / checkpoint, copy.checkpoints / checkpoint)
        return path

    def roll_back(self, remedy: dict[str, Any]) -> Checkpoint | None:
        """Makes the newest healthy checkpoint the last one, or none where training begins anew.

        For the process that holds the lock. Later checkpoints are removed; what was done, and the settings
        that training goes on with, are added to the manifest's remedies.

        Args:
            remedy: An entry of `Manifest.remedies`, whose "back_to" is the checkpoint's step, or 0, and whose
                "seconds" are those of training so far: what was abandoned took its time.
        """
        manifest = self.manifest()
        found = None
        if remedy["back_to"]:
            assert manifest.healthy is not None
            found = load_checkpoint(self.checkpoints / manifest.healthy)
        self.update(
            remedies=(*manifest.remedies, remedy),
            **names_at(manifest, None if found is None else found.name),
            **{**(progress_at(found) if found is not None else _AT_THE_START), "seconds": remedy["seconds"]},
        )
        keep_only(self.checkpoints, self.manifest().checkpoints)
        return found

    def last_good(self) -> tuple[Checkpoint | None, list[CreusetError]]:
        """The newest checkpoint that is whole, and what is wrong with newer ones; None where there is none.

        For the process that holds the lock. What a killed process left behind is removed: temporary files,
        and checkpoints that it had not yet named in the manifest. Damaged checkpoints are named no more.

        Raises:
            CheckpointError: A newer creuset wrote a checkpoint.
        """
        self.tidy()
        manifest = self.manifest()
        keep_only(self.checkpoints, manifest.checkpoints)
        found, damaged = newest_whole(self.checkpoints, manifest)
        if damaged and found is not None:
            self.update(**names_without(manifest, damaged, found.name), **progress_at(found))
        return found, list(damaged.values())

    def repair(self) -> list[CreusetError]:
        """What is wrong with the checkpoints that the manifest names; it names the damaged ones no more.

        For the process that holds the lock.

        Raises:
            CheckpointError: All are damaged; the manifest is left as it is.
        """
        manifest = self.manifest()
        damaged = all_damaged(self.checkpoints, manifest.checkpoints)
        whole = manifest.checkpoints - damaged.keys()
        if damaged and not whole:
            raise nothing_whole(self.path, damaged.values())
        if damaged:
            self.update(**names_without(manifest, damaged, max(whole)))
        return list(damaged.values())

    def load(self, which: str, *, parts: tuple[str, ...]) -> tuple[Path, Checkpoint]:
        """A checkpoint to use, with its folder: see `checkpoint_path` for `which`.

        Raises:
            NotFoundError: There is none of that name.
            DamagedCheckpoint: It is damaged; the error says which one is not.
            CheckpointError: A newer creuset wrote it.
        """
        path = self.checkpoint_path(which)
        try:
            return path, load_checkpoint(path, parts=parts)
        except DamagedCheckpoint as error:
            error.next_step = way_out(self.path, path.name, self.manifest())
            raise

    def tidy(self) -> None:
        """Removes the temporary files that a killed process left; for the process that holds the lock."""
        for folder in (self.path, self.checkpoints, self.samples):
            remove_leftovers(folder)
        remove_leftovers(self.evaluation, older_than=_ABANDONED_SECONDS)  # others may be measuring

    def checkpoint_path(self, which: str = "best") -> Path:
        """The folder of a checkpoint: "best" (the last one where none was validated), "last", or a name.

        Raises:
            NotFoundError: There is none of that name.
        """
        manifest = self.manifest()
        names = {"best": manifest.best or manifest.last, "last": manifest.last}
        name = names.get(which, which)
        there = self.checkpoint_names()
        if name is None or name not in there:
            raise no_such_checkpoint(self.path, which, names, there)
        return self.checkpoints / name

    def checkpoint_names(self) -> list[str]:
        """The checkpoints that are kept, by step."""
        return sorted(path.name for path in self.checkpoints.glob("step-*"))

    @contextmanager
    def lock(self) -> Iterator[Holder | None]:
        """Held by the one process that trains in this folder, or removes it.

        Yields who held it last on another host and did not give it back: killed there, or, where a network
        file system keeps locks from other hosts, still training.

        Raises:
            UsageError: Another process holds it, or the file system has no locks.
            NotFoundError: The run was removed meanwhile.
        """
        before = not_given_back(self._lock_path)
        with held(self._lock_path) as acquired:
            if not acquired:
                raise UsageError(
                    f"{self.running_process() or 'another process'} is training in this run",
                    where=self.path,
                    next_step=f"creuset runs stop {self.reference}, or wait",
                )
            yield None if before is None or before.here else before

    def running_process(self) -> Holder | None:
        """The process that trains in this folder now, or None."""
        return holder(self._lock_path)

    def status(self) -> Status:
        """What the manifest says, less what a killed process could not write any more."""
        written = self.manifest().status
        if self.running_process() is not None:
            return "running"
        return "stopped" if written == "running" else written

    def stop(self) -> bool:
        """Asks the process that trains here to checkpoint and stop; False when there is none.

        Raises:
            UsageError: It cannot be asked from here.
        """
        return ask_to_stop(self._lock_path, f"creuset runs stop {self.reference}")

    def remove(self) -> None:
        """Deletes the run.

        Raises:
            UsageError: A process is training in it, or its path is a symbolic link.
        """
        with self.lock(), disk_errors(self.path):
            remove_folder(self.path)

    def write_evaluation(self, suite: str, document: dict[str, Any], rows: SampleRows | None = None) -> Path:
        """Writes evaluation/SUITE.json, after the rows that it names by their hash; returns its path."""
        return write_evaluation(self.evaluation, suite, document, rows)

    def evaluation_rows(self, name: str) -> SampleRows | None:
        """The rows of one of the `evaluations`; None where it kept none.

        Raises:
            CheckpointError: They are missing, or not those that it wrote.
        """
        return read_rows(self.evaluation, name, self.evaluations()[name])

    def evaluations(self) -> dict[str, dict[str, Any]]:
        """The suites measured so far: name -> document.

        Raises:
            CheckpointError: One of them cannot be read.
        """
        return read_evaluations(self.evaluation, self.reference)


def refuse_existing(path: Path) -> None:
    """Raises UsageError where there is something at the path of a new run, or can be nothing."""
    with disk_errors(path):
        exists = path.exists()
    if exists:
        raise UsageError(
            "there is a run of this name already",
            where=path,
            next_step=f"creuset train --resume {reference(path)}, or another --name",
        )


def run_paths(folder: Path) -> list[Path]:
    """The run folders directly below `folder`, by name."""
    return sorted(
        path.parent for path in folder.glob("*/manifest.json") if not path.parent.name.startswith(".")
    )
