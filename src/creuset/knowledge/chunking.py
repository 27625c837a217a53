"""Documents into chunks: by their headings, paragraphs and sentences, with sizes in tokens.

A chunk stands under one heading. It is filled with whole paragraphs while they fit, then with whole sentences
(rows of a table, lines of code); a sentence that alone is too long is cut at white space. chunk.text is
document.text from chunk.start to chunk.end, as it stands there.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from creuset.errors import UsageError
from creuset.knowledge.language import detect_language
from creuset.knowledge.records import Block, Chunk, ParsedDocument, searched_text
from creuset.knowledge.sentences import sentence_spans

Count = Callable[[Sequence[str]], list[int]]
"""The tokens of each text, with those that the embedder puts around it."""

_MOST_HEADING_SHARE = 0.25
"""Of a chunk's tokens: of longer headings the highest ones are left out."""
_LONGEST_HEADING = 200
"""Characters: what is longer is text that was drawn large."""
_FULL_SHARE = 0.5
"""A chunk this full ends with its paragraph, where the next one does not fit whole."""


@dataclass(frozen=True, kw_only=True)
class ChunkSettings:
    """How documents are cut.

    Args:
        max_tokens: Of heading and text of a chunk, at least 16.

    Raises:
        UsageError: Fewer.
    """

    max_tokens: int = 256

    def __post_init__(self) -> None:
        if self.max_tokens < 16:
            raise UsageError(
                "too small for a chunk", where="max_tokens", got=self.max_tokens, expected="at least 16"
            )


@dataclass(frozen=True, kw_only=True)
class _Unit:
    """What is not cut: a sentence, a row, a line, or a part of one that is too long."""

    start: int
    end: int
    num_tokens: int
    ends_block: bool


def cut_document(parsed: ParsedDocument, settings: ChunkSettings, count: Count) -> list[Chunk]:
    """The chunks of a document, in order and without overlap; they hold all of its text but white space.

    Args:
        parsed: The document.
        settings: How large chunks may be.
        count: Counts tokens.
    """
    language = detect_language(parsed.text[:20_000])
    chunks: list[Chunk] = []
    for heading, blocks in _sections(parsed):
        shown = _short_heading(heading, settings, count)
        (around,) = count([searched_text(shown, "")])
        room = settings.max_tokens - around
        units = _units(parsed.text, blocks, room, language, count)
        for start, end in _packed(units, room):
            chunks.append(_chunk(parsed, start, end, shown, language))
    return _counted(chunks, count)


def _sections(parsed: ParsedDocument) -> Iterator[tuple[tuple[str, ...], list[Block]]]:
    """Runs of blocks with the headings above them; a heading with nothing below it is a run of its own."""
    path: list[tuple[int, Block]] = []
    body: list[Block] = []
    blocks = parsed.blocks or (Block(kind="paragraph", start=0, end=len(parsed.text)),)
    pending: Block | None = None

    def titles(above: Sequence[tuple[int, Block]]) -> tuple[str, ...]:
        return tuple(" ".join(parsed.text[block.start : block.end].split()) for _, block in above)

    for block in blocks:
        if block.kind != "heading" or block.end - block.start > _LONGEST_HEADING:
            body.append(block)
            pending = None
            continue
        if body:
            yield titles(path), body
            body = []
        if pending is not None and block.level <= path[-1][0]:
            yield titles(path[:-1]), [pending]
        path = [(level, above) for level, above in path if level < block.level]
        path.append((block.level, block))
        pending = block
    if body:
        yield titles(path), body
    elif pending is not None:
        yield titles(path[:-1]), [pending]


def _short_heading(path: tuple[str, ...], settings: ChunkSettings, count: Count) -> str:
    """The headings, without the highest ones where they would take too much of a chunk."""
    most = settings.max_tokens * _MOST_HEADING_SHARE
    for first in range(len(path)):
        heading = " > ".join(path[first:])
        if count([heading])[0] <= most:
            return heading
    return ""


def _units(text: str, blocks: Sequence[Block], room: int, language: str, count: Count) -> list[_Unit]:
    spans: list[tuple[int, int, bool]] = []
    for block in blocks:
        inner = _pieces(text, block, language)
        spans += [(start, end, number == len(inner) - 1) for number, (start, end) in enumerate(inner)]
    (around,) = count([""])
    sizes = [size - around + 1 for size in count([text[start:end] for start, end, _ in spans])]
    units: list[_Unit] = []
    for (start, end, last), size in zip(spans, sizes, strict=True):
        if size <= room:
            units.append(_Unit(start=start, end=end, num_tokens=size, ends_block=last))
            continue
        parts = _parts(text, start, end, room, around, count)
        for number, (begin, stop, tokens) in enumerate(parts):
            is_last = last and number == len(parts) - 1
            units.append(_Unit(start=begin, end=stop, num_tokens=tokens, ends_block=is_last))
    return units


def _pieces(text: str, block: Block, language: str) -> list[tuple[int, int]]:
    """The sentences of a block; the lines of a table or of code."""
    if block.kind not in ("table", "code"):
        return [
            (block.start + start, block.start + end)
            for start, end in sentence_spans(text[block.start : block.end], language)
        ]
    lines, begin = [], block.start
    for line in text[block.start : block.end].splitlines(keepends=True):
        if line.strip():
            lines.append((begin, begin + len(line.rstrip())))
        begin += len(line)
    return lines


def _parts(
    text: str, start: int, end: int, room: int, around: int, count: Count
) -> list[tuple[int, int, int]]:
    """A long piece cut into as few parts as fit, at white space where there is any."""
    parts = []
    while start < end:
        low, high = start + 1, min(end, start + room * 16)
        while low < high:  # the longest beginning that fits
            middle = (low + high + 1) // 2
            if count([text[start:middle]])[0] - around + 1 <= room:
                low = middle
            else:
                high = middle - 1
        stop = low
        if stop < end and not text[stop].isspace():
            space = max(text.rfind(" ", start + 1, stop), text.rfind("\n", start + 1, stop))
            stop = space if space > start else stop
        parts.append((start, stop, count([text[start:stop]])[0] - around + 1))
        start = stop
        while start < end and text[start].isspace():
            start += 1
    return parts


def _packed(units: Sequence[_Unit], room: int) -> Iterator[tuple[int, int]]:
    """Units into chunks: (start, end) of each."""
    begin, filled = 0, 0
    for number, unit in enumerate(units):
        if number > begin:
            starts_block = units[number - 1].ends_block
            is_full = filled + unit.num_tokens > room
            ends_well = (
                starts_block and filled >= _FULL_SHARE * room and filled + _block_tokens(units, number) > room
            )
            if is_full or ends_well:
                yield units[begin].start, units[number - 1].end
                begin, filled = number, 0
        filled += unit.num_tokens
    if units:
        yield units[begin].start, units[-1].end


def _block_tokens(units: Sequence[_Unit], first: int) -> int:
    total = 0
    for unit in units[first:]:
        total += unit.num_tokens
        if unit.ends_block:
            break
    return total


def _chunk(parsed: ParsedDocument, start: int, end: int, heading: str, language: str) -> Chunk:
    text = parsed.text[start:end]
    page = next((page.number for page in reversed(parsed.pages) if page.start <= start), None)
    return Chunk(
        start=start,
        end=end,
        text=text,
        page=page,
        heading=heading,
        language=detect_language(text) or language,
        num_tokens=0,
    )


def _counted(chunks: Sequence[Chunk], count: Count) -> list[Chunk]:
    sizes = count([chunk.searched_text for chunk in chunks]) if chunks else []
    return [
        Chunk(
            start=chunk.start,
            end=chunk.end,
            text=chunk.text,
            page=chunk.page,
            heading=chunk.heading,
            language=chunk.language,
            num_tokens=size,
        )
        for chunk, size in zip(chunks, sizes, strict=True)
    ]
