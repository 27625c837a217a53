"""A GGUF file is loaded in a process of its own before it is loaded in this one.

llama.cpp ends its whole process on some numbers and vocabularies that it does not expect, and says why it
refuses others on stderr alone. Here both become errors. The trial runs beside what is read of the file
meanwhile: it maps the weights without reading them, and takes a context of a few tokens, so that a model
costs it little more than its vocabulary.
"""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from creuset.errors import CreusetError

_SECONDS = 120
_LOAD = """\
import os, resource, sys, xllamacpp
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
parameters = xllamacpp.CommonParams()
parameters.model.path = sys.argv[1]
parameters.hostnames = [sys.argv[2]]
parameters.verbosity = 1
parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = 64
parameters.cpuparams.n_threads = parameters.n_parallel = 1
parameters.load_mode = xllamacpp.llama_load_mode.LLAMA_LOAD_MODE_MMAP
parameters.warmup = parameters.fit_params = parameters.ui = False
parameters.embedding = sys.argv[3] == "vectors"
parameters.chat_template = "chatml"
try:
    server = xllamacpp.Server(parameters)
except RuntimeError:
    sys.exit(1)
os._exit(0)
"""
"""Only errors are told, by a thread that is waited for at a usual end. The server is kept: to free one whose
thread has not begun waits forever."""
_WITHOUT_DEBUGGER = {"GGML_NO_BACKTRACE": "1"}
"""Else llama.cpp has a debugger write a page about each failure."""


class LoadingTrial:
    """The attempt to load a file, which begins at once; to be left with `with`, which ends it.

    Args:
        path: A GGUF file.
        vectors: Whether it is loaded for vectors of texts.
    """

    def __init__(self, path: Path, *, vectors: bool = False) -> None:
        self._path = path
        self._folder = tempfile.TemporaryDirectory(prefix="creuset-")
        use = "vectors" if vectors else "answers"
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-c", _LOAD, str(path), "trial.sock", use],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, **_WITHOUT_DEBUGGER, "PYTHONPATH": os.pathsep.join(_absolute(sys.path))},
            cwd=self._folder.name,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()

    def require_success(self) -> None:
        """Waits for the end.

        Raises:
            CreusetError: llama.cpp cannot load the file, or ends its process over it, with its own words.
        """
        try:
            _, said = self._process.communicate(timeout=_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise self._refusal(f"no end of it within {_SECONDS} seconds") from error
        status = self._process.returncode
        if status != 0:
            words = _reason(said.decode(errors="replace"))
            ended = f"it ended its process by {signal.Signals(-status).name}: " if status < 0 else ""
            raise self._refusal(ended + words)

    def _refusal(self, got: str) -> CreusetError:
        return CreusetError(
            "llama.cpp cannot load this model",
            where=self._path,
            got=got,
            expected="a GGUF model of an architecture that llama.cpp knows, and memory for it",
        )


def _absolute(places: list[str]) -> list[str]:
    """Folders of modules as they are from anywhere."""
    return [str(Path(place).absolute()) for place in places]


def _reason(said: str) -> str:
    """The line that says why, of all that llama.cpp wrote."""
    lines = said.splitlines()
    reasons = [line.partition(" E ")[2].strip() for line in lines if "error loading model:" in line]
    reasons += [line.rpartition("llama.cpp/")[2] for line in lines if "GGML_ASSERT" in line]
    return reasons[0] if reasons else " ".join(lines)[:500] or "no word of it"
