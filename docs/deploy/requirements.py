"""Print what the image installs, a requirement a line: python requirements.py pyproject.toml no.

The second word says whether networks and metrics are wanted: a site alone needs none of them.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

EXTRAS = ("postgres", "prometheus")
COMPUTING = ("torch", "torchvision", "lpips", "scikit-image")
"""What a site never imports."""


def requirements(pyproject: Path, computing: bool) -> list[str]:
    """The requirements of sreval and EXTRAS; without ``computing`` not those of COMPUTING."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]
    whole = [*project["dependencies"], *(each for name in EXTRAS for each in optional[name])]
    names = {each: re.split(r"[^\w-]", each)[0] for each in whole}
    return [each for each in whole if computing or names[each] not in COMPUTING]


if __name__ == "__main__":
    sys.stdout.write("\n".join(requirements(Path(sys.argv[1]), sys.argv[2] == "yes")) + "\n")
