"""What is taken without loss, and what is refused by name."""

import io
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from creuset.data.picture import UnreadableError, read_picture

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (6, 4), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (6, 4, 3), dtype=np.uint8)


def saved(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "pgm", "gif"])
def test_grey_comes_back_as_it_was(tmp_path: Path, suffix: str) -> None:
    assert np.array_equal(read_picture(saved(tmp_path / f"a.{suffix}", Image.fromarray(GREY))), GREY)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "ppm", "webp"])
def test_colour_comes_back_as_it_was(tmp_path: Path, suffix: str) -> None:
    options = {"lossless": True} if suffix == "webp" else {}
    path = saved(tmp_path / f"a.{suffix}", Image.fromarray(COLOUR), **options)
    assert np.array_equal(read_picture(path), COLOUR)


def test_jpeg_is_decoded_as_pillow_does(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", Image.fromarray(COLOUR), quality=95)
    assert np.array_equal(read_picture(path), np.asarray(Image.open(path)))


def test_black_and_white_becomes_0_and_255(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(GREY > 99))
    assert np.array_equal(read_picture(path), np.where(GREY > 99, 255, 0))


def test_a_palette_is_looked_up(tmp_path: Path) -> None:
    image = Image.fromarray(GREY % 4, mode="L").convert("P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
    expected = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]])[GREY % 4]
    assert np.array_equal(read_picture(saved(tmp_path / "a.png", image)), expected)


def test_a_palette_of_greys_is_grey(tmp_path: Path) -> None:
    image = Image.fromarray(GREY % 2, mode="L").convert("P")
    image.putpalette([7, 7, 7, 200, 200, 200])
    assert np.array_equal(read_picture(saved(tmp_path / "a.png", image)), np.where(GREY % 2, 200, 7))


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_an_opaque_alpha_channel_is_dropped(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(GREY if mode == "LA" else COLOUR).convert(mode)
    assert np.array_equal(read_picture(saved(tmp_path / "a.png", image)), GREY if mode == "LA" else COLOUR)


def test_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    path = saved(tmp_path / "a.png", Image.fromarray(GREY), exif=exif)
    assert np.array_equal(read_picture(path), np.rot90(GREY, -1))


def transparent(path: Path) -> None:
    image = Image.fromarray(COLOUR).convert("RGBA")
    image.putpixel((0, 0), (1, 2, 3, 254))
    image.save(path)


def transparent_colour(path: Path) -> None:
    Image.fromarray(GREY).save(path, transparency=int(GREY[0, 0]))


def animated(path: Path) -> None:
    frames = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    frames[0].save(path, save_all=True, append_images=frames[1:])


def grey_16_bits(path: Path) -> None:
    Image.fromarray(GREY.astype(np.uint16) * 256 + 1).save(path)


def png_colour_16_bits(path: Path) -> None:
    """Pillow cannot write one, so its header and rows are written here."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in COLOUR)
    header = struct.pack(">IIBBBBB", 4, 6, 16, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def ppm_16_bits(path: Path) -> None:
    path.write_bytes(b"P6 4 6 65535\n" + COLOUR.astype(">u2").tobytes())


def cmyk(path: Path) -> None:
    Image.fromarray(COLOUR).convert("CMYK").save(path)


def text(path: Path) -> None:
    path.write_text("this is no picture")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def truncated(path: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (60, 60), dtype=np.uint8)).save(
        file, path.suffix[1:].replace("jpg", "jpeg")
    )
    path.write_bytes(file.getvalue()[: len(file.getvalue()) // 2])


def flipped_bits(path: Path) -> None:
    Image.fromarray(GREY).save(path)
    content = bytearray(path.read_bytes())
    content[45] ^= 0xFF
    path.write_bytes(bytes(content))


def huge(path: Path) -> None:
    """A small file whose header promises more pixels than a camera has."""
    path.write_bytes(b"P5 9000 9000 255\n" + bytes(100))


def monstrous(path: Path) -> None:
    """So many that Pillow itself refuses."""
    path.write_bytes(b"P5 90000 90000 255\n" + bytes(100))


@pytest.mark.parametrize(
    ("make", "suffix", "reason"),
    [
        (transparent, "png", "has transparent pixels; put it on a background first"),
        (transparent_colour, "png", "has transparent pixels; put it on a background first"),
        (animated, "gif", r"holds 2 pictures \(an animation or pages\), not one"),
        (animated, "png", r"holds 2 pictures \(an animation or pages\), not one"),
        (animated, "tif", r"holds 2 pictures \(an animation or pages\), not one"),
        (grey_16_bits, "png", r"its pixels are of kind I;16 \(more than 8 bits a channel\), not 8-bit grey"),
        (grey_16_bits, "tif", r"its pixels are of kind I;16 \(more than 8 bits a channel\), not 8-bit grey"),
        (png_colour_16_bits, "png", "has 16 bits a channel, not 8"),
        (ppm_16_bits, "ppm", "has 16 bits a channel, not 8"),
        (cmyk, "jpg", "its pixels are of kind CMYK, not 8-bit grey or RGB"),
        (text, "png", "is no picture of a known format, or is damaged at its beginning"),
        (empty, "png", "is empty"),
        (truncated, "png", "cannot be read: .*truncated"),
        (truncated, "jpg", "cannot be read: .*truncated"),
        (truncated, "bmp", "cannot be read: .*truncated"),
        (truncated, "gif", "cannot be read: .*truncated"),
        (flipped_bits, "png", "cannot be read: "),
        (huge, "pgm", "9000 x 9000 pixels are more than 67,108,864"),
        (monstrous, "pgm", "cannot be read: Image size .* exceeds limit"),
    ],
)
def test_what_would_lose_something_is_refused(
    tmp_path: Path, make: Callable[[Path], None], suffix: str, reason: str
) -> None:
    path = tmp_path / f"a.{suffix}"
    make(path)
    with pytest.raises(UnreadableError, match=reason):
        read_picture(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="cannot be read: No such file"):
        read_picture(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "tif", "webp", "ppm"])
def test_damage_never_ends_in_another_error(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(COLOUR).save(path)
    whole = path.read_bytes()
    for _ in range(150):
        content = bytearray(whole)
        for place in RNG.integers(0, len(whole), 3):
            content[place] = int(RNG.integers(0, 256))
        path.write_bytes(bytes(content[: int(RNG.integers(1, len(whole) + 1))]))
        with suppress(UnreadableError):
            assert read_picture(path).dtype == np.uint8
