"""No connection but to this machine: what every test process, and each that it starts, is held to."""

import ipaddress
import socket
from typing import Any

_LOCAL_NAMES = frozenset({"localhost", "localhost.localdomain", "ip6-localhost"})


class NetworkRefusedError(RuntimeError):
    """Something asked for another machine. No OSError: code that goes on without network must not hide it."""


def refuse_network() -> None:
    """From now on Python sockets of this process reach loopback addresses and Unix sockets only."""
    if getattr(socket.socket.connect, "refuses_network", False):
        return
    for method in ("connect", "connect_ex", "sendto", "sendmsg"):
        _guard_method(method)
    for function in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
        _guard_lookup(function)


def _guard_method(name: str) -> None:
    original = getattr(socket.socket, name)

    def guarded(self: socket.socket, *arguments: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            for address in arguments:
                if isinstance(address, tuple) and address and isinstance(address[0], str):
                    _refuse_foreign(address[0])
        return original(self, *arguments)

    guarded.refuses_network = True  # type: ignore[attr-defined]
    setattr(socket.socket, name, guarded)


def _guard_lookup(name: str) -> None:
    original = getattr(socket, name)

    def guarded(host: Any, *arguments: Any, **options: Any) -> Any:
        if host:
            _refuse_foreign(host.decode() if isinstance(host, bytes) else host)
        return original(host, *arguments, **options)

    setattr(socket, name, guarded)


def _refuse_foreign(host: str) -> None:
    if host in _LOCAL_NAMES or host == socket.gethostname():
        return
    try:
        local = ipaddress.ip_address(host.split("%")[0]).is_loopback
    except ValueError:
        local = False
    if not local:
        raise NetworkRefusedError(f"the tests have no network, and this asked for {host}")
