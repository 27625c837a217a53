"""Files parsed in a process of their own, with bounds on time and memory: a hostile file ends itself alone.

The child reads a line of JSON a file, and answers with a line that says how many bytes of JSON follow. Where
it dies, or takes too long, it is replaced, and the file gets a reason. On macOS, which does not enforce
RLIMIT_AS, the bound on memory has no effect.
"""

import json
import os
import resource
import selectors
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from creuset.knowledge.parsing.reading import Bounds, Unreadable, wrong_spans
from creuset.knowledge.records import Block, PageSpan, ParsedDocument

_PIECE = 1 << 20
_START_SECONDS = 60.0
_END_SECONDS = 0.2
"""For the process to end by itself, when its input has."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Of parsing one file.

    Args:
        seconds: Until it is given up.
        memory_bytes: Of the process that parses.
        max_bytes: Of the file.
        bounds: Of what comes of it.
    """

    seconds: float = 60.0
    memory_bytes: int = 4_000_000_000
    max_bytes: int = 1_200_000_000
    bounds: Bounds = field(default_factory=Bounds)


@dataclass(frozen=True)
class ParseFailure:
    """A file that could not be parsed, and why."""

    reason: str


class ParserProcess:
    """Parses files one after the other. Use it in a `with`, or call `close`.

    Args:
        limits: Of each file.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None

    def parse(self, path: Path) -> ParsedDocument | ParseFailure:
        """The document of a file, or why there is none."""
        try:
            size = path.stat().st_size
        except OSError as error:
            return ParseFailure(f"cannot be read: {error.strerror}")
        if size > self._limits.max_bytes:
            return ParseFailure(f"{size:,} bytes, more than {self._limits.max_bytes:,}")
        deadline = time.monotonic() + self._limits.seconds
        try:
            process = self._start()
            assert process.stdin is not None
            process.stdin.write(json.dumps([os.fsencode(path).hex()]).encode() + b"\n")
            process.stdin.flush()
            answer = self._answer(process, deadline)
        except TimeoutError:
            self._stop()
            return ParseFailure(f"not read within {self._limits.seconds:g} s")
        except (OSError, EOFError):
            code = self._stop()
            return ParseFailure(_why_it_died(code, self._limits))
        return ParseFailure(answer["failure"]) if "failure" in answer else _document(answer)

    def close(self) -> None:
        """Ends the process."""
        self._stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self) -> "subprocess.Popen[bytes]":
        if self._process is not None and self._process.poll() is not None:
            self._stop()
        if self._process is None:
            limits = self._limits
            settings = {"memory_bytes": limits.memory_bytes, "bounds": asdict(limits.bounds)}
            self._process = subprocess.Popen(
                [sys.executable, "-m", "creuset.knowledge.parser_process", json.dumps(settings)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
            # the time of a file does not begin before the process is there
            self._answer(self._process, time.monotonic() + _START_SECONDS)
        return self._process

    def _stop(self) -> int:
        """Ends the process; its exit code."""
        process, self._process = self._process, None
        if process is None:
            return 0
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(OSError):  # it was dead
            process.stdin.close()
        try:
            code: int | None = process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            code = None
            process.kill()
        process.stdout.close()
        waited = process.wait()
        return waited if code is None else code

    def _answer(self, process: "subprocess.Popen[bytes]", deadline: float) -> Any:
        assert process.stdout is not None
        stream = _Timed(process.stdout, deadline)
        return json.loads(stream.read(int(stream.line())))


class _Timed:
    """Reads of a pipe until a deadline."""

    def __init__(self, pipe: IO[bytes], deadline: float) -> None:
        self._descriptor, self._deadline = pipe.fileno(), deadline
        self._held = bytearray()

    def line(self) -> bytes:
        while (end := self._held.find(b"\n")) < 0:
            self._more()
        found = bytes(self._held[:end])
        del self._held[: end + 1]
        return found

    def read(self, count: int) -> bytes:
        while len(self._held) < count:
            self._more()
        return bytes(self._held[:count])

    def _more(self) -> None:
        left = self._deadline - time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(self._descriptor, selectors.EVENT_READ)
            if left <= 0 or not selector.select(left):
                raise TimeoutError
        piece = os.read(self._descriptor, _PIECE)
        if not piece:
            raise EOFError
        self._held += piece


def _why_it_died(code: int, limits: Limits) -> str:
    if code == _OUT_OF_MEMORY:
        return f"needs more than {limits.memory_bytes / 1e9:g} GB of memory to be read"
    return f"the program that reads it ended ({code})"


def _document(answer: Any) -> ParsedDocument:
    return ParsedDocument(
        text=answer["text"],
        pages=tuple(PageSpan(number=n, start=start, end=end) for n, start, end in answer["pages"]),
        blocks=tuple(
            Block(kind=kind, start=start, end=end, level=level)
            for kind, start, end, level in answer["blocks"]
        ),
        title=answer["title"],
        media_type=answer["media_type"],
        encoding=answer["encoding"],
        warnings=tuple(answer["warnings"]),
    )


_OUT_OF_MEMORY = 77
"""The child's exit code where memory is all."""


def _serve(settings: Any) -> None:
    """What the child does: files by their paths, one a line, until its input ends."""
    from creuset.knowledge import parsing

    bounds = Bounds(**settings["bounds"])
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (settings["memory_bytes"], settings["memory_bytes"]))
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what libraries print is no answer
    _send(output, {})
    for line in sys.stdin.buffer:
        path = Path(os.fsdecode(bytes.fromhex(json.loads(line)[0])))
        try:
            document = parsing.parse(path.read_bytes(), path.name, bounds)
            wrong = wrong_spans(document)
            assert not wrong, wrong
            answer = {
                "text": document.text,
                "pages": [[page.number, page.start, page.end] for page in document.pages],
                "blocks": [[each.kind, each.start, each.end, each.level] for each in document.blocks],
                "title": document.title,
                "media_type": document.media_type,
                "encoding": document.encoding,
                "warnings": list(document.warnings),
            }
        except Unreadable as error:
            answer = {"failure": str(error)}
        except OSError as error:
            answer = {"failure": f"cannot be read: {error.strerror}"}
        except MemoryError:
            os._exit(_OUT_OF_MEMORY)
        except Exception as error:  # a reader's mistake must not stop other files
            answer = {"failure": f"the reader failed: {type(error).__name__}: {str(error)[:80]}"}
        _send(output, answer)


def _send(output: IO[bytes], answer: Any) -> None:
    data = json.dumps(answer).encode()
    output.write(b"%d\n" % len(data))
    output.write(data)
    output.flush()


if __name__ == "__main__":
    _serve(json.loads(sys.argv[1]))
