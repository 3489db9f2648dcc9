"""The command line as a whole: help everywhere, nothing imported before its time."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from sreval import content
from sreval.cli import cli
from sreval.study.manifest import Manifest, Stimulus


def commands(
    group: click.Group, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def options() -> Iterator[tuple[tuple[str, ...], click.Option]]:
    for path, command in commands(cli):
        yield from ((path, one) for one in command.params if isinstance(one, click.Option))


@pytest.mark.parametrize("command", [path for path, _ in commands(cli)], ids=" ".join)
def test_every_command_has_help_with_an_example(
    command: tuple[str, ...], sreval: Callable[..., Any]
) -> None:
    ran = sreval(*command, "--help")
    assert ran.code == 0
    assert f"Example: sreval {' '.join(command)}" in " ".join(ran.out.split())


def test_an_option_that_takes_one_value_is_not_given_twice(sreval: Callable[..., Any]) -> None:
    single = [
        (path, option.opts[0])
        for path, option in options()
        if not (option.multiple or option.is_flag)
    ]
    assert len(single) > 50
    for path, option in single:
        ran = sreval(*path, option, "a", f"{option}=b")
        assert (ran.code, ran.err) == (
            2, f"Error: {option} was given twice, and it takes one value. Give it once.\n"
        )  # fmt: skip


def test_options_that_may_be_repeated_and_flags_are_left_alone(sreval: Callable[..., Any]) -> None:
    ran = sreval("benchmark", "--method", "a", "--method", "b", "--json", "--json")
    assert "times" not in ran.err


@pytest.mark.parametrize("text", ["8/3", "2,5", "4x", "1_0", "17", "1", "x", "", "٤", "2.66667"])
def test_every_command_reads_a_scale_in_one_way(text: str, sreval: Callable[..., Any]) -> None:
    shown = text if text in {"17", "1", "2.66667"} else repr(text)
    said = (
        f"Error: {shown} isn't a valid scale. A scale is a number above 1 and up to 16, such as 4 "
        "or 2.5, of at most 4 decimals, as in 2.6667.\n"
    )
    scaled = [path for path, option in options() if "--scale" in option.opts]
    assert len(scaled) > 9
    for path in scaled:
        ran = sreval(*path, "x", "x", "--scale", text)
        assert (ran.code, ran.err) == (2, said)


HEAVY = {"torch", "numpy", "pandas", "scipy.stats", "scipy.ndimage", "matplotlib", "skimage"}


def imported(run: str, folder: Path) -> set[str]:
    """What of HEAVY a program of its own imports."""
    code = f"import sys\n{run}\nprint(*({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


def running(*command: str) -> str:
    # Whatever exit code but 0 becomes that of the program.
    return (
        f"from sreval.cli import main\ntry:\n    main({list(command)!r})\n"
        "except SystemExit as end:\n    assert not end.code"
    )


def test_help_and_version_import_nothing_heavy(tmp_path: Path) -> None:
    assert not imported(running("--help"), tmp_path)
    assert not imported(running("--version"), tmp_path)


def test_a_command_on_a_study_waits_for_no_import_that_it_does_without(tmp_path: Path) -> None:
    folder = tmp_path / "studies/own"
    shutil.copytree(content.find("studies", "quick"), folder)
    # The photographs of the data set "demo" are skimage's.
    checked = imported(running("study", "check", "own"), tmp_path)
    assert checked <= {"numpy", "pandas", "skimage"}
    stimulus = Stimulus("demo", "cat", "cat", "hr", "0" * 64, "1" * 64, 48, 48)
    (folder / "manifest.json").write_text(Manifest((stimulus,)).as_json(), encoding="utf-8")
    assert imported(running("study", "invite", "own"), tmp_path) <= {"numpy"}
    assert imported(running("study", "status", "own"), tmp_path) <= {"numpy"}


def test_the_site_starts_without_what_only_results_need(tmp_path: Path) -> None:
    run = "import sreval.site.app, sreval.site.server"
    assert imported(run, tmp_path) <= {"numpy", "pandas"}


def test_a_misspelt_command_suggests_the_nearest(sreval: Callable[..., Any]) -> None:
    ran = sreval("benchmrk")
    assert ran.code == 2
    assert "Did you mean 'benchmark'?" in ran.err


def test_a_failure_of_our_own_is_one_sentence(
    sreval: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("out of luck")

    monkeypatch.setattr("sreval.report.collect.collect", broken)
    ran = sreval("table", "anywhere")
    assert ran.code == 1
    assert "RuntimeError: out of luck" in ran.err
    assert "Traceback" not in ran.err


def test_lists_and_checks_speak_json(sreval: Callable[..., Any]) -> None:
    listed = json.loads(sreval("data", "list", "--json").out)
    assert {row["name"] for row in listed} >= {"Set5", "Set14", "BSD100", "Urban100", "demo"}
    (report,) = json.loads(sreval("data", "check", "demo", "--json").out)
    assert report["images"] == 5
    assert report["problems"] == []


def test_downscaled_images_check_as_matlabs(sreval: Callable[..., Any], tmp_path: Path) -> None:
    import numpy as np
    import skimage.data

    from sreval.images.io import write_png

    write_png(tmp_path / "hr" / "cat.png", np.ascontiguousarray(skimage.data.chelsea()[:64, :64]))
    for border in ("replicate", "symmetric"):
        low = tmp_path / border
        recipe = f"bicubic:border={border}"
        assert sreval("data", "downscale", tmp_path / "hr", low, "--degrade", recipe).code == 0
        ran = sreval("data", "check", f"hr={tmp_path / 'hr'},lr={low}")
        assert f"1 LR MATLAB bicubic, {border} border" in ran.out


def test_a_reader_that_left_ends_a_command_without_a_word() -> None:
    left, right = os.pipe()
    os.close(left)
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "sreval", "data", "list"], stdout=right, stderr=subprocess.PIPE
        )
    finally:
        os.close(right)
    assert (ran.returncode, ran.stderr) == (1, b"")


def test_a_command_leaves_the_process_its_signals(sreval: Callable[..., Any]) -> None:
    # Where this is SIG_DFL, a peer that hangs up ends the process that writes to it.
    assert sreval("--version").code == 0
    assert signal.getsignal(signal.SIGPIPE) is signal.SIG_IGN


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_empty_ones(tmp_path: Path, closed: str) -> None:
    shutil.copytree(content.find("studies", "quick"), tmp_path / "studies/own")
    run = f"{shlex.quote(sys.executable)} -m sreval study check own {closed}"
    ran = subprocess.run(["bash", "-c", run], cwd=tmp_path, capture_output=True, text=True)
    assert (ran.returncode, "Error" in ran.stderr) == (0, False), ran.stderr


def test_a_full_disk_behind_stdout_is_named() -> None:
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "sreval", "data", "list"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert ran.returncode == 1
    assert ran.stderr.startswith("Error: Can't write the output: No space left on device.")


def test_a_working_directory_that_was_removed_is_named(tmp_path: Path) -> None:
    run = f'mkdir gone; cd gone; rmdir ../gone; "{sys.executable}" -m sreval models list'
    ran = subprocess.run(["bash", "-c", run], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 1
    assert "Error: The working directory no longer exists." in ran.stderr
    assert "Traceback" not in ran.stderr


def test_an_argument_that_is_no_text_is_refused(sreval: Callable[..., Any]) -> None:
    ran = sreval("benchmark", "--method", "nearest", "--dataset", os.fsdecode(b"bad\xff"))
    assert ran.code == 2
    assert ran.err.startswith("Error: b'bad\\xff' isn't text in utf-8. Rename it")
