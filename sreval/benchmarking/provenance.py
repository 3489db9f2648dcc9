"""What produced a result: the code, the machine, the versions."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import sreval

_ROOMS = ("benchmarking", "images", "metrics", "networks", "methods")
_PACKAGES = (
    "numpy",
    "scipy",
    "torch",
    "torchvision",
    "lpips",
    "pillow",
    "kornia-rs",
    "scikit-image",
    "pandas",
)


@cache
def code_version() -> str:
    """The package's version and a hash of the code that scores depend on, others' included.

    The hash tells two states of one version apart, so that a result made before an edit is
    never taken for one made after it. A new Pillow may decode, and enlarge, otherwise.
    """
    root = Path(sreval.__file__).parent
    digest = hashlib.sha256(json.dumps(package_versions()).encode())
    files = [*root.glob("*.py"), *(path for room in _ROOMS for path in (root / room).rglob("*.py"))]
    for path in sorted(files):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return f"{sreval.__version__}+{digest.hexdigest()[:12]}"


def machine(device: str) -> dict[str, str | int]:
    """The hardware and system a run used, in words."""
    facts: dict[str, str | int] = {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "device": device,
    }
    if device.startswith("cuda"):
        import torch

        facts["gpu"] = torch.cuda.get_device_name(device)
    return facts


@cache
def package_versions() -> dict[str, str]:
    """Installed versions of the packages that scores depend on."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"
