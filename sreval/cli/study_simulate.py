"""``sreval study simulate``: raters of the rater model go through the site by HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sreval.api import Study
from sreval.cli.output import print_json, progress_line
from sreval.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_PARTIAL

if TYPE_CHECKING:
    from sreval.site.rehearsal import Crowd


@click.command(epilog="Example: sreval study simulate mine --raters 26 --database trial.sqlite")
@click.argument("study")
@click.option("--raters", type=click.IntRange(1, 500), required=True, help="How many.")
@click.option("--url", help="A site that serves the study; without it one is started.")
@click.option(
    "--database", metavar="URL", help="Default: SREVAL_DATABASE, else STUDY/votes.sqlite."
)
@click.option(
    "--think-ms", type=click.IntRange(0), default=0, show_default=True, help="Mean time a vote."
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
    url: str | None,
    database: str | None,
    think_ms: int,
    qualities: str,
    seed: int,
    as_json: bool,
) -> None:
    """Send simulated raters through a frozen study's site, as browsers would.

    Their links, votes and figures are marked as simulated; a study that has real raters is
    refused. A site that is started for them keeps nobody waiting in breaks: its clock is put
    forward. One under --url must use the same database, and breaks last. Exits with 3 when some
    raters did not come to the end, with 1 when none did.
    """
    asked = Study(study, database)
    try:
        with progress_line(0, "rating", "vote") as line:

            def tell(done: int, total: int) -> None:
                line.total = total
                line.update(done - line.n)

            crowd = asked.rehearse(
                raters,
                None if qualities == "paper" else Path(qualities),
                url=url,
                think_ms=think_ms,
                seed=seed,
                progress=tell,
            )
    except KeyboardInterrupt:
        click.echo("Interrupted. Votes that were acknowledged are kept.", err=True)
        raise SystemExit(EXIT_INTERRUPTED) from None
    _summary(crowd, study, asked.url, as_json)


def _summary(crowd: Crowd, study: str, database: str, as_json: bool) -> None:
    failed, visits = crowd.failures, crowd.visits
    complete, acknowledged = crowd.complete, crowd.votes
    for reason in dict.fromkeys(str(error) for error in failed):
        click.echo(f"failed: {reason}", err=True)
    if as_json:
        print_json(
            {
                "study": study,
                "database": database,
                "raters": len(visits),
                "complete": complete,
                "failed": len(failed),
                "votes": acknowledged,
                "retries": sum(visit.retries for visit in visits),
            }
        )
    else:
        click.echo(f"{len(visits)} simulated raters, {complete} to the end; {acknowledged} votes.")
    if complete < len(visits):
        raise SystemExit(EXIT_PARTIAL if acknowledged and complete else EXIT_FAILED)
