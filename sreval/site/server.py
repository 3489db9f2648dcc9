"""The site behind waitress, until a signal ends it: requests under way are finished first."""

from __future__ import annotations

import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

from flask import Flask
from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher

from sreval.errors import UsageError, option
from sreval.progress import stop_signals
from sreval.site.config import EXPLAINED

GRACE_SECONDS = 15
"""How long requests that were begun may take after the signal to stop."""

REQUEST_SECONDS = 30
"""How long a request may take to arrive, from its first byte to the last of its body."""

LOGIN = "/operator/login"
_BETWEEN_LOGINS_S = 0.02
"""The rest before the next login where several wait: the interpreter is for raters."""

_IDLE_SECONDS, _SWEEP_SECONDS = 1.0, 5
_MOMENT = 0.01  # within which a thread that pulled the trigger lets its connection go
_BACKLOG = 1024
_MOST_CONNECTIONS, _OTHER_FILES = 10_000, 128


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
        dispatcher = LoginsLast()
        dispatcher.set_thread_count(threads)
        with selectors.DefaultSelector() as selector:
            channels = _Channels(selector)
            server = _Listener(
                app,
                map=channels,
                dispatcher=dispatcher,
                _sock=self._socket,
                sockinfo=(self._socket.family, None, None, None),
                bind_socket=False,
                adj=Adjustments(
                    ident=None,
                    max_request_body_size=EXPLAINED * app.config["MAX_CONTENT_LENGTH"],
                    connection_limit=_connections(),
                    channel_timeout=120,
                    cleanup_interval=_SWEEP_SECONDS,
                    backlog=_BACKLOG,
                ),
            )
            with stop_signals(server.pull_trigger) as caught:
                try:
                    ready()
                    while not caught:
                        channels.turn()
                    _finish(server, channels)
                finally:
                    for visitor in channels.visitors():
                        visitor.handle_close()
                    server.close()
        return caught[0]


class _Visitor(HTTPChannel):  # type: ignore[misc]
    """A connection that knows when the request which is arriving began."""

    began = 0.0

    def received(self, data: bytes) -> bool:
        """Take what came; note the time where it is the beginning of a request."""
        before = self.request
        taken: bool = super().received(data)
        if self.request is not before:
            self.began = time.monotonic()
        return taken


class _Listener(TcpWSGIServer):  # type: ignore[misc]
    """Closes connections that are idle, and those whose request doesn't come to an end.

    A byte now and then would keep a connection from being idle for ever.
    """

    channel_class = _Visitor

    def maintenance(self, now: float) -> None:
        """Close them; called every few seconds."""
        idle, late = now - self.adj.channel_timeout, time.monotonic() - REQUEST_SECONDS
        for visitor in list(self.active_channels.values()):
            arriving = visitor.request is not None and visitor.began < late
            if not visitor.requests and (arriving or visitor.last_activity < idle):
                visitor.handle_close()


class _Channels(dict[int, Any]):
    """Everything that the loop waits for, by file number.

    waitress asks every connection at every turn what it waits for. A thousand that stand still
    would take all the time, so here only those are asked to which something happened: bytes that
    came or went, or a request that is being served.
    """

    def __init__(self, selector: selectors.BaseSelector) -> None:
        super().__init__()
        self._selector = selector
        self._busy: dict[int, Any] = {}
        self._awaited: dict[int, int] = {}

    def __setitem__(self, number: int, channel: Any) -> None:
        super().__setitem__(number, channel)
        self._busy[number] = channel

    def __delitem__(self, number: int) -> None:
        super().__delitem__(number)
        self._busy.pop(number, None)
        if self._awaited.pop(number, 0):
            self._selector.unregister(number)

    def visitors(self) -> list[Any]:
        """The connections of visitors."""
        return [channel for channel in self.values() if isinstance(channel, HTTPChannel)]

    def turn(self) -> None:
        """Wait for what happens next, a second at most, and see to it."""
        answered = [self._await(*each) for each in list(self._busy.items())]
        for key, happened in self._selector.select(_MOMENT if any(answered) else _IDLE_SECONDS):
            channel = key.data
            if self.get(key.fd) is not channel:  # closed by one before it
                continue
            self._busy[key.fd] = channel
            if happened & selectors.EVENT_READ:
                wasyncore.read(channel)
            if happened & selectors.EVENT_WRITE and self.get(key.fd) is channel:
                wasyncore.write(channel)

    def _await(self, number: int, channel: Any) -> bool:
        """Register what a channel waits for. One that only waits for its visitor isn't busy.

        True for one that is just being answered: the thread that does so pulls the trigger where
        something is left to be sent, and a loop that waited for that, too, would turn all the time.
        """
        visitor = isinstance(channel, HTTPChannel)
        reads, writes = channel.readable(), channel.writable() and not channel.accepting
        answered = bool(writes and visitor and channel.requests and not _is_free(channel))
        wanted = selectors.EVENT_READ * bool(reads)
        wanted |= selectors.EVENT_WRITE * bool(writes and not answered)
        before = self._awaited.get(number, 0)
        if wanted != before:
            if not before:
                self._selector.register(number, wanted, channel)
            elif wanted:
                self._selector.modify(number, wanted, channel)
            else:
                self._selector.unregister(number)
            self._awaited[number] = wanted
        if visitor and wanted == selectors.EVENT_READ:
            self._busy.pop(number, None)
        return answered


def _is_free(channel: Any) -> bool:
    """Whether no thread sends something on it at this moment."""
    free: bool = channel.outbuf_lock.acquire(False)
    if free:
        channel.outbuf_lock.release()
    return free


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
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_CONNECTIONS + _OTHER_FILES
    if most != resource.RLIM_INFINITY:
        wanted = min(wanted, most)
    if allowed != resource.RLIM_INFINITY and allowed < wanted:
        with suppress(OSError, ValueError):  # macOS allows fewer than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
            allowed = wanted
        wanted = allowed
    return max(16, wanted - _OTHER_FILES)


def _finish(server: Any, channels: _Channels) -> None:
    """Accept nobody new; answer those who wait; then end the threads."""
    wasyncore.dispatcher.close(server)  # its own close would take what wakes this loop, too
    end = time.monotonic() + GRACE_SECONDS
    # one whose request isn't answered yet reads no other
    while time.monotonic() < end and not all(v.readable() for v in channels.visitors()):
        channels.turn()
    server.task_dispatcher.shutdown()
