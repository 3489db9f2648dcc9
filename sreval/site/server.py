"""The site behind waitress, until a signal ends it: requests under way are finished first."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from flask import Flask
from waitress.server import create_server

from sreval.errors import UsageError, option
from sreval.site.config import BODY_BYTES

GRACE_SECONDS = 15
"""How long requests that were begun may take after the signal to stop."""

_IDLE_SECONDS = 1.0
_BACKLOG = 1024
_MOST_CONNECTIONS, _OTHER_FILES = 1000, 128


def listen(host: str, port: int) -> socket.socket:
    """A socket at this address; port 0 takes a free one.

    Raises UsageError when the port is in use or the address isn't this machine's.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        opened = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise UsageError(
            f"No address {host}: {error.strerror}.", f"Give another {option('--host')}."
        ) from None
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        opened.listen(_BACKLOG)
    except OSError as error:
        opened.close()
        raise UsageError(
            f"Can't listen on {host} port {port}: {error.strerror}.",
            f"Stop what listens there, or give another {option('--port')}.",
        ) from None
    return opened


def address_of(opened: socket.socket) -> str:
    """The http address of a listening socket."""
    host, port = opened.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(
    app: Flask, opened: socket.socket, threads: int, ready: Callable[[], None] = lambda: None
) -> int:
    """Answer requests until SIGINT or SIGTERM, whose number is returned.

    Call it from the main thread. `ready` is called once a signal would be handled.
    """
    server = create_server(
        app,
        sockets=[opened],
        threads=threads,
        ident=None,
        max_request_body_size=64 * BODY_BYTES,  # between the two, the site itself explains
        connection_limit=_connections(),
        channel_timeout=120,
    )
    caught: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        caught.append(number)
        server.pull_trigger()

    before = {s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        ready()
        while not caught:
            _turn(server)
        _finish(server)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for channel in list(server.active_channels.values()):
            channel.handle_close()
        server.close()
    return caught[0]


def _connections() -> int:
    """As many as open files are allowed, less those for the database and the stimuli.

    At a file too many the server would ask in a loop for a connection that it can't accept.
    """
    try:
        import resource
    except ImportError:  # Windows counts otherwise
        return _MOST_CONNECTIONS
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY:
        return _MOST_CONNECTIONS
    return max(16, min(_MOST_CONNECTIONS, allowed - _OTHER_FILES))


def _finish(server: Any) -> None:
    """Accept nobody new; answer those who wait; then end the threads."""
    server.accepting = False
    server.socket.close()
    server.del_channel()
    end = time.monotonic() + GRACE_SECONDS
    while time.monotonic() < end and any(
        channel.requests or channel.total_outbufs_len
        for channel in list(server.active_channels.values())
    ):
        _turn(server)
    server.task_dispatcher.shutdown()


def _turn(server: Any) -> None:
    server.asyncore.loop(timeout=_IDLE_SECONDS, use_poll=True, map=server._map, count=1)
