"""The application for gunicorn: `gunicorn sreval.site.wsgi:app`, told by the environment."""

from __future__ import annotations

import sys

from sreval.errors import SrevalError
from sreval.site.app import create_app
from sreval.site.config import SiteConfig
from sreval.site.logs import log_to_stderr

_NOT_BOOTED = 3
"""gunicorn ends, rather than start the worker again, at this exit code."""

log_to_stderr()
try:
    app = create_app(SiteConfig.from_environment())
except SrevalError as error:
    sys.stderr.write(f"Error: {error}\n")
    sys.exit(_NOT_BOOTED)
