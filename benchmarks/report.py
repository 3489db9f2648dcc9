"""The report of the paper's opinion test at full size: what it costs, and how that grows.

Writes a database in which 26 simulated raters went through studies/ledig2017, straight into the
store and with stand-ins for pictures (29,328 votes that count, and the examples, repeats and gold
items around them), and runs `sreval report` on it as a command, on two cores. Then the same with
copies of these raters: four sizes that tell how time grows, and a million votes. Writes report.json
and report.md; exits with 1 when a goal isn't met. Needs no data set: no picture is opened.

Example: python -m benchmarks.report --raters 3 --quick --out build/bench
"""

from __future__ import annotations

import argparse
import datetime as dt
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats
from sqlalchemy import Table, insert, literal, select

from benchmarks.timing import ROOT, cores, progress, provenance, write_results
from sreval.files import sha256_bytes
from sreval.images.known import known_files
from sreval.report.paper import figures
from sreval.store import enrolment
from sreval.store.database import Store, open_store
from sreval.store.invitations import Links
from sreval.store.models import PlanItem, Rater, Session, Vote
from sreval.store.studies import Studies
from sreval.study.design import StudyDesign, load_design
from sreval.study.exposure import Scenes, StimulusSet
from sreval.study.manifest import MANIFEST, Manifest, Stimulus
from sreval.study.respondent import Respondent, respondents

RATERS, VOTES = 26, 29_328
GOAL_SECONDS, GOAL_CPU, GOAL_MEMORY, GOAL_MB = 8.0, 8.0, 400.0, 10.0
"""Seconds, processor seconds, megabytes of memory, and of the page."""

MILLION, GOAL_MILLION = 35, 20.0
"""How often the raters are there for a million votes, and the seconds that these may take."""

SIZES = (1, 2, 4, 8)
_CORES = 2
_LOOK = 0.5
"""Seconds between two sums of the memory of all processes."""
_START = dt.datetime(2026, 3, 1, 9, 0, tzinfo=dt.UTC)


def main() -> int:
    """Make the study, run the report and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--raters", type=int, default=RATERS)
    parser.add_argument("--quick", action="store_true", help="Without a million votes.")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    origin = provenance()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "ledig2017"
        stored = make_study(folder, options.raters)
        progress(f"{sum(stored.values())} votes stored")
        assert options.raters != RATERS or stored["vote"] == VOTES, stored
        sizes = []
        before = 1
        for times in (*SIZES, *([] if options.quick else [MILLION])):
            copy_raters(folder, options.raters, before, times)
            before = times
            sizes.append({"votes": times * stored["vote"], **measure(folder, Path(name) / "made")})
            progress(f"{sizes[-1]['votes']} votes: {sizes[-1]['seconds']:.1f} s")
    content = {**origin, "raters": options.raters, "by_kind": stored, "sizes": sizes}
    content["growth"] = growth(sizes[: len(SIZES)])
    title = "The report of the opinion test at full size"
    write_results(options.out, "report", content, title, lines(content))
    print(options.out / "report.md")
    return 1 if any(missed for _, _, missed in goals(content)) else 0


def goals(content: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """Each goal: what was measured, the most that it may be, and whether it was missed."""
    first = content["sizes"][0]
    found = [
        (f"time {first['seconds']:.1f} s", f"{GOAL_SECONDS:.0f} s", GOAL_SECONDS, first["seconds"]),
        (f"processor {first['cpu_seconds']:.1f} s", f"{GOAL_CPU:.0f} s", GOAL_CPU,
         first["cpu_seconds"]),
        (f"memory {first['own_megabytes']:.0f} MB", f"{GOAL_MEMORY:.0f} MB", GOAL_MEMORY,
         first["own_megabytes"]),
        (f"page {first['page_bytes'] / 1e6:.2f} MB", f"{GOAL_MB:.0f} MB", GOAL_MB,
         first["page_bytes"] / 1e6),
    ]  # fmt: skip
    for last in content["sizes"][len(SIZES) :]:
        said = f"{last['votes']:,} votes {last['seconds']:.1f} s"
        found.append((said, f"{GOAL_MILLION:.0f} s", GOAL_MILLION, last["seconds"]))
    return [(said, most, value > limit) for said, most, limit, value in found]


def growth(sizes: list[dict[str, Any]]) -> dict[str, float]:
    """Processor seconds by votes: a straight line, and the exponent with its 95% interval."""
    votes, seconds = (np.array([row[name] for row in sizes]) for name in ("votes", "cpu_seconds"))
    line = stats.linregress(votes / 1000, seconds)
    power = stats.linregress(np.log(votes), np.log(seconds))
    t = float(stats.t.ppf(0.975, len(sizes) - 2))
    return {
        "seconds_per_1000": line.slope, "error_per_1000": t * line.stderr,
        "seconds_at_0": line.intercept, "exponent": power.slope, "error": t * power.stderr,
    }  # fmt: skip


def copy_raters(folder: Path, raters: int, before: int, times: int) -> None:
    """Enlarge the database by copies of its first raters, until they are there ``times``."""
    store = open_store(f"sqlite:///{folder / 'votes.sqlite'}")
    own = select(Session.id).where(Session.rater_id <= raters)
    try:
        for number in range(before, times):
            more, suffix = literal(raters * number), literal(f"-{number}")
            with store.begin() as tx:
                for model, chosen, changed in (
                    (Rater, Rater.id <= raters, {
                        "id": Rater.id + more, "number": Rater.number + more,
                        "pseudonym": Rater.pseudonym + suffix, "invitation_id": literal(None),
                    }),
                    (Session, Session.rater_id <= raters, {
                        "id": Session.id + suffix, "rater_id": Session.rater_id + more,
                        "slot": Session.slot + more,
                    }),
                    (PlanItem, PlanItem.session_id.in_(own), {
                        "session_id": PlanItem.session_id + suffix,
                    }),
                    (Vote, Vote.session_id.in_(own), {"session_id": Vote.session_id + suffix}),
                ):  # fmt: skip
                    table = model.__table__
                    assert isinstance(table, Table)
                    columns = {column.name: column for column in table.columns} | changed
                    rows = select(*columns.values()).where(chosen)
                    tx.execute(insert(table).from_select(list(columns), rows))
    finally:
        store.dispose()


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
    dropped = {"SREVAL_DATABASE", "PYTHONDONTWRITEBYTECODE"}
    environment = {k: v for k, v in os.environ.items() if k not in dropped}
    environment["PYTHONPATH"] = str(ROOT)
    command = [sys.executable, "-m", "sreval", "report", str(folder), "--out", str(out)]
    subprocess.run([*command, "--help"], check=True, env=environment, capture_output=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    own = at_once = looked = 0.0
    with cores(_CORES):
        process = subprocess.Popen(command, env=environment, cwd=folder.parent)
        while process.poll() is None:
            own = max(own, _kilobytes(process.pid, "status", "VmHWM:") / 1024)
            if time.monotonic() - looked > _LOOK:  # which holds up what is looked at
                looked = time.monotonic()
                family = _family(process.pid)
                held = sum(_kilobytes(each, "smaps_rollup", "Pss:") for each in family)
                at_once = max(at_once, held / 1024)
            time.sleep(0.1)
    seconds = time.monotonic() - start
    assert not process.returncode, command
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    files = [path for path in out.rglob("*") if path.is_file()]
    return {
        "seconds": seconds,
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "own_megabytes": own,
        "megabytes_at_once": at_once,
        "page_bytes": (out / "index.html").stat().st_size,
        "folder_bytes": sum(path.stat().st_size for path in files),
        "files": len(files),
        "pdf": (out / "tables.pdf").is_file(),
    }


def _kilobytes(process: int, file: str, name: str) -> int:
    """What Linux says of a process's memory; 0 where it has ended, and on other systems."""
    try:
        text = Path(f"/proc/{process}/{file}").read_text(encoding="ascii")
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith(name)), 0)


def _family(process: int) -> list[int]:
    """A process and all that it began and that still run."""
    own = [process]
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            for child in path.read_text(encoding="ascii").split():
                own += _family(int(child))
        except OSError:
            continue
    return own


def lines(content: dict[str, Any]) -> list[str]:
    """The Markdown page below its title."""
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in content["by_kind"].items())
    first, found = content["sizes"][0], content["growth"]
    with_pdf = "PDF by LaTeX included" if first["pdf"] else "no LaTeX here, so without the PDF"
    busy = content["load_average"][0] > _CORES / 2
    shared = " Other work shared the machine." if busy else ""
    text = [
        f"`sreval report` of a closed study of {content['raters']} simulated raters, no benchmark "
        f"results beside it ({kinds}; {with_pdf}), on {_CORES} cores; then with copies of these "
        f"raters.{shared}",
        "",
        "| votes | time | processor | memory of the process | of all its processes at once |",
        "| ---: | ---: | ---: | ---: | ---: |",
        *(
            f"| {row['votes']:,} | {row['seconds']:.1f} s | {row['cpu_seconds']:.1f} s | "
            f"{row['own_megabytes']:.0f} MB | {row['megabytes_at_once']:.0f} MB |"
            for row in content["sizes"]
        ),
        "",
        f"The smallest page has {first['page_bytes'] / 1e6:.2f} MB, its folder of {first['files']} "
        f"files {first['folder_bytes'] / 1e6:.2f} MB.",
        "",
        "| measured | goal | |",
        "| --- | --- | --- |",
        *(
            f"| {said} | at most {most} | {'MISSED' if missed else 'met'} |"
            for said, most, missed in goals(content)
        ),
    ]
    if not math.isnan(found["exponent"]):
        text += [
            "",
            f"Over the first {len(SIZES)} sizes the processor takes {found['seconds_at_0']:.1f} s "
            f"and {found['seconds_per_1000']:.3f} s for 1,000 votes "
            f"(± {found['error_per_1000']:.3f}); it grows as votes^{found['exponent']:.2f} "
            f"(± {found['error']:.2f}, 95% intervals of Student's t).",
        ]
    return text


if __name__ == "__main__":
    sys.exit(main())
