"""The application for gunicorn: `gunicorn sreval.site.wsgi:app`, told by the environment."""

from __future__ import annotations

from sreval.site.app import create_app
from sreval.site.config import from_environment
from sreval.site.logs import log_to_stderr

log_to_stderr()
app = create_app(from_environment())
