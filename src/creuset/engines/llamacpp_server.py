"""llama.cpp in this process, as xllamacpp starts it: a server that listens on a Unix socket of our own.

xllamacpp's Server always listens. Here it does so in a folder that this user alone can open, and on no port,
so that nobody else reaches the model. Requests go through that socket, not through Server's Python methods,
since these can neither tokenize, nor apply a chat template, nor be stopped while a prompt is read.

Two habits of the server are undone: it takes over SIGINT and SIGTERM of the process, and it keeps past
prompts in up to 8 GB of memory.
"""

import contextlib
import ctypes
import http.client
import json
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import xllamacpp

from creuset.errors import CreusetError, UsageError

Pooling = Literal["model", "mean", "cls", "last"]

_BATCH = 256
"""Tokens of a prompt that are read at once; between two batches a request can be cancelled."""
_ROOM_FOR_SIGACTION = 1024
"""Bytes, more than any platform's struct sigaction has."""
_LONGEST_SOCKET_PATH = 100
"""Linux allows 107 bytes, macOS 103."""
_SILENT = -1
"""llama.cpp's level of verbosity."""


class LlamaServer:
    """A loaded model behind its socket.

    Args:
        path: A GGUF file that was tried: llama.cpp ends this process on some others.
        context_length: Tokens of prompt and answer together.
        num_threads: For a token and for a batch of the prompt alike.
        pooling: How the vectors of a text's tokens become one; None: no vectors are asked for.
        adapter: A GGUF file of a low-rank adapter that is added while the model runs.

    Raises:
        CreusetError: llama.cpp cannot load the file.
    """

    def __init__(
        self,
        path: Path,
        *,
        context_length: int,
        num_threads: int,
        pooling: Pooling | None = None,
        adapter: Path | None = None,
    ) -> None:
        self._folder = _private_folder()
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(path)
        parameters.n_ctx = context_length
        parameters.hostnames = [str(self._socket)]
        parameters.cpuparams.n_threads = num_threads
        parameters.cpuparams_batch.n_threads = num_threads
        parameters.n_parallel = 1
        parameters.n_batch = parameters.n_ubatch = _BATCH
        parameters.cache_ram_mib = 0
        parameters.n_ctx_checkpoints = 0
        parameters.warmup = False
        parameters.fit_params = False
        parameters.ui = False
        parameters.prefill_assistant = False
        # The file's own template would be run while it is loaded, with nothing to stop it.
        parameters.chat_template = "chatml"
        if adapter is not None:
            parameters.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
        if pooling is not None:
            parameters.embedding = True
            # A text whose vectors are pooled is read in one batch.
            parameters.n_batch = parameters.n_ubatch = context_length
            parameters.pooling_type = _pooling_type(pooling)
        self._server: Any = None
        try:
            self._server = _load(parameters, path, self._socket)
            # Answered by the server's own thread: to free a server whose thread has not begun waits forever.
            self.ask("/slots")
        finally:
            if self._server is None:
                self._folder.cleanup()

    @property
    def _socket(self) -> Path:
        return Path(self._folder.name) / "llama.sock"

    def ask(self, route: str, body: object = None) -> Any:
        """The answer of a route as JSON: a GET without a body, else a POST.

        Raises:
            UsageError: llama.cpp says that the request is wrong.
            CreusetError: llama.cpp failed.
        """
        connection = self._connect()
        try:
            response = _send(connection, route, body)
            return json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise CreusetError("llama.cpp gave no answer", where=route, got=repr(error)) from error
        finally:
            connection.close()

    def stream(self, route: str, body: object) -> "EventStream":
        """The events of a route, one by one as they come.

        Raises:
            UsageError: llama.cpp says that the request is wrong.
            CreusetError: llama.cpp failed.
        """
        return EventStream(self._connect(), route, body)

    def close(self) -> None:
        """Frees the model. Requests that are under way come to their end."""
        self._server = None
        self._folder.cleanup()

    def _connect(self) -> "_UnixConnection":
        return _UnixConnection(self._socket)


class EventStream:
    """An answer under way: JSON objects as the server sends them.

    The request is sent when the first is asked for.
    """

    def __init__(self, connection: "_UnixConnection", route: str, body: object) -> None:
        self._connection = connection
        self._route = route
        self._body = body
        self._stopped = threading.Event()

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """Ends the stream from any thread, and with it the server's work on it."""
        self._stopped.set()
        open_socket = self._connection.sock
        if open_socket is not None:
            # A connection whose other end is gone cannot be shut down, and needs not be.
            with contextlib.suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        if self._stopped.is_set():
            return
        try:
            self._connection.connect()
            if self._stopped.is_set():  # before there was a socket that could be shut down
                return
            response = _send(self._connection, self._route, self._body)
            for line in response:
                if self._stopped.is_set():
                    return
                name, _, value = line.partition(b": ")
                if name in (b"data", b"error"):
                    event = json.loads(value)
                    if name == b"error" or "error" in event:
                        raise _refusal(event.get("error", event), 500)
                    yield event
        except (OSError, http.client.HTTPException) as error:
            if not self.stopped:
                raise CreusetError("llama.cpp ended in the middle of an answer", got=repr(error)) from error
        finally:
            self._connection.close()


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        if self.sock is None:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.connect(str(self._path))


def _send(connection: _UnixConnection, route: str, body: object) -> http.client.HTTPResponse:
    if body is None:
        connection.request("GET", route)
    else:
        connection.request("POST", route, json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    if response.status != http.HTTPStatus.OK:
        raise _refusal(json.loads(response.read())["error"], response.status)
    return response


def _refusal(error: dict[str, Any], status: int) -> CreusetError:
    wrong_request = error.get("code", status) in (400, 501)
    kind = UsageError if wrong_request else CreusetError
    return kind(
        "llama.cpp refuses the request" if wrong_request else "llama.cpp failed", got=error["message"]
    )


def _private_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder that this user alone can open, with a path short enough for a socket."""
    usual = len(os.fsencode(tempfile.gettempdir())) + len("/creuset-12345678/llama.sock")
    place = None if usual <= _LONGEST_SOCKET_PATH else "/tmp"
    return tempfile.TemporaryDirectory(prefix="creuset-", dir=place)


def _pooling_type(pooling: Pooling) -> Any:
    kinds = xllamacpp.llama_pooling_type
    return {
        "model": kinds.LLAMA_POOLING_TYPE_UNSPECIFIED,
        "mean": kinds.LLAMA_POOLING_TYPE_MEAN,
        "cls": kinds.LLAMA_POOLING_TYPE_CLS,
        "last": kinds.LLAMA_POOLING_TYPE_LAST,
    }[pooling]


def _load(parameters: Any, path: Path, place: Path) -> Any:
    parameters.verbosity = _SILENT
    try:
        with _own_signal_handlers():
            return xllamacpp.Server(parameters)
    except RuntimeError as error:
        place.unlink(missing_ok=True)
        raise CreusetError(
            "llama.cpp cannot load this model",
            where=path,
            expected="memory for it and its context, since the file itself was seen to load",
        ) from error


@contextlib.contextmanager
def _own_signal_handlers() -> Iterator[None]:
    """Puts back what SIGINT and SIGTERM did. Python's `signal` can do so in the main thread only."""
    library = ctypes.CDLL(None)
    kept = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        kept[number] = ctypes.create_string_buffer(_ROOM_FOR_SIGACTION)
        library.sigaction(int(number), None, kept[number])
    try:
        yield
    finally:
        for number, action in kept.items():
            library.sigaction(int(number), action, None)
