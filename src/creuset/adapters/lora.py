"""Low-rank updates of linear layers (LoRA), with the variants rsLoRA and DoRA.

    LoRA     W x + s B A x                        s = alpha / rank
    rsLoRA   the same with                        s = alpha / sqrt(rank)
    DoRA     m (W + s B A) x / |W + s B A|        |.| the norm of each row, m trained

with W frozen, A (R, I) drawn as torch draws a linear layer's weights and B (O, R) zero at first, m the norm
of each row of W: so at first nothing is changed. The norm is a constant to the gradient.

Source: Hu et al. 2022, "LoRA", section 4.1; Kalajdzievski 2023, "A Rank Stabilization Scaling Factor for
Fine-Tuning with LoRA", eq. 8; Liu et al. 2024, "DoRA", eqs. 5 and 11.
Departures: several updates may stand beside each other on a layer, and those that are active are added (each
DoRA update rescales the frozen product alone); dropout falls on the low-rank path only, and draws from a
BatchGenerator.

Legend of shapes: ... any leading axes, the first being samples, I inputs, O outputs, R rank.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from creuset.adapters.names import require_new
from creuset.adapters.switch import Switched
from creuset.device import BatchGenerator
from creuset.layers.dropout import Dropout


@dataclass(frozen=True, kw_only=True)
class LoraForm:
    """The form of an update.

    Args:
        rank: R, at least 1.
        alpha: What s is made of, above 0.
        rank_stabilised: Whether s is alpha / sqrt(R), as rsLoRA has it.
        decomposed: Whether the update is DoRA's.
        dropout: Probability of a zero in what A reads, in training.
    """

    rank: int
    alpha: float
    rank_stabilised: bool = False
    decomposed: bool = False
    dropout: float = 0.0

    @property
    def scale(self) -> float:
        """s."""
        return self.alpha / (math.sqrt(self.rank) if self.rank_stabilised else self.rank)


class LowRankUpdate(nn.Module):
    """One trained update of a frozen weight, to be made under a forked global generator with a seed.

    Args:
        weight: W, (O, I).
        form: Of the update.
    """

    def __init__(self, weight: Tensor, form: LoraForm) -> None:
        super().__init__()
        self.form, self.scale = form, form.scale
        self.dropout = Dropout(form.dropout)
        num_outputs, num_inputs = weight.shape
        self.down = nn.Parameter(torch.empty(form.rank, num_inputs, device=weight.device))
        self.up = nn.Parameter(torch.zeros(num_outputs, form.rank, device=weight.device))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))
        norms = weight.detach().float().norm(dim=1) if form.decomposed else None
        self.magnitude = None if norms is None else nn.Parameter(norms)

    def matrix(self) -> Tensor:
        """s B A, (O, I), float32."""
        matrix: Tensor = self.scale * (self.up @ self.down)
        return matrix

    def changed(self, weight: Tensor) -> Tensor:
        """The weight with this update, (O, I), in float32 at least."""
        changed = weight.to(torch.promote_types(weight.dtype, torch.float32)) + self.matrix()
        if self.magnitude is not None:
            changed = changed * (self.magnitude / changed.norm(dim=1))[:, None]
        return changed

    def added(self, x: Tensor, frozen: Tensor, weight: Tensor, generator: BatchGenerator | None) -> Tensor:
        """What it adds to the frozen layer's product.

        Args:
            x: (..., I).
            frozen: W x, (..., O), without the bias.
            weight: W.
            generator: Draws the dropout; nothing is dropped without.

        Returns:
            (..., O).
        """
        inside = functional.linear(self.dropout(x, generator), self.down.to(x.dtype))  # (..., R)
        update = functional.linear(inside, (self.scale * self.up).to(x.dtype))  # (..., O)
        if self.magnitude is None:
            return update
        with torch.no_grad():
            norms = (weight.float() + self.matrix()).norm(dim=1)
        ratio = (self.magnitude / norms).to(x.dtype)
        change: Tensor = (ratio - 1) * frozen + ratio * update
        return change

    def extra_repr(self) -> str:
        return str(self.form)


class AdaptedLinear(Switched):
    """A frozen linear layer with low-rank updates beside it.

    Args:
        linear: The layer; its parameters are frozen.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.frozen = linear.requires_grad_(False)
        self.updates = nn.ModuleDict()
        self.generator: BatchGenerator | None = None
        """Draws the dropout while `drawing` lasts."""

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self.updates)

    @property
    def weight(self) -> Tensor:
        """W with the active updates, (O, I), in the frozen weight's format."""
        weight = self.frozen.weight
        if not self.active:
            return weight
        precise = weight.to(torch.promote_types(weight.dtype, torch.float32))
        changes = [
            self.shares.get(name, 1.0) * (self.update(name).changed(weight) - precise) for name in self.active
        ]
        return (precise + torch.stack(changes).sum(0)).to(weight.dtype)

    def update(self, name: str) -> LowRankUpdate:
        """The update of that name."""
        update = self.updates[name]
        assert isinstance(update, LowRankUpdate)
        return update

    def forward(self, x: Tensor) -> Tensor:
        """(..., I) -> (..., O)."""
        frozen: Tensor = self.frozen(x)
        if not self.active:
            return frozen
        bias = self.frozen.bias
        product = frozen if bias is None else frozen - bias
        for name in self.active:
            added = self.update(name).added(x, product, self.frozen.weight, self.generator)
            share = self.shares.get(name, 1.0)
            frozen = frozen + (added if share == 1 else share * added)
        return frozen

    def plain_state(self) -> Mapping[str, Tensor]:
        bias = self.frozen.bias
        weight = {"weight": self.weight.detach()}
        return weight if bias is None else {**weight, "bias": bias.detach()}

    def plain(self) -> nn.Linear:
        """A linear layer with the active updates in its weights."""
        self.frozen.weight = nn.Parameter(self.weight.detach(), requires_grad=False)
        return self.frozen


def attach(module: nn.Module, forms: Mapping[str, LoraForm], name: str) -> None:
    """Sets updates beside linear layers, active from then on; all parameters of these layers are frozen.

    Args:
        module: The model.
        forms: The name of each linear layer within it, as `named_modules` gives it, and its update's form.
        name: Of the updates, together an adapter: a word without dots.

    Raises:
        UsageError: A layer has an update of that name already.
    """
    require_new(name, module, forms)
    for path, form in forms.items():
        owner, _, child = path.rpartition(".")
        parent = module.get_submodule(owner)
        layer = getattr(parent, child)
        if isinstance(layer, nn.Linear):
            layer = AdaptedLinear(layer)
            setattr(parent, child, layer)
        assert isinstance(layer, AdaptedLinear)
        layer.updates[name] = LowRankUpdate(layer.frozen.weight, form)
        layer.active = (*layer.active, name)


def adapted_layers(module: nn.Module) -> Mapping[str, AdaptedLinear]:
    """The layers with updates within a module, by name."""
    return {name: child for name, child in module.named_modules() if isinstance(child, AdaptedLinear)}


@contextmanager
def drawing(module: nn.Module, generator: BatchGenerator | None) -> Iterator[None]:
    """Dropout of updates draws from this generator within the block; without one nothing is dropped."""
    layers = adapted_layers(module).values()
    try:
        for layer in layers:
            layer.generator = generator
        yield
    finally:
        for layer in layers:
            layer.generator = None
