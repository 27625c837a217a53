"""EfficientNet-Lite0: features of pictures for Fréchet distances that need no network.

Source: Tan & Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", table 1,
in the Lite variant of its authors: no squeeze-and-excitation, ReLU6 in place of swish. Names of modules are
those of the weights (asset efficientnet-lite0). Padding is TensorFlow's SAME: where it is uneven, the right
and lower side get more.

Legend of shapes: B batch, H height, W width.
"""

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

SIDE = 224
"""Height and width of what the network reads."""
NUM_FEATURES = 1280
NUM_CLASSES = 1000

_STEM_CHANNELS = 32
_EPSILON = 1e-3

_STAGES = (
    # repeats, kernel, stride, expansion, channels out
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class SameConv(nn.Conv2d):
    """A convolution without bias, padded as TensorFlow's SAME: the result has ceil(size / stride) places."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int = 1, stride: int = 1, groups: int = 1
    ) -> None:
        even = kernel // 2 if stride == 1 else 0
        super().__init__(in_channels, out_channels, kernel, stride, padding=even, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == (1, 1):
            return super().forward(x)
        height, width = (
            max((-(-size // step) - 1) * step + kernel - size, 0)
            for size, step, kernel in zip(x.shape[-2:], self.stride, self.kernel_size, strict=True)
        )
        x = functional.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
        return super().forward(x)


class InvertedResidual(nn.Module):
    """Widen by 1 x 1, convolve each channel alone, narrow by 1 x 1 (Sandler et al. 2018, "MobileNetV2")."""

    def __init__(
        self, in_channels: int, out_channels: int, *, kernel: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        inner = in_channels * expansion
        self.widens = expansion > 1
        if self.widens:
            self._expand_conv = SameConv(in_channels, inner)
            self._bn0: nn.Module = nn.BatchNorm2d(inner, eps=_EPSILON)
        self._depthwise_conv = SameConv(inner, inner, kernel, stride, groups=inner)
        self._bn1: nn.Module = nn.BatchNorm2d(inner, eps=_EPSILON)
        self._project_conv = SameConv(inner, out_channels)
        self._bn2: nn.Module = nn.BatchNorm2d(out_channels, eps=_EPSILON)
        self.is_residual = stride == 1 and in_channels == out_channels

    def fold(self) -> None:
        """Works the batch norms into the convolutions, as `EfficientNetLite0.fold` says."""
        if self.widens:
            self._expand_conv, self._bn0 = _folded(self._expand_conv, self._bn0)
        self._depthwise_conv, self._bn1 = _folded(self._depthwise_conv, self._bn1)
        self._project_conv, self._bn2 = _folded(self._project_conv, self._bn2)

    def forward(self, x: Tensor) -> Tensor:
        hidden = _relu6(self._bn0(self._expand_conv(x))) if self.widens else x
        hidden = _relu6(self._bn1(self._depthwise_conv(hidden)))
        out: Tensor = self._bn2(self._project_conv(hidden))
        return out + x if self.is_residual else out


class EfficientNetLite0(nn.Module):
    """Pictures to 1,280 features and to logits of ImageNet's 1,000 classes."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = SameConv(3, _STEM_CHANNELS, kernel=3, stride=2)
        self._bn0: nn.Module = nn.BatchNorm2d(_STEM_CHANNELS, eps=_EPSILON)
        blocks, channels = [], _STEM_CHANNELS
        for repeats, kernel, stride, expansion, out_channels in _STAGES:
            for repeat in range(repeats):
                blocks.append(
                    InvertedResidual(
                        channels,
                        out_channels,
                        kernel=kernel,
                        stride=stride if repeat == 0 else 1,
                        expansion=expansion,
                    )
                )
                channels = out_channels
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = SameConv(channels, NUM_FEATURES)
        self._bn1: nn.Module = nn.BatchNorm2d(NUM_FEATURES, eps=_EPSILON)
        self._fc = nn.Linear(NUM_FEATURES, NUM_CLASSES)

    def forward(self, pictures: Tensor) -> Tensor:
        """Features (B, 1280), the mean over the last maps.

        Args:
            pictures: uint8 values as floats in [0, 255], RGB, (B, 3, H, W) of any size; they are resized to
                224 x 224, bicubic and smoothed where that makes them smaller.
        """
        x = functional.interpolate(
            pictures, (SIDE, SIDE), mode="bicubic", antialias=True, align_corners=False
        )
        x = (x - 127) / 128
        x = _relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        x = _relu6(self._bn1(self._conv_head(x)))
        return x.mean(dim=(2, 3))

    def fold(self) -> None:
        """Works each batch norm into the convolution before it, for use only: the same function up to
        rounding, without a pass over each map."""
        self._conv_stem, self._bn0 = _folded(self._conv_stem, self._bn0)
        self._conv_head, self._bn1 = _folded(self._conv_head, self._bn1)
        for block in self._blocks:
            assert isinstance(block, InvertedResidual)
            block.fold()

    def logits(self, features: Tensor) -> Tensor:
        """Unnormalised log probabilities, (B, 1000)."""
        scores: Tensor = self._fc(features)
        return scores


def _folded(conv: SameConv, norm: nn.Module) -> tuple[SameConv, nn.Module]:
    assert isinstance(norm, nn.BatchNorm2d)
    return fuse_conv_bn_eval(conv, norm), nn.Identity()


def _relu6(x: Tensor) -> Tensor:
    """In place: it is called on what no one else holds."""
    return functional.relu6(x, inplace=True)
