"""What all tests share: the data they may need, a folder for caches, the command line."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import skimage.data
import torch

from sreval import content

torch.set_num_threads(1)

# What lies in the home of whoever runs the tests says nothing about the code: this one is empty.
_EMPTY_HOME = tempfile.TemporaryDirectory(prefix="sreval-home-")
atexit.register(_EMPTY_HOME.cleanup)
os.environ["HOME"] = _EMPTY_HOME.name
for _name, _folder_name in (
    ("XDG_DATA_HOME", ".local/share"),
    ("XDG_CACHE_HOME", ".cache"),
    ("XDG_CONFIG_HOME", ".config"),
):
    os.environ[_name] = str(Path(_EMPTY_HOME.name, _folder_name))
for _name in ("SREVAL_HOME", "SREVAL_DATABASE", "TORCH_HOME"):
    os.environ.pop(_name, None)
# Else each process that a test starts would compile the modules of sreval again, and each run and
# worker would rewrite the asserts of all tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# Kept from one run to the next: what takes seconds to compute and depends on nobody's home.
_BUILD = Path(__file__).parents[1] / "build"
os.environ["SREVAL_CACHE"] = str(_BUILD / "test-cache")
os.environ["MPLCONFIGDIR"] = str(_BUILD / "test-matplotlib")

UInt8 = npt.NDArray[np.uint8]


def pytest_configure(config: pytest.Config) -> None:
    """Workers begin to collect in different places: each file's asserts are rewritten by one."""
    tests = Path(__file__).parent
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    if [Path(arg).resolve() for arg in config.args] == [tests]:
        places = sorted(p for p in tests.iterdir() if p.is_dir() or p.match("test_*.py"))
        places = [p for p in places if p.name not in ("__pycache__", "fixtures")]
        first = len(places) * int(worker) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
        config.args = [str(place) for place in places[first:] + places[:first]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files with a slow test begin first: no worker then ends alone with one of them."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path not in slow, item.path))


def pytest_collection_finish() -> None:
    """What was imported stays to the end: it is not searched for garbage again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def statements_compiled_once() -> Iterator[None]:
    """SQLAlchemy compiles each statement once for all databases of a kind, not for each anew.

    It keeps compiled statements with an engine and by its dialect, and tests open a database each.
    """
    if "sqlalchemy" not in sys.modules:  # the tests of a GPU run where it isn't installed
        yield
        return
    from sqlalchemy import Engine
    from sqlalchemy.engine.default import DefaultDialect
    from sqlalchemy.util import LRUCache

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DefaultDialect, "__eq__", lambda one, other: type(one) is type(other))
        patch.setattr(DefaultDialect, "__hash__", lambda one: hash(type(one)))
        compiled: LRUCache[object, object] = LRUCache(1000)
        shared = property(lambda engine: compiled, lambda engine, own: None)
        patch.setattr(Engine, "_compiled_cache", shared, raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def disks_not_waited_for() -> Iterator[None]:
    """SQLite in the tests' own processes writes without waiting for the disk; what they start
    waits, as sites do."""
    database = sys.modules.get("sreval.store.database")
    if database is None:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "SYNCHRONOUS", "OFF")
        yield


def _folder(variable: str) -> Path:
    value = os.environ.get(variable)
    if not value or not Path(value).is_dir():
        pytest.skip(f"{variable} names no folder: the data this test needs are not here")
    return Path(value)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The evaluation images and golden scores; tests skip, saying so, without them."""
    return _folder("SREVAL_DATA")


@pytest.fixture(scope="session")
def shared_weights() -> Path:
    """Third-party weights; tests skip, saying so, without them."""
    return _folder("SREVAL_WEIGHTS")


@pytest.fixture(scope="session")
def photograph() -> UInt8:
    """A real colour photograph, 96x120, uint8."""
    image: UInt8 = skimage.data.chelsea()[40:136, 60:180]
    return np.ascontiguousarray(image)


@dataclass
class Ran:
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a model that has a recipe, DRCN's, and no weights."""
    folder = tmp_path / "own" / "models" / "planned"
    folder.mkdir(parents=True)
    recipe = (content.packaged("models") / "drcn" / "recipe.toml").read_text(encoding="utf-8")
    (folder / "recipe.toml").write_text(
        recipe.replace('name = "drcn"', 'name = "planned"', 1), encoding="utf-8"
    )
    monkeypatch.setenv("SREVAL_HOME", str(tmp_path / "own"))
    return "planned"


@pytest.fixture
def sreval(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run the command line in this process."""

    def run(*args: str | Path) -> Ran:
        from sreval.cli import main

        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(arg) for arg in args])
        out, err = capfd.readouterr()
        code = ended.value.code
        return Ran(code if isinstance(code, int) else 1, out, err)

    return run


@pytest.fixture
def no_latex(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports have no PDF, as where LaTeX isn't installed: it takes seconds each time."""
    monkeypatch.setattr("sreval.report.study_report._PROGRAMS", {})


def _postgresql_programs() -> Path:
    """The folder of PostgreSQL's server programs, the newest where there are several."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    packaged = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[4])
    )
    if not packaged:
        pytest.fail(
            "PostgreSQL's server is not installed: make tools, or apt-get install postgresql"
        )
    return packaged[-1].parent


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real PostgreSQL server of this test run alone, on a socket, as a URL without database.

    It never syncs: these tests end processes, not machines.
    """
    programs = _postgresql_programs()
    # A socket's path may have 107 bytes; pytest's own folders are longer.
    folder = Path(tempfile.mkdtemp(prefix="sreval-pg-"))
    # PostgreSQL refuses to run as root, as containers do.
    other = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    prefix = other if os.getuid() == 0 else []
    if prefix:
        shutil.chown(folder, "nobody", "nogroup")
    quiet = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=60"
    options = f"-k {folder} -c listen_addresses='' {quiet}"
    control = [*prefix, str(programs / "pg_ctl"), "-D", str(folder / "data"), "-w", "-s"]

    def run(*command: str) -> None:
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
        assert done.returncode == 0, done.stdout + done.stderr

    initialise = ["--auth=trust", "--username=sreval", "--encoding=UTF8", "--locale=C", "--no-sync"]
    run(*prefix, str(programs / "initdb"), "-D", str(folder / "data"), *initialise)
    run(*control, "-o", options, "-l", str(folder / "log"), "start")
    try:
        yield f"postgresql://sreval@/{{database}}?host={folder}"
    finally:
        run(*control, "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server: str, administration: Callable[[str], object]) -> str:
    """The name of a database with all tables and no row, to be copied for every test."""
    from sreval.store.database import open_store

    administration("CREATE DATABASE tables")
    open_store(postgresql_server.format(database="tables"), create=True).dispose()
    return "tables"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables and no row, to be copied for every test."""
    from sreval.store.database import open_store

    path = tmp_path_factory.mktemp("sqlite") / "tables.sqlite"
    open_store(str(path), create=True).dispose()
    return path


@pytest.fixture
def later_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """When called, this code becomes a version with one migration more: databases are older."""
    from sreval.store import schema

    def add_migration() -> None:
        folder = tmp_path / "migrations"
        shutil.copytree(schema.MIGRATIONS, folder)
        last = schema.revisions()[-1]
        (folder / "versions" / "9998_later.py").write_text(
            "import sqlalchemy as sa\nfrom alembic import op\n"
            f"revision, down_revision = '9998', {last!r}\n"
            "def upgrade():\n"
            "    op.add_column('study', sa.Column('later', sa.Text(), nullable=True))\n"
            "def downgrade():\n"
            "    op.drop_column('study', 'later')\n",
            encoding="utf-8",
        )
        monkeypatch.setattr(schema, "MIGRATIONS", folder)

    return add_migration


@pytest.fixture(scope="session")
def administration(postgresql_server: str) -> Iterator[Callable[[str], object]]:
    """Runs a statement on the server, on one connection for all tests."""
    import psycopg

    url = postgresql_server.format(database="postgres")
    with psycopg.connect(url, autocommit=True) as connection:
        yield lambda statement: connection.execute(statement.encode())


@pytest.fixture
def new_database(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., str]]:
    """Makes databases by kind, sqlite or postgresql, and gives their URLs.

    They are empty, or have tables, or all that another URL's closed database has; `kept`, one is
    there for later tests.
    """
    from sqlalchemy import make_url

    made: list[str] = []

    def make(kind: str, tables: bool = True, *, copy_of: str = "", kept: bool = False) -> str:
        name = f"t{uuid.uuid4().hex}"
        if kind == "sqlite":
            path = tmp_path / f"{name}.sqlite"
            if copy_of:
                shutil.copy(str(make_url(copy_of).database), path)
            elif tables:
                shutil.copy(request.getfixturevalue("sqlite_template"), path)
            return f"sqlite:///{path}"
        server: str = request.getfixturevalue("postgresql_server")
        source = request.getfixturevalue("postgresql_template") if tables else "template0"
        source = make_url(copy_of).database if copy_of else source
        request.getfixturevalue("administration")(f"CREATE DATABASE {name} TEMPLATE {source}")
        if not kept:
            made.append(name)
        return server.format(database=name)

    yield make
    for name in made:
        request.getfixturevalue("administration")(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_kind(request: pytest.FixtureRequest) -> str:
    """Each of the two databases in turn."""
    kind: str = request.param
    return kind


@pytest.fixture
def database_url(database_kind: str, new_database: Callable[..., str]) -> str:
    """The URL of a fresh database with all tables and no row, of each kind in turn."""
    return new_database(database_kind)
