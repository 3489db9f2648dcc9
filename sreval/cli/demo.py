"""``sreval demo``: the whole path once, on photographs that are installed, offline."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

from sreval.api import Results, Study, benchmark
from sreval.cli.shared import counting, for_terminal, warn
from sreval.content import packaged
from sreval.errors import DataError, Exit, UsageError
from sreval.files import write_atomic
from sreval.progress import progress_line

if TYPE_CHECKING:
    from sreval.report.scores import ScoreTable

PORT = 8000
RATERS = 26
METHODS = ("bicubic", "srresnet-mse", "srgan-mse", "srgan-vgg54", "hr")
SHOWN = "rocket"
DESIGN_FOLDER = packaged("studies") / "demo"
STUDY = "study"
QUALITIES_FROM = "Set14"
"""The data set on which the SRGAN paper prints an opinion score of every method here."""


@click.command(epilog="Example: sreval demo --out demo --no-serve")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("demo"),
    show_default=True,
    help="The folder for results, page and study.",
)
@click.option("--serve/--no-serve", default=True, help="End with the rating site.")
def demo(out: Path, serve: bool) -> None:
    """Score three networks on five photographs, rehearse a study of them, and let you vote.

    Bicubic, SRResNet-MSE, SRGAN-MSE and SRGAN-VGG54 enlarge photographs that come with
    scikit-image. PSNR, SSIM, LPIPS and the opinions of simulated raters become one table and one
    page. Then a rating site opens, for this machine alone, until Ctrl-C. Nothing comes from a
    network. The same command goes on where an earlier one was stopped.
    """
    try:
        made = make_demo(out)
    except KeyboardInterrupt:
        warn("Interrupted. The same command goes on from here.")
        raise SystemExit(Exit.INTERRUPTED) from None
    click.echo(made.table.render("text", **for_terminal()))
    click.echo(str(made.page))
    if serve:
        _serve(Study(made.study))
    else:
        warn(f"To vote yourself: sreval serve {made.study} --invite")


@dataclass(frozen=True)
class Demo:
    """What a demo made: its table, its page, and the folder of a study that waits for votes."""

    table: ScoreTable
    page: Path
    study: Path


def make_demo(out: Path) -> Demo:
    """Benchmark, frozen study, rehearsal and page in the folder ``out``.

    What is there from an earlier call and still holds is taken over. Raises DataError or UsageError
    where the folder holds something else.
    """
    from sreval.report.render import results_page
    from sreval.report.style import save_figure

    study = out / STUDY
    _refuse_another(study)
    metrics, left_out = _metrics()
    results = benchmark(list(METHODS), ["demo"], out=out, metrics=metrics, command="sreval demo")
    _freeze(study, results)
    rehearsed = _rehearse(study, out / "rehearsal.sqlite")
    table = results.table(pairs=True, studies=[rehearsed])
    table = replace(table, notes=[*table.notes, *left_out])
    figure = results.figure("comparison", dataset="demo", image=SHOWN)
    save_figure(figure, out / "comparison.png", 150)
    page = out / "index.html"
    text = results_page(
        "Five photographs, enlarged four times",
        _lead(),
        figure,
        "The framed region under every method, its pixels enlarged by repetition.",
        table,
        _commands(out, study),
    )
    write_atomic(page, text)
    return Demo(table, page, study)


def _metrics() -> tuple[list[str], list[str]]:
    """The metrics that can be computed here, and a sentence on the one that can't."""
    from sreval.metrics.lpips import TRUNKS

    trunk = TRUNKS["alex"]
    if trunk.is_here():
        return ["psnr", "ssim", "lpips"], []
    return ["psnr", "ssim"], [
        "LPIPS was left out, because the weights of its trunk are not here. `sreval data fetch "
        f"lpips-alex` downloads them ({trunk.megabytes} MB); the next demo then has it."
    ]


def _refuse_another(folder: Path) -> None:
    """Raise UsageError where ``folder`` holds a study of another design than the demo's."""
    from sreval.study.manifest import DESIGN

    if not (folder / DESIGN).exists():
        return
    if Study(folder).design.sha256 != Study(DESIGN_FOLDER).design.sha256:
        raise UsageError(
            f"{folder} holds the study of another version or one of your own.",
            "Name another folder with --out.",
        )


def _freeze(folder: Path, results: Results) -> None:
    """The study `demo`, frozen from the images that were scored; one that is there is kept.

    Raises DataError where it is of other images.
    """
    from sreval.report.opinion_rows import scored_hashes
    from sreval.study.manifest import DESIGN

    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / DESIGN).exists():
        write_atomic(folder / DESIGN, (DESIGN_FOLDER / DESIGN).read_bytes())
    study = Study(folder)
    if study.manifest is None:
        study.freeze(results)
    assert study.manifest is not None
    scored = scored_hashes(results.frame)
    for stimulus in study.manifest.stimuli:
        if stimulus.key in scored and stimulus.image_sha256 not in scored[stimulus.key]:
            raise DataError(
                f"{folder} shows another {'/'.join(stimulus.key)} than was scored now.",
                "Name another folder with --out; votes that were cast here stay.",
            )


def _rehearse(folder: Path, database: Path) -> Study:
    """Votes of simulated raters on the study, in a database of their own, never the study's."""
    study = Study(folder, database)
    if not _is_rehearsed(study, database):
        for leftover in database.parent.glob(f"{database.name}*"):
            leftover.unlink()
        with progress_line(0, "rating", "vote") as line:
            made = study.rehearse(RATERS, _qualities(), progress=counting(line))
        for failure in made.failures:
            raise failure
        study.close()
    return study


def _is_rehearsed(study: Study, database: Path) -> bool:
    """Whether all simulated raters of these very stimuli came to their end."""
    if not database.exists():
        return False
    from sreval.store.database import open_store
    from sreval.store.studies import Studies

    with open_store(str(database)) as store:
        if study.name not in Studies(store).names():
            return False
        row = Studies(store).get(study.name)
        manifest = study.manifest
        return (
            row.state == "closed"
            and manifest is not None
            and row.manifest_sha256 == manifest.sha256
        )


def _qualities() -> dict[str, float]:
    """The paper's mean opinion scores of one data set, by method."""
    from sreval.report.paper import figures

    return {
        method: value
        for (dataset, method, metric), value in figures().items()
        if (dataset, metric) == (QUALITIES_FROM, "mos")
    }


def _lead() -> list[str]:
    return [
        "Each photograph was made four times smaller by bicubic interpolation, then enlarged again "
        "by each method. SRResNet-MSE, SRGAN-MSE and SRGAN-VGG54 are networks of Ledig et al. "
        "2017; their weights were trained for this package and come with it. HR is the original.",
        f"The opinion scores are simulated: no person voted. A program sent {RATERS} raters of a "
        "statistical model through the rating site. In the model the true quality of each method "
        f"is the mean opinion score that Ledig et al. printed for it on {QUALITIES_FROM}. This row "
        "shows what the result of a study looks like. It says nothing about these networks.",
    ]


def _commands(out: Path, study: Path) -> list[tuple[str, str]]:
    return [
        ("Vote yourself, in five minutes:", f"sreval serve {quote(str(study))} --invite"),
        (
            "Score a network of your own, the function upscale(lr) in my_network.py:",
            "sreval benchmark --method ours=python:my_network:upscale --dataset demo --out ours",
        ),
        (
            "Print all of them as one table for a paper:",
            f"sreval table {quote(str(out))} ours --format latex",
        ),
        (
            "Read the report of the simulated study:",
            f"sreval report {quote(str(study))} --results {quote(str(out))} "
            f"--database {quote(str(out / 'rehearsal.sqlite'))} --out report",
        ),
        ("Begin a study of your own:", "sreval study new mine --from quick"),
    ]


def _serve(study: Study) -> None:
    def ready(address: str, link: str | None) -> None:
        click.echo("Now vote yourself, in five minutes. Ctrl-C ends the site.")
        click.echo(link)

    try:
        study.serve(port=PORT, invite=True, ready=ready)
    except UsageError:  # another program has the port
        study.serve(port=0, invite=True, ready=ready)
