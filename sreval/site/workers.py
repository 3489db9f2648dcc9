"""gunicorn's settings for the site: `gunicorn --config python:sreval.site.workers`.

gunicorn reads the names below; whatever is given on its command line comes first.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
from contextlib import ExitStack
from typing import Any

from sreval.errors import SrevalError
from sreval.site import metrics

wsgi_app = "sreval.site.wsgi:app"
bind = "127.0.0.1:8000"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = 4
graceful_timeout = 20
loglevel = "error"

_REFUSED = 2
_private: list[socket.socket] = []
_open = ExitStack()
_address = os.environ.get("SREVAL_METRICS", "")
if _address:
    # the library looks for it when it is imported, in each worker
    os.environ[metrics.MULTIPROCESS] = tempfile.mkdtemp(prefix="sreval-metrics-")


def on_starting(server: Any) -> None:
    """Take the private port: a worker that can't would begin again and again."""
    if not _address:
        return
    try:
        _private.append(metrics.listen(_address))
    except SrevalError as error:
        sys.stderr.write(f"Error: {error}\n")
        on_exit(server)
        sys.exit(_REFUSED)


def post_worker_init(worker: Any) -> None:
    """Any worker answers for all: each has the socket, and reads what the others have counted."""
    for listening in _private:
        _open.enter_context(metrics.answering(worker.wsgi.extensions[metrics.METRICS], listening))


def child_exit(server: Any, worker: Any) -> None:
    """A worker that ended holds no connection."""
    if _address:
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(worker.pid)


def on_exit(server: Any) -> None:
    """The counts go with the site."""
    if _address:
        shutil.rmtree(os.environ[metrics.MULTIPROCESS], ignore_errors=True)
