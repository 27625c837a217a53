"""300 broken and hostile files are taken into an index: each ends in a named status within its limits.

    .venv/bin/python benchmarks/hostile_files.py [--files 300] [--seconds 10] [--json]

Files are made from a seed: damaged, cut, encrypted and empty PDFs, pages without text and 2,000 pages; Word
files that are bombs or broken; HTML nested deeply or hugely; wrong encodings, binary data, tables with huge
fields, mail within mail, links out of the folder, pipes, odd names. A good document is among them, and must
be found afterwards; the store's check must find nothing. Told for each kind: how its files ended, and the
longest time of one. Ends with 1 where a file has no status, took longer than its limit and a second, or the
store is not whole.
"""

import argparse
import io
import json
import os
import random
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pypdfium2
from alternation import machine

from creuset.files import write_atomic
from creuset.knowledge.parser_process import Limits
from creuset.workflows.index import Index

RESULT = Path(__file__).resolve().parent / "results" / "hostile_files.json"
GOOD = "The boiler of the hut is filled with forty litres of rain water each morning."
Make = Callable[[random.Random], tuple[str, bytes]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help=f"write {RESULT.name} under results/")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        document = measure(Path(name), options.files, options.seconds, random.Random(options.seed))
    print(json.dumps(document, indent=2))
    if options.json:
        write_atomic(RESULT, json.dumps(document, indent=2) + "\n")
    sys.exit(1 if document["wrong"] else 0)


def blank_pdf(pages: int) -> bytes:
    document = pypdfium2.PdfDocument.new()
    for _ in range(pages):
        document.new_page(595, 842)
    stream = io.BytesIO()
    document.save(stream)
    document.close()
    return stream.getvalue()


def text_pdf(pages: int) -> bytes:
    """A PDF of pages with a line each, as short as the format allows."""
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count %d/Kids[%s]>>"
        % (pages, b" ".join(b"%d 0 R" % (4 + 2 * n) for n in range(pages))),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for number in range(pages):
        drawn = b"BT /F 12 Tf 72 %d Td (Page %d tells of valve %d.) Tj ET" % (
            600 - number % 90,
            number,
            number * 7,
        )
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F 3 0 R>>>>"
            b"/Contents %d 0 R>>" % (5 + 2 * number)
        )
        objects.append(b"<</Length %d>>stream\n%s\nendstream" % (len(drawn), drawn))
    data, places = bytearray(b"%PDF-1.4\n"), []
    for number, content in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj%s endobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    start = len(data)
    data += b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, table)
    data += b"trailer<</Size %d/Root 1 0 R>>startxref\n%d\n%%%%EOF" % (len(objects) + 1, start)
    return bytes(data)


def locked_pdf(generator: random.Random) -> tuple[str, bytes]:
    key = b"/Encrypt<</Filter/Standard/V 1/R 2/P -44/O<%s>/U<%s>>>/ID[<00><00>]" % (b"41" * 32, b"42" * 32)
    return "pdf", text_pdf(generator.randint(1, 3)).replace(b"/Root 1 0 R", b"/Root 1 0 R" + key)


def flipped_pdf(generator: random.Random) -> tuple[str, bytes]:
    data = bytearray(text_pdf(generator.randint(1, 5)))
    for _ in range(generator.randint(1, 60)):
        data[generator.randrange(len(data))] = generator.randrange(256)
    return "pdf", bytes(data)


def cut_pdf(generator: random.Random) -> tuple[str, bytes]:
    data = text_pdf(generator.randint(1, 5))
    return "pdf", data[: generator.randrange(9, len(data))]


def bomb(generator: random.Random) -> tuple[str, bytes]:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b"<w>" + b"0" * generator.randint(20_000_000, 200_000_000))
    return "docx", stream.getvalue()


def many_members(generator: random.Random) -> tuple[str, bytes]:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number in range(generator.randint(10_001, 12_000)):
            archive.writestr(f"word/{number}.xml", b"")
    return "docx", stream.getvalue()


def entities(generator: random.Random) -> tuple[str, bytes]:
    """Entities of entities, in a Word file: 10^9 of them, if anybody unfolded them."""
    inner = "".join(f'<!ENTITY a{n + 1} "{f"&a{n};" * 10}">' for n in range(9))
    text = f'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a0 "ha">{inner}]><d>&a9;</d>'
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("word/document.xml", text)
        archive.writestr("[Content_Types].xml", text)
        archive.writestr("_rels/.rels", text)
    return generator.choice(("docx",)), stream.getvalue()


def nested_html(generator: random.Random) -> tuple[str, bytes]:
    count, tag = generator.randint(1_000, 60_000), generator.choice(("div", "table", "b", "ul", "span"))
    return "html", (f"<{tag}>" * count + "bottom").encode()


def huge_html(generator: random.Random) -> tuple[str, bytes]:
    count = generator.randint(200_000, 3_200_000)
    return "html", b"<p>a paragraph</p>" * 50_000 if generator.random() < 0.5 else b"<i>" * count


def binary(generator: random.Random) -> tuple[str, bytes]:
    return generator.choice(("txt", "md", "csv", "html", "py", "eml")), generator.randbytes(5000)


def wrong_encoding(generator: random.Random) -> tuple[str, bytes]:
    encoding = generator.choice(("utf-16", "cp1252", "cp1251", "utf-32", "shift_jis", "mac_roman"))
    data = "Été, déjà ; приве́т ; 日本語. ".encode(encoding, "ignore") * 50
    return generator.choice(("txt", "md")), data[: generator.randint(3, len(data))]


def empty(generator: random.Random) -> tuple[str, bytes]:
    return generator.choice(("txt", "pdf", "docx", "html", "md", "csv", "eml")), b" \n" * generator.randint(
        0, 3
    )


def wide_table(generator: random.Random) -> tuple[str, bytes]:
    if generator.random() < 0.5:
        return "csv", b"a,b\n1," + b"x" * generator.randint(100_000, 20_000_000)
    return "csv", b",".join(b"c" for _ in range(200_000)) + b"\n" + b",".join(b"1" for _ in range(200_000))


def mail_in_mail(generator: random.Random) -> tuple[str, bytes]:
    text = b"Subject: inner\n\nbottom"
    for number in range(generator.randint(5, 400)):
        mark = b"b%d" % number
        text = (
            b"Subject: s\nContent-Type: multipart/mixed; boundary=%s\n\n"
            b"--%s\nContent-Type: message/rfc822\n\n%s\n--%s--\n" % (mark, mark, text, mark)
        )
    return "eml", text


def long_line(generator: random.Random) -> tuple[str, bytes]:
    return generator.choice(("txt", "md", "py", "json")), b"word" * generator.randint(100_000, 3_000_000)


KINDS: dict[str, Make] = {
    "blank pages": lambda generator: ("pdf", blank_pdf(generator.randint(1, 20))),
    "2,000 pages": lambda _: ("pdf", text_pdf(2000)),
    "locked PDF": locked_pdf,
    "flipped PDF": flipped_pdf,
    "cut PDF": cut_pdf,
    "noise as PDF": lambda generator: ("pdf", b"%PDF-1.7\n" + generator.randbytes(20_000)),
    "bomb": bomb,
    "many members": many_members,
    "entities": entities,
    "noise as Word": lambda generator: ("docx", b"PK\3\4" + generator.randbytes(5000)),
    "nested HTML": nested_html,
    "huge HTML": huge_html,
    "binary": binary,
    "wrong encoding": wrong_encoding,
    "empty": empty,
    "wide table": wide_table,
    "mail in mail": mail_in_mail,
    "long line": long_line,
}


def write_files(folder: Path, count: int, generator: random.Random) -> dict[str, str]:
    """The files; their kinds by their names."""
    kinds = {}
    names = list(KINDS)
    for number in range(count - 6):
        # a file of 2,000 pages says as much as ten of them
        kind = names[number % len(names)] if number < 2 * len(names) else generator.choice(names[2:])
        ending, data = KINDS[kind](generator)
        odd = generator.choice(("", "", " with space", "-é", "'quote", "\n"))
        path = folder / f"{number:03}{odd}.{ending}"
        path.write_bytes(data)
        kinds[path.name] = kind
    outside = folder.parent / "outside.txt"
    outside.write_text("A secret of another folder.")
    (folder / "link.txt").symlink_to(outside)
    (folder / "loop").symlink_to(folder)
    os.mkfifo(folder / "pipe.txt")
    (folder / "device.txt").symlink_to("/dev/zero")
    (folder / "gone.txt").symlink_to(folder / "nowhere")
    (folder / "good.md").write_text(GOOD)
    return {
        **kinds,
        **dict.fromkeys(("link.txt", "loop", "pipe.txt", "device.txt", "gone.txt"), "no file"),
        "good.md": "good",
    }


def measure(folder: Path, count: int, seconds: float, generator: random.Random) -> dict[str, Any]:
    documents = folder / "documents"
    documents.mkdir()
    os.environ["CREUSET_WORKSPACE"] = str(folder / "workspace")
    kinds = write_files(documents, count, generator)
    begin = time.monotonic()
    with Index("hostile") as index:
        index.create(embedder="")
        report = index.add(
            documents, access="public", limits=Limits(seconds=seconds, memory_bytes=1_500_000_000)
        )
        took = time.monotonic() - begin
        wrong = index.verify()
        hits = index.search("How is the boiler filled?", k=1, access="public")
    if not hits or hits[0].chunk.text != GOOD:
        wrong.append("the good document is not found")
    reports = {each.path: each for each in report.files}
    wrong += [f"{name!r} has no status" for name in kinds if name not in reports]
    wrong += [
        f"{each.path!r}: failed without a reason"
        for each in report.files
        if each.status == "failed" and not each.reason
    ]
    ended: dict[str, Counter[str]] = {}
    longest: dict[str, float] = {}
    for each in report.files:
        kind = kinds.get(each.path, "?")
        what = each.status if each.status == "added" else f"{each.status}: {each.reason[:60]}"
        ended.setdefault(kind, Counter())[what] += 1
        longest[kind] = max(longest.get(kind, 0.0), each.seconds)
    wrong += [f"{kind}: {held:.1f} s" for kind, held in longest.items() if held > seconds + 1]
    return {
        "benchmark": "hostile_files",
        "machine": machine(1),
        "files": len(kinds),
        "seconds": round(took),
        "limit_seconds": seconds,
        "ended": {kind: dict(counts.most_common(6)) for kind, counts in sorted(ended.items())},
        "longest_seconds": {kind: round(value, 1) for kind, value in sorted(longest.items())},
        "wrong": wrong,
    }


if __name__ == "__main__":
    main()
