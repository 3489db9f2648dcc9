"""The site behind waitress, until a signal ends it: requests under way are finished first."""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Self

from flask import Flask
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import create_server
from waitress.task import ThreadedTaskDispatcher

from sreval.errors import UsageError, option
from sreval.progress import stop_signals
from sreval.site.config import EXPLAINED

GRACE_SECONDS = 15
"""How long requests that were begun may take after the signal to stop."""

LOGIN = "/operator/login"
_BETWEEN_LOGINS_S = 0.02
"""The rest before the next login where several wait: the interpreter is for raters."""

_IDLE_SECONDS = 1.0
_BACKLOG = 1024
_MOST_CONNECTIONS, _OTHER_FILES = 1000, 128


class Server:
    """A listening socket, and the site behind it while ``serve`` runs."""

    def __init__(self, host: str, port: int) -> None:
        """Listen at this address; port 0 takes a free one.

        Raises UsageError when the port is in use or the address isn't this machine's.
        """
        self._socket = _listening(host, port)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    @property
    def address(self) -> str:
        """Its http address."""
        host, port = self._socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def serve(self, app: Flask, threads: int, ready: Callable[[], None] = lambda: None) -> int:
        """Answer requests until SIGINT, SIGTERM or SIGHUP, whose number is returned.

        Call it from the main thread. `ready` is called once a signal would be handled. A second
        signal doesn't wait for the requests under way.
        """
        channels: dict[int, Any] = {}
        dispatcher = LoginsLast()
        dispatcher.set_thread_count(threads)
        server = create_server(
            app,
            map=channels,
            _dispatcher=dispatcher,
            sockets=[self._socket],
            ident=None,
            max_request_body_size=EXPLAINED * app.config["MAX_CONTENT_LENGTH"],
            connection_limit=_connections(),
            channel_timeout=120,
        )
        with stop_signals(server.pull_trigger) as caught:
            try:
                ready()
                while not caught:
                    _turn(channels)
                _finish(server, channels)
            finally:
                for visitor in _visitors(channels):
                    visitor.handle_close()
                server.close()
        return caught[0]


class LoginsLast(ThreadedTaskDispatcher):  # type: ignore[misc]
    """Has one attempt to log in served at a time, each after all that waited before it.

    Strangers may have attempts on every connection that the server allows. In one queue with them
    a vote would come after them all.
    """

    def __init__(self) -> None:
        super().__init__()
        self._logins: deque[Any] = deque()
        self._queued = False

    def add_task(self, task: Any) -> None:
        """Queue a connection whose request is to be served."""
        request = task.requests[0]
        if request.error or (request.command, request.path) != ("POST", LOGIN):
            super().add_task(task)
            return
        with self.lock:
            self._logins.append(task)
            first, self._queued = not self._queued, True
        if first:
            super().add_task(self)

    def service(self) -> None:
        """Serve the login that waits longest; the next one goes to the end of the queue."""
        with self.lock:
            task = self._logins.popleft()
        try:
            task.service()
        finally:
            with self.lock:
                more = self._queued = bool(self._logins)
            if more:
                time.sleep(_BETWEEN_LOGINS_S)
                super().add_task(self)

    def cancel(self) -> None:
        """End the connections of logins that weren't served."""
        while self._logins:
            self._logins.popleft().cancel()


def _listening(host: str, port: int) -> socket.socket:
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


def _finish(server: Any, channels: dict[int, Any]) -> None:
    """Accept nobody new; answer those who wait; then end the threads."""
    wasyncore.dispatcher.close(server)  # its own close would take what wakes this loop, too
    end = time.monotonic() + GRACE_SECONDS
    # one whose request isn't answered yet reads no other
    while time.monotonic() < end and not all(v.readable() for v in _visitors(channels)):
        _turn(channels)
    server.task_dispatcher.shutdown()


def _turn(channels: dict[int, Any]) -> None:
    wasyncore.loop(timeout=_IDLE_SECONDS, use_poll=True, map=channels, count=1)


def _visitors(channels: dict[int, Any]) -> list[Any]:
    return [channel for channel in channels.values() if isinstance(channel, HTTPChannel)]
