"""What the parts of the knowledge store hand to each other.

    file -> ParsedDocument -> Chunk -> NewDocument -> store -> StoredChunk -> Hit -> evidence of an answer

All positions are numbers of characters (Unicode code points) in the text of the document as it was parsed,
from 0, end
excluded: text[start:end] is what they name. Pages count from 1.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Access = frozenset[str]
"""The groups that may read a document, or those that a reader belongs to: one in common is enough."""

BlockKind = Literal["heading", "paragraph", "list", "table", "code"]
Operation = Literal["add", "remove"]


@dataclass(frozen=True, kw_only=True)
class PageSpan:
    """One page of a document: its number from 1, and its characters."""

    number: int
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class Block:
    """A piece of a document that its author set apart.

    Args:
        kind: What it is.
        start, end: Its characters.
        level: Of a heading, 1 for the highest to 6; 0 for all else.
    """

    kind: BlockKind
    start: int
    end: int
    level: int = 0


@dataclass(frozen=True, kw_only=True)
class ParsedDocument:
    """A file as text, with its structure.

    Args:
        text: All of it, in the order of reading.
        pages: Of a paged format, in order and without overlap; () of one without pages.
        blocks: In order and without overlap; what is between two of them is white space.
        title: As the document says itself; "" where it does not.
        media_type: Such as text/markdown.
        encoding: Of a text file, as it was decoded; "" of a binary format.
        warnings: What a reader should know of how it was read, such as tables that were flattened.
    """

    text: str
    pages: tuple[PageSpan, ...] = ()
    blocks: tuple[Block, ...] = ()
    title: str = ""
    media_type: str = "text/plain"
    encoding: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """A piece of a document that is found and quoted as one.

    Args:
        start, end: Its characters in the document.
        text: Just these.
        page: The page that it begins on; None where there are none.
        heading: The headings that it stands under, from the highest, joined by " > "; "" for none.
        language: Of its text: "en", "fr", or "" where it cannot be told.
        num_tokens: Of heading and text, as the embedder counts them.
    """

    start: int
    end: int
    text: str
    page: int | None
    heading: str
    language: str
    num_tokens: int

    @property
    def searched_text(self) -> str:
        """What is analysed and embedded: the heading, then the text."""
        return searched_text(self.heading, self.text)

    @property
    def text_sha(self) -> str:
        """SHA-256 of `searched_text`: equal texts have one embedding."""
        return hashlib.sha256(self.searched_text.encode()).hexdigest()


def searched_text(heading: str, text: str) -> str:
    """What is analysed and embedded of a chunk."""
    return f"{heading}\n{text}" if heading else text


@dataclass(frozen=True, kw_only=True)
class NewDocument:
    """A document that is to be stored: a new one, or the next version of one.

    Args:
        source: The folder (or the file) that was added, as an absolute path.
        path: Its name: the path inside that folder, with "/" between its parts.
        sha256: Of the file's bytes.
        parsed: Its text and structure.
        chunks: What it was cut into.
        access: Who may read it; one group at least.
        language: Of most of its text; "" where it cannot be told.
        metadata: What else is known of it, and may be filtered on.
        cutting: The settings by which it was parsed and cut; other settings make a new version.
    """

    source: str
    path: str
    sha256: str
    parsed: ParsedDocument
    chunks: tuple[Chunk, ...]
    access: Access
    language: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    cutting: str = ""


@dataclass(frozen=True, kw_only=True)
class StoredDocument:
    """A version of a document, as the store holds it. Fields as in `NewDocument`.

    Args:
        id: Of this version; never used again.
        version: From 1, one more each time that the file or its cutting changed.
        is_current: Only the current version is searched; older ones are kept for answers that quote them.
        added: When, ISO 8601 in UTC.
    """

    id: int
    source: str
    path: str
    version: int
    is_current: bool
    sha256: str
    title: str
    media_type: str
    encoding: str
    language: str
    access: Access
    metadata: Mapping[str, str]
    cutting: str
    warnings: tuple[str, ...]
    num_characters: int
    num_pages: int
    num_chunks: int
    added: str


@dataclass(frozen=True, kw_only=True)
class StoredChunk:
    """A chunk with where it comes from. Fields as in `Chunk` and `StoredDocument`; `id` is never used
    again.
    """

    id: int
    document_id: int
    path: str
    title: str
    version: int
    page: int | None
    start: int
    end: int
    text: str
    heading: str
    language: str
    text_sha: str

    @property
    def searched_text(self) -> str:
        return searched_text(self.heading, self.text)


@dataclass(frozen=True, kw_only=True)
class Change:
    """What a generation of the store did to a chunk that is searched."""

    generation: int
    operation: Operation
    chunk_id: int
    document_id: int


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which documents are asked for, beside who asks. An empty filter lets all pass.

    Args:
        paths: Only these; () for all.
        path_prefix: Only names that begin so, such as "manuals/".
        language: Only documents of this language; "" for all.
        media_type: Only documents of this kind; "" for all.
        metadata: Only documents with all of these values.
    """

    paths: tuple[str, ...] = ()
    path_prefix: str = ""
    language: str = ""
    media_type: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Space:
    """The vectors of one embedder.

    Args:
        name: The embedder, as it was asked for.
        model_sha256: Of its weights and tokenizer: another model is another space.
        dimension: Of a vector.
        dtype: That it computes in, float32 or bfloat16; vectors are stored as float32.
        is_normalised: Vectors of length 1, whose product is the cosine.
        max_tokens: That it reads of a text.
    """

    name: str
    model_sha256: str
    dimension: int
    dtype: str
    is_normalised: bool
    max_tokens: int


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A chunk that was found.

    Args:
        chunk: What it is.
        score: By which hits are ordered, higher first; its unit is that of the way they were fused.
        lexical_rank, dense_rank, rerank_rank: From 1, its place in each leg; None where that leg has not
        found it, or
            was not asked.
        lexical_score: BM25; None likewise.
        dense_score: The cosine; None likewise.
    """

    chunk: StoredChunk
    score: float
    lexical_rank: int | None = None
    dense_rank: int | None = None
    rerank_rank: int | None = None
    lexical_score: float | None = None
    dense_score: float | None = None
