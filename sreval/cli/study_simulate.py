"""``sreval study simulate``: raters of the rater model go through a study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sreval.api import Study
from sreval.cli.output import print_json, progress_line
from sreval.errors import Exit

if TYPE_CHECKING:
    from sreval.store.rehearsal import Rehearsal


@click.command(epilog="Example: sreval study simulate mine --raters 26 --database trial.sqlite")
@click.argument("study")
@click.option("--raters", type=click.IntRange(1, 500), required=True, help="How many.")
@click.option(
    "--database", metavar="URL", help="Default: SREVAL_DATABASE, else STUDY/votes.sqlite."
)
@click.option(
    "--qualities",
    default="paper",
    show_default=True,
    help="True qualities: the paper's opinion scores, or a CSV with method, quality[, dataset].",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable summary.")
def simulate(
    study: str,
    raters: int,
    database: str | None,
    qualities: str,
    seed: int,
    as_json: bool,
) -> None:
    """Let simulated raters go through a frozen study, by the site's steps but without HTTP.

    Their links, votes and figures are marked as simulated; a study that has real raters is
    refused. Nobody waits in breaks: the clock is put forward. Exits with 3 when some raters did
    not come to the end, with 1 when none did.
    """
    asked = Study(study, database)
    try:
        with progress_line(0, "rating", "vote") as line:

            def tell(done: int, total: int) -> None:
                line.total = total
                line.update(done - line.n)

            made = asked.rehearse(
                raters,
                None if qualities == "paper" else Path(qualities),
                seed=seed,
                progress=tell,
            )
    except KeyboardInterrupt:
        click.echo("Interrupted. Votes that were acknowledged are kept.", err=True)
        raise SystemExit(Exit.INTERRUPTED) from None
    _summary(made, study, asked.url, as_json)


def _summary(made: Rehearsal, study: str, database: str, as_json: bool) -> None:
    for reason in dict.fromkeys(map(str, made.failures)):
        click.echo(f"failed: {reason}", err=True)
    if as_json:
        print_json(
            {
                "study": study,
                "database": database,
                "raters": len(made.visits),
                "complete": made.complete,
                "failed": len(made.failures),
                "votes": made.votes,
            }
        )
    else:
        raters = f"{len(made.visits)} simulated raters, {made.complete} to the end"
        click.echo(f"{raters}; {made.votes} votes.")
    if made.complete < len(made.visits):
        raise SystemExit(Exit.PARTIAL if made.complete else Exit.FAILED)
