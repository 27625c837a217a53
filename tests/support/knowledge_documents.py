"""Small documents for tests of the knowledge store."""

import hashlib
from collections.abc import Mapping, Sequence

from creuset.knowledge.chunking import ChunkSettings, cut_document
from creuset.knowledge.records import Access, Block, NewDocument, PageSpan, ParsedDocument

PUBLIC = frozenset({"public"})


def count_words(texts: Sequence[str]) -> list[int]:
    """Tokens as a tokenizer of words would count them, with two around a text."""
    return [len(text.split()) + 2 for text in texts]


def new_document(
    path: str,
    text: str,
    *,
    access: Access = PUBLIC,
    language: str = "en",
    metadata: Mapping[str, str] | None = None,
    pages: tuple[PageSpan, ...] = (),
    blocks: tuple[Block, ...] = (),
    max_tokens: int = 64,
) -> NewDocument:
    """A document of a text, cut into chunks."""
    parsed = ParsedDocument(text=text, pages=pages, blocks=blocks)
    return NewDocument(
        source="/documents",
        path=path,
        sha256=hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
        parsed=parsed,
        chunks=tuple(cut_document(parsed, ChunkSettings(max_tokens=max_tokens), count_words)),
        access=access,
        language=language,
        metadata={} if metadata is None else metadata,
    )
