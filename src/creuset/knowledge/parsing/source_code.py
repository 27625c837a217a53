"""Source code and files of settings: blocks of code, one for each definition of a Python file, else between
empty lines.
"""

import ast
import re
from itertools import pairwise

from creuset.knowledge.parsing.reading import Bounds, Writer, clean, decode
from creuset.knowledge.records import ParsedDocument

_EMPTY_LINES = re.compile(r"\n(?:[ \t]*\n)+")


def read(data: bytes, name: str, bounds: Bounds) -> ParsedDocument:
    """The document of a file of code."""
    text, encoding = decode(data)
    text = clean(text)
    writer = Writer(bounds)
    for piece in _definitions(text) if name.endswith(".py") else _EMPTY_LINES.split(text):
        writer.add("code", piece)
    return writer.document(title=name.rpartition("/")[2], media_type="text/x-source", encoding=encoding)


def _definitions(text: str) -> list[str]:
    """A file cut before each class and function at its top; between empty lines where it is no Python."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _EMPTY_LINES.split(text)
    starts = {0}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            starts.add(first - 1)
            starts.add(node.end_lineno or first)
    lines = text.split("\n")
    ordered = [*sorted(starts), len(lines)]
    return ["\n".join(lines[start:end]) for start, end in pairwise(ordered)]
