"""`report.html` of a run: what was trained on what, curves, pictures, scores, and how to do it again."""

from typing import Any

from creuset.data.dataset import Dataset
from creuset.evaluation.analogies import METRIC
from creuset.models.base import Model
from creuset.progress import Progress, Silent
from creuset.reporting.blocks import (
    Block,
    Chapter,
    Commands,
    Document,
    Facts,
    Finding,
    Row,
    Table,
    Timing,
)
from creuset.reporting.document import write_report
from creuset.runs.folder import RunFolder
from creuset.runs.journal import read_journal
from creuset.runs.manifest import Manifest
from creuset.workflows.again import again_command
from creuset.workflows.analogies import analogy_blocks
from creuset.workflows.attention_maps import ATTENTION_LEAD, attention_blocks, cross_attention_blocks
from creuset.workflows.chapters import (
    classification_figures,
    loss_curves,
    pair_blocks,
    passage_blocks,
    picture_blocks,
    recognised_figures,
    score_block,
    text_blocks,
)
from creuset.workflows.collapse_panel import collapse_chapter
from creuset.workflows.embed import partner_blocks
from creuset.workflows.forecasts import forecast_table
from creuset.workflows.joint_curves import loss_by_place
from creuset.workflows.leakage import leakage_remark
from creuset.workflows.load import Loaded, load
from creuset.workflows.mode_figures import mode_blocks
from creuset.workflows.outdated import outdated_scores
from creuset.workflows.run_data import run_data
from creuset.workflows.score_figures import (
    finding_blocks,
    floor_blocks,
    growth_section,
    neighbour_figures,
)
from creuset.workflows.sounds import sound_blocks
from creuset.workflows.tuning_report import gate_blocks, tuning_blocks


def write_run_report(
    run: RunFolder, *, dataset: Dataset | None = None, progress: Progress | None = None
) -> None:
    """Writes the run's report.html from its folder and its best checkpoint.

    Args:
        run: The run.
        dataset: Its data, where the caller has loaded it already.
        progress: Who watches.

    Raises:
        NotFoundError, CheckpointError: There is no checkpoint to draw pictures with.
        ResourceError: The disk is full.
    """
    loaded = load(run)
    data = dataset or run_data(run, Silent() if progress is None else progress)
    write_report(_document(loaded, data), run.report_path)


def _document(loaded: Loaded, dataset: Dataset) -> Document:
    run, manifest = loaded.run, loaded.run.manifest()
    chapters = [
        Chapter(
            title="What was trained, on what",
            lead=f"A model of the family `{manifest.family}`, from the recipe that lies beside this report.",
            blocks=[
                _model_facts(loaded),
                *_fit_remarks(run),
                _data_table(manifest),
                *_corpus_table(manifest),
                *_pairs_table(manifest),
                *gate_blocks(manifest),
                *forecast_table(run),
                *_remarks(loaded, dataset),
            ],
        )
    ]
    curves = loss_curves(run)
    if curves:
        chapters.append(
            Chapter(
                title="Training",
                lead="Means since the line before; validation is over the whole split, with the same draws.",
                blocks=[*curves, *loss_curves(run, against="seconds")],
            )
        )
    chapters += collapse_chapter(run)
    scored = _scores(run)
    if scored:
        chapters.append(
            Chapter(
                title="Scores",
                lead="Each with its 95% interval; the signature says what was measured, on what, and how.",
                blocks=scored,
            )
        )
    pictures = picture_blocks(loaded, dataset) if dataset.spec.kind == "images" else []
    if pictures:
        chapters.append(Chapter(title="Pictures", blocks=pictures))
    sounds = sound_blocks(loaded, dataset)
    if sounds:
        chapters.append(Chapter(title="Sound", blocks=sounds))
    texts = text_blocks(loaded)
    if texts:
        chapters.append(Chapter(title="Texts", blocks=texts))
    pairs = pair_blocks(loaded, dataset)
    if pairs:
        chapters.append(Chapter(title="Texts", blocks=pairs))
    passages = passage_blocks(loaded, dataset)
    if passages:
        lead = f"{len(passages)} held-out passages with hidden tokens, spread over the text, none left out."
        chapters.append(Chapter(title="Masks filled", lead=lead, blocks=passages))
    attention = [*attention_blocks(loaded, dataset), *cross_attention_blocks(loaded, dataset)]
    if attention:
        chapters.append(Chapter(title="Attention", lead=ATTENTION_LEAD, blocks=attention))
    chapters.append(Chapter(title="Again", blocks=_again(loaded, manifest)))
    return Document(
        title=run.id,
        subtitle=f"{manifest.family} on {manifest.data_source}",
        facts={
            "family": manifest.family,
            "data": f"{manifest.data_source} ({manifest.data_hash[:8]})",
            "steps": f"{loaded.step} of {manifest.step}" if loaded.step != manifest.step else manifest.step,
            "seconds of training": round(manifest.seconds, 1),
            "seed": manifest.seed,
            "numbers": manifest.precision_reason,
            "processor": manifest.machine["processor"],
            "threads": manifest.machine["threads"],
        },
        chapters=chapters,
        colophon=f"Made by creuset {manifest.machine['creuset']} on {manifest.created}.",
    )


def _fit_remarks(run: RunFolder) -> list[Block]:
    """What the training warned of, such as a fit that did not converge."""
    warnings = [line["values"].get("warning") for line in read_journal(run.journal_path)]
    return [Finding(text=f"{text}.", kind="warning") for text in warnings if text is not None]


def _model_facts(loaded: Loaded) -> Facts:
    section = loaded.recipe.model
    facts: dict[str, str | float | int | None] = {
        name: value if isinstance(value, int | float | str) else str(value)
        for name, value in section.model_dump().items()
        if section.only_for.get(name, loaded.spec.kind) == loaded.spec.kind
    }
    if isinstance(loaded.model, Model):
        facts["parameters"] = sum(parameter.numel() for parameter in loaded.model.parameters())
    return Facts(facts=facts)


def _data_table(manifest: Manifest) -> Table:
    report = manifest.data_report
    names = list(manifest.data_spec["class_names"])
    counts = report["class_counts"]
    rows = [
        [split, number, *(counts.get(split) or [None] * len(names))]
        for split, number in report["num_samples"].items()
    ]
    shown = names if len(names) <= 12 else []
    return Table(
        header=["split", "samples", *shown],
        rows=[row[: 2 + len(shown)] for row in rows],
        caption=f"Samples of {manifest.data_source}" + (", and of each class." if shown else "."),
        note=f"content hash {manifest.data_hash}",
    )


def _corpus_table(manifest: Manifest) -> list[Block]:
    """How long each split of a corpus is, and what of it has no token; nothing for other data."""
    report = manifest.data_report
    counts = report.get("corpus")  # a run of an older creuset has none
    if not counts:
        return []
    columns = ("num_documents", "num_characters", "num_bytes", "num_tokens", "bytes_per_token")
    rows = [
        [split, *(found[name] for name in columns), report["unknown_tokens"][split]]
        for split, found in counts.items()
    ]
    names = ["documents", "characters", "bytes", "tokens", "bytes per token", "share of unknown tokens"]
    return [
        Table(
            header=["split", *names],
            rows=rows,
            caption=f"The text, in tokens of {manifest.data_spec['tokenizer_size']} kinds.",
            note=f"tokenizer {manifest.data_spec['tokenizer']}",
        )
    ]


def _pairs_table(manifest: Manifest) -> list[Block]:
    """How long the texts of each split of pairs are; nothing for other data."""
    report = manifest.data_report
    counts = report.get("pairs")  # a run of an older creuset has none
    if not counts:
        return []
    rows = [
        [
            split,
            found["num_source_tokens"] / report["num_samples"][split],
            found["num_target_tokens"] / report["num_samples"][split],
            found["longest_source"],
            found["longest_target"],
            found["num_left_out"],
            report["unknown_tokens"][split],
        ]
        for split, found in counts.items()
    ]
    names = ["tokens of a source", "of a target", "longest source", "longest target", "left out"]
    return [
        Table(
            header=["split", *names, "share of unknown tokens"],
            rows=rows,
            caption=f"The texts, in tokens of {manifest.data_spec['tokenizer_size']} kinds; the longest ones "
            "are those of pairs that were left out, too.",
            note=f"tokenizer {manifest.data_spec['tokenizer']}",
        )
    ]


def _remarks(loaded: Loaded, dataset: Dataset) -> list[Block]:
    remarks = list(dataset.report.remarks())
    leakage = loaded.run.manifest().data_report.get("near_duplicates")  # a run of an older creuset has none
    remark = None if leakage is None else leakage_remark(leakage, loaded.recipe.data)
    return [Finding(text=text, kind="warning") for text in [*remarks, *([] if remark is None else [remark])]]


def _scores(run: RunFolder) -> list[Block]:
    blocks: list[Block] = []
    outdated = outdated_scores(run)
    for name, document in run.evaluations().items():
        if name in outdated:
            blocks.append(Finding(text=f"{outdated[name]}.", kind="warning"))
        if document["scores"]:
            caption = f"The suite {name} on the {document['split']} split."
            metrics = (METRIC,) if document["suite"] == "analogies" else ()
            blocks.append(score_block({run.id: document}, caption, metrics))
        blocks.extend(finding_blocks(document))
        blocks.extend(floor_blocks(document, run.id))
        if document["suite"] == "classification":
            blocks.append(Row(figures=classification_figures(document)))
        blocks.extend(recognised_figures(document))
        if document["suite"] == "text":
            blocks.append(loss_by_place({document["split"]: document}))
        if document["suite"] == "analogies":
            blocks.extend(analogy_blocks(document))
        if document["suite"] == "modes":
            blocks.extend(mode_blocks(document))
        if document["suite"] == "retrieval":
            blocks.extend(partner_blocks(document))
        if document["suite"] == "tuning":
            blocks.extend(tuning_blocks(document))
        blocks.extend(_of_rows(run, name, document))
    return blocks


def _of_rows(run: RunFolder, name: str, document: dict[str, Any]) -> list[Block]:
    """What is drawn of the rows that an evaluation kept; an evaluation of an older creuset kept none."""
    kept = run.evaluation_rows(name)
    rows = {} if kept is None else kept.arrays
    return [*neighbour_figures(document, rows), *growth_section(document, rows)]


def _again(loaded: Loaded, manifest: Manifest) -> list[Block]:
    run = loaded.run
    return [
        Commands(
            commands=[
                again_command(run),
                f"creuset eval {run.reference}",
            ],
            caption="The same training again, from its resolved recipe and in the number format that it was "
            "trained in; its scores anew.",
        ),
        Commands(commands=[manifest.command], caption="What made this run."),
        Timing(seconds={"training": manifest.seconds}),
    ]
