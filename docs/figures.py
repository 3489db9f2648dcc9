"""The measured figures of docs/scale.md, from benchmarks/results/.

On the page a figure stands between marks: ``<!--=NAME-->42<!--/-->``. `make reference` writes it
anew from the results.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "scale.md"

P99_MS = 250
"""Within which 99 % of the votes of a rate must be stored for it to count as carried."""

MACHINES = 10
_MARK = re.compile(r"<!--=(\w+)-->[^<]*<!--/-->")
_HOUR = 3600
_BITS, _GRADIENT_BYTES = 8, 4


def page() -> str:
    """The page with the figures of the results as they are now."""
    found = figures()
    return _MARK.sub(
        lambda mark: f"<!--={mark[1]}-->{found[mark[1]]}<!--/-->", PAGE.read_text("utf-8")
    )


def figures() -> dict[str, str]:
    """Every figure by its name, as it is printed."""
    return {**_of_votes(), **_of_studies(), **_of_computing(), "machines": str(MACHINES)}


def _result(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text("utf-8"))
    return content


def _of_votes() -> dict[str, str]:
    told: dict[str, str] = {}
    (kilobytes,) = re.findall(r"of about (\d+) kB", (RESULTS / "load.md").read_text("utf-8"))
    # of the ways to serve a database the one that carries most is the last to be told
    for row in sorted(_result("load")["rows"], key=lambda row: _best(row)["offered"]):
        kind, best = row["database"], _best(row)
        first = row["steps"][0]
        told |= {
            f"{kind}_votes": f"{best['offered']:.0f}",
            f"{kind}_raters": f"{row['raters'] * best['factor']:.0f}",
            f"{kind}_p99": f"{best['vote_ms']['p99']:.0f}",
            f"{kind}_cpu": f"{first['site_cores'] / first['achieved'] * 1e3:.1f}",
            f"{kind}_ten": f"{MACHINES * best['offered']:,.0f}",
            f"{kind}_gbit": _gbit(best["offered"], kilobytes),
            f"{kind}_ten_gbit": _gbit(MACHINES * best["offered"], kilobytes),
            f"{kind}_fsync": f"{row['disk_ms']['p50']:.1f}",
            f"{kind}_commits": f"{round(1e3 / row['disk_ms']['p50'], -2):,.0f}",
        }
    return told | {"image_kb": kilobytes}


def _best(row: Mapping[str, Any]) -> dict[str, Any]:
    return max(filter(_carried, row["steps"]), key=lambda step: step["offered"])


def _carried(step: Mapping[str, Any]) -> bool:
    in_time = step["vote_ms"]["p99"] < P99_MS
    return in_time and bool(step["achieved"] > 0.9 * step.get("due", step["offered"]))


def _gbit(votes: float, kilobytes: str) -> str:
    return f"{votes * float(kilobytes) * 1e3 * _BITS / 1e9:.1f}"


def _of_studies() -> dict[str, str]:
    live, report = _result("live"), _result("report")
    return {
        "live_raters": str(live["raters"]),
        "live_sqlite": f"{live['databases']['sqlite']['median_ms']:.0f}",
        "live_postgresql": f"{live['databases']['postgresql']['median_ms']:.0f}",
        "report_votes": f"{report['by_kind']['vote']:,}",
        "report_cpu": f"{report['user_seconds'] + report['system_seconds']:.1f}",
        "report_mb": f"{report['peak_megabytes']:.0f}",
    }


def _of_computing() -> dict[str, str]:
    inference = _result("inference")
    own = _one(inference["rows"], side="sreval")
    scoring = _one(
        _result("metrics")["rows"],
        case="`ledig2017` PSNR+SSIM", rival="sreval", height=320, threads=1,
    )  # fmt: skip
    step = {"model": "srresnet-mse", "side": "sreval bf16", "loader": False}
    processor = _one(_result("training_step")["rows"], **step)["seconds"]
    gpu = _one(_result("training_step_gpu")["rows"], **step)["seconds"]
    parameters = _one(_result("cost")["rows"], method="srresnet-mse", width=320)["parameters"]
    bits = parameters * _GRADIENT_BYTES * _BITS
    images = inference["images"] / own["seconds"] * _HOUR
    scored = _HOUR * 1e3 / scoring["ms"]
    return {
        "sr_images": f"{round(images, -2):,.0f}",
        "sr_ten": f"{round(MACHINES * images, -3):,.0f}",
        "sr_megapixels": f"{own['megapixels_per_second']:.2f}",
        "score_ms": f"{scoring['ms']:.0f}",
        "score_images": f"{round(scored, -3):,.0f}",
        "train_cpu": f"{1 / processor:.1f}",
        "train_gpu": f"{1 / gpu:.0f}",
        "gradient_mb": f"{bits / _BITS / 1e6:.1f}",
        "gradient_gbit_cpu": f"{bits / processor / 1e9:.1f}",
        "gradient_gbit_gpu": f"{bits / gpu / 1e9:.0f}",
    }


def _one(rows: list[dict[str, Any]], **wanted: object) -> dict[str, Any]:
    return next(row for row in rows if all(row[name] == value for name, value in wanted.items()))
