"""What is shown of compared runs: what each one is and took, the verdicts on them, and their samples."""

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence

import torch

from creuset.data.dataset import Dataset
from creuset.generation.pictures import to_pictures
from creuset.metrics.comparison import Comparison, Verdict
from creuset.models.base import Model
from creuset.reporting.blocks import Block, Cell, Figure, Finding, Passages, Row, Section, Table
from creuset.reporting.numbers import fixed, number, seconds, significant_decimals
from creuset.reporting.score_table import printed_metric
from creuset.reporting.sheet import comparison_sheet, picture_sheet
from creuset.runs.folder import RunFolder
from creuset.runs.journal import read_journal
from creuset.workflows.chapters import pair_blocks, passage_blocks
from creuset.workflows.load import Loaded
from creuset.workflows.verdicts import Verdicts

_DRAWN, _DRAWN_COLUMNS = 36, 6
_REBUILT = 10
_TEXTS = 2
_TEXT_TOKENS, _TEMPERATURE = 400, 0.8
_VERDICTS: tuple[Verdict, ...] = ("better", "worse", "cannot tell apart")


def run_table(models: Mapping[str, Loaded], *, memory: bool = True) -> list[Block]:
    """What each model is, how long it was trained and what that took, and what makes the times unlike.

    Args:
        models: By the names that they are shown by.
        memory: Whether the memory of the process that trained it says something of a model.
    """
    corpora = all(model.spec.kind == "corpus" for model in models.values())
    what = "tokens" if corpora else "samples"
    header = ["run", "family", "parameters", "steps", "training", "numbers", f"{what}/s"]
    rows = [[name, *_facts(model, per_token=corpora)] for name, model in models.items()]
    note = f"{what}/s: the median of the journal's lines about training."
    if memory:
        header.append("memory, MB")
        rows = [[*row, _peak_memory(model.run)] for row, model in zip(rows, models.values(), strict=True)]
        note += " Memory: the most that the process took that trained it, which may have done more than that."
    table = Table(
        header=header, rows=rows, caption="What each run is, and what its training took.", note=note
    )
    return [table, *_size_remark(models), *_machine_remark([model.run for model in models.values()])]


def verdict_blocks(found: Verdicts, names: Mapping[str, str]) -> list[Block]:
    """What is known of each system against the first: in words, then in numbers.

    Args:
        found: The comparison.
        names: System as it can be typed -> the name that it is shown by.
    """
    baseline = names[found.baseline]
    sentences = [
        Finding(
            text=_sentence(names[system], baseline, [one for who, one in found.comparisons if who == system])
        )
        for system in dict.fromkeys(system for system, _ in found.comparisons)
    ]
    rows = [[names[system], *_cells(one)] for system, one in found.comparisons]
    table = Table(
        header=["run", "measure", "value", f"of {baseline}", "difference", "95% interval", "p", "verdict"],
        rows=rows,
        caption=f"Each {found.kind} against {baseline}; measured: {found.measured_on}.",
        note="The interval is that of the difference, of each comparison alone. p is after Holm's correction "
        "for all comparisons of this table; below 0.05 it is a verdict."
        + (f" Not compared: {', '.join(map(printed_metric, found.left_out))}." if found.left_out else ""),
    )
    return [*sentences, table]


def sample_blocks(models: Mapping[str, Loaded], dataset: Dataset, *, seed: int = 0) -> list[Block]:
    """What the models make, side by side: pictures, reconstructions, texts, as their families allow; and one
    below the other what they make of held-out texts.

    Args:
        models: By the names that they are shown by.
        dataset: The data of all of them.
        seed: Decides what is drawn.
    """
    of_texts = [
        Section(title=name, blocks=blocks)
        for name, model in models.items()
        if model.spec == dataset.spec
        and (blocks := [*pair_blocks(model, dataset), *passage_blocks(model, dataset)])
    ]
    return [*_drawn(models, seed), *_rebuilt(models, dataset), *_written(models, seed), *of_texts]


def _facts(model: Loaded, *, per_token: bool) -> list[Cell]:
    manifest = model.run.manifest()
    speeds = _clock(model.run, "samples_per_second")
    scale = model.spec.context if per_token else 1
    return [
        manifest.family,
        num_parameters(model),
        manifest.step,
        seconds(manifest.seconds),
        manifest.precision,
        round(statistics.median(speeds) * scale) if speeds else None,
    ]


def _peak_memory(run: RunFolder) -> int | None:
    """In MB; None for a family that is fitted in one go."""
    peaks = _clock(run, "peak_memory_bytes")
    return round(max(peaks) / 1e6) if peaks else None


def _clock(run: RunFolder, name: str) -> list[float]:
    """A number that depends on time, of each of the journal's lines about training."""
    clocks = [line["clock"] for line in read_journal(run.journal_path) if line["event"] == "train"]
    return [clock[name] for clock in clocks if name in clock]


def num_parameters(model: Loaded) -> int | None:
    """The trained numbers of a model; None for one that is fitted without gradients."""
    if not isinstance(model.model, Model):
        return None
    return sum(parameter.numel() for parameter in model.model.parameters())


def _size_remark(models: Mapping[str, Loaded]) -> list[Block]:
    sizes = {name: size for name, model in models.items() if (size := num_parameters(model)) is not None}
    if len(sizes) < 2:
        return []
    largest, smallest = max(sizes, key=sizes.__getitem__), min(sizes, key=sizes.__getitem__)
    ratio = sizes[largest] / sizes[smallest]
    if ratio == 1:
        return [Finding(text="All have the same number of parameters.")]
    share = (
        f"{100 * (ratio - 1):.1f}% more parameters than"
        if ratio < 2
        else f"{ratio:.1f} times the parameters of"
    )
    return [Finding(text=f"{largest} has {share} {smallest}.")]


def _machine_remark(runs: Sequence[RunFolder]) -> list[Block]:
    """A warning where the trainings' times do not depend on the models alone."""
    manifests = [run.manifest() for run in runs]
    unlike = []
    for what, values in (
        ("processors", [manifest.machine.get("processor") for manifest in manifests]),
        ("numbers of threads", [manifest.machine.get("threads") for manifest in manifests]),
        ("devices", [manifest.device for manifest in manifests]),
        ("numbers of processes", [manifest.num_processes for manifest in manifests]),
        ("versions of torch", [manifest.machine.get("torch") for manifest in manifests]),
    ):
        if len(Counter(map(str, values))) > 1:
            unlike.append(f"{what} ({', '.join(map(str, values))})")
    if not unlike:
        return []
    text = f"These runs were trained with unlike {'; '.join(unlike)}: their times cannot be compared."
    return [Finding(text=text, kind="warning")]


def _sentence(name: str, baseline: str, comparisons: Sequence[Comparison]) -> str:
    """`lstm against decoder: worse by nats per token; cannot tell apart by bits per byte.`"""
    parts = []
    for verdict in _VERDICTS:
        by = [printed_metric(one.metric) for one in comparisons if one.verdict == verdict]
        if by:
            parts.append(f"{verdict} by {', '.join(by)}")
    return f"{name} against {baseline}: {'; '.join(parts)}."


def _cells(one: Comparison) -> list[Cell]:
    width = 0.0 if one.interval is None else (one.interval[1] - one.interval[0]) / 2
    decimals = significant_decimals(width, 2) if width > 0 else significant_decimals(one.difference, 3)
    verdict = one.verdict.capitalize()
    if one.more_samples is not None:
        verdict += f"; {one.more_samples:,} more sample{'' if one.more_samples == 1 else 's'} would tell"
    return [
        printed_metric(one.metric),
        fixed(one.b, decimals),
        fixed(one.a, decimals),
        _signed(one.difference, decimals),
        "–" if one.interval is None else ", ".join(_signed(end, decimals) for end in one.interval),
        number(one.p_corrected, 2),
        verdict,
    ]


def _signed(value: float, decimals: int) -> str:
    text = fixed(value, decimals)
    return f"+{text}" if value > 0 and text.strip("0.,") else text


def _drawn(models: Mapping[str, Loaded], seed: int) -> list[Block]:
    figures = [
        Figure(
            drawing=picture_sheet(
                model.draw_pictures(_DRAWN, seed=seed),
                alt=f"{_DRAWN} samples of {name}",
                columns=_DRAWN_COLUMNS,
            ),
            caption=f"{name}: {_DRAWN} samples, seed {seed}, none left out.",
        )
        for name, model in models.items()
        if "samples" in model.family.traits
    ]
    return _in_pairs(figures)


def _in_pairs(figures: Sequence[Figure]) -> list[Block]:
    """Figures two beside each other; the last one by itself where their number is odd."""
    pairs = [figures[start : start + 2] for start in range(0, len(figures), 2)]
    return [Row(figures=pair) if len(pair) == 2 else pair[0] for pair in pairs]


def _rebuilt(models: Mapping[str, Loaded], dataset: Dataset) -> list[Block]:
    able = {
        name: model
        for name, model in models.items()
        if "encodes" in model.family.traits and model.spec.shape == dataset.spec.shape
    }
    if not able:
        return []
    split = "test" if "test" in dataset.splits else "validation"
    shown = torch.arange(min(_REBUILT, dataset.split(split).num_samples))
    originals = to_pictures(dataset.batch(split, shown)["images"])
    rows = {"original": originals, **{name: model.reconstruct(originals) for name, model in able.items()}}
    sheet = comparison_sheet(rows, alt="originals and the reconstructions of each run")
    caption = f"The first {len(originals)} pictures of the {split} split, and what comes back from each run."
    return [Figure(drawing=sheet, caption=caption)]


def _written(models: Mapping[str, Loaded], seed: int) -> list[Block]:
    texts = {
        name: model.write("", _TEXTS, max_tokens=_TEXT_TOKENS, temperature=_TEMPERATURE, seed=seed)
        for name, model in models.items()
        if "generates_text" in model.family.traits
    }
    if not texts:
        return []
    return [
        Passages(
            texts={name: written[place].strip("\n") for name, written in texts.items()},
            caption=f"Text {place + 1} of each run, from nothing: {_TEXT_TOKENS} tokens at most, temperature "
            f"{_TEMPERATURE}, seed {seed}, none left out.",
        )
        for place in range(_TEXTS)
    ]
