"""What worker processes have in common: loaded once, before the first of them begins."""

import gc
import importlib
import sys
from types import TracebackType

gc.disable()  # nothing of it is garbage, and to look for some takes a sixth of the time
for _name in ("benchmarking.executors", "images._daala", "metrics._ssim"):
    importlib.import_module(f"sreval.{_name}")

gc.freeze()  # the workers share what is loaded, and needn't look through it either
gc.enable()


def _said(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Say nothing of a worker that finds its caller's files gone: it was interrupted meanwhile."""
    if not isinstance(error, OSError | EOFError):
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _said
