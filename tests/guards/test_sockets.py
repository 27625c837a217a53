"""The tests have no network: other machines are refused, here and in each Python that a test starts."""

import asyncio
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from loopback_only import NetworkRefusedError

ADDRESS = ("192.0.2.1", 80)
"""TEST-NET-1, which belongs to nobody (RFC 5737)."""


def test_another_machine_is_refused() -> None:
    with socket.socket() as connection, pytest.raises(NetworkRefusedError, match=r"asked for 192\.0\.2\.1"):
        connection.connect(ADDRESS)
    with socket.socket() as connection, pytest.raises(NetworkRefusedError):
        connection.connect_ex(ADDRESS)
    with socket.socket(type=socket.SOCK_DGRAM) as connection, pytest.raises(NetworkRefusedError):
        connection.sendto(b"", ADDRESS)
    with socket.socket(socket.AF_INET6) as connection, pytest.raises(NetworkRefusedError):
        connection.connect(("2001:db8::1", 80))


def test_names_are_not_even_looked_up() -> None:
    with pytest.raises(NetworkRefusedError, match=r"asked for example\.invalid"):
        socket.getaddrinfo("example.invalid", 80)
    with pytest.raises(NetworkRefusedError):
        urllib.request.urlopen("http://example.invalid/")

    async def connect() -> None:
        await asyncio.open_connection(*ADDRESS)

    with pytest.raises(NetworkRefusedError):
        asyncio.run(connect())


def test_a_started_python_is_held_to_it_too() -> None:
    code = f"import socket; socket.create_connection({ADDRESS!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "NetworkRefusedError" in done.stderr


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_is_reached(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection((host, port)) as client:
            accepted, _ = server.accept()
            with accepted:
                client.sendall(b"x")
                assert accepted.recv(1) == b"x"


def test_unix_sockets_are_left_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(path)
        server.listen()
        client.connect(path)
        assert client.getpeername() == path
