"""Convolutions and leaky ReLUs whose gradient by the input is quick to differentiate again.

A penalty on a critic's gradient is trained through that gradient. Torch takes its derivative in detours:
zeros where leaky ReLU has no curvature, which then travel through the whole network, and the weights' part
of a convolution as a forward convolution with kernels as large as the maps. Here leaky ReLU's slope is
told to have no derivative, and the weights' part is the convolution's usual gradient by weights. With y =
x * w, the gradient u by y, and g = w^T * u the gradient by x, of a direction v:

    <v, g> = <v * w, u>      by u: v * w, a convolution;      by w: what <x * w, u> has by w, with v for x

The numbers are torch's, up to rounding, and derivatives of any order are there. How much quicker a step of
WGAN-GP becomes: benchmarks/gan_steps.py.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_Pair = tuple[int, int]
_Sizes = int | Sequence[int]
_Geometry = tuple[_Pair, _Pair, _Pair, int]
"""Stride, padding, dilation, groups."""


class TwiceDifferentiable(TorchFunctionMode):
    """Within the block, 2-D convolutions and leaky ReLUs are those of this file, whoever calls them.

        with TwiceDifferentiable() as mode:
            scores = critic(samples)
        gradients = mode.gradients(scores.sum(), samples)

    What they cannot say is left to torch: padding by name, leaky ReLU in place, a picture without a batch.
    """

    def __init__(self) -> None:
        super().__init__()
        self._by_inputs_alone = False

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func is functional.conv2d:
            return self._conv2d(*args, **kwargs)
        if func is functional.leaky_relu:
            return _leaky_relu(*args, **kwargs)
        return func(*args, **kwargs)

    def gradients(self, total: Tensor, inputs: Tensor) -> Tensor:
        """The gradient of a number by the inputs of what was computed in the block, in its own graph.

        As `torch.autograd.grad(total, inputs, create_graph=True)`, which cannot tell a function of Python
        that nobody asks for the gradients of its weights. The weights of convolutions must not depend on
        the inputs: what would reach these through weights is left out.
        """
        with self._without_weights():
            (found,) = torch.autograd.grad(total, inputs, create_graph=True)
        return found

    @contextmanager
    def _without_weights(self) -> Iterator[None]:
        self._by_inputs_alone = True
        try:
            yield
        finally:
            self._by_inputs_alone = False

    @property
    def by_inputs_alone(self) -> bool:
        """Whether gradients are being taken by inputs alone."""
        return self._by_inputs_alone

    def _conv2d(
        self,
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: _Sizes = 1,
        padding: _Sizes | str = 0,
        dilation: _Sizes = 1,
        groups: int = 1,
    ) -> Tensor:
        if isinstance(padding, str) or input.ndim != 4:
            return functional.conv2d(input, weight, bias, stride, padding, dilation, groups)
        x, weight = _in_format_of_block(input), _in_format_of_block(weight)
        bias = None if bias is None else _in_format_of_block(bias)
        geometry = (_pair(stride), _pair(padding), _pair(dilation), groups)
        found: Tensor = _Convolution.apply(x, weight, bias, geometry, self)  # type: ignore[no-untyped-call]
        return found


class _Convolution(Function):
    """x (B, C, H, W), weights (D, C / groups, k, l), bias (D,) or None -> (B, D, h, w)."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        geometry: _Geometry,
        mode: TwiceDifferentiable,
    ) -> Tensor:
        ctx.geometry, ctx.mode, ctx.has_bias = geometry, mode, bias is not None
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, weight)
        return _convolved(x, weight, bias, geometry)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None) -> tuple[Tensor | None, ...]:
        by_x = by_weight = by_bias = None
        if gradient is not None:
            x, weight = ctx.saved_tensors
            if ctx.needs_input_grad[0]:
                by_x = _ByInput.apply(gradient, x, weight, ctx.geometry)  # type: ignore[no-untyped-call]
            if not ctx.mode.by_inputs_alone:
                if ctx.needs_input_grad[1]:
                    by_weight = _by_weight(gradient, x, weight, ctx.geometry)
                if ctx.has_bias and ctx.needs_input_grad[2]:
                    by_bias = gradient.sum((0, 2, 3))
        return by_x, by_weight, by_bias, None, None


class _ByInput(Function):
    """The gradient by a convolution's output, (B, D, h, w), to that by its input, (B, C, H, W): linear in the
    gradient and in the weights; of the input it takes nothing but the shape."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, x: Tensor, weight: Tensor, geometry: _Geometry) -> Tensor:
        ctx.geometry = geometry
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(gradient, weight)
        found: Tensor = _gradients(gradient, x, weight, geometry, [True, False, False])[0]
        return found

    @staticmethod
    def backward(ctx: Any, direction: Tensor | None) -> tuple[Tensor | None, ...]:
        by_gradient = by_weight = None
        if direction is not None:
            gradient, weight = ctx.saved_tensors
            if ctx.needs_input_grad[0]:
                by_gradient = _convolved(direction, weight, None, ctx.geometry)
            if ctx.needs_input_grad[2]:
                by_weight = _by_weight(gradient, direction, weight, ctx.geometry)
        return by_gradient, None, by_weight, None


class _LeakyReLU(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: float) -> Tensor:
        ctx.slope = slope
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x)
        return functional.leaky_relu(x, slope)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None) -> tuple[Tensor | None, None]:
        if gradient is None:
            return None, None
        (x,) = ctx.saved_tensors
        return _BySlope.apply(gradient, x, ctx.slope), None  # type: ignore[no-untyped-call]


class _BySlope(Function):
    """A gradient times the slope of leaky ReLU at x: linear in the gradient, constant around x."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, x: Tensor, slope: float) -> Tensor:
        ctx.slope = slope
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x)
        found: Tensor = torch.ops.aten.leaky_relu_backward(gradient, x, slope, False)
        return found

    @staticmethod
    def backward(ctx: Any, direction: Tensor | None) -> tuple[Tensor | None, None, None]:
        if direction is None:
            return None, None, None
        (x,) = ctx.saved_tensors
        return _BySlope.apply(direction, x, ctx.slope), None, None  # type: ignore[no-untyped-call]


def _in_format_of_block(tensor: Tensor) -> Tensor:
    """In the number format of an autocast around, which leaves float64 as it is."""
    kind = tensor.device.type
    if torch.is_autocast_enabled(kind) and tensor.is_floating_point() and tensor.dtype != torch.float64:
        return tensor.to(torch.get_autocast_dtype(kind))
    return tensor


def _leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    if inplace:
        return functional.leaky_relu(input, negative_slope, inplace)
    found: Tensor = _LeakyReLU.apply(input, negative_slope)  # type: ignore[no-untyped-call]
    return found


def _convolved(x: Tensor, weight: Tensor, bias: Tensor | None, geometry: _Geometry) -> Tensor:
    stride, padding, dilation, groups = geometry
    return torch.convolution(x, weight, bias, stride, padding, dilation, False, (0, 0), groups)


def _by_weight(gradient: Tensor, x: Tensor, weight: Tensor, geometry: _Geometry) -> Tensor:
    found: Tensor = _gradients(gradient, x, weight, geometry, [False, True, False])[1]
    return found


def _gradients(gradient: Tensor, x: Tensor, weight: Tensor, geometry: _Geometry, wanted: list[bool]) -> Any:
    """By the input, by the weights and by the bias, those that are wanted."""
    stride, padding, dilation, groups = geometry
    return torch.ops.aten.convolution_backward(
        gradient, x, weight, None, stride, padding, dilation, False, (0, 0), groups, wanted
    )


def _pair(value: _Sizes) -> _Pair:
    """Of height and width; a single number stands for both."""
    return (value, value) if isinstance(value, int) else (value[0], value[-1])
