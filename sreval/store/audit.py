"""The audit log: who did what. A row is written in the transaction of the deed itself."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from sqlalchemy.orm import Session as Transaction

from sreval.store.models import OperatorEvent

COMMAND_LINE = "command line"
"""Who acts when nobody is logged in: whoever may run commands on the server."""


def record(
    tx: Transaction, at: dt.datetime, who: str, action: str, study_id: int | None, **facts: Any
) -> None:
    """Add one row; ``facts`` become one canonical line of JSON."""
    line = json.dumps(facts, sort_keys=True, ensure_ascii=False)
    tx.add(OperatorEvent(at=at, who=who, action=action, study_id=study_id, facts=line))
