"""What a stay on a GPU gave, as a page: stages, speeds, races, curves of validations.

`benchmarks.gpu` writes the page beside its report.json. As a command, it writes NAME.md from a
NAME.json; in one that joins the stages of several calls, `call` numbers them.

Example: python -m benchmarks.gpu_report benchmarks/results/gpu_stay.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]


def main() -> None:
    path = Path(sys.argv[1])
    path.with_suffix(".md").write_text(page(json.loads(path.read_text())))


def page(report: Row) -> str:
    """The whole page. `notes` of a report are paragraphs that somebody wrote into it."""
    stages: Sequence[Row] = report["stages"]
    parts = [
        "# A stay on a GPU",
        f"{report['device']}; torch {report['torch']}, Python {report['python']}.",
        *report.get("notes", []),
        *_stages(stages),
    ]
    for row in stages:
        for render in (_speeds, _race, _distances):
            parts += render(row)
    parts += [f"Not among the files: {text}." for text in report.get("left_out", [])]
    if "stopped" in report:
        parts.append(f"Stopped by {report['stopped']}.")
    return "\n\n".join(parts) + "\n"


def scores(row: Row, place: int = -1) -> dict[str, float]:
    """A validation of a run: its update, and its scores by name; {} where there was none."""
    if not row.get("validations"):
        return {}
    values = map(float, row["validations"][place].split(","))
    return dict(zip(row["head"].split(","), values, strict=True))


def best(row: Row) -> dict[str, float]:
    """The validation whose weights are kept: of least LPIPS, else of most in the first metric."""
    later = [scores(row, place) for place in range(len(row.get("validations", [])))]
    later = [found for found in later if found["step"]]
    return min(later, key=lambda found: found.get("lpips", -list(found.values())[1]), default={})


def sentence(text: str) -> str:
    """The first sentence of an error, without the advice behind it."""
    return text.partition(". ")[0].rstrip(".") + "."


def _stages(stages: Sequence[Row]) -> list[str]:
    names = _names(stages)
    table = [["stage", "given, s", "taken, s", "updates", "crops", "updates/s", "validated at"]]
    table[0] += names
    said = []
    for row in stages:
        seconds = row.get("trained_seconds")
        table.append(
            [
                _name(row),
                *(f"{row[key]:.1f}" if key in row else "" for key in ("given", "took")),
                *(f"{row[key]:,}" if key in row else "" for key in ("updates", "crops")),
                f"{row['updates'] / seconds:.1f}" if seconds else "",
                *_cells(scores(row), names),
            ]
        )
        if "failed" in row:
            said.append(f"- {_name(row)} failed. {sentence(row['failed'])}")
        elif "said" in row:
            said.append(f"- {_name(row)}: {row['said']}.")
    about = (
        "Updates per second are those of a whole run, validations and checkpoints included. Of a "
        "run that failed, updates and crops are those up to the last row of its log."
    )
    return ["## Stages", about, _table(table), *(["\n".join(said)] if said else [])]


def _name(row: Row) -> str:
    """A stage; the rivals of a race stand in a table of their own."""
    words = row["stage"].split(":")
    call = f"{row['call']}. " if "call" in row else ""
    return f"{call}`{':'.join(words[:3] if words[0] == 'race' else words)}`"


def _speeds(row: Row) -> list[str]:
    if "bf16_peak_tflops" not in row:
        return []
    head = ["model", "batch", "captured", "updates/s", "crops/s", "GFLOP an update", "of the peak"]
    table = [head]
    for r in row["rows"]:
        rate = r["updates_per_second"]
        table.append(
            [
                r["model"],
                str(r["batch"]),
                "yes" if r["captured"] else "no",
                f"{rate:.1f}",
                f"{rate * r['batch']:,.0f}",
                f"{r['gflop']:.0f}",
                f"{100 * r['share_of_peak']:.1f} %",
            ]
        )
    about = (
        "Updates with batches cut on the device, captured as one graph or not, "
        f"and their share of a large bf16 product's {row['bf16_peak_tflops']:.0f} TFLOP/s."
    )
    return ["## Speed", about, _table(table)]


def _race(row: Row) -> list[str]:
    if "race" not in row:
        return []
    rivals = row["race"]
    names = _names(rivals.values())
    table = [["rival", "updates", "last at", *names, "best at", *names]]
    for name, found in rivals.items():
        cells = [f"{found['updates']:,}" if "updates" in found else ""]
        cells += _cells(scores(found), names) + _cells(best(found), names)
        table.append([name, *cells])
    model = row["stage"].split(":")[2]
    about = f"{model}, an equal time each; the last validation and the best."
    return [
        f"## Race of {model}",
        about,
        _table(table),
        *(f"{k} failed. {sentence(v['failed'])}" for k, v in rivals.items() if "failed" in v),
    ]


def _distances(row: Row) -> list[str]:
    if "relative_distance_of_the_loss" not in row:
        return []
    table = [["model", "first update", "worst of twenty"]]
    for name, far in row["relative_distance_of_the_loss"].items():
        cells = (
            [far, ""] if isinstance(far, str) else [f"{far[k]:.1e}" for k in ("first", "twenty")]
        )
        table.append([name, *cells])
    about = "The content loss in fp32, relative distance from that of a CPU."
    return ["## Against the CPU", about, _table(table)]


def _names(rows: Any) -> list[str]:
    """All scores of some runs, each once."""
    heads = [row["head"].split(",")[1:] for row in rows if row.get("validations")]
    longest: list[str] = max(heads, key=len, default=[])
    return list(dict.fromkeys([*longest, *(name for head in heads for name in head)]))


def _cells(found: Mapping[str, float], names: Sequence[str]) -> list[str]:
    if not found:
        return [""] * (1 + len(names))
    decimals = {"psnr": 2, "ssim": 4, "lpips": 4, "grid_peak": 1}
    values = [f"{found[n]:.{decimals.get(n, 2)}f}" if n in found else "" for n in names]
    return [f"{found['step']:,.0f}", *values]


def _table(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose first column is text, the others numbers."""
    rule = ["---", *["---:"] * (len(rows[0]) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (rows[0], rule, *rows[1:]))


if __name__ == "__main__":
    main()
