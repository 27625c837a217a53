"""Vector quantisation: each vector is replaced by the nearest of a few, the codes of a codebook.

    k = argmin_k ||z - e_k||,   z_q = z + stop_gradient(e_k - z)

so that the gradient of z_q passes to z as it is (straight-through). The codebook follows the vectors that
fall to each code, by running means (`ema`), or is a parameter that a loss ||stop_gradient(z) - e_k||^2 pulls
(`loss`).

    use_k  <- d use_k  + (1 - d) K n_k / n
    sum_k  <- d sum_k  + (1 - d) K (sum of the z that fell to k) / n,      e_k = sum_k / use_k

What a batch shows is gathered over its parts and over processes, and the codebook moves once, after the
update (`end_update`): it does not depend on how a batch is cut, but for the order of floating-point sums. In
evaluation nothing is gathered.

A code whose use is below `restart_below` (1 is the mean use) is moved onto a vector of the batch, drawn at
random. Use begins at 0, so that the first update lays the codebook onto the data.

Sources: van den Oord, Vinyals & Kavukcuoglu 2017, "Neural Discrete Representation Learning" (VQ-VAE),
equations 1 to 3 and appendix A.1; Dhariwal et al. 2020, "Jukebox", section 3.1 (restart of dead codes).
Departures: counts are shares of a batch, so that use does not depend on its size; a code that is hardly ever
used stays where it is, rather than being divided by a smoothed count.

Legend of shapes: B batch, D numbers of a vector, h height, w width, K codes, M vectors of a part.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.distributed
from torch import Tensor, nn
from torch.nn import functional

from creuset.device import BatchGenerator

CodebookUpdate = Literal["ema", "loss"]

_LEAST_USE = 1e-6
"""Below this use a code is no mean of anything but rounding errors, and stays."""


@dataclass(frozen=True, kw_only=True)
class Quantised:
    """What became of vectors.

    Args:
        vectors: The nearest codes, (B, D, h, w), with the gradient of what was quantised.
        codes: Their numbers, int64 (B, h, w), in [0, K).
        commitment: ||z - stop_gradient(e)||^2 of each vector, (B, h, w): pulls vectors to their codes.
        codebook: ||stop_gradient(z) - e||^2, (B, h, w): pulls codes to their vectors; None where running
            means move them.
    """

    vectors: Tensor
    codes: Tensor
    commitment: Tensor
    codebook: Tensor | None


class VectorQuantiser(nn.Module):
    """A codebook and what it makes of vectors.

    Args:
        num_codes: K.
        code_dim: D.
        update: What moves the codebook.
        decay: d of the running means, in [0, 1).
        restart_below: The use below which a code is moved onto the data; 0 is never. For `ema` alone.
    """

    codebook: Tensor
    use: Tensor
    sums: Tensor

    def __init__(
        self, num_codes: int, code_dim: int, *, update: CodebookUpdate, decay: float, restart_below: float
    ) -> None:
        super().__init__()
        self.num_codes, self.code_dim = num_codes, code_dim
        self.decay, self.restart_below = decay, restart_below
        self.learned = update == "loss"
        codes = torch.empty(num_codes, code_dim).uniform_(-1 / num_codes, 1 / num_codes)
        if self.learned:
            self.codebook = nn.Parameter(codes)
        else:
            self.register_buffer("codebook", codes)
            self.register_buffer("sums", torch.zeros(num_codes, code_dim))
        self.register_buffer("use", torch.zeros(num_codes))
        self._counts: list[Tensor] = []
        self._sums: list[Tensor] = []
        self._drawn: list[tuple[Tensor, Tensor]] = []

    def forward(self, vectors: Tensor, generator: BatchGenerator) -> Quantised:
        """Quantises vectors (B, D, h, w); in training mode it remembers what `end_update` needs.

        Args:
            vectors: What an encoder made.
            generator: Draws onto which of them dead codes may be moved.
        """
        codes = self.nearest(vectors)
        chosen = self.look_up(codes)
        vectors = vectors.to(chosen.dtype)
        if self.training:
            self._remember(vectors.detach(), codes, generator)
        return Quantised(
            vectors=vectors + (chosen - vectors).detach(),
            codes=codes,
            commitment=(vectors - chosen.detach()).square().sum(1),
            codebook=(vectors.detach() - chosen).square().sum(1) if self.learned else None,
        )

    @torch.no_grad()
    def nearest(self, vectors: Tensor) -> Tensor:
        """The nearest code of each vector: (B, D, h, w) -> int64 (B, h, w); the first one of equally near."""
        rows = _rows(vectors).to(self.codebook.dtype)
        with torch.autocast(rows.device.type, enabled=False):
            # ||z - e||^2 without ||z||^2, which is the same for all codes
            distances = self.codebook.square().sum(1) - 2 * rows @ self.codebook.T
        batch, _, height, width = vectors.shape
        return distances.argmin(1).reshape(batch, height, width)

    def look_up(self, codes: Tensor) -> Tensor:
        """The vectors of codes: int64 (B, h, w) -> (B, D, h, w)."""
        rows: Tensor = functional.embedding(codes, self.codebook)
        return rows.permute(0, 3, 1, 2)

    @property
    def perplexity(self) -> Tensor:
        """exp of the entropy of the running use: as many codes as if all were used alike, from 1 to K."""
        shares = self.use / self.use.sum().clamp_min(_LEAST_USE)
        entropy: Tensor = torch.special.entr(shares).sum()
        return entropy.exp()

    def forget(self) -> None:
        """Drops what was remembered since the last update."""
        self._counts.clear()
        self._sums.clear()
        self._drawn.clear()

    @torch.no_grad()
    def end_update(self) -> None:
        """Moves the codebook by what was remembered since the last one; every process must call it."""
        if not self._counts:
            return
        counts = _over_processes(torch.stack(self._counts).sum(0))
        weight = (1 - self.decay) * self.num_codes / counts.sum()
        self.use.mul_(self.decay).add_(weight * counts)
        if not self.learned:
            sums = _over_processes(torch.stack(self._sums).sum(0))
            self.sums.mul_(self.decay).add_(weight * sums)
            alive = (self.use > _LEAST_USE)[:, None]
            self.codebook.copy_(torch.where(alive, self.sums / self.use[:, None], self.codebook))
        if self.restart_below > 0:
            self._restart()
        self.forget()

    def _restart(self) -> None:
        """Moves dead codes onto drawn vectors, as many as there are, with the use of a mean code."""
        keys = torch.cat([_from_processes(keys) for keys, _ in self._drawn])
        vectors = torch.cat([_from_processes(vectors) for _, vectors in self._drawn])
        order = keys.argsort(stable=True)[: int(keys.isfinite().sum())]
        dead = (self.use < self.restart_below).nonzero()[:, 0][: len(order)]
        moved = vectors[order[: len(dead)]]
        self.codebook[dead], self.sums[dead], self.use[dead] = moved, moved, 1.0

    @torch.no_grad()
    def _remember(self, vectors: Tensor, codes: Tensor, generator: BatchGenerator) -> None:
        """What a part of a batch shows: how often codes were taken, and by what; and who may take a dead
        one's place, the vectors with the lowest K of the numbers that are drawn for all."""
        rows = _rows(vectors)
        taken = functional.one_hot(codes.flatten(), self.num_codes).to(rows.dtype)
        self._counts.append(taken.sum(0))
        if not self.learned:
            with torch.autocast(rows.device.type, enabled=False):
                self._sums.append(taken.T @ rows)  # a product adds up in the same order each time
        if self.restart_below > 0:
            keys = generator.uniform(*codes.shape[1:]).flatten()
            lowest = keys.argsort(stable=True)[: self.num_codes]
            missing = self.num_codes - len(lowest)  # processes exchange as many each
            self._drawn.append(
                (
                    functional.pad(keys[lowest], (0, missing), value=torch.inf),
                    functional.pad(rows[lowest], (0, 0, 0, missing)),
                )
            )

    def extra_repr(self) -> str:
        return f"{self.num_codes} codes of {self.code_dim} numbers"


def _rows(vectors: Tensor) -> Tensor:
    """(B, D, h, w) -> (M, D)."""
    return vectors.permute(0, 2, 3, 1).flatten(0, 2)


def _over_processes(values: Tensor) -> Tensor:
    """The sum over the processes of a training."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(values)
    return values


def _from_processes(values: Tensor) -> Tensor:
    """The rows of all processes of a training, in their order."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return values
    parts = [torch.empty_like(values) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(parts, values.contiguous())
    return torch.cat(parts)
