"""The measured figures of docs/scale.md, from benchmarks/results/.

On the page a figure stands between marks: ``<!--=NAME-->42<!--/-->``. `make reference` writes it
anew from the results.
"""

from __future__ import annotations

import json
import re
import statistics
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
_UNMEASURED = "not measured yet"
_BITS, _GRADIENT_BYTES = 8, 4


def page() -> str:
    """The page with the figures of the results as they are now."""
    found = figures()
    return _MARK.sub(
        lambda mark: f"<!--={mark[1]}-->{found[mark[1]]}<!--/-->", PAGE.read_text("utf-8")
    )


def figures() -> dict[str, str]:
    """Every figure by its name, as it is printed."""
    return {
        **_of_votes(),
        **_of_studies(),
        **_of_computing(),
        **_of_growth(),
        "machines": str(MACHINES),
    }


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
            f"{kind}_served": row["served"].partition(",")[0],
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
    least, *_, most = report["sizes"]
    return {
        "live_raters": str(live["raters"]),
        "live_sqlite": f"{live['databases']['sqlite']['median_ms']:.0f}",
        "live_postgresql": f"{live['databases']['postgresql']['median_ms']:.0f}",
        "report_votes": f"{report['by_kind']['vote']:,}",
        "report_cpu": f"{least['cpu_seconds']:.1f}",
        "report_mb": f"{least['own_megabytes']:.0f}",
        "report_most": f"{most['votes']:,}",
        "report_most_cpu": f"{most['cpu_seconds']:.0f}",
        "report_most_mb": f"{most['own_megabytes']:,.0f}",
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
    # of N machines each sends 2 (N - 1) / N of the gradients in an update, and each update takes
    # an Nth of the time
    sent = MACHINES * bits * 2 * (MACHINES - 1) / MACHINES
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
        "gradient_gbit_cpu": f"{sent / processor / 1e9:.1f}",
        "gradient_gbit_gpu": f"{sent / gpu / 1e9:.0f}",
        "allreduce": f"{2 * (MACHINES - 1) / MACHINES:.1f}",
    }


def _of_growth() -> dict[str, str]:
    """What the benchmarks of executors and of growth have found, where they have been run."""
    told = dict.fromkeys(("executors", "growth"), _UNMEASURED)
    if (RESULTS / "growth.json").exists():
        told["growth"] = "; ".join(
            f"{row['name']} {law['slope']:.2f} ({law['slope_low']:.2f} to {law['slope_high']:.2f})"
            for row in _result("growth")["rows"]
            for law in [row["exponent"]]
        )
    if (RESULTS / "executors.json").exists():
        wall = _result("executors")["wall"]["first"]
        seconds = {name: statistics.median(wall[name]) for name in ("now", "one process")}
        faster = statistics.median(
            one / now for one, now in zip(wall["one process"], wall["now"], strict=True)
        )
        told["executors"] = f"{seconds['now']:.1f} s, {faster:.2f} times as fast as by one"
    return told


def _one(rows: list[dict[str, Any]], **wanted: object) -> dict[str, Any]:
    return next(row for row in rows if all(row[name] == value for name, value in wanted.items()))
