"""Text files of one text a line, in UTF-8, from a file or from standard input.

A line ends at a line feed, with or without a carriage return, and nowhere else: other characters that some
programs take for line ends (U+2028, form feed) are part of a text, so that two files keep the same count. A
byte order mark at the beginning is left out.
"""

import codecs
import sys
from pathlib import Path

from creuset.errors import DataError, NotFoundError

STANDARD_INPUT = "-"
"""In place of a file's name."""


def read_lines(source: str | Path) -> list[str]:
    """The lines of a file, or of standard input for "-"; empty lines are empty texts.

    Raises:
        NotFoundError: There is no such file.
        DataError: No name, no file but a folder, one that may not be read, nothing in it, or a line that is
            not UTF-8, which is named.
    """
    name = display_name(source)
    if str(source) == STANDARD_INPUT:
        content = sys.stdin.buffer.read()
    else:
        content = _content(source, name)
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError(
            "this file is in UTF-16",
            where=name,
            expected="UTF-8",
            next_step=f"convert it: iconv -f UTF-16 -t UTF-8 {name}",
        )
    lines = content.removeprefix(codecs.BOM_UTF8).split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    if not lines:
        raise DataError("nothing in it", where=name, got="0 lines", expected="one text a line")
    return [_decoded(line.removesuffix(b"\r"), name, number) for number, line in enumerate(lines, 1)]


def _content(source: str | Path, name: str) -> bytes:
    wanted = "a text file, or - for standard input"
    if not name.strip():
        raise DataError("an empty name of a file", got=f'"{name}"', expected=wanted)
    try:
        return Path(source).read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError("no such file", where=name, expected=wanted) from error
    except NotADirectoryError as error:
        raise NotFoundError(
            "no such file: what stands before the last / is no folder", where=name, expected=wanted
        ) from error
    except IsADirectoryError as error:
        raise DataError("this is a folder", where=name, expected="a text file") from error
    except OSError as error:
        raise DataError("cannot be read", where=name, got=error.strerror or error, expected=wanted) from error


def display_name(source: str | Path) -> str:
    """What a source is called in messages."""
    return "standard input" if str(source) == STANDARD_INPUT else str(source)


def _decoded(line: bytes, name: str, number: int) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise DataError(
            "this line is not UTF-8",
            where=f"{name}:{number}",
            got=f"byte 0x{line[error.start]:02x} at byte {error.start + 1} of the line",
            next_step="convert the file, such as with iconv -f ISO-8859-1 -t UTF-8",
        ) from error
