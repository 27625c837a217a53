"""One picture file as an array: read without loss, or refused with the reason.

Taken without loss: grey and colour of 8 bits a channel, black and white, palettes, an alpha channel that is
opaque everywhere, EXIF orientation (the picture is turned). Refused, because something would be lost: 16 bits
and more a channel, transparency, CMYK and other colour spaces, several pictures in one file. Colour profiles
are not applied. A file whose header promises more than 2^26 pixels is refused before it is decoded.
"""

import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from creuset.errors import DataError

SUFFIXES = frozenset(
    {
        ".bmp",
        ".gif",
        ".jfif",
        ".jpeg",
        ".jpg",
        ".pbm",
        ".pgm",
        ".png",
        ".pnm",
        ".ppm",
        ".tif",
        ".tiff",
        ".webp",
    }
)
"""A file with another suffix is no picture."""

_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_GREY = frozenset({"1", "L", "LA"})
_COLOUR = frozenset({"RGB", "RGBA", "P", "PA"})
_MAX_PIXELS = 1 << 26
"""67 million: more than a camera's picture, less than what exhausts memory."""

_DAMAGE = (
    OSError,
    SyntaxError,  # Pillow's word for a broken PNG
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    OverflowError,
    TypeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Warning,
)
"""What Pillow's readers raise for files that are damaged or made to harm."""


class UnreadableError(DataError):
    """A picture file that cannot be read without loss."""


def read_picture(path: Path) -> NDArray[np.uint8]:
    """The picture as uint8 (H, W) when it is grey, else (H, W, 3), in 0..255.

    Raises:
        UnreadableError: The file is damaged, or something of it would be lost; the message is the reason.
    """
    try:
        with path.open("rb") as file, Image.open(file, formats=_FORMATS) as image:
            _refuse_what_would_be_lost(image)
            image.load()
            return _as_array(ImageOps.exif_transpose(image))
    except UnidentifiedImageError:
        raise UnreadableError(_why_unidentified(path)) from None
    except UnreadableError:
        raise
    except _DAMAGE as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UnreadableError(f"cannot be read: {reason or type(error).__name__}") from error


def _refuse_what_would_be_lost(image: Image.Image) -> None:
    """Looks at the header only, so that nothing large is decoded in vain."""
    width, height = image.size
    if width * height > _MAX_PIXELS:
        raise UnreadableError(f"{width} x {height} pixels are more than {_MAX_PIXELS:,}")
    num_pictures = getattr(image, "n_frames", 1)  # only formats that can hold several define it
    if num_pictures > 1:
        raise UnreadableError(f"holds {num_pictures} pictures (an animation or pages), not one")
    if image.mode not in _GREY | _COLOUR:
        depth = " (more than 8 bits a channel)" if image.mode.startswith(("I", "F")) else ""
        raise UnreadableError(f"its pixels are of kind {image.mode}{depth}, not 8-bit grey or RGB")
    if _has_16_bits(image):
        raise UnreadableError("has 16 bits a channel, not 8")


def _has_16_bits(image: Image.Image) -> bool:
    """Whether Pillow would cut channels of 16 bits down to 8 without saying so."""
    layouts = [tile.args for tile in getattr(image, "tile", [])]
    if image.format in ("PNG", "TIFF"):
        return any(";16" in str(layout) for layout in layouts)
    if image.format == "PPM":
        return any(isinstance(layout, tuple) and layout[-1] > 255 for layout in layouts)
    return False


def _as_array(image: Image.Image) -> NDArray[np.uint8]:
    grey = image.mode in _GREY
    if image.has_transparency_data:
        image = image.convert("LA" if grey else "RGBA")
        lowest, _ = image.getchannel("A").getextrema()
        if lowest != 255:
            raise UnreadableError("has transparent pixels; put it on a background first")
    from_palette = image.mode in ("P", "PA")
    pixels = np.asarray(image.convert("L" if grey else "RGB"))
    if from_palette and (pixels == pixels[..., :1]).all():
        return np.ascontiguousarray(pixels[..., 0])
    return pixels


def _why_unidentified(path: Path) -> str:
    with path.open("rb") as file:
        if not file.read(1):
            return "is empty"
    return "is no picture of a known format, or is damaged at its beginning"
