"""Files that hang, kill or fill the process that reads them end themselves alone."""

import os
import signal
from pathlib import Path

import pytest

from creuset.knowledge.parser_process import Limits, ParseFailure, ParserProcess
from creuset.knowledge.parsing import parse
from creuset.knowledge.parsing.reading import Bounds
from creuset.knowledge.records import ParsedDocument
from pdf_bytes import pdf_of


def test_documents_come_back_as_they_were_parsed(tmp_path: Path) -> None:
    files = {
        "a.md": "# Titre\n\nDéjà lu.".encode(),
        "b.pdf": pdf_of([[(10, 700, "One.")], [(10, 700, "Two.")]]),
    }
    with ParserProcess(Limits()) as parser:
        for name, data in files.items():
            (tmp_path / name).write_bytes(data)
            assert parser.parse(tmp_path / name) == parse(data, name, Bounds())


def test_reasons(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "large.txt").write_bytes(b"x " * 600)
    with ParserProcess(Limits(max_bytes=1000)) as parser:
        assert parser.parse(tmp_path / "empty.txt") == ParseFailure("empty")
        assert parser.parse(tmp_path / "none.txt") == ParseFailure(
            "cannot be read: No such file or directory"
        )
        assert parser.parse(tmp_path / "large.txt") == ParseFailure("1,200 bytes, more than 1,000")


def test_what_takes_too_long_is_given_up_and_the_next_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "slow.html").write_bytes(b"<div>" * 400_000 + b"text" + b"</div>" * 400_000)
    (tmp_path / "good.txt").write_bytes(b"good")
    with ParserProcess(Limits(seconds=0.2, bounds=Bounds(max_depth=1_000_000))) as parser:
        failure = parser.parse(tmp_path / "slow.html")
        assert failure == ParseFailure("not read within 0.2 s")
    with ParserProcess(Limits(seconds=30)) as parser:
        found = parser.parse(tmp_path / "good.txt")
        assert isinstance(found, ParsedDocument)


def test_what_needs_too_much_memory_is_given_up(tmp_path: Path) -> None:
    (tmp_path / "large.txt").write_bytes(b"word \n\n" * 40_000_000)
    (tmp_path / "good.txt").write_bytes(b"good")
    with ParserProcess(Limits(memory_bytes=700_000_000)) as parser:
        failure = parser.parse(tmp_path / "large.txt")
        assert failure == ParseFailure("needs more than 0.7 GB of memory to be read")
        assert isinstance(parser.parse(tmp_path / "good.txt"), ParsedDocument)


def test_a_process_that_is_killed_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_bytes(b"good")
    with ParserProcess(Limits()) as parser:
        parser.parse(tmp_path / "good.txt")
        process = parser._process
        assert process is not None
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert isinstance(parser.parse(tmp_path / "good.txt"), ParsedDocument)


@pytest.mark.parametrize(
    "name", ["with space.txt", "öäü-ß.txt", "line\nbreak.txt", "-dash.txt", "'quote\".txt"]
)
def test_odd_names(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"text")
    with ParserProcess(Limits()) as parser:
        found = parser.parse(tmp_path / name)
    assert isinstance(found, ParsedDocument)
    assert found.text == "text"
