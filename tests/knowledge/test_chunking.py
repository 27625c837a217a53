"""Sentences, languages, chunks: their spans, their sizes, and that nothing is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creuset.errors import UsageError
from creuset.knowledge.chunking import ChunkSettings, cut_document
from creuset.knowledge.language import detect_language
from creuset.knowledge.parsing import parse
from creuset.knowledge.parsing.reading import Bounds
from creuset.knowledge.records import Chunk, PageSpan, ParsedDocument
from creuset.knowledge.sentences import sentence_spans
from knowledge_documents import count_words


def sentences(text: str, language: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text, language)]


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", ["It is 3.5 m high, e.g. a tower.", "Is it?", "Yes!"]),
        ("en", ["Dr. Smith of J. R. Foods Inc. left.", "Prof. Jones stayed."]),
        ("en", ['He said "stop."', "Then he left (slowly.)", "See Fig. 3 on p. 12."]),
        ("fr", ["M. Dupont habite au 3, av. Foch.", "Mme Durand, cf. art. 5, aussi."]),
        ("fr", ["« Il pleut. »", "Elle rit… Puis elle part.", "C'est tout !"]),
        ("fr", ["L'eau bout à 99,5 °C.", "Au refuge, à 2 000 m, elle bout à 93 °C."]),
        ("", ["Rien, etc. et plus.", "End."]),
    ],
)
def test_sentences(language: str, expected: list[str]) -> None:
    found = sentences(" ".join(expected), language)
    if "Elle rit…" in expected[1]:
        expected = ["« Il pleut. »", "Elle rit…", "Puis elle part.", "C'est tout !"]
    assert found == expected


def test_lines_of_lists_and_tables_are_sentences() -> None:
    assert sentences("Take:\n- one cup\n- two spoons\n1. then boil\nand wait", "en") == [
        "Take:",
        "- one cup",
        "- two spoons",
        "1. then boil\nand wait",
    ]
    assert sentences("room | price\ndormitory | 24", "en") == ["room | price", "dormitory | 24"]


@given(st.text(max_size=400), st.sampled_from(["en", "fr", ""]))
def test_sentences_hold_all_but_white_space(text: str, language: str) -> None:
    place = 0
    for start, end in sentence_spans(text, language):
        assert place <= start < end <= len(text)
        assert text[place:start].strip() == ""
        place = end
    assert text[place:].strip() == ""


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The boiler is filled each morning by whoever comes first.", "en"),
        ("La chaudière est remplie chaque matin par le premier venu.", "fr"),
        ("How do I fill the boiler?", "en"),
        ("Comment remplir la chaudière ?", "fr"),
        ("Qu'est-ce que l'amorçage ?", "fr"),
        ("Müller, Zürich, 8001", ""),
        ("x = 3; y = 4", ""),
        ("", ""),
    ],
)
def test_languages(text: str, language: str) -> None:
    assert detect_language(text) == language


def markdown(text: str) -> ParsedDocument:
    return parse(text.encode(), "a.md", Bounds())


def cut(parsed: ParsedDocument, max_tokens: int = 32) -> list[Chunk]:
    chunks = cut_document(parsed, ChunkSettings(max_tokens=max_tokens), count_words)
    place = 0
    for chunk in chunks:
        assert parsed.text[chunk.start : chunk.end] == chunk.text
        assert chunk.start >= place
        place = chunk.end
        assert chunk.num_tokens == count_words([chunk.searched_text])[0] <= max_tokens
    return chunks


def test_chunks_stand_under_their_headings() -> None:
    parsed = markdown("# Hut\nOne.\n\n## Water\nTwo.\n\n### Cold\nThree.\n\n## Heat\n\n# End\n")
    assert [(chunk.heading, chunk.text) for chunk in cut(parsed)] == [
        ("Hut", "One."),
        ("Hut > Water", "Two."),
        ("Hut > Water > Cold", "Three."),
        ("Hut", "Heat"),
        ("", "End"),
    ]


def test_a_chunk_ends_with_a_paragraph_or_a_sentence() -> None:
    long = "This sentence has exactly seven words here. " * 6
    chunks = cut(markdown(f"{'A short paragraph of nine words stands here first. ' * 2}\n\n{long}"), 34)
    assert chunks[0].text.endswith("stands here first.")
    assert all(chunk.text.endswith(".") for chunk in chunks)


def test_a_long_sentence_is_cut_at_white_space() -> None:
    words = " ".join(f"word{number}" for number in range(100))
    chunks = cut(markdown(words))
    assert " ".join(chunk.text for chunk in chunks) == words
    assert len(chunks) == 4


def test_a_text_without_white_space_is_cut_too() -> None:
    def count_letters(texts: list[str]) -> list[int]:
        return [len(text) for text in texts]

    chunks = cut_document(ParsedDocument(text="x" * 1000), ChunkSettings(max_tokens=64), count_letters)
    assert [len(chunk.text) for chunk in chunks] == [63] * 15 + [55]


def test_long_headings_leave_room_for_text() -> None:
    parsed = markdown(f"# {'very ' * 60}long\n\n## Short\n\nText is here.\n")
    (first, second) = cut(parsed, 32)[-2:]
    assert second.heading == "Short"
    assert second.text == "Text is here."
    assert "very" in first.text


def test_pages_and_languages_of_chunks() -> None:
    text = "The first page is in English and has a sentence.\n\nLa seconde page est écrite en français, elle."
    middle = text.index("La")
    pages = (PageSpan(number=1, start=0, end=middle - 2), PageSpan(number=2, start=middle, end=len(text)))
    chunks = cut(ParsedDocument(text=text, pages=pages), 16)
    assert [(chunk.page, chunk.language) for chunk in chunks] == [(1, "en"), (2, "fr")]


def test_settings() -> None:
    with pytest.raises(UsageError, match="too small for a chunk"):
        ChunkSettings(max_tokens=15)


@given(st.text(alphabet=st.sampled_from("ab .\n#-|`é"), max_size=500), st.integers(16, 40))
def test_chunks_hold_all_but_white_space_and_headings(text: str, max_tokens: int) -> None:
    if not text.strip():
        return
    parsed = parse(text.encode(), "a.txt", Bounds())
    chunks = cut(parsed, max_tokens)
    place = 0
    for chunk in chunks:
        assert parsed.text[place : chunk.start].strip() == ""
        place = chunk.end
    assert parsed.text[place:].strip() == ""
