"""The first stage of a model of two: the run whose model makes code maps of pictures, and pictures of them.

A second stage names it as its data, `data.source: run:NAME`. What it learned of are the codes of one
checkpoint: the run that has another one now, or is gone, is refused by name.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from creuset.data.code_maps import as_codes, code_dataset
from creuset.data.dataset import Dataset
from creuset.data.pixels import to_floats
from creuset.data.spec import CodeForm, DataSpec
from creuset.errors import CheckpointError
from creuset.generation import pictures
from creuset.generation.observation import CHUNK
from creuset.models.base import Model
from creuset.progress import Progress
from creuset.runs.folder import RunFolder

RUN = "run:"
"""How `data.source` begins where it names a run."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FirstStage:
    """A trained model of code maps, ready to use.

    Args:
        run: Where it was trained.
        model: The model, in evaluation mode.
        spec: The form of the pictures that it was trained on.
        form: Names the run and the checkpoint.
        device: Where the model is.
    """

    run: RunFolder
    model: Model
    spec: DataSpec
    form: CodeForm
    device: torch.device

    def maps(self, images: Tensor) -> Tensor:
        """Pictures, float32 (N, C, H, W) in [-1, 1], as code maps as they are batched, (N, 1, h, w)."""
        return to_floats(pictures.encode(self.model, images, self.device)[:, None], self.model.num_codes)

    def shown(self, maps: Tensor) -> Tensor:
        """The pictures of code maps as they are batched: (N, 1, h, w) -> float32 (N, C, H, W) in [-1, 1]."""
        return self._decode(as_codes(maps, self.model.num_codes))

    def dataset(self, data: Dataset, progress: Progress) -> Dataset:
        """The code maps of a data set of pictures, in its splits."""
        progress.start("codes", sum(split.num_samples for split in data.splits.values()), "pictures")
        maps, done = {}, 0
        for name, split in data.splits.items():
            parts = []
            for places in torch.split(torch.arange(split.num_samples), CHUNK):
                images = data.batch(name, places)["images"]
                parts.append(pictures.encode(self.model, images, self.device))
                done += len(places)
                progress.advance(done)
            maps[name] = torch.cat(parts)
        progress.finish()
        return code_dataset(data, maps, self.form, num_codes=self.model.num_codes, decode=self._decode)

    def _decode(self, codes: Tensor) -> Tensor:
        return pictures.decode(self.model, codes.to(self.device), self.device)


def require_same_codes(then: CodeForm, now: CodeForm, where: object) -> None:
    """Refuses a first stage whose weights are no longer those that the second one learned of.

    Args:
        then: What the second stage was trained on.
        now: What the run is now.
        where: The second stage's run.

    Raises:
        CheckpointError: Its codes mean something else now.
    """
    if then.checkpoint != now.checkpoint:
        raise CheckpointError(
            f"the run {then.run} has changed since this one was trained on its codes",
            where=where,
            got=f"weights {now.checkpoint[:16]}",
            expected=f"weights {then.checkpoint[:16]}",
            next_step="train on its codes anew, or put its checkpoint back",
        )
