"""`creuset generate`: samples, reconstructions, pictures without their noise, ways between two, and codes."""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from creuset.data.dataset import Dataset, conform
from creuset.errors import DataError, UsageError, did_you_mean
from creuset.files import write_atomic
from creuset.generation.pictures import to_pictures
from creuset.progress import Progress, Silent
from creuset.recipe.sections import DataConfig
from creuset.reporting.charts import Axis, ScatterChart
from creuset.reporting.charts.standalone import standalone
from creuset.reporting.sheet import Sheet, comparison_sheet, picture_sheet
from creuset.workflows.evaluate import load_run_data
from creuset.workflows.load import Loaded, load

Mode = Literal["sample", "reconstruct", "denoise", "interpolate", "encode"]

_SUFFIXES: dict[Mode, tuple[str, ...]] = {
    "sample": (".png", ".npz"),
    "reconstruct": (".png", ".npz"),
    "denoise": (".png", ".npz"),
    "interpolate": (".png", ".npz"),
    "encode": (".npz", ".svg"),
}


@dataclass(frozen=True, kw_only=True)
class Record:
    """What was generated and from what: kept inside the file that holds it."""

    run: str
    step: int
    mode: str
    seed: int
    num: int
    data: str | None

    def to_json(self) -> str:
        return json.dumps({"format": 1, **self.__dict__})


def generate(
    run: str | Path,
    out: Path,
    *,
    mode: Mode = "sample",
    num: int = 64,
    seed: int = 0,
    data: str | None = None,
    split: str = "test",
    checkpoint: str = "best",
    progress: Progress | None = None,
) -> Record:
    """Makes pictures or codes with a run's model and writes them to `out`.

    Args:
        run: The run's ID or folder.
        out: A sheet (.png), arrays (.npz: pictures uint8 (N, H, W, C), codes float32 (N, L)), or for codes a
            map in two dimensions (.svg).
        mode: sample; reconstruct and denoise: pictures above what the model makes of them; interpolate: rows
            from one picture to another; encode: the code of each picture.
        num: How many samples, pictures, or pictures of each way.
        seed: Decides samples, and which pictures are taken.
        data: Other pictures than the run's own.
        split: Which part of the data.
        checkpoint: "best", "last", or a name.
        progress: Who watches.

    Raises:
        UsageError: The family cannot do that, or `out` has an unknown ending.
    """
    if mode not in _SUFFIXES:
        raise UsageError(f'no mode "{mode}"{did_you_mean(mode, _SUFFIXES)}')
    if out.suffix not in _SUFFIXES[mode]:
        raise UsageError(
            "unknown ending", where=out, got=out.suffix or "none", expected=" or ".join(_SUFFIXES[mode])
        )
    if num < 1:
        raise UsageError("nothing to make", where="num", got=num, expected="at least 1")
    loaded = load(run, checkpoint=checkpoint)
    record = Record(run=loaded.run.id, step=loaded.step, mode=mode, seed=seed, num=num, data=data)
    if mode == "sample":
        if data is not None:
            raise UsageError("samples are drawn from nothing: --data has no effect", where="--data", got=data)
        drawn = loaded.generate(num, seed=seed)
        _write(out, {"pictures": drawn}, picture_sheet(drawn, alt=f"{num} samples"), record)
        return record
    dataset = _pictures_of(loaded, data, Silent() if progress is None else progress)
    if mode == "encode":
        _encode(loaded, dataset, split, out, record)
        return record
    wanted = num if mode != "interpolate" else 2 * _num_ways(num)
    originals = _choose(dataset, split, wanted, seed)
    if mode == "interpolate":
        ways = [
            loaded.interpolate(originals[2 * way], originals[2 * way + 1], num)
            for way in range(_num_ways(num))
        ]
        stacked = np.concatenate(ways)
        sheet = picture_sheet(stacked, alt="ways between two pictures", columns=num)
        _write(out, {"pictures": np.stack(ways)}, sheet, record)
        return record
    made = loaded.reconstruct(originals) if mode == "reconstruct" else loaded.denoise(originals)
    sheet = comparison_sheet({"original": originals, mode: made}, alt=f"originals above {mode}d pictures")
    _write(out, {"originals": originals, "pictures": made}, sheet, record)
    return record


def project(codes: NDArray[np.float32]) -> NDArray[np.float64]:
    """Codes (N, L) in the plane of their two largest principal components, (N, 2); L <= 2: as they are."""
    centred = codes.astype(np.float64) - codes.mean(0)
    if centred.shape[1] <= 2:
        return np.pad(centred, ((0, 0), (0, 2 - centred.shape[1])))
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    return np.asarray(centred @ axes[:2].T)


def code_map(codes: NDArray[np.float32], labels: Any, class_names: tuple[str, ...]) -> ScatterChart:
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


def _num_ways(num_steps: int) -> int:
    """Ways on a sheet: about as many rows as fit a sheet that is as high as it is wide."""
    return max(1, min(10, num_steps))


def _pictures_of(loaded: Loaded, data: str | None, progress: Progress) -> Dataset:
    own = loaded.recipe.data
    config = own if data is None else DataConfig(source=data, image_size=own.image_size)
    return conform(load_run_data(config, progress), loaded.spec)


def _choose(dataset: Dataset, split: str, num: int, seed: int) -> NDArray[np.uint8]:
    """`num` pictures of a split, chosen by the seed, uint8 (num, H, W, C)."""
    available = dataset.split(split).num_samples
    if available < num:
        raise DataError("too few pictures", where=split, got=available, expected=f"at least {num}")
    generator = torch.Generator().manual_seed(seed)
    indices = torch.randperm(available, generator=generator)[:num]
    return to_pictures(dataset.batch(split, indices)["images"])


def _encode(loaded: Loaded, dataset: Dataset, split: str, out: Path, record: Record) -> None:
    part = dataset.split(split)
    images = dataset.batch(split, torch.arange(part.num_samples))["images"]
    codes = loaded.encode(images)
    labels = None if part.labels is None else part.labels.numpy()
    if out.suffix == ".svg":
        chart = code_map(codes, labels, dataset.spec.class_names)
        write_atomic(out, standalone(chart))
        return
    arrays: dict[str, NDArray[Any]] = {"codes": codes}
    if labels is not None:
        arrays["labels"] = labels
    _write(out, arrays, None, record)


def _write(out: Path, arrays: dict[str, NDArray[Any]], sheet: Sheet | None, record: Record) -> None:
    buffer = io.BytesIO()
    if out.suffix == ".npz":
        everything: dict[str, Any] = {**arrays, "record": np.array(record.to_json())}
        np.savez_compressed(buffer, **everything)
    else:
        assert sheet is not None
        note = PngImagePlugin.PngInfo()
        note.add_text("creuset", record.to_json())
        Image.open(io.BytesIO(sheet.png)).save(buffer, "PNG", pnginfo=note, optimize=True)
    write_atomic(out, buffer.getvalue())
