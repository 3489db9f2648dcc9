"""What worker processes have in common: loaded once, before the first of them begins."""

import gc
import importlib

for _name in ("benchmarking.executors", "images._daala", "metrics._ssim"):
    importlib.import_module(f"sreval.{_name}")

gc.freeze()  # what is loaded is no garbage: the workers share it, and needn't look through it
