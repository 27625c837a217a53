"""`creuset data show --tokenizer`: a text cut into its tokens, to be looked at.

Tokens that share a character, as the bytes of an emoji do, cannot be shown apart: they make one segment of
several tokens. What no token came from, such as spaces that a BERT tokenizer drops, is a segment of none.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from creuset.assets import resolve
from creuset.data.tokenizer import Encoded, Tokenizer
from creuset.data.tokenizer_files import TOKENIZER_FILE, read_limited
from creuset.errors import DataError, NotFoundError

MAX_TEXT_BYTES = 10_000_000


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A part of the text, and its tokens.

    Args:
        text: The characters.
        start: The first one's place in the text.
        ids: The tokens that they are cut into; several where a character is spread over them, none where the
            tokenizer drops them.
    """

    text: str
    start: int
    ids: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class ShownTokens:
    """A text and its tokens.

    Args:
        where: The tokenizer's file or folder.
        vocab_size: Its ids.
        segments: The text in its order; together they are the whole text.
        encoded: The ids and their offsets.
        readable: The tokens as people read them.
        bytes_per_token: Bytes of the text's UTF-8 for each token.
    """

    where: str
    vocab_size: int
    segments: tuple[Segment, ...]
    encoded: Encoded
    readable: tuple[str, ...]
    bytes_per_token: float

    def to_json(self) -> dict[str, object]:
        """Everything but the segments, which follow from the offsets."""
        tokens = zip(self.encoded.ids, self.encoded.offsets, self.readable, strict=True)
        return {
            "tokenizer": self.where,
            "vocab_size": self.vocab_size,
            "num_tokens": len(self.encoded.ids),
            "bytes_per_token": self.bytes_per_token,
            "tokens": [
                {"id": number, "start": start, "end": end, "token": token}
                for number, (start, end), token in tokens
            ],
        }


def show_tokens(source: Path | str, tokenizer: str) -> ShownTokens:
    """The tokens of a text file.

    Args:
        source: A file of plain text in UTF-8.
        tokenizer: A folder with a tokenizer.json, such a file, or the name of a model that has one.

    Raises:
        NotFoundError: The text or the tokenizer is not there.
        DataError: One of them cannot be read, or the text is empty.
    """
    found = open_tokenizer(tokenizer)
    text = read_limited(Path(source), MAX_TEXT_BYTES)
    encoded = found.encode_with_offsets(text, add_special=False)
    if not encoded.ids:
        raise DataError("no token in this text", where=source, got=f"{len(text)} characters")
    return ShownTokens(
        where=tokenizer,
        vocab_size=found.vocab_size,
        segments=tuple(segments(text, encoded)),
        encoded=encoded,
        readable=tuple(found.readable(number) for number in encoded.ids),
        bytes_per_token=len(text.encode()) / len(encoded.ids),
    )


def open_tokenizer(name: str) -> Tokenizer:
    """The tokenizer of a path, or of a model's name.

    Raises:
        NotFoundError: Nothing has this name, or it has no tokenizer.json.
        DataError: The file is damaged.
    """
    path = Path(name).expanduser()
    if path.exists():
        return Tokenizer.open(path)
    folder = resolve(name).path
    if not (folder / TOKENIZER_FILE).is_file():
        raise NotFoundError(
            f"this model has no {TOKENIZER_FILE}",
            where=folder,
            next_step="name a folder with one",
        )
    return Tokenizer.from_folder(folder)


def segments(text: str, encoded: Encoded) -> Iterator[Segment]:
    """The text cut where its tokens begin and end."""
    place = 0
    ids: list[int] = []
    end = 0
    for number, (first, last) in zip(encoded.ids, encoded.offsets, strict=True):
        if ids and first < end:  # shares a character with the token before
            ids.append(number)
            end = max(end, last)
            continue
        yield from _closed(text, place, end, ids)
        place = end
        if first > place:
            yield Segment(text=text[place:first], start=place, ids=())
            place = first
        ids, end = [number], last
    yield from _closed(text, place, end, ids)
    if end < len(text):
        yield Segment(text=text[end:], start=end, ids=())


def _closed(text: str, start: int, end: int, ids: Sequence[int]) -> Iterator[Segment]:
    if ids:
        yield Segment(text=text[start:end], start=start, ids=tuple(ids))
