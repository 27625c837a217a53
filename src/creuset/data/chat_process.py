"""The process in which a chat template runs (`chat_sandbox.py`), seen from this side.

It is started when the template is first rendered, and kept, so that a rendering costs a message there and
one back. It is ended when it takes too long, when it does anything unexpected, and with its owner. It is
handed no environment and no open files, and hears no Ctrl-C.

A process that was forked off this one starts one of its own.
"""

import importlib.util
import os
import selectors
import subprocess
import sys
import threading
import time
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from creuset.data.chat_sandbox import LENGTH, Kind
from creuset.errors import CreusetError, DataError

MAX_MEMORY_BYTES = 256 * 2**20
"""Python with jinja2 takes 40 MB of it; the longest conversations a few more."""
_STARTING_SECONDS = 60.0
"""Python starts in a tenth of a second on a machine that has nothing else to do."""
_AT_ONCE = 65_536
_PROGRAM = """\
import sys
sys.path.extend(sys.argv[4:])
from creuset.data.chat_sandbox import serve
serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
"""
_ENVIRONMENT = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TZ")
"""What Python itself may need to start, and the time zone."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back of a frame.

    Args:
        kind: A text, or what went wrong.
        text: The text, or the reason.
    """

    kind: Kind
    text: str


class ChatProcess:
    """Runs one template.

    Args:
        source: The template in Jinja.
        max_characters: Of a rendered text.
        seconds: How long it may take to compile the template, and to render it.
    """

    def __init__(self, source: str, *, max_characters: int, seconds: float) -> None:
        self._source = source
        self._max_characters, self._seconds = max_characters, seconds
        self._one_at_a_time = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._ender: weakref.finalize[Any, Any] | None = None

    @property
    def pid(self) -> int | None:
        """The number of the process, None while there is none."""
        return None if self._process is None else self._process.pid

    def render(self, variables: bytes) -> Answer:
        """What the template makes of variables, a JSON object.

        Raises:
            DataError: It takes too long, or more memory than it may have.
            CreusetError: Python cannot be started.
        """
        with self._one_at_a_time:
            try:
                process = self._running()
                if isinstance(process, Answer):
                    return process
                return self._ask(process, variables)
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Ends the process; the next rendering starts another."""
        if self._ender is not None:
            self._ender()
        self._process, self._ender = None, None

    def _running(self) -> subprocess.Popen[bytes] | Answer:
        """The process with its template; or what is wrong with the template."""
        process = self._process
        if process is not None and self._owner == os.getpid() and process.poll() is None:
            return process
        self.close()
        self._process = process = _started(self._max_characters, self._seconds)
        self._owner = os.getpid()
        self._ender = weakref.finalize(self, _end, process, self._owner)
        _exchange(process, b"", _STARTING_SECONDS, most=_AT_ONCE)
        answer = self._ask(process, self._source.encode("utf-8", "surrogatepass"))
        if answer.kind == "ready":
            return process
        self.close()
        return answer

    def _ask(self, process: subprocess.Popen[bytes], content: bytes) -> Answer:
        frame = LENGTH.pack(len(content)) + content
        found = _exchange(process, frame, self._seconds, most=_AT_ONCE + 4 * self._max_characters)
        kind, _, text = found.decode("utf-8", "surrogatepass").partition("\n")
        return Answer(kind=cast(Kind, kind), text=text)


def _started(max_characters: int, seconds: float) -> subprocess.Popen[bytes]:
    found = [importlib.util.find_spec(name) for name in ("creuset", "jinja2", "markupsafe")]
    places = [str(Path(spec.origin).parents[1]) for spec in found if spec is not None and spec.origin]
    numbers = [str(MAX_MEMORY_BYTES), str(max_characters), str(seconds)]
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _PROGRAM, *numbers, *dict.fromkeys(places)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
            start_new_session=True,
        )
    except OSError as error:
        raise CreusetError(
            "the process for chat templates cannot be started", where=sys.executable, got=str(error)
        ) from error
    assert process.stdin is not None
    os.set_blocking(process.stdin.fileno(), False)
    return process


def _end(process: subprocess.Popen[bytes], owner: int) -> None:
    """Ends a process for good; one that was forked off its owner only lets go of it."""
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        pipe.close()
    if os.getpid() == owner:
        process.kill()
        process.wait()


def _exchange(process: subprocess.Popen[bytes], frame: bytes, seconds: float, *, most: int) -> bytes:
    """Writes a frame and reads the one that comes back.

    Raises:
        DataError: There is none within the time, the process ended, or the answer is longer than `most`.
    """
    assert process.stdin is not None
    assert process.stdout is not None
    deadline = time.monotonic() + seconds
    rest, answer = memoryview(frame), bytearray()
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdout, selectors.EVENT_READ)
        if rest:
            ready.register(process.stdin, selectors.EVENT_WRITE)
        while (left := deadline - time.monotonic()) > 0:
            for key, _ in ready.select(left):
                if key.fileobj is process.stdout:
                    answer += _read_part(process)
                    continue
                rest = rest[_write_part(process, rest) :]
                if not rest:
                    ready.unregister(process.stdin)
            if len(answer) < LENGTH.size:
                continue
            (length,) = LENGTH.unpack_from(answer)
            if length > most:
                raise DataError("the chat template writes too much", got=f"{length:,} bytes")
            if len(answer) == LENGTH.size + length:
                return bytes(answer[LENGTH.size :])
    raise DataError("the chat template takes too long", got=f"more than {seconds:g} s")


def _read_part(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    part = os.read(process.stdout.fileno(), _AT_ONCE)
    if not part:
        raise DataError("the chat template ended its process", got="too much time, memory or depth")
    return part


def _write_part(process: subprocess.Popen[bytes], rest: memoryview) -> int:
    assert process.stdin is not None
    try:
        return os.write(process.stdin.fileno(), rest[:_AT_ONCE])
    except BlockingIOError:
        return 0
    except BrokenPipeError as error:
        raise DataError("the chat template ended its process") from error
