"""gunicorn's settings for the site: `gunicorn --config python:sreval.site.workers`.

gunicorn reads the names below; whatever is given on its command line comes first.
"""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import sys
import tempfile
from contextlib import ExitStack
from typing import Any, NoReturn

from sreval.errors import SrevalError, shown
from sreval.site import metrics

wsgi_app = "sreval.site.wsgi:app"
bind = "127.0.0.1:8000"
threads = 4
graceful_timeout = 20
loglevel = "error"

_REFUSED = 2
_private: list[socket.socket] = []
_open = ExitStack()
_address = os.environ.get("SREVAL_METRICS", "")


def _processes(told: str) -> int:
    """How many workers; a word, of which gunicorn itself complains before this, or less than one
    ends gunicorn."""
    if not (told.isascii() and told.isdigit() and int(told)):
        _refuse(f"WEB_CONCURRENCY = {shown(told)} is no number of processes. Give 1 or more.")
    return int(told)


def _refuse(message: str) -> NoReturn:
    sys.stderr.write(f"Error: {message}\n")
    sys.exit(_REFUSED)


workers = _processes(os.environ.get("WEB_CONCURRENCY") or "2")


def on_starting(server: Any) -> None:
    """Take the private port: a worker that can't would begin again and again."""
    if not _address:
        return
    try:
        _private.append(metrics.listen(_address))
    except SrevalError as error:
        _refuse(str(error))
    # the library looks for it when it is imported, in each worker
    os.environ[metrics.MULTIPROCESS] = folder = tempfile.mkdtemp(prefix="sreval-metrics-")
    atexit.register(_remove, folder, os.getpid())


def post_worker_init(worker: Any) -> None:
    """Any worker answers for all: each has the socket, and reads what the others have counted."""
    for listening in _private:
        _open.enter_context(metrics.answering(worker.wsgi.extensions[metrics.METRICS], listening))


def worker_exit(server: Any, worker: Any) -> None:
    """End what answers for metrics while its thread still runs: at Python's own end it no longer
    does, and the worker would wait for it."""
    _open.close()


def child_exit(server: Any, worker: Any) -> None:
    """A worker that ended holds no connection."""
    if _address:
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(worker.pid)


def _remove(folder: str, process: int) -> None:
    """The counts go with the site, not with a worker; also where gunicorn can't start."""
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
