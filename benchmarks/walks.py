"""The walks of docs/tutorials/ from start to end, every command in them, and what they lead to.

Takes the sh blocks out of docs/tutorials/walk-*.md and runs them in an empty folder each. Of the
simulated opinion test it compares the order of the methods with the paper's, holds that every
page is marked as simulated, and puts power and false alarms at the rater model beside it. Needs
SREVAL_DATA. Writes walks.json and walks.md; exits with 1 when a command fails, a mark is missing,
or two methods that the paper has a quarter of a point apart change places.

Example: python -m benchmarks.walks --raters 2 --studies 20 --out build/bench
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import httpx
import pandas as pd

from benchmarks.limits import beside, distances, start_seconds
from benchmarks.repeated import repeated, repeated_lines
from benchmarks.timing import ROOT, progress, provenance, write_results
from sreval.report import paper

WALKS = ROOT / "docs" / "tutorials"
PAGES = ("walk-benchmark", "walk-raters", "walk-paper")
AT_HAND = {r"sreval data fetch (Set5 Set14 BSD100).*": r"sreval data check \1"}
"""With SREVAL_DATA the data sets are here: their hashes are checked instead."""
UNLIKE_A_READERS = ("SREVAL_HOME", "SREVAL_DEBUG", "PYTHONDONTWRITEBYTECODE")
FAR_APART = 0.25
RATERS = 26
_PATIENCE = 60.0


@dataclass(frozen=True)
class Step:
    """One block: its commands as run, how long they took, and the last of what they printed."""

    commands: str
    seconds: float
    printed: str


class WalkError(Exception):
    """A block of a walk failed; the message holds what it printed."""


def blocks(page: Path) -> list[str]:
    """The sh blocks of a Markdown file, in order."""
    text = page.read_text(encoding="utf-8")
    return re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def walk(
    page: Path,
    folder: Path,
    replace: Mapping[str, str],
    after: Callable[[str, Path], object] = lambda commands, folder: None,
    programs: Path | None = None,
) -> list[Step]:
    """Run the blocks of ``page`` in ``folder`` by bash, as a reader would.

    ``replace`` maps regular expressions to what is run instead; ``after`` is told each block that
    is done; ``programs`` holds a `sreval` to run in place of this Python's. A block of `sreval
    serve` stays in the background, on a free port, until the next one or the end, and is then
    ended as by Ctrl-C. Raises WalkError for a block that fails.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = readers_environment(folder, programs)
    steps = []
    with contextlib.ExitStack() as servers:
        for commands in blocks(page):
            asked = commands.strip()
            for pattern, instead in replace.items():
                asked = re.sub(pattern, instead, asked)
            text = asked.replace("127.0.0.1:8000", f"127.0.0.1:{port}")
            start = time.monotonic()
            if re.match(r"sreval serve (?!.*--check)", text):
                servers.close()
                text = f"exec {text} --port {port}"
                printed = servers.enter_context(_served(text, folder, environment, port))
            else:
                printed = _run(text, folder, environment)
            steps.append(Step(asked, time.monotonic() - start, printed[-1500:]))
            after(commands, folder)
    return steps


def readers_environment(folder: Path, programs: Path | None = None) -> dict[str, str]:
    """That of a reader who works in ``folder``, with `sreval` from ``programs`` as in ``walk``."""
    first = programs or _shim(folder)
    environment = {**os.environ, "PATH": f"{first}{os.pathsep}{os.environ['PATH']}"}
    return {name: v for name, v in environment.items() if name not in UNLIKE_A_READERS}


def _shim(folder: Path) -> Path:
    """A folder with a `sreval` that is this Python's."""
    programs = folder.parent / f"{folder.name}-programs"
    programs.mkdir(exist_ok=True)
    script = programs / "sreval"
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m sreval "$@"\n')
    script.chmod(0o755)
    return programs


def shell(
    text: str, folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """What bash, which stops at the first failure, made of ``text``; stderr is in its stdout."""
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _run(text: str, folder: Path, environment: Mapping[str, str]) -> str:
    done = shell(text, folder, environment)
    if done.returncode:
        raise WalkError(f"exit code {done.returncode} of\n{text}\n{done.stdout[-3000:]}")
    return done.stdout


@contextlib.contextmanager
def _served(text: str, folder: Path, environment: Mapping[str, str], port: int) -> Iterator[str]:
    log = folder.parent / f"{folder.name}-server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["bash", "-c", text],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    try:
        end = time.monotonic() + _PATIENCE
        while not _healthy(port):
            if process.poll() is not None or time.monotonic() > end:
                raise WalkError(f"the site didn't come up:\n{text}\n{log.read_text()[-3000:]}")
            time.sleep(0.05)
        yield log.read_text()
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(_PATIENCE)
    if code != 130:
        raise WalkError(f"exit code {code} after Ctrl-C of\n{text}\n{log.read_text()[-3000:]}")


def _healthy(port: int) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200
    return False


def orders(report: Path) -> list[dict[str, Any]]:
    """Per data set the methods by simulated and by printed MOS, and the pairs that differ."""
    found = []
    for file in sorted((report / "csv").glob("*-mean-opinion-scores-on-*.csv")):
        frame = pd.read_csv(file).sort_values("mos", ascending=False)
        printed = frame.sort_values("paper", ascending=False, kind="stable")
        ours = {row["method"]: (row["mos"], row["paper"]) for row in frame.to_dict("records")}
        turned = [
            {"better": a, "worse": b, "paper": ours[a][1] - ours[b][1], "here": here}
            for a, b in combinations(printed["method"], 2)
            if ours[a][1] > ours[b][1] and (here := ours[a][0] - ours[b][0]) <= 0
        ]
        found.append(
            {
                "dataset": str(frame["dataset"].iloc[0]),
                "by_mos": list(frame["method"]),
                "mos": {name: value for name, (value, _) in ours.items()},
                "paper": {name: value for name, (_, value) in ours.items()},
                "turned": turned,
            }
        )
    return found


def unmarked(folder: Path) -> list[str]:
    """Files of the third walk that don't say that they are simulated."""
    files = [
        *folder.glob("*.tex"),
        *folder.glob("report/*.html"),
        *folder.glob("report/*.tex"),
        *folder.glob("report/csv/*.csv"),
    ]
    return sorted(
        str(file.relative_to(folder))
        for file in files
        if "simulated" not in file.read_text(encoding="utf-8").lower()
    )


def main() -> int:
    """Run the walks and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--raters", type=int, default=RATERS, help="of the third walk")
    parser.add_argument("--studies", type=int, default=500, help="repeated studies a cell")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    content: dict[str, Any] = {**provenance(), "raters": options.raters, "walks": {}}
    with tempfile.TemporaryDirectory() as name:
        for page in PAGES:
            folder = Path(name) / page
            folder.mkdir()
            replace = dict(AT_HAND)
            if page == "walk-paper":
                replace[f"--raters {RATERS}"] = f"--raters {options.raters}"
            try:
                steps = walk(
                    WALKS / f"{page}.md", folder, replace, lambda c, _: progress(c.strip())
                )
            except WalkError as error:
                sys.exit(f"{page}: {error}")
            content["walks"][page] = [asdict(step) for step in steps]
        content["orders"] = orders(Path(name) / "walk-paper" / "report")
        content["not_marked"] = unmarked(Path(name) / "walk-paper")
    content["repeated"] = repeated(options.raters, options.studies)
    content["limits"] = limits(content["walks"])
    write_results(options.out, "walks", content, "The walks of docs/tutorials/", lines(content))
    print(options.out / "walks.md")
    far = [pair for one in content["orders"] for pair in one["turned"] if pair["paper"] > FAR_APART]
    return 1 if content["not_marked"] or (far and options.raters == RATERS) else 0


def lines(content: Mapping[str, Any]) -> list[str]:
    """The Markdown page below its title."""
    text = []
    for page, steps in content["walks"].items():
        total = sum(step["seconds"] for step in steps)
        text += [f"## [{page}.md](../../docs/tutorials/{page}.md): {total / 60:.1f} minutes", ""]
        text += ["| command | seconds |", "| --- | ---: |"]
        for step in steps:
            text.append(f"| {in_cell(step['commands'])} | {step['seconds']:.1f} |")
        text.append("")
    text += [*distances(content["limits"])[1:], ""]
    return [*text, *_order_lines(content), *repeated_lines(content["repeated"])]


def limits(walks: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each walk beside as many starts of the command line as it has commands of sreval."""
    found = []
    for page, steps in walks.items():
        count = sum(len(re.findall(r"^sreval ", step["commands"], re.M)) for step in steps)
        seconds = sum(step["seconds"] for step in steps)
        by = f"{count} starts of Python that import the command line"
        found.append(beside(page, seconds, count * start_seconds("sreval.cli"), "s", by))
    return found


def in_cell(commands: str) -> str:
    """The commands of a block in a cell, a line each; of a file only that it is written."""
    text = re.sub(r" *\\\n *", " ", re.sub(r" <<'(\w+)'\n.*?^\1$", "", commands, flags=re.M | re.S))
    return "<br>".join(f"`{line}`" for line in text.replace("|", "\\|").splitlines())


def _order_lines(content: Mapping[str, Any]) -> list[str]:
    text = [
        "## The order of the methods",
        "",
        f"{content['raters']} simulated raters, true qualities set to the MOS that the paper "
        "prints. Stand-ins are shown in the place of methods whose weights or images are missing. "
        "A simulated rater knows a picture's true quality and doesn't look at it. What is tried is "
        "the way from plan to report, not any method.",
        "",
    ]
    for one in content["orders"]:
        shown = ", ".join(f"{paper.label(m)} {one['mos'][m]:.2f}" for m in one["by_mos"])
        text += [f"**{one['dataset']}**, best first: {shown}.", ""]
        pairs = [
            f"{paper.label(p['better'])} over {paper.label(p['worse'])}, {p['paper']:.2f} apart "
            f"in the paper and {p['here']:+.2f} here"
            for p in one["turned"]
        ]
        text += [f"Other than the paper's: {'; '.join(pairs)}." if pairs else "The paper's order."]
        text += [""]
    marks = ", ".join(content["not_marked"]) or "none"
    return [*text, f"Files that are not marked as simulated: {marks}.", ""]


if __name__ == "__main__":
    sys.exit(main())
