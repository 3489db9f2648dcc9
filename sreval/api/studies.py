"""An opinion study from its design to its votes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from sreval.api.given import kind_of, names_of, result_folders
from sreval.api.votes import Votes
from sreval.errors import (
    SrevalError,
    StatisticsError,
    UsageError,
    attempted,
    counted,
    listed,
    option,
)

if TYPE_CHECKING:
    from datetime import date

    import pandas as pd

    from sreval.opinions.pairs.judgements import Judgements
    from sreval.report.study_report import WrittenReport
    from sreval.report.study_status import Status
    from sreval.report.study_text import CheckedStudy
    from sreval.site.checks import Check
    from sreval.site.config import SiteConfig
    from sreval.store.database import Store
    from sreval.store.models import Study as StudyRow
    from sreval.store.operators import OperatorRow, Role
    from sreval.store.rehearsal import Rehearsal
    from sreval.store.reminders import Due, Reminder
    from sreval.store.snapshot import Imported, Restored
    from sreval.study.data import StudyData
    from sreval.study.design import StudyDesign
    from sreval.study.manifest import Manifest
    from sreval.study.task import Choice, Scale


class Link(NamedTuple):
    """A link for raters: its number, the note that was made of it, and its address."""

    id: int
    label: str
    address: str


@dataclass(frozen=True)
class Frozen:
    """Stimuli that were frozen: where, how many bytes, and what the design's tests can't show."""

    path: Path
    manifest: Manifest
    bytes: int
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<{len(self.manifest.stimuli)} stimuli, {self.bytes / 1e6:.0f} MB: {self.path}>"


class Study:
    """An opinion study: its folder, and the database of its votes.

    ``study`` is a folder, or a name that is looked up in ./studies, under SREVAL_HOME, and in
    what the package brings. ``database`` is a SQLite file or a URL such as postgresql://...;
    without it SREVAL_DATABASE, else votes.sqlite in the folder.

    The order of the work: `new`, `check`, `freeze`, `rehearse`, `invite` and `serve`, `status`,
    `close`, `report`. Making the object reads nothing; what is wrong with the study is said by
    the method that needs it.

    Raises UsageError for a study that isn't there, unless a database is named.

    >>> import sreval
    >>> sreval.Study("quick").design.title
    'How good do these pictures look?'
    """

    def __init__(self, study: str | Path, database: str | Path | None = None) -> None:
        from sreval import content
        from sreval.content import explicit, find

        if not isinstance(study, str | Path):
            raise UsageError(f"A study can't be {kind_of(study)}.", "Give its name or its folder.")
        self.given = explicit(study) if isinstance(study, Path) else study
        self.database = None if database is None else str(database)
        self._folder: Path | None = None
        try:
            self._folder = find("studies", self.given)
        except UsageError:
            if not (self.database or content.database()):
                raise

    @classmethod
    def new(cls, name: str, source: str | Path = "quick") -> Study:
        """A study of your own as a copy of another one's study.toml; nothing is overwritten.

        It goes to SREVAL_HOME/studies where that is set, else to ./studies. Raises UsageError for
        a name that is taken or can't be one.
        """
        from sreval.study.design import copy_study

        return cls(copy_study(name, cls(source).folder).parent)

    @staticmethod
    def schema() -> dict[str, Any]:
        """The JSON schema of study.toml."""
        from sreval.study.design import StudyDesign

        return StudyDesign.model_json_schema()

    # The design, before anyone sits down

    @property
    def folder(self) -> Path:
        """Where study.toml is. Raises UsageError for a study that only its database knows."""
        if self._folder is None:
            from sreval.content import find

            return find("studies", self.given)
        return self._folder

    @property
    def design(self) -> StudyDesign:
        """The design in study.toml, as it stands now. Raises UsageError where it is wrong."""
        from sreval.study.design import load_design

        return load_design(self.folder)

    @property
    def manifest(self) -> Manifest | None:
        """The frozen stimuli, None before `freeze`. Raises DataError where it is damaged."""
        from sreval.study.manifest import MANIFEST, load_manifest

        return load_manifest(self.folder) if (self.folder / MANIFEST).is_file() else None

    @property
    def name(self) -> str:
        """The name in study.toml; that which was given where only the database is there."""
        from sreval.config import read_toml
        from sreval.study.manifest import DESIGN

        if self._folder is None or not (self._folder / DESIGN).is_file():
            return self.given
        with suppress(UsageError):
            name = read_toml(self._folder / DESIGN).get("name")
            if isinstance(name, str):
                return name
        return self.design.name  # says what is wrong with the file

    def check(self, results: object = None) -> CheckedStudy:
        """Prove that the design can be met; say how long a rater sits and what can be found.

        ``results`` are benchmark results of the images, for a study that isn't frozen: what
        `benchmark` returns, a folder, or a list of these. ``print`` the returned object, or look
        at its ``problems``, ``missing``, ``notes``, ``tests``, ``power`` and ``minutes``.

        Raises UsageError for results of a study that is frozen.
        """
        from dataclasses import replace

        from sreval.config import config_text
        from sreval.report.study_text import CheckedStudy
        from sreval.study.check import check, with_lines
        from sreval.study.exposure import StimulusSet
        from sreval.study.manifest import DESIGN
        from sreval.study.planned_power import PlannedPower, planned_power
        from sreval.study.sources import available

        design, manifest = self.design, self.manifest
        folders = result_folders(results)
        if manifest and folders:
            raise UsageError(
                f"{self.given} is frozen: its stimuli are what they are.",
                f"Omit {option('--results')}.",
            )
        here = None if manifest else available(design, folders)
        found = check(design, manifest, here)
        power: tuple[PlannedPower, ...] = ()
        if found.tests and not found.problems:
            scenes = manifest.scenes if manifest else here.scenes if here else {}
            power = planned_power(StimulusSet.of(design, scenes))
        lines = with_lines(found.problems, config_text(self.folder / DESIGN))
        found = replace(found, problems=lines)
        return CheckedStudy.of(self.given, design, manifest, found, power)

    def plan(
        self, rater: int = 0, *, slot: int | None = None, group: str | None = None
    ) -> pd.DataFrame:
        """What one rater will be shown, item by item, and why: a tidy frame, a row an item.

        Of pairs ``method`` is the left one, ``right_method`` the other. ``reference_sha256`` is the
        original's where it is in view.
        Raters count from 0. ``slot`` gives the place of a rater who dropped out to another one.
        ``group`` is the rater's, by default the design's first. An active plan is that of a rater
        before whom nobody has judged. Raises DataError for a study that isn't frozen, UsageError
        for an unknown group, StatisticsError for a negative number.
        """
        from dataclasses import asdict

        import pandas as pd

        from sreval.study.manifest import load_manifest
        from sreval.study.plan import make_plan

        if min(rater, slot or 0) < 0:
            raise StatisticsError(f"Raters count from 0, got {min(rater, slot or 0)}.")
        place = rater if slot is None else slot
        design = self.design.of_group(group or next(iter(self.design.by_group)))
        items = make_plan(design, load_manifest(self.folder), place, rater)
        task, frame = self.design.task, pd.DataFrame([asdict(item) for item in items], dtype=object)
        others = [] if task.pair else ["right_method", "right_sha256"]
        others += [] if task.shows_reference else ["reference_sha256"]
        return frame.drop(columns=others)

    def freeze(
        self,
        results: object = None,
        *,
        stand_ins: bool = False,
        again: bool = False,
        progress: Callable[[int, int], object] = lambda done, total: None,
    ) -> Frozen:
        """Write the stimuli, as they were scored, and the manifest of their hashes.

        ``results`` as in `check`. nearest, bicubic, lanczos and hr need none. ``stand_ins`` lets
        marked degradations of the original replace methods whose images are missing.
        ``again`` replaces the stimuli of a study that is frozen, until its first rater begins.
        ``progress`` is told how many images of how many are done.

        Raises DataError for images that are missing, UsageError for a study of the package.
        """
        from sreval.content import brought
        from sreval.study import freeze as freezing
        from sreval.study.check import attainable, unfit
        from sreval.study.exposure import StimulusSet
        from sreval.study.manifest import MANIFEST, STIMULI
        from sreval.study.sources import available

        folder, design, folders = self.folder, self.design, result_folders(results)
        if brought("studies", folder):
            raise UsageError(
                f"{self.given} is a study that the package brings; nothing is written into it.",
                f"Copy it first: sreval study new mine --from {folder.name}",
            )
        if again:
            self._refuse_once_begun()
        manifest = freezing.freeze(
            folder,
            design,
            folders,
            stand_ins=stand_ins,
            again=again,
            progress=progress,
        )
        stimuli = StimulusSet.of(design, manifest.scenes)
        hopeless = (f"{m.note}. {m.remedy}" for m in attainable(stimuli) if m.hopeless)
        too_large = (f"{found.what}. {found.remedy}" for found in unfit(stimuli, manifest))
        notes = (*available(design, folders).notes, *hopeless, *too_large)
        files = {stimulus.sha256 for stimulus in manifest.stimuli}
        size = sum((folder / STIMULI / f"{name}.png").stat().st_size for name in files)
        return Frozen(folder / MANIFEST, manifest, size, notes)

    def _refuse_once_begun(self) -> None:
        """Raise StateError when a rater has enrolled: what one was shown, all must be shown."""
        from sreval.store.database import database_file
        from sreval.store.errors import StateError
        from sreval.store.studies import Studies

        path = database_file(self.url)
        if path is not None and not path.exists():
            return
        with self._store() as store:
            known = self.name in Studies(store).names()
            row = Studies(store).get(self.name) if known else None
        if row is not None and row.locked_at is not None:
            changed = row.changes_to(self.design)
            other = f" with another design: {listed(changed)}" if changed else ""
            raise StateError(
                f"Raters have begun study {self.name!r} ({row.locked_at:%Y-%m-%d}){other}; its "
                "stimuli stay.",
                f"Begin another one: sreval study new {self.name}-2 --from {self.folder}",
            )

    # Raters

    @property
    def _design_file(self) -> Path | None:
        """The study.toml; None where there is none, as of an imported study."""
        from sreval.study.manifest import DESIGN

        file = None if self._folder is None else self._folder / DESIGN
        return file if file is not None and file.is_file() else None

    @property
    def url(self) -> str:
        """The URL of the database. Raises UsageError for a study of the package without one."""
        from sreval.store.database import default_url

        url = default_url(self._folder, self.database)
        assert url is not None  # there is a folder, or a database was named
        return url

    def _store(self, *, create: bool = False) -> Store:
        from sreval.store.database import open_store

        if create:
            from sreval.site.config import Surroundings

            create = Surroundings.given().create_tables
        return open_store(self.url, create=create)

    def rehearse(
        self,
        raters: int = 26,
        qualities: Mapping[Any, float] | Path | str | None = None,
        *,
        seed: int = 0,
        progress: Callable[[int, int], object] = lambda done, total: None,
    ) -> Rehearsal:
        """Let simulated raters go through the frozen study, by the site's steps but without HTTP.

        Their votes are marked as simulated, everywhere. Give the study a ``database`` of its own
        for them, ``Study("mine", "rehearsal.sqlite")``, to keep them apart from real raters'.

        Args:
            raters: How many.
            qualities: The true quality of each method on the study's scale, of pairs in JOD, by
                method or by (dataset, method); or a CSV file with the columns method, quality and,
                if they differ, dataset. None: the opinion scores of the SRGAN paper, lanczos as
                bicubic, taken from 1..5 to the study's scale; of pairs to the JOD at which a rater
                of the rater model scores both pictures and chooses the better.
            seed: Of the raters.
            progress: Is told how many votes of how many are cast.

        Returns what came of it: ``complete`` raters, ``votes``, ``failures``, ``notes``. Raises
        StoreError where real raters have begun, DataError for a study that isn't frozen, a method
        without a quality or a quality off the scale.
        """
        from sreval.content import user_path
        from sreval.store.rehearsal import rehearse
        from sreval.study.respondent import Qualities, read_qualities

        if not 1 <= raters <= _MOST_RATERS:
            raise UsageError(f"raters can't be {raters}.", f"Give 1 to {_MOST_RATERS}.")
        if qualities is None:
            known: Qualities = _paper_qualities(self.design.answers)
        elif isinstance(qualities, Mapping):
            known = {
                key if isinstance(key, tuple) else ("", str(key)): float(value)
                for key, value in qualities.items()
            }
        else:
            known = read_qualities(user_path(qualities))
        return rehearse(self.folder, self.url, raters, known, seed=seed, told=progress)

    def invite(
        self,
        count: int = 1,
        *,
        kind: Literal["personal", "open", "kiosk"] = "personal",
        quota: int | None = None,
        rater: str | None = None,
        label: str = "",
        group: str | None = None,
        expires: date | None = None,
        base_url: str | None = None,
    ) -> list[Link]:
        """Make links for raters. Nobody can look them up later: only their hashes are stored.

        A "personal" link is for one rater; an "open" one for everybody and a "kiosk" one for a
        laboratory's machine, up to ``quota`` raters. ``rater`` gets a new link for a lost one.
        Raters come to ``group``, or where none is named to the one that lacks most.
        ``expires`` is the last day on which a rater may begin, to its end in UTC; or a moment,
        UTC where it names no zone. ``base_url`` is the address at which raters reach the site;
        None: SREVAL_BASE_URL, else http://127.0.0.1:8000.

        Raises UsageError for what doesn't go together, StateError for a closed study.
        """
        from sreval.store.invitations import Links, last_moment
        from sreval.store.studies import Studies
        from sreval.study.manifest import load_manifest

        if (kind != "personal" or rater) and count > 1:
            raise UsageError(
                f"{option(f'--count {count}', f'count={count}')} belongs to personal links.",
                "Omit it.",
            )
        if count < 1:
            raise UsageError(f"count can't be {count}.", "Give 1 or more.")
        if rater and group:
            raise UsageError(
                f"A new link leads {rater} on in the group where they are.",
                f"Omit {option('--group', 'group=')}.",
            )
        if quota and kind == "personal":
            raise UsageError(
                option(
                    "--quota belongs to --open or --kiosk.",
                    'quota= belongs to kind="open" or kind="kiosk".',
                ),
                "Add one, or omit it.",
            )
        address = _origin(base_url)
        design, manifest = self.design, load_manifest(self.folder)
        with self._store(create=True) as store:
            until = None if expires is None else last_moment(expires, store.clock())
            Studies(store).register(design, manifest)
            links = Links(store, design.name)
            if rater:
                key, token = links.renew(rater)
                made = [(key, label, token)]
            else:
                made = links.create_all(
                    kind, count, quota=quota, expires=until, label=label, group=group
                )
        return [Link(key, note, f"{address}/r/{token}") for key, note, token in made]

    def reminders(self, *, idle_days: float = 1.0) -> Due:
        """Who is to be reminded: ``reminders``, and the count of those who are ``unknown``.

        Those who took no step for ``idle_days`` since they could have gone on: raters under way
        whose rest is over, and personal links that nobody opened. Raises StateError for a study
        that isn't open, UsageError for ``idle_days`` that aren't from 0 to 3650.
        """
        from sreval.store.reminders import Reminders, idle_time

        idle = idle_time(idle_days)
        with self._store() as store:
            return Reminders(store, self.name).due(idle)

    def renew_links(self, *, idle_days: float = 1.0, base_url: str | None = None) -> list[Reminder]:
        """`reminders`, each with the ``address`` of a new link; the old links stop working.

        Nobody can look the addresses up later. ``base_url`` as in `invite`. Raises as
        `reminders`.
        """
        from sreval.store.reminders import Reminders, idle_time

        idle, address = idle_time(idle_days), _origin(base_url)
        with self._store() as store:
            reminders = Reminders(store, self.name)
            return reminders.renew(idle, lambda token: f"{address}/r/{token}")

    def revoke(self, link: int) -> None:
        """Disable a link, by its number; votes cast through it stay."""
        from sreval.store.invitations import Links

        with self._store() as store:
            Links(store, self.name).revoke(link)

    def extend(self, link: int, *, quota: int | None = None, expires: date | None = None) -> None:
        """Let more raters begin by a link, or for longer, by its number. ``expires`` as in
        `invite`. Raises UsageError."""
        from sreval.store.invitations import Links, last_moment

        with self._store() as store:
            until = None if expires is None else last_moment(expires, store.clock())
            Links(store, self.name).extend(link, quota=quota, expires=until)

    def serve(
        self,
        host: str = "127.0.0.1",
        port: int = 8000,
        *,
        threads: int = 8,
        base_url: str | None = None,
        trusted_proxies: int | None = None,
        invite: bool = False,
        ready: Callable[[str, str | None], object] | None = None,
    ) -> int:
        """Serve the frozen study's rating site until Ctrl-C or SIGTERM, from the main thread.

        Only this machine can reach it unless ``host`` says otherwise; port 0 takes a free one.
        ``base_url`` and ``trusted_proxies``: None is what SREVAL_BASE_URL and
        SREVAL_TRUSTED_PROXIES say. ``ready`` is told the site's address and, with ``invite``, a
        personal link for you; None writes them to stderr. Returns the number of the signal that
        ended it.
        """
        import sys

        from sreval.site.app import create_app, personal_link
        from sreval.site.logs import log_to_stderr
        from sreval.site.metrics import metrics_at
        from sreval.site.server import Server

        config = self._site(base_url, trusted_proxies)
        app = create_app(config)
        with Server(host, port) as server, metrics_at(config, app):
            address = config.base_url or server.address
            log_to_stderr()

            def begin() -> None:
                link = f"{address}{personal_link(app)}" if invite else None
                if ready is None:
                    sys.stderr.write(f"Serving {self.folder.name} at {link or address}\n")
                else:
                    ready(address, link)

            return server.serve(app, threads, begin)

    def preview(
        self, *, port: int = 8001, threads: int = 4, ready: Callable[[str], object] | None = None
    ) -> int:
        """Serve every page of the design, to this machine alone, until Ctrl-C or SIGTERM.

        It needs no database, and no frozen stimuli: where they are missing, marked stand-ins take
        their places. Nothing is stored. ``port`` 0 takes a free one; ``ready`` is told the address,
        None writes it to stderr. Returns the number of the signal that ended it. Raises UsageError
        for a faulty design, DataError for damaged stimuli.
        """
        import sys

        from sreval.site.logs import log_to_stderr
        from sreval.site.preview import create_preview
        from sreval.site.server import Server

        app = create_preview(self.folder)
        with Server("127.0.0.1", port) as server:
            log_to_stderr()

            def begin() -> None:
                if ready is None:
                    sys.stderr.write(f"Preview of {self.folder.name} at {server.address}\n")
                else:
                    ready(server.address)

            return server.serve(app, threads, begin)

    def check_site(
        self,
        *,
        base_url: str | None = None,
        trusted_proxies: int | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Iterator[Check]:
        """Whether all that serving needs holds: one ``Check`` after the other, name, ok, found.

        Database, folders, stimuli, secret, clock, disk and metrics are looked at; nothing is
        changed.
        ``progress`` is told how many stimuli of how many are hashed.
        """
        from sreval.site.checks import check_site

        return check_site(self._site(base_url, trusted_proxies), progress)

    def _site(self, base_url: str | None, trusted_proxies: int | None) -> SiteConfig:
        from sreval.site.config import SiteConfig

        given = {"base_url": base_url, "trusted_proxies": trusted_proxies}
        chosen = {name: value for name, value in given.items() if value is not None}
        return SiteConfig.given(study=self.folder, database=self.url, **chosen)

    def status(self) -> Status:
        """Who is how far, how it ended for whom, and how often what has been rated.

        ``print`` the returned object; its ``overview`` and ``links`` hold the figures. Raises
        StoreError where there is no database yet.
        """
        from sreval.report.study_status import Status
        from sreval.store.overview import Overview
        from sreval.store.studies import Studies

        with self._store() as store:
            seen = Overview.of(store, self.name)
            return Status(seen, self._changes(Studies(store).get(self.name)))

    def _changes(self, begun: StudyRow) -> str:
        """How study.toml isn't the design that raters ``begun`` with; empty where it is."""
        if begun.locked_at is None or self._design_file is None:
            return ""
        design, why = attempted(lambda: self.design, remedy=True)
        if design is not None and begun.has_design(design):
            return ""
        when = f"{begun.locked_at:%Y-%m-%d %H:%M} UTC"
        lead = f"{self._design_file} isn't what raters began with ({when})"
        how = listed(begun.changes_to(design)) if design is not None else why.rstrip(".")
        return (
            f"{lead}: {how}. Their votes are of the old design, and the site won't start with this "
            "one. Put the old file back, or begin a study of another name: sreval study new."
        )

    def pause(self) -> None:
        """Take no votes for now. Raters are told so, and nothing of theirs is lost."""
        self._set_state("paused")

    def resume(self) -> None:
        """Take votes again after a pause. Raises StateError for a closed study."""
        self._set_state("open")

    def close(self) -> None:
        """Take no votes any more, for good."""
        self._set_state("closed")

    def _set_state(self, state: Literal["open", "paused", "closed"]) -> None:
        from sreval.store.studies import Studies

        with self._store() as store:
            Studies(store).set_state(self.name, state)

    def release(self, raters: Collection[str] = (), *, idle_days: float = 14.0) -> list[str]:
        """End the sessions of drop-outs, so that the next raters take their places.

        Those are released who did nothing for ``idle_days``, of ``raters`` or of all. Returns
        their names. Their votes stay; whether those are used is up to the design's rules. Raises
        UsageError for ``idle_days`` that aren't from 0 to 3650.
        """
        from sreval.store.raters import Raters
        from sreval.store.reminders import idle_time

        idle = idle_time(idle_days)
        with self._store() as store:
            return list(Raters(store, self.name).release(idle, names_of(raters)))

    def delete_rater(self, rater: str) -> None:
        """Delete all that is stored of a rater, for good; a count stays.

        Backups and exports made before still hold it. Raises UsageError for an unknown rater.
        """
        from sreval.store.raters import Raters

        with self._store() as store:
            Raters(store, self.name).delete(rater)

    def payments(self) -> pd.DataFrame:
        """Who is to be paid: a row for each participant whom a panel sent, or who has a code.

        Columns: participant, the parameters that `[panel]` keeps, code, outcome, paid (by the
        design's rules, of who came to the end), reasons, began and ended (UTC, to the minute),
        minutes, rated items, of how many. It names no rater and no session; keep it apart from
        exports. The audit log keeps that it was seen. Raises UsageError for a study with neither
        a panel nor codes.
        """
        from sreval.store.participants import payments

        with self._store() as store:
            return payments(store, self.name)

    def rated_by(self, participant: str) -> int:
        """How many items the rater whom a panel sent under this id has rated.

        Raises UsageError when nobody in this study came under it.
        """
        from sreval.store.participants import rated

        with self._store() as store:
            return rated(store, self.name, participant)

    def delete_participant(self, participant: str) -> None:
        """Delete all that is stored of the rater whom a panel sent under this id, for good.

        A count stays; who comes again under the id begins anew. Raises UsageError when nobody in
        this study came under it.
        """
        from sreval.store.raters import Raters

        with self._store() as store:
            Raters(store, self.name).delete_participant(participant)

    def purge(self) -> int:
        """Delete all raters' data once the design's retention date has come, for good.

        Returns of how many raters. Raises StateError before that date.
        """
        import datetime as dt

        from sreval.store.raters import Raters

        with self._store() as store:
            return Raters(store, self.name).purge(dt.datetime.now(dt.UTC).date())

    # Operators of the site

    def operators(self) -> list[OperatorRow]:
        """The accounts for the pages under /operator: name, role, made, locked until, last seen.

        An account holds for all studies of the database.
        """
        from sreval.store.operators import Operators

        with self._store() as store:
            return Operators(store).listing()

    def add_operator(self, name: str, role: Role, password: str) -> None:
        """Make an account: an "owner" steers studies, a "viewer" looks.

        Raises UsageError for a name that is taken or unfit, and for a password that is too short.
        """
        from sreval.store.operators import Operators

        with self._store(create=True) as store:
            Operators(store).add(name, role, password)

    def remove_operator(self, name: str) -> None:
        """Delete an account and end its logins; the audit log keeps the name. Raises UsageError."""
        from sreval.store.operators import Operators

        with self._store() as store:
            Operators(store).remove(name)

    def login_link(self, name: str, base_url: str | None = None) -> str:
        """A link that logs an operator in once, within 15 minutes, without a password: for who
        forgot it, or can't log in while strangers try theirs.

        ``base_url`` as in `invite`. Raises UsageError for an unknown name.
        """
        from sreval.store.operators import Operators

        address = _origin(base_url)
        with self._store() as store:
            return f"{address}/operator/login/{Operators(store).link(name)}"

    def set_password(self, name: str, password: str) -> None:
        """Change an operator's password. The account's logins end, and it is unlocked.

        Raises UsageError for an unknown name, and for a password that is too short.
        """
        from sreval.store.operators import Operators

        with self._store() as store:
            Operators(store).set_password(name, password)

    # Results

    def votes(self, *, allow_open: bool | None = None) -> Votes:
        """The votes so far, with ``accepted`` by the design's rules and the operator's decisions.

        Where the design plans looks, those of the look that was reached; ``notes`` give the alpha.
        ``allow_open``: also of a study that isn't closed; None: only where all raters so far are
        simulated. Means of an open study's methods are a look at its results, which the audit
        log keeps. Raises UsageError for an open study and for one of pairs, whose `judgements`
        they are; StatisticsError where nobody voted and before the first look.
        """
        from sreval.opinions.votes import with_texts

        data = self._voted(allow_open)
        if data.design.task.pair:
            raise UsageError(
                f"Study {self.name} compares pairs of pictures: it has judgements, not scores.",
                "Use Study.judgements() and sreval.preferences().",
            )
        notes = (str(data.look),) if data.look else ()
        return Votes(with_texts(data.analysed), notes, data.design.scale.numbers)

    def judgements(self, *, allow_open: bool | None = None) -> Judgements:
        """The judgements so far of a study of pairs, as `preferences` takes them.

        ``allow_open``, looks and what is raised as in `votes`; UsageError for a study in which
        pictures are scored one by one.
        """
        from dataclasses import replace

        from sreval.opinions.pairs.judgements import Judgements

        data = self._voted(allow_open)
        if not data.design.task.pair:
            raise UsageError(
                f"Study {self.name} is of {data.design.task}: it has scores, not judgements of "
                "pairs.",
                "Use Study.votes().",
            )
        notes = (str(data.look),) if data.look else ()
        return Judgements(replace(data, votes=data.analysed).judgements, notes)

    def _voted(self, allow_open: bool | None) -> StudyData:
        """The study's data. Raises StatisticsError where nobody voted."""
        from sreval.report.opinion_rows import load

        data = load(self.folder, self.database, allow_open=allow_open)
        if data.votes.empty:
            raise StatisticsError(f"Study {self.name} has no votes.", "Invite raters first.")
        return data

    def report(
        self,
        out: Path | str | None = None,
        results: object = None,
        *,
        protocol: str | None = None,
        allow_open: bool | None = None,
        step: Callable[[], object] = lambda: None,
    ) -> WrittenReport:
        """Write the report: one HTML page, every table as LaTeX and CSV, figures.

        ``out`` is a folder (None: STUDY-report, here); an older report of the same study is
        replaced. ``results`` as in `check`, for metrics beside opinion, of one ``protocol`` (None:
        ledig2017 where it was run). ``allow_open`` as in `votes`; such a report is marked as
        interim. ``step`` is called four times on the way.

        Returns the path of the page, with ``files``, ``warnings`` and ``facts``. Raises
        UsageError for an open study, DataError for a folder that holds something else.
        """
        from sreval.content import user_path
        from sreval.report.opinion_rows import load
        from sreval.report.study_report import write_report
        from sreval.study.manifest import STIMULI

        data = load(self.folder, self.database, allow_open=allow_open)
        place = Path(f"{data.design.name}-report") if out is None else user_path(out)
        step()
        folders = result_folders(results)
        return write_report(
            data, place, folders, protocol, study=self.given, database=self.database,
            stimuli=self.folder / STIMULI, step=step,
        )  # fmt: skip

    def export(self, out: Path | str | None = None) -> Path:
        """Write votes, plans, sessions, answers and events as CSV, with the design.

        ``out`` is a new .zip or folder; None: STUDY-TIME.zip, here. No link and no secret is in it.
        Before the study is closed an export counts as a look at results. Raises UsageError for a
        place that exists.
        """
        from sreval.content import user_path
        from sreval.store import snapshot
        from sreval.study.manifest import load_manifest

        with self._store() as store:
            manifest = load_manifest(self.folder)
            place = Path(f"{self.name}-{_now()}.zip") if out is None else user_path(out)
            return snapshot.export(store, self.name, manifest, place)

    def import_(self, file: Path | str, *, site: str | None = None) -> Imported:
        """Store this study from an export or a backup: the whole, or the sessions lacking here.

        ``site`` joins the votes of another site that ran the same design on the same stimuli:
        its sessions carry that name, in exports and in the report, and stand beside the raters
        who are here. A later export of the site adds what is lacking and brings sessions that went
        on there up to date; raters whom the site has deleted since are deleted here.

        Raters who were deleted here stay deleted. Raises UsageError for a file of another study
        and a ``site`` that is no name, DataError for a damaged file, StateError where the study
        here, in the database or in its study.toml, has another design, other stimuli or, without
        ``site``, other raters, and where the site still collects votes while the study is closed.
        """
        from sreval.content import user_path
        from sreval.store import snapshot

        design = self.design if self._design_file else None
        with self._store(create=True) as store:
            return snapshot.import_(store, user_path(file), self.name, design=design, site=site)

    def backup(self, out: Path | str | None = None) -> Path:
        """Copy the whole database, also while raters vote; returns the copy's path.

        ``out`` is a new file; None: STUDY-TIME.backup.zip, here. Keep the copy as safe as the
        original: nobody but you can read it. A database with older tables is copied, too.
        """
        from sreval.content import user_path
        from sreval.store.snapshot import backup

        place = Path(f"{self.name}-{_now()}.backup.zip") if out is None else user_path(out)
        return backup(self.url, place)

    def restore(self, file: Path | str, *, overwrite: bool = False) -> Restored:
        """Put a backup into the database's place, at once or not at all; stop the server before.

        All studies of the database are replaced. ``overwrite``: also where raters took part, whom
        the refusal lists, study by study. Raters who were deleted since the backup stay deleted.
        Raises UsageError for a backup of other studies, DataError for what isn't a backup.
        """
        from sreval.content import user_path
        from sreval.store.snapshot import restore

        return restore(user_path(file), self.url, self.name, overwrite=overwrite)

    def upgrade(self, *, dry: bool = False, begin: bool = False) -> tuple[str, list[str]]:
        """Bring the database's tables to those of this version; `backup` it before.

        An empty database gets its tables, and SQLite its file; where SREVAL_CREATE_TABLES is "no",
        only with ``begin``. Of several that begin at once, one does it and the others wait. With
        ``dry`` nothing is changed.

        Returns the database's name, and the migrations that ran or, with ``dry``, would run.
        Raises SchemaError for a database of a newer version, StoreError for one that may not be
        begun.
        """
        from sreval.site.config import Surroundings
        from sreval.store.database import Store, make_file, open_store
        from sreval.store.schema import migrations

        if not (dry or begin or Surroundings.given().create_tables):
            open_store(self.url, older=True).dispose()
        with Store(self.url) as store:
            if store.file is not None and not store.file.exists():
                if dry:
                    return store.name, migrations()
                make_file(store.file)
            return store.name, store.upgrade(dry=dry)

    # A notebook's view

    def _facts(self) -> list[str]:
        """Name, title, state, counts; what can't be read is said, not raised."""
        try:
            design, manifest = self.design, self.manifest
            frozen = f"frozen, {len(manifest.stimuli)} stimuli" if manifest else "not frozen"
            facts = [
                f"{design.name}: {design.title}",
                frozen,
                f"{counted(design.raters, 'rater')} planned",
            ]
        except SrevalError as error:
            return [self.given, error.message]
        own = self.folder / "votes.sqlite"
        from sreval import content

        if not (self.database or content.database() or own.exists()):
            return [*facts, "no votes yet"]
        try:
            seen = self.status().overview
        except SrevalError as error:
            return [*facts, error.message]
        simulated = ["SIMULATED"] if seen.simulated else []
        return [*facts, seen.state, seen.progress, f"{seen.votes} items rated", *simulated]

    def __repr__(self) -> str:
        return f"<Study {'; '.join(self._facts())}>"

    def _repr_html_(self) -> str:
        from html import escape

        title, *facts = self._facts()
        return f"<p><b>{escape(title)}</b><br>{escape('; '.join(facts))}</p>"


_MOST_RATERS = 500
"""As many simulated raters are sent at a time."""


def _origin(base_url: str | None) -> str:
    from sreval.site.config import Surroundings, origin

    if base_url is None:
        return Surroundings.given().links_at
    try:
        return origin(base_url)
    except ValueError as error:
        raise UsageError(
            f"{option('--base-url')} = {base_url[:100]!r}: {error}.", "Fix the value."
        ) from None


def _now() -> str:
    from datetime import UTC, datetime

    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}"


def _paper_qualities(answers: Scale | Choice) -> dict[tuple[str, str], float]:
    """The opinion scores of the SRGAN paper, taken from 1..5 to a scale, or to JOD.

    The paper has none of lanczos, which is taken to be as good as bicubic.
    """
    from sreval.opinions.votes import ACR
    from sreval.report.paper import figures
    from sreval.study.respondent import JOD_OF_A_POINT
    from sreval.study.task import Scale

    lowest, factor = 0.0, JOD_OF_A_POINT
    if isinstance(answers, Scale):
        lowest, factor = answers.low, (answers.high - answers.low) / (ACR.high - ACR.low)
    known = {
        (dataset, method): lowest + factor * (score - ACR.low)
        for (dataset, method, metric), score in figures().items()
        if metric == "mos"
    }
    like_bicubic = {
        (dataset, "lanczos"): score
        for (dataset, method), score in known.items()
        if method == "bicubic"
    }
    return known | like_bicubic
