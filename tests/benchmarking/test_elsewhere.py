"""Benchmarks wherever they are begun, and what workers that can't compute them are told to say."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import platform
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest

from sreval import api
from sreval.benchmarking import executors
from sreval.benchmarking.dask import DaskLink, dask_executor
from sreval.benchmarking.provenance import code_version
from sreval.errors import ArrayError, UsageError
from sreval.hashes import Hashes
from sreval.images.io import write_png
from sreval.metrics import weights
from sreval.metrics.lpips import TRUNKS

UInt8 = npt.NDArray[np.uint8]


@pytest.fixture
def photos(tmp_path: Path, photograph: UInt8) -> Path:
    for index in range(2):
        write_png(tmp_path / "photos" / f"{index}.png", photograph[index : 64 + index, :64].copy())
    return tmp_path / "photos"


WITHIN = """
import multiprocessing, os, sys, threading
from multiprocessing import spawn
from sreval import api
from sreval.benchmarking import executors

executors.LEAST = 1

def go(out, abreast=2):
    found = api.benchmark(["nearest"], sys.argv[1], out=out, workers=abreast, progress=False)
    assert found.computed == 2, found.failures

if __name__ == "__main__":
    program = sys.modules["__main__"]
    prepare = spawn.get_preparation_data
    seen = []
    def watched(name):
        seen.append(sys.modules["__main__"] is program)
        return prepare(name)
    spawn.get_preparation_data = watched
    threads = [threading.Thread(target=go, args=(name,)) for name in "ab"]
    [one.start() for one in threads]
    [one.join() for one in threads]
    spawn.get_preparation_data = prepare
    assert len(seen) >= 2 and all(seen) and os.path.exists("a/results.csv"), seen
    assert sys.modules["__main__"] is program
    go_on = multiprocessing.get_context("fork").Process(target=go, args=("c",), daemon=True)
    go_on.start()
    go_on.join()
    child = os.fork()
    if not child:
        go("d")
        os._exit(7)
    codes = go_on.exitcode, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert codes == (0, 7), codes
    print("all")
"""


def test_runs_in_two_threads_a_daemon_and_a_forked_child(photos: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(WITHIN)
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", program, photos],
        cwd=tmp_path,
        # MKL's own memory manager, below torch, can loop for ever in a process forked from another
        # in which two threads multiplied at once
        env={**os.environ, "MKL_DISABLE_FAST_MM": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.stdout, done.returncode) == ("all\n", 0), done.stderr


class Cluster:
    """A client of workers, each with its answer to the first and to the second question."""

    def __init__(self, *answers: tuple[object, object]) -> None:
        self._answers = {f"tcp://w:{port}": answer for port, answer in enumerate(answers, 1)}
        self._asked: dict[str, int] = {}

    def nthreads(self) -> dict[str, int]:
        return dict.fromkeys(self._answers, 1)

    def run(self, function: Callable[..., Any], text: str, **given: Any) -> dict[str, object]:
        # a function of sreval's would be looked for where another version is, or none
        assert function is eval
        assert given["on_error"] == "return"
        compile(text, "check", "eval")
        found = {}
        for worker in given["workers"]:
            found[worker] = self._answers[worker][self._asked.get(worker, 0)]
            self._asked[worker] = 1
        return found


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (("0.1+aaa", ""), r"tcp://w:2 runs sreval 0\.1\+aaa, this machine .*differ"),
        ((AttributeError(), "0.0.9"), r"tcp://w:2 runs sreval 0\.0\.9, this machine"),
        ((ModuleNotFoundError(), ModuleNotFoundError()), "tcp://w:2 lacks sreval, this machine"),
    ],
)
def test_a_dask_worker_of_another_version_is_named(
    answer: tuple[object, object], said: str
) -> None:
    DaskLink(Cluster((code_version(), "")))
    with pytest.raises(UsageError, match=said):
        DaskLink(Cluster((code_version(), ""), answer))


@pytest.mark.parametrize("text", ["[1]", "{}", '{"address": 3}', '{"address": "x"}', "\0", "{"])
def test_a_file_that_is_no_schedulers_is_refused(tmp_path: Path, text: str) -> None:
    pytest.importorskip("distributed")
    (tmp_path / "file").write_text(text)
    with (
        pytest.raises(UsageError, match="file isn't a scheduler's file"),
        dask_executor(str(tmp_path / "file")),
    ):
        pass


def test_the_class_of_an_executor_is_refused(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="An executor can't be the class ThreadPoolExecutor"):
        api.benchmark(
            ["nearest"], photos, out=tmp_path / "a", executor=cast(Any, ThreadPoolExecutor)
        )


def test_hashes_that_cant_be_read_or_written_stop_nothing(photos: Path, tmp_path: Path) -> None:
    file = tmp_path / "hashes.json"
    image = photos / "0.png"
    file.write_text(
        json.dumps(
            {"format": 1, "machine": platform.node(), "files": {str(image): [[1, 1, 1, 1], "x"]}}
            | {"pairs": {}}
        ).replace("[[1,", "[[1e400,")
    )
    assert Hashes(file).sha256(image) == hashlib.sha256(image.read_bytes()).hexdigest()
    file.unlink()
    file.mkdir()
    (file / "held").touch()
    known = Hashes(file)
    known.sha256(image)
    known.write(file)
    assert (file / "held").exists()


def test_what_is_no_picture_is_named(photograph: UInt8) -> None:
    with pytest.raises(UsageError, match="No image file can be called ''"):
        api.score("", photograph)
    with pytest.raises(ArrayError, match=r"of the type list.*or the path of an image file"):
        api.score(cast(Any, [1]), photograph)


class Trunkless(Executor):
    """A machine without the weights of LPIPS's trunk: they lie elsewhere while it computes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        away = self._folder.rename(self._folder.with_name("away"))
        try:
            done.set_result(pickle.loads(pickle.dumps(fn(*args, **kwargs))))
        finally:
            away.rename(self._folder)
        return done


@pytest.mark.parametrize("elsewhere", [True, False])
def test_torch_has_one_thread_in_a_worker_and_in_the_asking_process_its_own(
    photos: Path, tmp_path: Path, elsewhere: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    if elsewhere:
        monkeypatch.setattr(executors, "this_process", lambda: ("another machine", 1))
    with ThreadPoolExecutor(1) as pool:  # torch keeps its number of threads by thread
        pool.submit(torch.set_num_threads, 2).result()
        api.benchmark("nearest", photos, metrics="psnr", executor=pool, out=tmp_path / "out")
        assert pool.submit(torch.get_num_threads).result() == (1 if elsewhere else 2)


def test_the_trunk_of_lpips_is_sent(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "sent", [])
    here = TRUNKS["alex"].file()
    there = tmp_path / "weights" / here.name
    there.parent.mkdir()
    there.symlink_to(here)
    monkeypatch.setenv("SREVAL_WEIGHTS", str(there.parent))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    found = [
        api.benchmark(
            ["nearest"],
            photos,
            out=tmp_path / name,
            metrics=["psnr", "lpips"],
            executor=executor,
            progress=False,
        ).frame["value"]
        for name, executor in (("a", None), ("b", Trunkless(there.parent)))
    ]
    assert found[0].tolist() == found[1].tolist()
    assert weights.sent
