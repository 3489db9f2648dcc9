"""Everything that a paper's numbers came from, in one folder."""

from __future__ import annotations

from pathlib import Path

from sreval.api.benchmarks import Results
from sreval.api.given import as_list, kind_of
from sreval.api.studies import Study
from sreval.errors import UsageError


def archive(
    sources: object,
    out: str | Path,
    *,
    images: bool = False,
    baseline: str | None = None,
    database: str | None = None,
    allow_open: bool = False,
    replace: bool = False,
) -> Path:
    """Pack results and studies into one zip file for a paper's supplement.

    It holds the tables, the scores, the manifests with every hash, the commands and the methods
    paragraph; of each study the design and anonymous votes. Its README.txt says what each file is.
    Folders of this machine are left out; of raters, so are pseudonyms, links, answers, devices and
    the times at which they voted. The same input gives the same bytes.

    Args:
        sources: Results and Studies, folders of results and names or folders of studies; one of
            them, or a list.
        out: the zip file.
        images: also pack every SR image.
        baseline: test every method against this one.
        database: where the votes of studies that are named are, if not where their folders say.
        allow_open: also pack a study that isn't closed.
        replace: write over an archive that is there already.

    Returns:
        The path of the zip file.

    Raises:
        SrevalError: where there is nothing to pack, the file exists, a study isn't closed, or the
            results are not of the images that a study rated.
    """
    from sreval.content import user_path
    from sreval.report import archive as packing

    results: list[Path] = []
    studies: list[Path] = []
    databases: dict[Path, str] = {}
    for source in as_list(sources):
        if isinstance(source, Results):
            results += source.folders
        elif isinstance(source, Study):
            databases[source.folder] = source.url
            studies.append(source.folder)
        elif not isinstance(source, str | Path):
            raise UsageError(
                f"An archive can't hold {kind_of(source)}.", "Name folders of results and studies."
            )
        elif packing.is_results(path := user_path(source)):
            results.append(path)
        else:
            studies.append(_study_folder(source))
    return packing.archive(
        results,
        studies,
        user_path(out),
        images=images,
        baseline=baseline,
        database=database,
        databases=databases,
        allow_open=allow_open,
        replace=replace,
    )


def _study_folder(source: str | Path) -> Path:
    """The folder of a study. Raises UsageError where ``source`` names none."""
    from sreval.content import explicit, find, names

    try:
        folder = find("studies", explicit(source) if isinstance(source, Path) else source)
        there = (folder / "study.toml").is_file()
    except UsageError:
        there = False
    if not there:
        raise UsageError(
            f"{source} is neither a folder of results nor a study.",
            f"Name what sreval benchmark wrote, a study's folder, or one of these: "
            f"{', '.join(names('studies'))}.",
        )
    return folder
