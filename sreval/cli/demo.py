"""``sreval demo``: the whole path once, on photographs that are at hand, offline."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sreval.cli.output import progress_line, use_colour, warn
from sreval.content import packaged
from sreval.errors import EXIT_INTERRUPTED, DataError, UsageError
from sreval.files import write_atomic

if TYPE_CHECKING:
    import pandas as pd

    from sreval.report.cells import Table
    from sreval.study.data import StudyData
    from sreval.study.respondent import Qualities

PORT = 8000
RATERS = 26
METHODS = ("bicubic", "srresnet-mse", "srgan-mse", "srgan-vgg54", "hr")
SHOWN = "rocket"
PROTOCOL = "ledig2017"
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
        raise SystemExit(EXIT_INTERRUPTED) from None
    from sreval.report.render import to_text

    click.echo(to_text(made.table, use_colour()))
    click.echo(str(made.page))
    if serve:
        _serve(made.study)
    else:
        warn(f"To vote yourself: sreval serve {made.study} --invite")


@dataclass(frozen=True)
class Demo:
    """What a demo made: its table, its page, and the folder of a study that waits for votes."""

    table: Table
    page: Path
    study: Path


def make_demo(out: Path) -> Demo:
    """Benchmark, frozen study, rehearsal and page in the folder ``out``.

    What is there from an earlier call and still holds is taken over. Raises DataError or UsageError
    where the folder holds something else.
    """
    from sreval.report.figures import comparison_figure
    from sreval.report.page import results_page
    from sreval.report.study_table import scores_of_all, with_studies
    from sreval.report.style import figure_bytes
    from sreval.report.tables import build_table

    _refuse_another(out / STUDY)
    frame, left_out = _benchmark(out)
    study = _study(out, frame)
    rehearsed = _rehearsal(study, out / "rehearsal.sqlite")
    frame, notes = scores_of_all(frame, [rehearsed])
    table = with_studies(build_table(frame, pairs=True), [rehearsed], None, pairs=True)
    table = replace(table, notes=[*table.notes, *notes, *left_out])
    figure = comparison_figure(frame, "demo", SHOWN)
    write_atomic(out / "comparison.png", figure_bytes(figure, "png", 150))
    page = out / "index.html"
    text = results_page(
        "Five photographs, enlarged four times",
        _lead(rehearsed),
        figure,
        f"The framed region under every method, its pixels enlarged by repetition. Below each "
        f"stand PSNR and SSIM of the whole photograph, protocol {PROTOCOL}.",
        table,
        _commands(out, study),
    )
    write_atomic(page, text)
    return Demo(table, page, study)


def _benchmark(out: Path) -> tuple[pd.DataFrame, list[str]]:
    """The demo's rows, scored now or earlier, and a sentence on what had to be left out."""
    from sreval.benchmark.plan import BenchmarkPlan, resolve
    from sreval.benchmark.run import run, total_images
    from sreval.metrics.lpips import TRUNKS, trunk_file
    from sreval.report.collect import collect, narrowed, select

    metrics, left_out = ["psnr", "ssim", "lpips"], []
    try:
        trunk_file("alex")
    except DataError:
        metrics.remove("lpips")
        size = TRUNKS["alex"].megabytes
        left_out.append(
            "LPIPS was left out, because the weights of its trunk are not here. `sreval data fetch "
            f"lpips-alex` downloads them ({size} MB); the next demo then has it."
        )
    plan = BenchmarkPlan(
        methods=list(METHODS), datasets=["demo"], protocols=[PROTOCOL], metrics=metrics
    )
    resolved = resolve(plan)
    if not (out / "results.csv").exists():
        warn("Three networks enlarge five photographs. On two cores this takes one to two minutes.")
    with progress_line(total_images(resolved), "scoring", "image") as line:
        run(resolved, out, line.update, "sreval demo")
    frame = select(collect([out]), PROTOCOL, plan.scale)
    for column, values in (("dataset", ["demo"]), ("method", METHODS), ("metric", metrics)):
        frame = narrowed(frame, column, values)
    return frame, left_out


def _refuse_another(folder: Path) -> None:
    """Raise UsageError where ``folder`` holds a study of another design than the demo's."""
    from sreval.study.design import DESIGN, load_design

    if not (folder / DESIGN).exists():
        return
    if load_design(folder).sha256 != load_design(DESIGN_FOLDER).sha256:
        raise UsageError(
            f"{folder} holds the study of another version or one of your own.",
            "Name another folder with --out.",
        )


def _study(out: Path, frame: pd.DataFrame) -> Path:
    """The study `demo`, frozen from the images that were scored; one that is there is kept.

    Raises DataError where it is of other images.
    """
    from sreval.report.opinion_rows import scored_hashes
    from sreval.study import freeze as freezing
    from sreval.study.design import DESIGN, load_design
    from sreval.study.manifest import MANIFEST, load_manifest

    folder = out / STUDY
    if not (folder / MANIFEST).exists():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(DESIGN_FOLDER / DESIGN, folder / DESIGN)
        freezing.freeze(folder, load_design(folder), [out])
        return folder
    scored = scored_hashes(frame)
    for stimulus in load_manifest(folder).stimuli:
        if stimulus.key in scored and stimulus.image_sha256 not in scored[stimulus.key]:
            raise DataError(
                f"{folder} shows another {'/'.join(stimulus.key)} than was scored now.",
                "Name another folder with --out; votes that were cast here stay.",
            )
    return folder


def _rehearsal(folder: Path, database: Path) -> StudyData:
    """Votes of simulated raters on the study, in a database of their own, never the study's."""
    from sreval.cli.study_simulate import send_raters
    from sreval.report.study_load import load
    from sreval.store import studies
    from sreval.store.database import open_store

    if not _is_rehearsed(folder, database):
        for leftover in database.parent.glob(f"{database.name}*"):
            leftover.unlink()
        crowd = send_raters(folder, str(database), RATERS, _qualities())
        for failure in crowd.failures:
            raise failure
        store = open_store(str(database))
        try:
            studies.set_state(store, _name(folder), "closed")
        finally:
            store.dispose()
    return load(folder, str(database))


def _name(folder: Path) -> str:
    from sreval.study.design import load_design

    return load_design(folder).name


def _is_rehearsed(folder: Path, database: Path) -> bool:
    """Whether all simulated raters of these very stimuli came to their end."""
    from sreval.store import studies
    from sreval.store.database import open_store
    from sreval.study.manifest import load_manifest

    if not database.exists():
        return False
    store, name = open_store(str(database)), _name(folder)
    try:
        if name not in studies.names(store):
            return False
        row = studies.get(store, name)
        return row.state == "closed" and row.manifest_sha256 == load_manifest(folder).sha256
    finally:
        store.dispose()


def _qualities() -> Qualities:
    from sreval.report.paper import figures

    found = {
        method: value
        for (dataset, method, metric), value in figures().items()
        if (dataset, metric) == (QUALITIES_FROM, "mos")
    }
    return {("", method): value for method, value in found.items()}


def _lead(rehearsed: StudyData) -> list[str]:
    raters = rehearsed.votes["rater"].nunique()
    return [
        "Each photograph was made four times smaller by bicubic interpolation, then enlarged again "
        "by each method. SRResNet-MSE, SRGAN-MSE and SRGAN-VGG54 are networks of Ledig et al. "
        "2017; their weights were trained for this package and come with it. HR is the original.",
        f"The opinion scores are simulated: no person voted. A program sent {raters} raters of a "
        "statistical model through the rating site. As the true quality of each method they took "
        f"the mean opinion score that Ledig et al. printed for it on {QUALITIES_FROM}. This row "
        "shows what the result of a study looks like. It says nothing about these networks.",
    ]


def _commands(out: Path, study: Path) -> list[tuple[str, str]]:
    return [
        ("Vote yourself, in five minutes:", f"sreval serve {study} --invite"),
        (
            "Score a network of your own, the function upscale(lr) in my_network.py:",
            "sreval benchmark --method ours=python:my_network:upscale --dataset demo --out ours",
        ),
        ("Print all of them as one table for a paper:", f"sreval table {out} ours --format latex"),
        ("Begin a study of your own:", "sreval study new mine --from quick"),
    ]


def _serve(study: Path) -> None:
    from sreval.site import server
    from sreval.site.app import create_app, personal_link
    from sreval.site.config import site_config
    from sreval.site.logs import log_to_stderr
    from sreval.store.urls import default_url

    folder = study.resolve()
    app = create_app(site_config(study=folder, database=default_url(folder, None)))
    try:
        opened = server.listen("127.0.0.1", PORT)
    except UsageError:
        opened = server.listen("127.0.0.1", 0)
    with opened:
        log_to_stderr()

        def ready() -> None:
            click.echo("Now vote yourself, in five minutes. Ctrl-C ends the site.")
            click.echo(f"{server.address_of(opened)}{personal_link(app)}")

        server.serve(app, opened, threads=8, ready=ready)
