"""What worker processes have in common: loaded once, before the first of them begins."""

import importlib
import signal

_before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started this
for _name in ("executors", "elsewhere"):
    importlib.import_module(f"sreval.benchmarking.{_name}")
importlib.import_module("sreval.images._daala")
importlib.import_module("sreval.metrics._ssim")
signal.signal(signal.SIGINT, _before)
