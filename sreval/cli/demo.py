"""``sreval demo``: the whole path once, on photographs that are at hand, offline."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from sreval.cli.output import progress_line, use_colour
from sreval.files import write_atomic

PORT = 8000


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
    """Score nearest and bicubic on scikit-image's photographs, then let you rate them.

    Five photographs, x4, all three protocols; nothing comes from a network. The scores become a
    page, the images a study, served to this machine alone until Ctrl-C.
    """
    click.echo(str(_scored(out)))
    study = _study(out)
    if serve:
        _serve(study)
    else:
        click.echo(f"To rate them: sreval serve {study} --invite", err=True)


def _scored(out: Path) -> Path:
    """Benchmark, tables on the terminal, and the page's path."""
    from sreval.benchmarking.plan import BenchmarkPlan, resolve
    from sreval.benchmarking.run import run, total_images
    from sreval.metrics.protocol import PROTOCOLS
    from sreval.report.collect import collect, select
    from sreval.report.page import results_page
    from sreval.report.render import to_text
    from sreval.report.tables import build_table

    plan = BenchmarkPlan(
        methods=["nearest", "bicubic"], datasets=["demo"], protocols=list(PROTOCOLS)
    )
    resolved = resolve(plan)
    with progress_line(total_images(resolved), "demo", "image") as line:
        run(resolved, out, line.update, "sreval demo")
    frame = collect([out])
    for protocol in PROTOCOLS:
        click.echo(to_text(build_table(select(frame, protocol, None)), use_colour()))
    page = out / "index.html"
    write_atomic(page, results_page(frame, "Super-resolution of five photographs"))
    return page


def _study(out: Path) -> Path:
    """The study `quick`, frozen from the benchmark's images; one that is there is kept."""
    from sreval.content import find
    from sreval.study.design import DESIGN, load_design
    from sreval.study.freeze import freeze
    from sreval.study.manifest import MANIFEST

    folder = out / "study"
    if not (folder / MANIFEST).exists():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(find("studies", "quick") / DESIGN, folder / DESIGN)
        freeze(folder, load_design(folder), [out])
    return folder


def _serve(study: Path) -> None:
    from sreval.errors import UsageError
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
            click.echo("Rate the same images yourself, in ten minutes. Ctrl-C ends the site.")
            click.echo(f"{server.address_of(opened)}{personal_link(app)}")

        server.serve(app, opened, threads=8, ready=ready)
