"""The tour's chapter on tuning: a language model that others trained learns what creuset's commands do, is
measured beside its base, and is exported for llama.cpp with its certificate."""

import json
from pathlib import Path
from typing import Any

from creuset.errors import BlockedError, NotFoundError
from creuset.evaluation.certificate import told_of_ends
from creuset.pretrained.gguf.writing import Stored
from creuset.reporting.blocks import Block, Chapter, Commands, Facts, Finding
from creuset.runs.folder import RunFolder
from creuset.workflows.export import CERTIFICATE, export, exportable_run
from creuset.workflows.forecasts import forecast_table
from creuset.workflows.journey import Journey
from creuset.workflows.legs import Station
from creuset.workflows.score_figures import finding_blocks
from creuset.workflows.tuning_report import gate_blocks, tuning_blocks

STATIONS = (
    Station(
        subject="tuned SmolLM2",
        recipe="tuned-questions",
        num_steps=36,
        settings=("evaluation.num_generated=6",),
        kind="chats",
    ),
)
_TITLE = "What do its commands do? A language model tuned on questions about creuset"
_EXPORT = "its export for llama.cpp"
_STORED: Stored = "q8_0"


def tuning(journey: Journey) -> Chapter:
    """Before and after a tuning by LoRA, and the export that is proved to answer alike."""
    (station,) = STATIONS
    try:
        run = journey.visit(station).folder
    except (BlockedError, NotFoundError) as error:
        text = f"No model was tuned: {error.message}. It comes with `creuset models pull smollm2-135m`."
        return Chapter(
            title=_TITLE,
            lead="This chapter needs a starter model.",
            blocks=[Finding(text=text, kind="warning")],
        )
    manifest, document = run.manifest(), run.evaluations()["tuning"]
    return Chapter(
        title=_TITLE,
        lead=f"{manifest.data_report['num_samples']['train']} questions with their answers, by low-rank "
        "updates of all linear layers; the base and the tuned model answer held-out questions.",
        blocks=[
            *gate_blocks(manifest),
            *forecast_table(run),
            *tuning_blocks(document),
            *finding_blocks(document),
            *_exported(journey, run),
        ],
    )


def _exported(journey: Journey, run: RunFolder) -> list[Block]:
    """The export beside the tour's runs and what its certificate says; made once."""
    path = journey.folder / "exports" / f"{run.id}.{_STORED}.gguf"
    beside = path.with_name(f"{path.name}.{CERTIFICATE}")
    if not beside.exists():
        path.unlink(missing_ok=True)  # stopped between the two
        with journey.timed(_EXPORT):
            export(exportable_run(run), "gguf", path, stored=_STORED, progress=journey.progress)
    return [
        _facts(path, json.loads(beside.read_text())),
        Commands(
            commands=[f"creuset export {run.id} --to gguf"], caption="The same of a run in the workspace."
        ),
    ]


def _facts(path: Path, certificate: dict[str, Any]) -> Facts:
    return Facts(
        facts={
            "exported": path.name,
            "stored as": certificate["kind"],
            "prompts": certificate["num_prompts"],
            "the same tokens in": "yes" if certificate["same_tokens"] else "no",
            "places compared": certificate["num_places"],
            "largest difference of the likeliest 20, nats": certificate["largest_difference"],
            "allowed": certificate["limits"]["largest_difference"],
            "ends that are the same": told_of_ends(certificate),
            "certificate": "passed" if certificate["passed"] else "refused",
        }
    )
