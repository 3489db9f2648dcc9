"""What worker processes have in common: loaded once, before the first of them begins."""

import importlib

for _name in ("benchmarking.executors", "images._daala", "metrics._ssim"):
    importlib.import_module(f"sreval.{_name}")
