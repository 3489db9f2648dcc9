"""What worker processes have in common: loaded once, before the first of them begins."""

import gc
import importlib

gc.disable()  # nothing of it is garbage, and to look for some takes a sixth of the time
for _name in ("benchmarking.executors", "images._daala", "metrics._ssim"):
    importlib.import_module(f"sreval.{_name}")

gc.freeze()  # the workers share what is loaded, and needn't look through it either
gc.enable()
