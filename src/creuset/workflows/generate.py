"""`creuset generate`: samples, reconstructions, completions, pictures without their noise, ways between two,
and codes."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from creuset.data.dataset import Dataset
from creuset.data.spec import DataSpec, SoundForm
from creuset.device import memory_errors, stream
from creuset.errors import DataError, NotFoundError, UsageError, did_you_mean
from creuset.files import write_atomic
from creuset.generation.pictures import Pictures, to_pictures
from creuset.generation.table_rows import rows_as_csv
from creuset.models import family
from creuset.progress import Progress, Silent
from creuset.reporting.charts import Axis, ScatterChart
from creuset.reporting.charts.standalone import standalone
from creuset.reporting.sheet import Sheet, comparison_sheet, picture_sheet
from creuset.workflows.evaluate import default_split
from creuset.workflows.load import Loaded, data_spec, find_run, load, run_recipe
from creuset.workflows.other_data import load_other
from creuset.workflows.run_data import run_data
from creuset.workflows.sounds import Track

Mode = Literal["sample", "reconstruct", "denoise", "inpaint", "interpolate", "encode"]

_SUFFIXES: dict[Mode, tuple[str, ...]] = {
    "sample": (".png", ".npz", ".csv", ".svg", ".wav"),
    "reconstruct": (".png", ".npz"),
    "denoise": (".png", ".npz"),
    "inpaint": (".png", ".npz"),
    "interpolate": (".png", ".npz"),
    "encode": (".npz", ".svg"),
}
_OF_SAMPLES: dict[str, tuple[str, ...]] = {
    "pictures": (".png", ".npz"),
    "rows of a table": (".csv", ".npz", ".svg"),
    "clips of sound": (".wav", ".npz", ".png"),
}
"""Endings for samples, by what they are."""
_NUM: dict[Mode, int] = {"sample": 64, "reconstruct": 30, "denoise": 30, "inpaint": 30, "interpolate": 10}
"""How many are made where nothing is said: what a sheet shows well. To encode: all there are."""
_NUM_HEARD = 10
"""How many are made for the ear: seconds of sound, not a sheet."""
_DRAWING = ("sample", "inpaint")
"""Modes that can be asked for a class or by a prompt."""
_HIDDEN = 128
"""The grey of what is hidden."""
_MOST_WAYS = 10
"""Rows of a sheet of interpolations."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """What was generated and from what: kept inside the file that holds it."""

    run: str
    step: int
    mode: str
    seed: int
    num: int
    data: str | None
    label: str | None = None
    prompt: str | None = None

    def to_json(self, clip: int | None = None) -> str:
        """What a file keeps; one that holds a single clip of several also says which, from 1 on."""
        number = {} if clip is None else {"clip": clip}
        return json.dumps({"format": 1, **self.__dict__, **number})


@dataclass(frozen=True, kw_only=True)
class _Made:
    """Arrays by name, and what draws them."""

    arrays: dict[str, NDArray[Any]]
    draw: Callable[[], Sheet | ScatterChart | Track | str]


@dataclass(frozen=True, kw_only=True)
class _Material:
    """The pictures that something is made of, and the seed that chooses among them."""

    dataset: Dataset
    split: str
    seed: int

    def indices(self, num: int) -> torch.Tensor:
        """`num` samples; DataError where there are fewer."""
        available = self.dataset.split(self.split).num_samples
        if available < num:
            raise DataError("too few pictures", where=self.split, got=available, expected=f"at least {num}")
        return torch.randperm(available, generator=stream(self.seed, "choice of pictures"))[:num]

    def images(self, indices: torch.Tensor) -> torch.Tensor:
        return self.dataset.batch(self.split, indices)["images"]

    def originals(self, mode: Mode, num: int | None) -> Pictures:
        """So many pictures; where nothing is said, as many as a sheet shows well, or all there are."""
        available = self.dataset.split(self.split).num_samples
        return to_pictures(self.images(self.indices(min(_NUM[mode], available) if num is None else num)))


def generate(
    run: str | Path,
    out: Path,
    *,
    mode: Mode = "sample",
    num: int | None = None,
    seed: int = 0,
    data: str | None = None,
    split: str | None = None,
    checkpoint: str = "best",
    label: str | None = None,
    prompt: str | None = None,
    progress: Progress | None = None,
) -> Record:
    """Makes pictures, rows or codes with a run's model and writes them to `out`.

    Args:
        run: The run's ID or folder.
        out: A sheet (.png), arrays (.npz: pictures uint8 (N, H, W, C), codes float32 (N, L)), or for codes a
            map in two dimensions (.svg). Samples of a table: .csv, .npz ("rows" float64 (N, F)), or a map
            of two columns (.svg). Samples of sound: one file to be heard (.wav: one behind the other with
            pauses of a quarter of a second, 10 where `num` is None; or one a clip, from 1 on, where the
            name has a number, seven-%02d.wav), .npz ("audio" float32 (N, T),
            "sample_rate", "pictures"), or their log-mel pictures (.png).
        mode: sample; reconstruct: pictures above what the model makes of them; denoise: the same with noisy
            pictures, where `data` gives none the run's own with noise added; inpaint: pictures above what
            the model completes their upper halves to; interpolate: rows from one picture to another; encode:
            the code of each picture.
        num: How many samples, pictures, or pictures of each way; default: what a sheet shows well, and to
            encode all there are.
        seed: Decides samples and noise, and which pictures are taken.
        data: Other pictures than the run's own.
        split: Which part of the data; default: see `default_split`.
        checkpoint: "best", "last", or a name.
        label: The class of which samples are drawn, by its name (model.condition: class).
        prompt: A short text that says what is drawn (model.condition: text). Both for mode inpaint too.
        progress: Who watches.

    Raises:
        UsageError: The family cannot do that, or `out` has an unknown ending.
        DataError: There are too few pictures, or they have another form than the run's.
        ResourceError: Out of memory or disk.
    """
    _check(mode, out, num, {"data": data, "split": split}, {"label": label, "prompt": prompt})
    watcher = Silent() if progress is None else progress
    loaded = load(run, checkpoint=checkpoint)
    remark = None if prompt is None else loaded.having("samples", "draw samples").prompt_remark(prompt)
    if remark is not None:
        watcher.say(f"warning: {remark}")
    with memory_errors("ask for fewer"):
        if mode == "sample":
            made = _sample(loaded, out, num, seed, label, prompt)
        else:
            if mode == "inpaint":
                loaded.require("inpaints", "complete pictures")
            else:
                loaded.require("encodes", f"{mode} pictures")
            if data is None:
                dataset = run_data(loaded.run, watcher)
            else:
                dataset = load_other(data, loaded.recipe.data, loaded.spec, watcher)
            part = default_split(dataset, watcher) if split is None else split
            material = _Material(dataset=dataset, split=part, seed=seed)
            if mode == "inpaint":
                made = _inpaint(loaded, material, num, label, prompt)
            else:
                made = _make(loaded, mode, material, num, noisy=data is not None)
    made_num = len(next(iter(made.arrays.values())))
    record = Record(
        run=loaded.run.id,
        step=loaded.step,
        mode=mode,
        seed=seed,
        num=made_num,
        data=data,
        label=label,
        prompt=prompt,
    )
    _write(out, made, record)
    return record


def draws_samples(run: str | Path) -> bool:
    """Whether a name stands for a run whose model draws pictures or rows of a table."""
    try:
        found = find_run(run)
    except NotFoundError:
        return False
    return "samples" in family(run_recipe(found).model.family).traits


def sample_endings(run: str | Path) -> tuple[str, ...]:
    """The endings of files that samples of a run are written into.

    Raises:
        NotFoundError: There is no such run.
    """
    return _OF_SAMPLES[_what(data_spec(find_run(run)))]


def project(codes: NDArray[Any]) -> NDArray[np.float64]:
    """Codes (N, L) in the plane of their two largest principal components, (N, 2); L <= 2: as they are.

    What is missing is 0: the second number of codes of one, or of a single code.
    """
    points = codes.astype(np.float64) - codes.mean(0)
    if points.shape[1] > 2:
        _, _, axes = np.linalg.svd(points, full_matrices=False)
        points = points @ axes[:2].T
    return np.pad(points, ((0, 0), (0, 2 - points.shape[1])))


def code_map(codes: NDArray[Any], labels: Any, class_names: tuple[str, ...]) -> ScatterChart:
    """The latent space as a picture: the two largest principal components of the codes, by class."""
    names = ("first", "second") if codes.shape[1] > 2 else ("code 1", "code 2")
    kind = " principal component" if codes.shape[1] > 2 else ""
    return ScatterChart(
        title="codes of the pictures in two dimensions",
        points=project(codes),
        x=Axis(label=names[0] + kind),
        y=Axis(label=names[1] + kind),
        labels=labels,
        class_names=class_names,
    )


def _check(
    mode: Mode, out: Path, num: int | None, material: dict[str, str | None], asked: dict[str, str | None]
) -> None:
    """Refuses what cannot be done before anything is loaded."""
    if mode not in _SUFFIXES:
        raise UsageError(f'no mode "{mode}"{did_you_mean(mode, _SUFFIXES)}')
    if out.suffix not in _SUFFIXES[mode]:
        raise UsageError(
            "unknown ending", where=out, got=out.suffix or "none", expected=" or ".join(_SUFFIXES[mode])
        )
    lowest = 2 if mode == "interpolate" else 1
    if num is not None and num < lowest:
        raise UsageError("too few to make", where="num", got=num, expected=f"at least {lowest}")
    for name, value in material.items():
        if mode == "sample" and value is not None:
            raise UsageError(f"samples are drawn from nothing: {name} has no effect", where=name, got=value)
    for name, value in asked.items():
        if mode not in _DRAWING and value is not None:
            raise UsageError(f"only samples can be asked for: {name} has no effect", where=name, got=value)


def _make(loaded: Loaded, mode: Mode, material: _Material, num: int | None, *, noisy: bool) -> _Made:
    """What a mode makes of pictures; `noisy` where they have noise already."""
    available = material.dataset.split(material.split).num_samples
    if mode == "encode":
        return _encode(loaded, material, torch.arange(available) if num is None else material.indices(num))
    if mode == "interpolate":
        return _interpolate(loaded, material, _NUM[mode] if num is None else num, available)
    originals = material.originals(mode, num)
    if mode == "reconstruct":
        return _comparison({"originals": originals, "pictures": loaded.reconstruct(originals)})
    if noisy:
        return _comparison({"originals": originals, "pictures": loaded.denoise(originals)})
    disturbed = loaded.add_noise(originals, seed=material.seed)
    return _comparison({"originals": originals, "noisy": disturbed, "pictures": loaded.denoise(disturbed)})


def _sample(
    loaded: Loaded, out: Path, asked_num: int | None, seed: int, label: str | None, prompt: str | None
) -> _Made:
    names, form = loaded.spec.feature_names, loaded.shown_spec.sound
    what = _what(loaded.shown_spec)
    if out.suffix not in _OF_SAMPLES[what]:
        endings = " or ".join(_OF_SAMPLES[what])
        raise UsageError(f"{what} cannot be written so", where=out, expected=endings)
    num = (_NUM_HEARD if out.suffix == ".wav" else _NUM["sample"]) if asked_num is None else asked_num
    if not names:
        drawn = loaded.draw_pictures(num, seed=seed, label=label, prompt=prompt)
        if form is not None:
            return _sounds(loaded, out, drawn, form, seed)
        return _Made(arrays={"pictures": drawn}, draw=partial(picture_sheet, drawn, alt=f"{num} samples"))
    rows = np.asarray(loaded.generate(num, seed=seed, label=label, prompt=prompt), dtype=np.float64)
    if out.suffix == ".csv":
        return _Made(arrays={"rows": rows}, draw=partial(rows_as_csv, rows, names))
    if len(names) != 2:
        raise UsageError(
            "only two columns make a map", where=out, got=f"{len(names)} columns", expected=".csv"
        )
    return _Made(arrays={"rows": rows}, draw=partial(row_map, rows, names))


def _what(spec: DataSpec) -> str:
    """What samples of this form are, a key of `_OF_SAMPLES`."""
    if spec.kind == "table":
        return "rows of a table"
    return "pictures" if spec.sound is None else "clips of sound"


def _sounds(loaded: Loaded, out: Path, drawn: Pictures, form: SoundForm, seed: int) -> _Made:
    """Clips with their pictures; the pictures alone where nothing is to be heard."""
    sheet = partial(picture_sheet, drawn, alt=f"log-mel pictures of {len(drawn)} clips")
    if out.suffix == ".png":
        return _Made(arrays={"pictures": drawn}, draw=sheet)
    clips = loaded.to_sound(drawn, seed=seed)
    return _Made(
        arrays={"audio": clips, "pictures": drawn, "sample_rate": np.array(form.sample_rate)},
        draw=partial(Track, clips=clips, form=form),
    )


def row_map(rows: NDArray[np.float64], names: tuple[str, ...]) -> ScatterChart:
    """Rows of two columns as points."""
    return ScatterChart(
        title=f"{len(rows):,} samples", points=rows, x=Axis(label=names[0]), y=Axis(label=names[1])
    )


def _inpaint(
    loaded: Loaded, material: _Material, num: int | None, label: str | None, prompt: str | None
) -> _Made:
    """Pictures, their upper halves, and what the model completes these to."""
    originals = material.originals("inpaint", num)
    known = np.zeros(originals.shape[1:3], dtype=bool)
    known[: (len(known) + 1) // 2] = True
    kept = np.where(known[..., None], originals, np.uint8(_HIDDEN))
    completed = loaded.inpaint(kept, known, seed=material.seed, label=label, prompt=prompt)
    return _comparison({"originals": originals, "kept": kept, "pictures": completed})


def _comparison(rows: dict[str, Pictures]) -> _Made:
    shown = {"pictures": "from the model"}
    named = {shown.get(name, name): pictures for name, pictures in rows.items()}
    return _Made(arrays=dict(rows), draw=partial(comparison_sheet, named, alt=" above ".join(named)))


def _interpolate(loaded: Loaded, material: _Material, num: int, available: int) -> _Made:
    num_ways = max(1, min(_MOST_WAYS, available // 2))
    ends = to_pictures(material.images(material.indices(2 * num_ways)))
    ways = [loaded.interpolate(ends[2 * way], ends[2 * way + 1], num) for way in range(num_ways)]
    draw = partial(picture_sheet, np.concatenate(ways), alt="ways between two pictures", columns=num)
    return _Made(arrays={"pictures": np.stack(ways)}, draw=draw)


def _encode(loaded: Loaded, material: _Material, indices: torch.Tensor) -> _Made:
    labels = material.dataset.split(material.split).labels
    codes = loaded.encode(material.images(indices))
    arrays: dict[str, NDArray[Any]] = {"codes": codes}
    if labels is not None:
        arrays["labels"] = labels[indices].numpy()
    if codes.dtype == np.int64:
        return _Made(arrays=arrays, draw=_no_map)
    names = material.dataset.spec.class_names
    return _Made(arrays=arrays, draw=partial(code_map, codes, arrays.get("labels"), names))


def _no_map() -> str:
    """Refuses to draw code maps in the plane."""
    raise UsageError(
        "code maps hold names of codes, which are no coordinates: there is no map of them",
        where="out",
        expected=".npz",
    )


def _write(out: Path, made: _Made, record: Record) -> None:
    """The arrays or the drawing, as the ending says, with the record inside where the format has a place."""
    buffer = io.BytesIO()
    if out.suffix == ".npz":
        everything: dict[str, Any] = {**made.arrays, "record": np.array(record.to_json())}
        np.savez_compressed(buffer, **everything)
        write_atomic(out, buffer.getvalue())
        return
    drawing = made.draw()
    if isinstance(drawing, str):
        write_atomic(out, drawing)
        return
    if isinstance(drawing, Track):
        for path, content in drawing.files(out, record.to_json).items():
            write_atomic(path, content)
        return
    if isinstance(drawing, ScatterChart):
        write_atomic(out, standalone(drawing))
        return
    note = PngImagePlugin.PngInfo()
    note.add_text("creuset", record.to_json())
    Image.open(io.BytesIO(drawing.png)).save(buffer, "PNG", pnginfo=note, optimize=True)
    write_atomic(out, buffer.getvalue())
