"""The gate's last question, asked of the model itself: do batches, their parts and padded rows train alike?

One batch of 8 rows behind each other, the same rows one by one, and the same rows padded must give one loss
and one gradient. Where they do not, texts see each other, padding is learned, or parts are weighed wrongly,
and nothing else would tell.

Legend of shapes: B rows, P trained numbers.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from creuset.data.dataset import Dataset
from creuset.data.token_stream import IGNORED
from creuset.device import Precision
from creuset.errors import GateError
from creuset.models.base import Batch
from creuset.models.tuned import Tuned
from creuset.models.tuning import asked_nats, padded_rows

_ROWS = 8
_TOLERANCE = {"float32": 1e-3, "float64": 1e-9, "bfloat16": 0.1}
"""The largest distance of two gradients, as a share of their length: what rounding leaves."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How well ways to compute a batch agree.

    Args:
        num_rows: B.
        loss: The largest difference of losses, as a share of the loss.
        gradient: The largest distance of gradients, as a share of their length.
        precision: The number format.
    """

    num_rows: int
    loss: float
    gradient: float
    precision: Precision

    @property
    def told(self) -> str:
        """A line for people."""
        return (
            f"{self.num_rows} rows in one batch, one by one and padded train alike: losses differ by "
            f"{self.loss:.1g}, gradients by {self.gradient:.1g} of themselves ({self.precision})"
        )

    def require(self) -> None:
        """Stops a tuning whose batches do not train alike.

        Raises:
            GateError: The difference is more than rounding.
        """
        if not max(self.loss, self.gradient) <= _TOLERANCE[self.precision]:  # NaN is no agreement
            raise GateError(
                "the gate refuses this tuning: rows of a batch train otherwise than the same rows one by one",
                got=f"losses that differ by {self.loss:.3g}, gradients by {self.gradient:.3g} of themselves",
                expected=f"at most {_TOLERANCE[self.precision]:g} in {self.precision}",
                next_step="report this: rows see each other, or padding is learned",
            )


def compare_batches(
    model: Tuned, dataset: Dataset, *, precision: Precision, device: torch.device
) -> Agreement:
    """The shortest training rows in one batch, one by one, and padded; no gradient is left behind.

    Args:
        model: Before its training.
        dataset: What it is trained on.
        precision: The number format.
        device: Where the model is.
    """
    tuning = dataset.split("train").tuning
    assert tuning is not None
    places = torch.argsort(tuning.lengths, stable=True)[:_ROWS]  # the shortest: this takes a moment
    whole = {name: value.to(device) for name, value in tuning.batch(places).items()}
    found = [_packed(model, [whole])]
    single = [tuning.batch(place[None]) for place in places]
    found.append(_packed(model, [{key: value.to(device) for key, value in one.items()} for one in single]))
    if dataset.spec.kind == "chats":
        found.append(_padded(model, whole, tuning.trained.rows.lengths[places].tolist()))
    first, first_gradient = found[0]
    length = float(first_gradient.norm())
    return Agreement(
        num_rows=len(places),
        loss=max(abs(loss - first) / max(abs(first), 1e-12) for loss, _ in found[1:]),
        gradient=max(float((other - first_gradient).norm()) / max(length, 1e-12) for _, other in found[1:]),
        precision=precision,
    )


def _packed(model: Tuned, batches: list[Batch]) -> tuple[float, Tensor]:
    """The loss of the batches together and its gradient, (P,)."""
    total = 0.0
    for batch in batches:
        loss = model.undisturbed_loss(batch) / len(batches)
        loss.backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach())
    return total, _gradient(model)


def _padded(model: Tuned, batch: Batch, lengths: list[int]) -> tuple[float, Tensor]:
    """The same of the rows of a packed batch, padded."""
    rows = padded_rows(batch, lengths, filling=0)
    nats, _ = asked_nats(model.body, rows)
    loss = nats / (len(lengths) * model.mean_targets)
    loss.backward()  # type: ignore[no-untyped-call]
    assert int((rows["targets"] != IGNORED).sum()) == int((batch["targets"] != IGNORED).sum())
    return float(loss.detach()), _gradient(model)


def _gradient(model: Tuned) -> Tensor:
    """The gradient of all that is trained, float64 (P,), which is taken away."""
    parts = []
    for _, value in model.player_parameters("model"):
        grad = torch.zeros_like(value) if value.grad is None else value.grad
        parts.append(grad.double().flatten())
        value.grad = None
    return torch.cat(parts)
