"""The report of the paper's opinion test at full size: how long it takes, how large it is.

Writes a database in which 26 simulated raters went through studies/ledig2017, straight into the
store and with stand-ins for pictures (29,328 votes that count, and the examples, repeats and gold
items around them), and runs `sreval report` on it as a command, on two cores. Writes report.json
and report.md; exits with 1 when a goal isn't met. Needs no data set: no picture is opened.

Example: python -m benchmarks.report --raters 3 --out build/bench
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select

from benchmarks.timing import ROOT, cores, progress, provenance, write_results
from sreval.files import sha256_bytes
from sreval.images.known import known_files
from sreval.report.paper import figures
from sreval.store import enrolment
from sreval.store.database import Store, open_store
from sreval.store.invitations import Links
from sreval.store.models import PlanItem, Session, Vote
from sreval.store.studies import Studies
from sreval.study.design import StudyDesign, load_design
from sreval.study.exposure import Scenes, StimulusSet
from sreval.study.manifest import MANIFEST, Manifest, Stimulus
from sreval.study.respondent import Respondent, respondents

RATERS, VOTES = 26, 29_328
GOAL_SECONDS, GOAL_MB = 60.0, 10.0
_CORES = 2
_START = dt.datetime(2026, 3, 1, 9, 0, tzinfo=dt.UTC)


def main() -> int:
    """Make the study, run the report and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--raters", type=int, default=RATERS)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    origin = provenance()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "ledig2017"
        stored = make_study(folder, options.raters)
        progress(f"{sum(stored.values())} votes stored")
        found = {
            "raters": options.raters,
            "by_kind": stored,
            **measure(folder, Path(name) / "made"),
        }
    content = {**origin, **found}
    title = "The report of the opinion test at full size"
    write_results(options.out, "report", content, title, lines(content))
    print(options.out / "report.md")
    whole = options.raters != RATERS or stored["vote"] == VOTES
    met = found["seconds"] < GOAL_SECONDS and found["page_bytes"] < GOAL_MB * 1e6
    return 0 if whole and met else 1


def make_study(folder: Path, raters: int) -> dict[str, int]:
    """A closed study of simulated raters in ``folder``; gives its votes by kind."""
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "studies" / "ledig2017" / "study.toml", folder)
    design = load_design(folder)
    manifest = _manifest(design)
    (folder / MANIFEST).write_text(manifest.as_json(), encoding="utf-8")
    qualities = {(s, m): mos for (s, m, metric), mos in figures().items() if metric == "mos"}
    store = open_store(f"sqlite:///{folder / 'votes.sqlite'}", create=True)
    counts: dict[str, int] = {}
    try:
        Studies(store).register(design, manifest)
        for number, mind in enumerate(respondents(raters, design, manifest, qualities)):
            now = _START + dt.timedelta(days=number)
            store.clock = lambda now=now: now  # type: ignore[misc]
            _, token = Links(store, design.name).create("personal", simulated=True)
            session = enrolment.enrol(store, token, manifest).session_id
            for kind in _vote(store, session, manifest, mind):
                counts[kind] = counts.get(kind, 0) + 1
        Studies(store).set_state(design.name, "closed")
    finally:
        store.dispose()
    return counts


def _manifest(design: StudyDesign) -> Manifest:
    """Every stimulus of the design, its own name in the place of a picture."""
    names = [part.name for part in design.images.datasets] + ["BSDS300-train"]
    scenes: Scenes = {
        name: {
            Path(file.path).stem: f"{name}/{Path(file.path).stem}"
            for file in known_files(name)
            if "/HR/" in file.path or "/" not in file.path.removeprefix("train/bsds300_train/")
        }
        for name in names
    }
    stimuli = StimulusSet.of(design, scenes)
    assert not stimuli.unmet, stimuli.unmet
    return Manifest(
        tuple(
            Stimulus(
                dataset, image, scenes[dataset][image], method,
                sha256_bytes(_shown(dataset, image, method)), sha256_bytes(b""), 480, 320,
                stand_in=method not in ("nearest", "bicubic", "hr"),
            )
            for dataset, image, method in stimuli.shown
        )
    )  # fmt: skip


def _shown(dataset: str, image: str, method: str) -> bytes:
    return f"{dataset}/{image}/{method}".encode()


def _vote(store: Store, session_id: str, manifest: Manifest, mind: Respondent) -> list[str]:
    """Let a rater judge the whole plan; gives the kinds of the votes."""
    with store.begin() as tx:
        session = tx.get_one(Session, session_id)
        own = select(PlanItem).where(PlanItem.session_id == session_id)
        items = tx.scalars(own.order_by(PlanItem.position)).all()
        rows: list[dict[str, Any]] = []
        for item in items:
            shown = _shown(item.dataset, item.image, item.method)
            score, response_ms, *_ = mind.respond({"left": shown}, item.intended)
            at = store.clock() + dt.timedelta(seconds=8 * item.position)
            rows.append(
                {
                    "session_id": session_id, "position": item.position, "score": score,
                    "key": str(item.position), "response_ms": response_ms, "shown_at": at,
                    "stored_at": at + dt.timedelta(seconds=4), "device": '{"ratio": 1}',
                }
            )  # fmt: skip
        tx.execute(insert(Vote), rows)
        session.stage, session.outcome, session.done = "done", "complete", len(items)
        session.ended_at = session.seen_at = rows[-1]["stored_at"]
        session.sitting = items[-1].sitting
        return [item.kind for item in items]


def measure(folder: Path, out: Path) -> dict[str, Any]:
    """Run `sreval report` on the study in ``folder`` as a command of its own."""
    environment = {k: v for k, v in os.environ.items() if k != "SREVAL_DATABASE"}
    command = [sys.executable, "-m", "sreval", "report", str(folder), "--out", str(out)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    with cores(_CORES):
        subprocess.run(command, check=True, env=environment, cwd=folder.parent)
    seconds = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    files = [path for path in out.rglob("*") if path.is_file()]
    return {
        "seconds": seconds,
        "user_seconds": after.ru_utime - before.ru_utime,
        "system_seconds": after.ru_stime - before.ru_stime,
        "peak_megabytes": after.ru_maxrss / 1024,
        "page_bytes": (out / "index.html").stat().st_size,
        "folder_bytes": sum(path.stat().st_size for path in files),
        "files": len(files),
        "pdf": (out / "tables.pdf").is_file(),
    }


def lines(content: dict[str, Any]) -> list[str]:
    """The Markdown page below its title."""
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in content["by_kind"].items())
    with_pdf = "PDF by LaTeX included" if content["pdf"] else "no LaTeX here, so without the PDF"
    busy = content["load_average"][0] > _CORES / 2
    shared = " Other work shared the machine." if busy else ""
    return [
        f"`sreval report` of a closed study of {content['raters']} simulated raters, no benchmark "
        f"results beside it ({kinds}; {with_pdf}), on {_CORES} cores. Goals: under "
        f"{GOAL_SECONDS:.0f} s, a page under {GOAL_MB:.0f} MB.{shared}",
        "",
        "| what | measured |",
        "| --- | ---: |",
        f"| time | {content['seconds']:.1f} s |",
        f"| CPU, user and system | {content['user_seconds'] + content['system_seconds']:.1f} s |",
        f"| memory at the most | {content['peak_megabytes']:.0f} MB |",
        f"| the page | {content['page_bytes'] / 1e6:.2f} MB |",
        f"| the folder, {content['files']} files | {content['folder_bytes'] / 1e6:.2f} MB |",
    ]


if __name__ == "__main__":
    sys.exit(main())
