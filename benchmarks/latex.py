"""Do tables in LaTeX fit a journal's column and page?

Tables of 2 to 12 methods on 3 data sets by 4 metrics, with letters for all pairs: intervals in
each place, methods across and down, a column of 82 mm and a page of 174 mm; and of names that LaTeX
could stumble over. pdflatex sets them all. Writes latex.json and latex.md; exits with 1 where a box
is overfull, a float is too high, or pdflatex stops. Needs pdflatex with booktabs and siunitx 3.

Example: python -m benchmarks.latex --out build/bench
"""

from __future__ import annotations

import argparse
import itertools
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.timing import ROOT, progress, provenance, write_results
from sreval.report.choices import INTERVALS
from sreval.report.latex import COLUMN, PAGE
from sreval.report.scores import ScoreTable, score_table

METHODS = (
    "nearest", "bicubic", "lanczos", "srcnn", "selfexsr", "drcn", "espcn", "srresnet-mse",
    "srgan-vgg54", "SwinIR_classical", "ours-α", "hr",
)  # fmt: skip
ODD = (
    "a|b & 50% #1",
    "naïve_{x}^2~\\$",
    "方法-中文",
    "🙂",
    "x" * 70,
    "<br>--[3]",
    "Ångström ſ ½ ﬁ",
)
DATASETS = {"Set5": 5, "Set14": 14, "BSD100": 100}
METRICS = {"psnr": (28, 3), "ssim": (0.8, 0.08), "lpips": (0.3, 0.05), "lpips-vgg": (0.4, 0.05)}

_HEAD = r"""\documentclass[10pt,twocolumn]{article}
\usepackage[paperheight=297mm,paperwidth=210mm,textwidth=174mm,textheight=235mm,columnsep=10mm]
  {geometry}
\usepackage{booktabs,siunitx}
\begin{document}
\message{WIDTHS \the\columnwidth\space\the\textwidth}
"""


def main() -> int:
    """Set the tables and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--keep", type=Path, help="Keep the PDF here.")
    options = parser.parse_args()
    origin = provenance()
    made = list(tables())
    progress(f"{len(made)} tables")
    log, floats = typeset([table for _, table in made], options.keep)
    content = {
        **origin,
        "tables": len(made),
        "floats": floats,
        "overfull": len(re.findall(r"Overfull \\hbox", log)),
        "too_high": log.count("Float too large"),
        "stopped": "Output written" not in log,
        "parts": {str(n): parts(made, n) for n in range(2, len(METHODS) + 1)},
    }
    write_results(options.out, "latex", content, "Tables in a journal's column", lines(content))
    print(options.out / "latex.md")
    return 1 if content["overfull"] or content["too_high"] or content["stopped"] else 0


def tables() -> Iterator[tuple[dict[str, Any], ScoreTable]]:
    """Every table, and what is special to it."""
    for count in range(2, len(METHODS) + 1):
        yield from arranged([*METHODS[: count - 1], "hr"] if count > 2 else METHODS[:2])
    for names in (ODD, ODD[::-1]):
        yield from arranged(names)


def arranged(methods: Sequence[str]) -> Iterator[tuple[dict[str, Any], ScoreTable]]:
    """The tables of these methods: intervals in each place, across and down, both widths."""
    frame = scores(methods)
    for intervals, transposed in itertools.product(INTERVALS, (False, True)):
        table = score_table(frame, pairs=True, intervals=intervals, transposed=transposed)
        for width in ("column", "page"):
            facts = {"methods": len(methods), "intervals": intervals, "width": width}
            yield {**facts, "transposed": transposed}, replace(table, width=width)


def scores(methods: Sequence[str]) -> pd.DataFrame:
    """Values of every metric on every image, as results have them; the originals' are the best."""
    rng = np.random.default_rng(18)
    rows = []
    for (dataset, images), (metric, (mean, spread)) in itertools.product(
        DATASETS.items(), METRICS.items()
    ):
        hard = rng.normal(mean, spread, images)
        for place, method in enumerate(methods):
            values = hard + spread / 4 * (place + rng.normal(0, 0.5, images))
            best = {"psnr": np.inf, "ssim": 1.0}.get(metric, 0.0)
            values = np.full(images, best) if method == "hr" else values.clip(0.01)
            rows += [
                {"dataset": dataset, "metric": metric, "method": method, "image": f"i{n:03}",
                 "value": min(value, 0.9999) if metric != "psnr" and method != "hr" else value}
                for n, value in enumerate(values)
            ]  # fmt: skip
    return pd.DataFrame(rows).assign(
        protocol="ledig2017", scale=4, note="", folder="r", sr_sha256="s"
    )


def typeset(made: Sequence[ScoreTable], keep: Path | None = None) -> tuple[str, int]:
    """What pdflatex says of the tables, a new page after each, and how many floats they are."""
    texts = [table.to_latex() for table in made]
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "all.tex"
        body = "\\clearpage\n".join(texts)
        source.write_text(_HEAD + body + "\\end{document}\n", encoding="utf-8")
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", source.name]
        done = subprocess.run(command, cwd=name, capture_output=True, check=False)
        if keep is not None and source.with_suffix(".pdf").is_file():
            keep.write_bytes(source.with_suffix(".pdf").read_bytes())
    return done.stdout.decode(errors="replace"), sum(text.count("\\caption{") for text in texts)


def parts(made: Sequence[tuple[dict[str, Any], ScoreTable]], methods: int) -> dict[str, int]:
    """Into how many floats a table of so many of METHODS is split, by its arrangement."""
    found = {}
    for facts, table in made:
        if facts["methods"] == methods and not set(table.methods) & set(ODD):
            way = "down" if facts["transposed"] else "across"
            name = f"{facts['width']}, {facts['intervals']}, {way}"
            found[name] = table.to_latex().count("\\caption{")
    return found


def lines(content: dict[str, Any]) -> list[str]:
    """The Markdown page below its title."""
    names = list(content["parts"]["2"])
    shown = [n for n in names if "apart" not in n]
    head = ["methods", *shown]
    return [
        f"{content['tables']} tables of {len(DATASETS)} data sets by {len(METRICS)} metrics with "
        f"letters for all pairs, of 2 to {len(METHODS)} methods and of names with special, wide "
        f"and Chinese letters, in {content['floats']} floats; pdflatex at 10 pt, a column of "
        f"{COLUMN / 72.27 * 25.4:.0f} mm and a page of {PAGE / 72.27 * 25.4:.0f} mm. Goal: no "
        "overfull box, no float too high.",
        "",
        f"**{content['overfull']} overfull boxes, {content['too_high']} floats too high.**",
        "",
        "Floats that a table takes; by width, place of the intervals, and methods across or down:",
        "",
        "| " + " | ".join(head) + " |",
        "| ---: " * len(head) + "|",
        *(
            "| " + " | ".join([count, *(str(own[name]) for name in shown)]) + " |"
            for count, own in content["parts"].items()
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())
