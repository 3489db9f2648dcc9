"""Whatever computes the images gives the same folder, and a worker that ends costs nothing."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import re
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from sreval import api
from sreval.benchmarking import executors
from sreval.benchmarking.elsewhere import Lacking, computed
from sreval.benchmarking.results import HASHES, RESULTS
from sreval.errors import DataError, SrevalError, UsageError
from sreval.images.io import write_png

UInt8 = npt.NDArray[np.uint8]

OWN = """
import os

def up(lr):
    import helper
    return helper.enlarged(lr)

def near(hr, sr):
    return float(abs(hr.astype(float) - sr).mean())
"""
HELPER = """
import os

def enlarged(lr):
    if lr.mean() == 0:
        os._exit(9)
    assert lr.shape[0] % 2 == 0, "odd"
    return lr.repeat(4, 0).repeat(4, 1)
"""


@pytest.fixture
def photos(tmp_path: Path, photograph: UInt8) -> Path:
    """Eight images: the second is none, every third is cropped, of two the LR image is odd."""
    folder = tmp_path / "photos"
    for index in range(8):
        height = 62 if index % 3 == 2 else 56 if index < 6 else 60
        write_png(folder / f"{index}.png", np.roll(photograph, 7 * index, axis=1)[:height, :64])
    (folder / "1.png").write_bytes(b"none")
    return folder


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A method of a user's own, in the current folder, that imports its neighbour when called."""
    name = f"own_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(OWN)
    (tmp_path / "helper.py").write_text(HELPER)
    monkeypatch.chdir(tmp_path)
    yield name
    sys.modules.pop("helper", None)


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes also for the few images of a test."""
    monkeypatch.setattr(executors, "LEAST", 1)


def go(photos: Path, out: Path, own: str = "", **given: Any) -> api.Results:
    methods = ["nearest", "bicubic", *([f"own=python:{own}:up"] if own else [])]
    metrics = ["psnr", "ssim", *([f"near=python:{own}:near,better=lower"] if own else [])]
    return api.benchmark(
        methods,
        photos,
        out=out,
        protocols=["matlab", "rgb"],
        metrics=metrics,
        device="cpu",
        progress=False,
        command="test",
        **given,
    )


TIMES = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00")
CALLS = re.compile(r'(?<="workers": )(\d|null)')
HASH = re.compile(r"\b[0-9a-f]{64}\b")


def content(folder: Path) -> dict[str, bytes | str]:
    """Every file but its times, how it was called, and the hashes of what has none of its own.

    That is a function of the user's own that names no file: of each run it is another one.
    """
    found: dict[str, bytes | str] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".png":
            found[name] = path.read_bytes()
        elif path.is_file() and name != HASHES:
            text = CALLS.sub("0", TIMES.sub("", path.read_text()).replace(str(folder), "OUT"))
            lines = text.splitlines()
            anew = name != RESULTS
            found[name] = "\n".join(
                HASH.sub("", line) if anew or line.startswith("own,") or ",near," in line else line
                for line in lines
            )
    return found


def test_whatever_computes_the_images_gives_the_same_folder(
    photos: Path, tmp_path: Path, own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(photos, tmp_path / "a", own, workers=1)
    wanted = content(tmp_path / "a")
    failures = json.loads(str(wanted["manifest.json"]))["runs"][0]["failures"]
    assert {(one["image"], one["method"]) for one in failures} == {
        *(("1", method) for method in ("nearest", "bicubic", "own")),
        ("6", "own"),
        ("7", "own"),
        ("2", "own"),
        ("5", "own"),
    }
    with ThreadPoolExecutor(2) as threads:
        go(photos, tmp_path / "b", own, executor=threads)
    go(photos, tmp_path / "c", own, workers=2)
    monkeypatch.setattr(executors, "LEAST", 1)
    go(photos, tmp_path / "d", own, workers=2)
    for name in "bcd":
        assert content(tmp_path / name) == wanted, name


class Unseeing(Executor):
    """One that sees nothing of a folder: it is moved away while a task is computed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.sent: list[int] = []
        self.lacking = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        data = pickle.dumps(args)
        self.sent.append(len(data))
        away = self._folder.with_name("away")
        self._folder.rename(away)
        try:
            found = pickle.loads(pickle.dumps(fn(*pickle.loads(data), **kwargs)))
        finally:
            away.rename(self._folder)
        self.lacking += isinstance(found, Lacking)
        done.set_result(found)
        return done


def test_files_that_a_worker_cant_see_are_sent(
    tmp_path: Path, photograph: UInt8, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "here"
    for index in range(4):
        write_png(place / "hr" / f"{index}.png", np.roll(photograph, index, axis=0)[:64, :64])
        write_png(place / "lr" / f"{index}.png", photograph[index : 16 + index, :16].copy())
        write_png(place / "made" / f"{index}.png", photograph[:64, index : 64 + index].copy())
    data = f"hr={place / 'hr'},lr={place / 'lr'}"
    methods = ["bicubic", f"published:{place / 'made'}"]

    def run(out: Path, metrics: list[str], executor: Executor | None) -> dict[str, bytes | str]:
        api.benchmark(
            methods,
            data,
            out=out,
            metrics=metrics,
            workers=1,
            executor=executor,
            progress=False,
            command="test",
        )
        return content(out)

    unseeing = Unseeing(place)
    for metrics in (["psnr"], ["psnr", "ssim"]):
        there = run(tmp_path / "a", metrics, None)
        assert run(place / "a", metrics, unseeing) == there
        assert len(list((place / "a").rglob("*.png"))) == 8
    # of each run the first is asked for what it needs, then all that a task needs comes with it
    assert unseeing.lacking == 4
    assert len(unseeing.sent) == 12
    (place / "hr" / "2.png").write_bytes(b"none")
    failed = api.benchmark(
        methods, data, out=place / "a", executor=Unseeing(place), progress=False
    ).failures
    assert set(failed["image"]) == {"2"}
    assert f"{place / 'hr' / '2.png'} " in failed["reason"].iloc[0]


def test_a_worker_of_another_version_is_refused(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sreval.benchmarking.elsewhere.code_version", lambda: "0.0+other")
    with ThreadPoolExecutor(1) as pool, pytest.raises(UsageError, match=r"runs sreval 0\.0\+other"):
        go(photos, tmp_path / "a", executor=pool)


def test_an_executor_that_ends_is_told_and_what_is_done_stays(photos: Path, tmp_path: Path) -> None:
    class Ending(ThreadPoolExecutor):
        count = 0

        def submit(self, *given: Any, **named: Any) -> Future[Any]:
            self.count += 1
            if self.count > 7:
                self.shutdown()
            return super().submit(*given, **named)

    with Ending(1) as pool, pytest.raises(DataError, match="executor has ended"):
        go(photos, tmp_path / "a", executor=pool, workers=1)
    resumed = go(photos, tmp_path / "a")
    assert resumed.reused >= 2
    go(photos, tmp_path / "b")
    assert (tmp_path / "a" / RESULTS).read_bytes() == (tmp_path / "b" / RESULTS).read_bytes()


def test_an_image_whose_worker_is_killed_is_computed_again(
    photos: Path, tmp_path: Path, processes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(photos, tmp_path / "a", workers=1)
    killed: list[Any] = []
    through = executors.Processes.result

    def kill(self: executors.Processes, future: Future[Any]) -> Any:
        found = through(self, future)
        if not killed:
            child = multiprocessing.active_children()[0]
            os.kill(child.pid or 0, signal.SIGKILL)
            killed.append(child)
        return found

    monkeypatch.setattr(executors.Processes, "result", kill)
    go(photos, tmp_path / "b", workers=2)
    assert killed[0].exitcode == -signal.SIGKILL
    assert content(tmp_path / "b") == content(tmp_path / "a")
    assert not list((tmp_path / "b").rglob("*.part"))


def test_an_image_that_ends_its_worker_each_time_fails_by_name(
    photos: Path, tmp_path: Path, own: str, processes: None
) -> None:
    write_png(photos / "3.png", np.zeros((64, 64, 3), np.uint8))
    results = go(photos, tmp_path / "a", own, workers=2)
    lost = results.failures[results.failures["reason"].str.contains("worker process ended")]
    assert set(lost["image"]) == {"3"}
    assert set(lost["method"]) == {"own"}
    assert lost["reason"].str.contains("exit code 9").all()
    scored = set(results.frame.dropna(subset="value")["image"])
    assert scored == set("0234567")


def test_a_function_that_cant_be_sent_is_called_by_threads_and_that_is_said_once(
    photos: Path, tmp_path: Path, processes: None, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = []

    def up(lr: UInt8) -> UInt8:
        calls.append(1)
        return lr.repeat(4, 0).repeat(4, 1)

    api.benchmark({"mine": up}, photos, out=tmp_path / "a", workers=2)
    assert len(calls) == 7
    said = capsys.readouterr().err
    assert said.count("mine can't be sent to another process") == 1


def test_what_is_no_executor_is_refused(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="An executor can't be"):
        go(photos, tmp_path / "a", executor=3)
    with ProcessPoolExecutor(1) as pool:
        pass
    with pytest.raises(DataError, match="executor has ended"):
        go(photos, tmp_path / "a", executor=pool)


def test_errors_cross_processes_with_their_remedy() -> None:
    error = pickle.loads(pickle.dumps(DataError("It is gone.", "Bring it back.")))
    assert (error.message, error.remedy) == ("It is gone.", "Bring it back.")
    assert computed.__module__ == "sreval.benchmarking.elsewhere"


@pytest.mark.parametrize(
    "processes", [False, pytest.param(True, marks=pytest.mark.evidence)], ids=["here", "processes"]
)
def test_dask_gives_the_same_folder(photos: Path, tmp_path: Path, processes: bool) -> None:
    distributed = pytest.importorskip("distributed")
    go(photos, tmp_path / "a", workers=1)
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=processes,
            dashboard_address=None,
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        go(photos, tmp_path / "b", executor=client.get_executor())
        go(photos, tmp_path / "c", executor=cluster.scheduler_address)
    for name in "bc":
        assert content(tmp_path / name) == content(tmp_path / "a")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("cluster", "'cluster' is neither an address nor a file: it doesn't begin like tcp://"),
        ("", "'' is neither an address nor a file: it is empty"),
        ("tcp://", "'tcp://' is neither an address nor a file: missing port number"),
        ("tcp://127.0.0.1:1", "No Dask scheduler answers at tcp://127.0.0.1:1"),
        ("nonsense://x", "'nonsense://x' is neither an address nor a file: unknown address scheme"),
    ],
)
def test_an_address_at_which_nobody_answers_is_told(
    photos: Path, tmp_path: Path, address: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("sreval.benchmarking.dask.CONNECT", 0.2)
    with pytest.raises(SrevalError, match=re.escape(said)):
        go(photos, tmp_path / "a", executor=address)


def test_dask_that_isnt_installed_is_named(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"sreval\[dask\]"):
        go(photos, tmp_path / "a", executor="tcp://127.0.0.1:1")
