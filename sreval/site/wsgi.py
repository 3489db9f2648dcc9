"""The application for gunicorn, told by the environment; sreval.site.workers starts it."""

from __future__ import annotations

import os
import sys

from sreval.errors import SrevalError, UsageError
from sreval.site.app import create_app
from sreval.site.config import SiteConfig
from sreval.site.logs import log_to_stderr
from sreval.site.metrics import MULTIPROCESS

_NOT_BOOTED = 3
"""gunicorn ends, rather than start the worker again, at this exit code."""

log_to_stderr()
try:
    config = SiteConfig.from_environment()
    if config.metrics and MULTIPROCESS not in os.environ:
        raise UsageError(
            "SREVAL_METRICS is set, but nothing would listen there.",
            "Start gunicorn with --config python:sreval.site.workers, or unset SREVAL_METRICS.",
        )
    app = create_app(config)
except SrevalError as error:
    sys.stderr.write(f"Error: {error}\n")
    sys.exit(_NOT_BOOTED)
