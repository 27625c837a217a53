"""Each format of files as text with structure; what cannot be read says why."""

import io
import zipfile
from email.message import EmailMessage

import pytest
from docx import Document
from hypothesis import given
from hypothesis import strategies as st

from creuset.knowledge.parsing import can_read, endings, parse
from creuset.knowledge.parsing.reading import Bounds, Unreadable, wrong_spans
from creuset.knowledge.records import ParsedDocument
from pdf_bytes import pdf_of

BOUNDS = Bounds()


def read(data: bytes | str, name: str) -> ParsedDocument:
    document = parse(data.encode() if isinstance(data, str) else data, name, BOUNDS)
    assert wrong_spans(document) == ""
    return document


def blocks(document: ParsedDocument) -> list[tuple[str, str]]:
    return [(block.kind, document.text[block.start : block.end]) for block in document.blocks]


def test_markdown() -> None:
    text = """---
title: "The hut"
---
# The hut #
A first
paragraph.

Second
------
- one
- two
  goes on

| a | b |
|---|---|
| 1 | 2 |

```sh
# no heading

ls
```
***
The end.
"""
    document = read(text, "hut.md")
    assert document.title == "The hut"
    assert blocks(document) == [
        ("heading", "The hut"),
        ("paragraph", "A first\nparagraph."),
        ("heading", "Second"),
        ("list", "- one\n- two\n  goes on"),
        ("table", "| a | b |\n|---|---|\n| 1 | 2 |"),
        ("code", "# no heading\n\nls"),
        ("paragraph", "The end."),
    ]
    assert [block.level for block in document.blocks if block.kind == "heading"] == [1, 2]


def test_html() -> None:
    text = """<html><head><title>The  hut</title><style>p {}</style></head><body>
<nav>Home</nav><h1>Rules &amp; prices</h1><p>First <b>bold</b>
line.<br>Second.</p><script>var a = "hidden"</script><div>Alone<div>inside</div>after</div>
<ul><li>one</li><li>two</li></ul><p style="display: none">unseen</p>
<table><tr><th>room</th><th>price</th></tr><tr><td>dormitory</td><td>24</td></tr></table><pre>a
  b</pre></body></html>"""
    document = read(text, "hut.html")
    assert document.title == "The hut"
    assert blocks(document) == [
        ("heading", "Rules & prices"),
        ("paragraph", "First bold line. Second."),
        ("paragraph", "Alone"),
        ("paragraph", "inside"),
        ("paragraph", "after"),
        ("list", "- one"),
        ("list", "- two"),
        ("table", "room | price\ndormitory | 24"),
        ("code", "a\n  b"),
    ]


def test_html_nested_as_deep_as_one_likes() -> None:
    document = read("<div>" * 10_000 + "at the bottom" + "</div>" * 10_000, "deep.html")
    assert "at the bottom" in document.text
    assert document.warnings == ("elements nested more than 200 deep are one block",)


def test_too_many_tags_are_refused() -> None:
    with pytest.raises(Unreadable, match="more than 3,000,000 tags"):
        read("<i>" * 3_000_001 + "text", "many.html")


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        ("Été à la mer, déjà près de l'hôtel.".encode(), "utf-8"),
        ("Été à la mer, déjà près de l'hôtel.".encode("utf-8-sig"), "utf-8"),
        ("Été à la mer, déjà près de l'hôtel.".encode("utf-16"), "utf-16"),
        (("Été à la mer, déjà près de l'hôtel, c'est très élégant. " * 3).encode("cp1252"), None),
    ],
)
def test_encodings(data: bytes, encoding: str | None) -> None:
    document = read(data, "a.txt")
    assert document.text.startswith("Été à la mer, déjà près de l'hôtel")
    assert encoding in (None, document.encoding)


def test_html_says_its_encoding() -> None:
    data = '<meta charset="iso-8859-15"><p>Prix : 12 €, déjà payé</p>'.encode("iso-8859-15")
    assert read(data, "a.html").text == "Prix : 12 €, déjà payé"


@pytest.mark.parametrize(
    ("data", "name", "reason"),
    [
        (b"", "a.txt", "empty"),
        (b" \n\t\0", "a.md", "empty"),
        (b"MZ\0\0\1\2 binary", "a.txt", "binary data"),
        (b"\xff\xfea", "a.txt", "not the utf-16"),
        (b"<p></p><script>x</script>", "a.html", "no text in it"),
        (b"%PDF-1.7\nbroken", "a.pdf", "a damaged PDF"),
        (b"PK\3\4 broken", "a.docx", "no Word file"),
        (b"\xd0\xcf\x11\xe0 old", "a.docx", "encrypted, or an old .doc"),
        (b"no header at all", "a.eml", "no e-mail|no text"),
    ],
)
def test_what_cannot_be_read_says_why(data: bytes, name: str, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        read(data, name)


def test_csv_rows_can_be_read_alone() -> None:
    document = read('name;price;"note"\nboiler;12,50;"a; b"\nvalve;3;\n', "prices.csv")
    assert blocks(document) == [
        ("table", "name: boiler; price: 12,50; note: a; b"),
        ("table", "name: valve; price: 3"),
    ]
    assert read("a\tb\n1\t2\t3\n", "x.tsv").text == "a: 1; b: 2; column 3: 3"
    assert read("only a header,here\n", "x.csv").text == "only a header; here"


def test_python_is_cut_by_definitions() -> None:
    document = read('"""Module."""\nimport os\n\n\n@wraps\ndef one():\n\n    return 1\n\n\nX = 2\n', "a.py")
    assert [text for _, text in blocks(document)] == [
        '"""Module."""\nimport os',
        "@wraps\ndef one():\n\n    return 1",
        "X = 2",
    ]
    assert [text for _, text in blocks(read("def broken(:\n\nx", "a.py"))] == ["def broken(:", "x"]


def test_mail_with_attachments() -> None:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "La chaudière", "a@example.org", "b@example.org"
    message.set_content("Elle fuit.\n\nVenez demain.")
    message.add_alternative("<p>Elle <b>fuit</b>.</p>", subtype="html")
    message.add_attachment(b"piece;prix\njoint;3\n", maintype="text", subtype="csv", filename="prix.csv")
    message.add_attachment(b"\0\1", maintype="image", subtype="png", filename="photo.png")
    document = read(message.as_bytes(), "a.eml")
    assert document.title == "La chaudière"
    assert blocks(document) == [
        ("heading", "La chaudière"),
        ("paragraph", "From: a@example.org\nTo: b@example.org"),
        ("paragraph", "Elle fuit."),
        ("paragraph", "Venez demain."),
        ("heading", "prix.csv"),
        ("table", "piece: joint; prix: 3"),
    ]
    assert document.warnings == ("attachment photo.png was left out",)


def test_word() -> None:
    document = Document()
    document.core_properties.title = "Le refuge"
    document.add_heading("Règles", 1)
    document.add_paragraph("Le refuge ouvre à 8 h.")
    document.add_paragraph("une", style="List Bullet")
    table = document.add_table(2, 2)
    for place, text in enumerate(("lit", "prix", "dortoir", "24")):
        table.cell(place // 2, place % 2).text = text
    stream = io.BytesIO()
    document.save(stream)
    parsed = read(stream.getvalue(), "a.docx")
    assert parsed.title == "Le refuge"
    assert blocks(parsed) == [
        ("heading", "Règles"),
        ("paragraph", "Le refuge ouvre à 8 h."),
        ("list", "- une"),
        ("table", "lit | prix\ndortoir | 24"),
    ]


def test_a_bomb_is_not_unpacked() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b"<a>" + b"0" * 50_000_000)
    with pytest.raises(Unreadable, match=r"a bomb: .* bytes unpack to 50,000,003"):
        read(stream.getvalue(), "a.docx")


def test_pdf_pages_headings_and_paragraphs() -> None:
    def page(number: int) -> list[tuple[float, float, str]]:
        return [
            (9, 760, f"The hut manual {number}"),
            (18, 700 - 9 * number, f"Chapter {number}"),
            (10, 660 - 9 * number, f"The water of hut {number} comes from a spring, and the whole in-"),
            (10, 648 - 9 * number, "stallation was made anew. It is cold (4 degrees)."),
            (10, 610 - 9 * number, "Another paragraph stands here."),
            (10, 560 - 9 * number, "- an item of a list"),
            (10, 548 - 9 * number, "- another one"),
            (9, 40, str(number)),
        ]

    document = read(pdf_of([page(number) for number in range(1, 7)]), "hut.pdf")
    assert blocks(document)[:5] == [
        ("heading", "Chapter 1"),
        (
            "paragraph",
            "The water of hut 1 comes from a spring, and the whole installation was made anew. "
            "It is cold (4 degrees).",
        ),
        ("paragraph", "Another paragraph stands here."),
        ("list", "- an item of a list"),
        ("list", "- another one"),
    ]
    assert "manual" not in document.text
    assert [page.number for page in document.pages] == [1, 2, 3, 4, 5, 6]
    third = document.pages[2]
    assert document.text[third.start : third.end].strip().startswith("Chapter 3")


def test_pdf_without_text_or_with_a_password() -> None:
    with pytest.raises(Unreadable, match="pictures of pages, perhaps scanned"):
        read(pdf_of([[], []]), "scan.pdf")
    with pytest.raises(Unreadable, match="encrypted: it needs a password"):
        read(pdf_of([[(10, 700, "secret")]], encrypt=True), "locked.pdf")
    with pytest.raises(Unreadable, match="3 pages, more than 2"):
        parse(pdf_of([[(10, 700, "a")]] * 3), "long.pdf", Bounds(max_pages=2))


def test_a_pdf_is_known_by_its_first_bytes() -> None:
    assert read(pdf_of([[(10, 700, "A page of text.")]]), "without-ending").text == "A page of text."


def test_bounds_on_text() -> None:
    with pytest.raises(Unreadable, match="more than 100 characters"):
        parse(b"word " * 100, "a.txt", Bounds(max_characters=100))


@pytest.mark.parametrize("name", [f"file.{ending}" for ending in endings() if ending not in ("docx", "pdf")])
@given(text=st.text(max_size=300))
def test_any_text_keeps_the_order_of_its_blocks(name: str, text: str) -> None:
    assert can_read(name)
    try:
        document = parse(text.encode("utf-8", "ignore"), name, BOUNDS)
    except Unreadable:
        return
    assert wrong_spans(document) == ""
    document.text.encode()


@given(data=st.binary(max_size=200), name=st.sampled_from(["a.pdf", "a.docx", "a.eml", "a.html", "a.csv"]))
def test_any_bytes_are_read_or_refused(data: bytes, name: str) -> None:
    try:
        document = parse(data, name, BOUNDS)
    except Unreadable:
        return
    assert wrong_spans(document) == ""
