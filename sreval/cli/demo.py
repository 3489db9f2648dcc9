"""``sreval demo``: the whole path once, on photographs that are at hand, offline."""

from __future__ import annotations

from pathlib import Path

import click

from sreval.cli.output import progress_line, use_colour
from sreval.files import write_atomic


@click.command(epilog="Example: sreval demo --out demo")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("demo"),
    show_default=True,
    help="The folder for results and page.",
)
def demo(out: Path) -> None:
    """Score nearest and bicubic on scikit-image's photographs and make a page of it.

    Five photographs, x4, all three protocols; nothing comes from a network.
    """
    from sreval.benchmark.plan import BenchmarkPlan, resolve
    from sreval.benchmark.run import run, total_images
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
    click.echo(str(page))
