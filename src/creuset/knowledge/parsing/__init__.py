"""Files of people as text with structure: a reader for each format, found by the file's name.

Each reader takes the file's bytes and gives a ParsedDocument, or raises `Unreadable` with a reason that a
person understands. Readers are called in a process of their own (parser_process.py), which bounds their time
and memory.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import PurePath

from creuset.knowledge.parsing.reading import Bounds, Unreadable
from creuset.knowledge.records import ParsedDocument

Reader = Callable[[bytes, str, Bounds], ParsedDocument]
"""(the file's bytes, its name, bounds) -> the document."""

_TEXT = "plain"
_READERS = {
    "pdf": ("pdf",),
    "html": ("html", "htm", "xhtml"),
    "markdown": ("md", "markdown", "mdx"),
    "plain": ("txt", "text", "log", "rst", "adoc", "tex", "org", ""),
    "docx": ("docx",),
    "delimited": ("csv", "tsv"),
    "source_code": (
        *(
            "py",
            "js",
            "ts",
            "tsx",
            "jsx",
            "java",
            "c",
            "h",
            "cc",
            "cpp",
            "hpp",
            "cs",
            "go",
            "rs",
            "rb",
            "php",
        ),
        *("sh", "bash", "sql", "r", "jl", "swift", "kt", "scala", "lua", "pl", "css", "yaml", "yml", "toml"),
        *("ini", "cfg", "conf", "json", "jsonl", "xml"),
    ),
    "email_message": ("eml",),
}
_BY_ENDING = {ending: reader for reader, endings in _READERS.items() for ending in endings}


def ending_of(name: str) -> str:
    """The last part of a file's name behind a point, in small letters; "" for none."""
    return PurePath(name).suffix.lower().removeprefix(".")


def can_read(name: str) -> bool:
    """Whether there is a reader for files of such a name; names without an ending are taken for text."""
    return ending_of(name) in _BY_ENDING


def endings() -> list[str]:
    """The endings that are read, sorted."""
    return sorted(ending for ending in _BY_ENDING if ending)


def parse(data: bytes, name: str, bounds: Bounds) -> ParsedDocument:
    """A file as text.

    Args:
        data: Its bytes.
        name: Its name, whose ending says what it is; where its first bytes say otherwise, they count.
        bounds: How much may come of it.

    Raises:
        Unreadable: It cannot be read; why is said.
    """
    if not data.strip(b"\0 \t\r\n"):
        raise Unreadable("empty")
    kind = "pdf" if data[:1024].lstrip().startswith(b"%PDF-") else _BY_ENDING.get(ending_of(name), _TEXT)
    reader: Reader = import_module(f"creuset.knowledge.parsing.{kind}").read
    document = reader(data, name, bounds)
    if not document.text.strip():
        raise Unreadable("no text in it")
    return document
