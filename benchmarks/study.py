"""The paper's opinion test at full size: 26 simulated raters, every vote accounted for.

Freezes studies/ledig2017 with stand-ins for methods without images, sends the raters through it
as `sreval study simulate` does and compares what is stored with what was acknowledged, with the
design and, by export and import, with itself. Writes study.json and study.md; exits
with 1 when anything is lost, doubled or against the design.

Example: python -m benchmarks.study --raters 2 --out build/bench
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import select

from benchmarks.timing import ROOT, progress, provenance, write_results
from sreval.report.paper import figures
from sreval.store import snapshot
from sreval.store.database import open_store
from sreval.store.models import PlanItem, Rater, Session, Vote
from sreval.store.rehearsal import rehearse
from sreval.study.design import StudyDesign, load_design
from sreval.study.freeze import freeze
from sreval.study.manifest import Manifest, load_manifest

RATERS, VOTES = 26, 29_328


def main() -> int:
    """Run the study and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--raters", type=int, default=RATERS)
    parser.add_argument("--frozen", type=Path, help="a study that is frozen already")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    origin = provenance()
    qualities = {(s, m): mos for (s, m, metric), mos in figures().items() if metric == "mos"}
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        folder, seconds = options.frozen, 0.0
        if folder is None:
            folder, seconds = _frozen(work / "ledig2017")
        found = account(folder, work, options.raters, qualities)
    content = {**origin, "freeze_seconds": seconds, **found}
    write_results(options.out, "study", content, "The opinion test at full size", lines(content))
    print(options.out / "study.md")
    full = options.raters != RATERS or found["by_kind"].get("vote") == VOTES
    return 0 if full and not any(found["faults"].values()) else 1


def _frozen(folder: Path) -> tuple[Path, float]:
    folder.mkdir()
    shutil.copy(ROOT / "studies" / "ledig2017" / "study.toml", folder)
    start = time.monotonic()
    manifest = freeze(folder, load_design(folder), [], stand_ins=True)
    seconds = time.monotonic() - start
    progress(f"{len(manifest.stimuli)} stimuli frozen in {seconds:.0f} s")
    return folder, seconds


def account(
    folder: Path, work: Path, raters: int, qualities: Mapping[tuple[str, str], float]
) -> dict[str, Any]:
    """Send the raters through the study; counts, and by name how often something was wrong."""
    design, manifest = load_design(folder), load_manifest(folder)
    database = str(work / "votes.sqlite")
    start = time.monotonic()
    made = rehearse(folder, database, raters, qualities)
    seconds = time.monotonic() - start
    told = {
        (visit.session, position): score
        for visit in made.visits
        for position, score in visit.votes.items()
    }
    rows = _rows(database)
    faults = {
        "raters who did not come to the end": sum(not visit.complete for visit in made.visits),
        **_against_acknowledged(rows, told),
        **_against_design(rows, design, manifest, raters),
        "bytes of the second export that differ": _exported_again(
            database, work, design.name, manifest
        ),
    }
    return {
        "raters": raters,
        "seconds": seconds,
        "votes": len(rows),
        "by_kind": {str(kind): int(n) for kind, n in rows["kind"].value_counts().items()},
        "faults": {name: int(count) for name, count in faults.items()},
    }


def _rows(database: str) -> pd.DataFrame:
    """Every stored vote with the item that it was cast on."""
    columns = ("position", "sitting", "kind", "dataset", "image", "scene", "method")
    store = open_store(database)
    with store.read() as tx:
        result = tx.execute(
            select(
                Vote.session_id.label("session"),
                Vote.score,
                PlanItem.stimulus_sha256,
                PlanItem.intended,
                Rater.simulated,
                Session.total,
                *(getattr(PlanItem, name) for name in columns),
            )
            .join(
                PlanItem,
                (PlanItem.session_id == Vote.session_id) & (PlanItem.position == Vote.position),
            )
            .join(Session, Session.id == Vote.session_id)
            .join(Rater, Rater.id == Session.rater_id)
            .order_by(Vote.session_id, Vote.position)
        )
        frame = pd.DataFrame(result.all(), columns=list(result.keys()))
    store.dispose()
    return frame


def _against_acknowledged(rows: pd.DataFrame, told: dict[tuple[str, int], float]) -> dict[str, int]:
    keys = list(zip(rows["session"], rows["position"], strict=True))
    stored = dict(zip(keys, rows["score"], strict=True))
    return {
        "acknowledged votes that are not stored": sum(key not in stored for key in told),
        "votes stored with another score": sum(stored.get(k, s) != s for k, s in told.items()),
        "votes stored without being acknowledged": sum(key not in told for key in stored),
        "positions with two votes": len(keys) - len(stored),
        "votes not marked as simulated": int((~rows["simulated"].astype(bool)).sum()),
    }


def _against_design(
    rows: pd.DataFrame, design: StudyDesign, manifest: Manifest, raters: int
) -> dict[str, int]:
    """How often the stored orders break the design, by looking at every pair of items."""
    faults: Counter[str] = Counter()
    rated = {
        key
        for key in manifest.by_key
        if any(part.name == key[0] for part in design.images.datasets)
        and key[2] in design.images.methods_of(key[0])
    }
    for _, one in rows.groupby("session"):
        keys = list(zip(one["dataset"], one["image"], one["method"], strict=True))
        kinds, scenes, methods = list(one["kind"]), list(one["scene"]), list(one["method"])
        votes = [key for key, kind in zip(keys, kinds, strict=True) if kind == "vote"]
        faults["positions without a vote"] += int(one["total"].iloc[0]) - len(one)
        if design.subset is None:
            faults["stimuli not rated exactly once"] += len(rated ^ set(votes))
            faults["stimuli not rated exactly once"] += len(votes) - len(set(votes))
        shown = [manifest.by_key[key].sha256 for key in keys]
        faults["other stimuli than planned"] += int((one["stimulus_sha256"] != shown).sum())
        first = [kind == "calibration" for kind in kinds]
        faults["calibration after the first vote"] += first != sorted(first, reverse=True)
        faults["sittings that are too long"] += _long_sittings(one, design)
        faults["scenes shown again too soon"] += _too_soon(
            scenes, kinds, design.order.scene_distance
        )
        same = [a == b for a, b in pairwise(methods)]
        if design.order.methods_alternate:
            judged = [k not in ("calibration", "warm-up") for k in kinds[:-1]]
            faults["methods twice in a row"] += sum(
                s and j for s, j in zip(same, judged, strict=True)
            )
        faults["repeats too soon"] += _repeats_too_soon(keys, kinds, design)
    sessions = rows["session"].nunique()
    faults["sessions missing"] += abs(raters - sessions)
    return dict(faults)


def _long_sittings(one: pd.DataFrame, design: StudyDesign) -> int:
    """Sittings beyond the design's length; examples and practice come on top in the first."""
    counted = one[~one["kind"].isin(["calibration", "warm-up"])]
    most = design.sittings.items or len(one)
    return int((counted["sitting"].value_counts() > most).sum())


def _too_soon(scenes: Sequence[str], kinds: Sequence[str], distance: int) -> int:
    judged = [s for s, k in zip(scenes, kinds, strict=True) if k not in ("calibration", "warm-up")]
    return sum(
        judged[i] == judged[j]
        for i in range(len(judged))
        for j in range(i + 1, min(i + distance, len(judged)))
    )


def _repeats_too_soon(
    keys: Sequence[tuple[str, str, str]], kinds: Sequence[str], design: StudyDesign
) -> int:
    distances = {(part.dataset, part.method): part.distance for part in design.repeats}
    wrong = 0
    for i, (key, kind) in enumerate(zip(keys, kinds, strict=True)):
        if kind == "repeat":
            others = [
                j for j, (k, s) in enumerate(zip(keys, kinds, strict=True))
                if k == key and j != i and s in ("vote", "repeat")
            ]  # fmt: skip
            nearest = min(abs(i - j) for j in others) if others else 0
            wrong += nearest < distances[key[0], key[2]]
    return wrong


def _exported_again(database: str, work: Path, study: str, manifest: Manifest) -> int:
    """Bytes by which an export of the imported export differs from the first."""
    first, second = work / "first.zip", work / "second.zip"
    store = open_store(database)
    snapshot.export(store, study, manifest, first)
    store.dispose()
    other = open_store(str(work / "other.sqlite"), create=True)
    snapshot.import_(other, first, study)
    snapshot.export(other, study, manifest, second)
    other.dispose()
    a, b = first.read_bytes(), second.read_bytes()
    return abs(len(a) - len(b)) + sum(x != y for x, y in zip(a, b, strict=False))


def lines(content: dict[str, Any]) -> list[str]:
    """The Markdown page below its title."""
    kinds = ", ".join(f"{count} of kind {kind}" for kind, count in content["by_kind"].items())
    text = [
        f"{content['raters']} simulated raters went through the study, from the link to the end, "
        f"by the steps that the site takes: **{content['votes']} votes stored** ({kinds}) in "
        f"{content['seconds']:.0f} s. Freezing took {content['freeze_seconds']:.0f} s; stand-ins "
        "take the places of methods without images. The raters' judgements are simulated and say "
        "nothing about any method.",
        "",
        "| what would be wrong | how often |",
        "| --- | ---: |",
    ]
    return text + [f"| {name} | {count} |" for name, count in content["faults"].items()]


if __name__ == "__main__":
    sys.exit(main())
