"""Which of a run's stored scores were measured on an earlier checkpoint than the one it is used by now."""

from creuset.runs.folder import RunFolder


def outdated_scores(run: RunFolder) -> dict[str, str]:
    """A sentence for each such evaluation, by the name of its file; empty where all scores are those of now.

    What `creuset eval RUN` measures is the best checkpoint. What was asked for otherwise, of another
    checkpoint say, may also be of the last one.
    """
    manifest = run.manifest()
    best = manifest.best or manifest.last
    if best is None:
        return {}
    sentences = {}
    for name, document in run.evaluations().items():
        usual = name == document["suite"]
        now = {best} if usual else {best, manifest.last}
        if document["step"] not in {_step(checkpoint) for checkpoint in now if checkpoint is not None}:
            sentences[name] = (
                f"{name}: measured at step {document['step']}; the run is now at step {manifest.step}: "
                f"creuset eval {run.reference}"
            )
    return sentences


def _step(checkpoint: str) -> int:
    """The step in a checkpoint's name, step-00000500."""
    return int(checkpoint.rpartition("-")[2])
