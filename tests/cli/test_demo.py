"""The demo: networks, rehearsal, table, page and rating site, on photographs in small."""

from __future__ import annotations

import html
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest
import skimage.data
from PIL import Image

from sreval.cli import demo as module
from sreval.files import sha256_file
from sreval.images.datasets import DEMO_IMAGES
from sreval.report.paper import figures
from sreval.study.design import load_design
from sreval.study.manifest import Manifest, Stimulus, load_manifest

SIDE = 48
RATERS = 2


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a crop of every photograph, to be taken for scikit-image's."""
    folder = tmp_path_factory.mktemp("photographs")
    for name in DEMO_IMAGES:
        whole = Image.open(Path(skimage.data.__file__).parent / name)
        whole.crop((100, 100, 100 + SIDE, 100 + SIDE)).save(folder / name)
    return folder


@pytest.fixture(autouse=True)
def small(photographs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skimage.data, "__file__", str(photographs / "__init__.py"))
    monkeypatch.setattr(module, "RATERS", RATERS)
    monkeypatch.delenv("SREVAL_WEIGHTS", raising=False)


def votes(database: Path) -> list[int]:
    """Whether each vote's rater was simulated, straight from the file."""
    joined = (
        "SELECT rater.simulated FROM vote JOIN session ON session.id = vote.session_id "
        "JOIN rater ON rater.id = session.rater_id"
    )
    with sqlite3.connect(database) as connection:
        return [simulated for (simulated,) in connection.execute(joined)]


@pytest.mark.usefixtures("no_latex")
def test_the_demo_is_one_table_and_one_page_and_goes_on(
    sreval: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "demo"
    rehearsal, real = out / "rehearsal.sqlite", out / "study" / "votes.sqlite"

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("sreval.study.freeze.freeze", stopped)
        ran = sreval("demo", "--out", out, "--no-serve")
        assert ran.code == 130
        assert "The same command goes on from here." in ran.err
    made = {path: path.stat().st_mtime_ns for path in (out / "images").rglob("*.png")}
    assert len(made) == 25

    ran = sreval("demo", "--out", out, "--no-serve")
    assert ran.code == 0, ran.err
    assert {path: path.stat().st_mtime_ns for path in made} == made
    assert ran.out.count("protocol ledig2017") == 1
    for said in ("SRResNet-MSE", "SRGAN-MSE", "SRGAN-VGG54", "PSNR", "SSIM", "MOS, simulated"):
        assert said in ran.out
    assert "sreval data fetch lpips-alex" in ran.out
    page = Path(ran.out.splitlines()[-1])
    text = page.read_text(encoding="utf-8")
    assert text.count("<table") == 1
    assert text.count("<svg") == 1
    assert "MOS, simulated" in text
    assert "no person voted" in text
    assert set(votes(rehearsal)) == {1}
    assert len(votes(rehearsal)) == RATERS * 32
    assert not real.exists()
    (report,) = re.findall("<code>(sreval report .*?)</code>", text)
    ran_as_told = sreval(*shlex.split(html.unescape(report))[1:-1], tmp_path / "report")
    assert ran_as_told.code == 0, ran_as_told.err

    again = sreval("demo", "--out", out, "--no-serve")
    assert again.out == ran.out
    assert len(votes(rehearsal)) == RATERS * 32
    assert page.read_text(encoding="utf-8") == text

    # A rehearsal that was killed is begun anew: votes of half a crowd are no result.
    with sqlite3.connect(rehearsal) as connection:
        connection.execute("UPDATE study SET state = 'open', closed_at = NULL")
    assert sreval("demo", "--out", out, "--no-serve").code == 0
    assert len(votes(rehearsal)) == RATERS * 32

    stimulus = load_manifest(out / "study").stimuli[0]
    manifest = out / "study" / "manifest.json"
    manifest.write_text(
        manifest.read_text(encoding="utf-8").replace(stimulus.image_sha256, "0" * 64),
        encoding="utf-8",
    )
    ran = sreval("demo", "--out", out, "--no-serve")
    assert ran.code == 1
    assert f"shows another {'/'.join(stimulus.key)} than was scored now" in ran.err
    assert "Name another folder with --out" in ran.err


def test_a_folder_with_another_study_is_left_alone(
    sreval: Callable[..., Any], tmp_path: Path
) -> None:
    study = tmp_path / "demo" / "study"
    study.mkdir(parents=True)
    (study / "manifest.json").write_text("{}", encoding="utf-8")
    design = load_design(module.DESIGN_FOLDER)
    text = (module.DESIGN_FOLDER / "study.toml").read_text(encoding="utf-8")
    (study / "study.toml").write_text(text.replace("seed = 1", "seed = 2"), encoding="utf-8")
    assert load_design(study).sha256 != design.sha256
    ran = sreval("demo", "--out", tmp_path / "demo", "--no-serve")
    assert ran.code == 2
    assert "Name another folder with --out" in ran.err
    assert not (tmp_path / "demo" / "images").exists()


def test_simulated_raters_are_told_the_paper_s_scores() -> None:
    design = load_design(module.DESIGN_FOLDER)
    told = module._qualities()
    for method in (*design.images.methods, "nearest"):
        assert told[method] == figures()["Set14", method, "mos"]


def test_the_demo_serves_its_study_until_interrupted(tmp_path: Path) -> None:
    """Only what comes after the page: the study is one of plain colours."""
    study = tmp_path / "study"
    study.mkdir()
    (study / "study.toml").write_bytes((module.DESIGN_FOLDER / "study.toml").read_bytes())
    design = load_design(study)
    stimuli = stimuli_of(study, design.images.methods)
    (study / "manifest.json").write_text(Manifest(stimuli).as_json(), encoding="utf-8")
    code = (
        "from pathlib import Path\nfrom sreval.cli import demo, main\n"
        "from sreval.report.scores import ScoreTable\n"
        "table = ScoreTable.of('', 'ledig2017', [4], [])\n"
        "demo.make_demo = lambda out: demo.Demo(table, out / 'index.html', out / 'study')\n"
        "main(['demo', '--out', '.'])"
    )
    command = [sys.executable, "-u", "-c", code]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        link = next(line.strip() for line in demo.stdout if line.startswith("http://127.0.0.1"))
        page = httpx.get(link, follow_redirects=True)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(30) == 0
    assert page.status_code == 200
    assert "trial of a rating site" in page.text
    assert votes(study / "votes.sqlite") == []


def stimuli_of(study: Path, methods: Sequence[str]) -> tuple[Stimulus, ...]:
    """Every version that the demo's study shows, as files of one colour each."""
    (study / "stimuli").mkdir()
    made = []
    images = [Path(name).stem for name in DEMO_IMAGES]
    for index, (image, method) in enumerate(product(images, ["nearest", *methods])):
        path = study / "stimuli" / "new.png"
        Image.new("RGB", (SIDE, SIDE), (7 * index, 0, 0)).save(path)
        sha256 = sha256_file(path)
        path.rename(path.with_name(f"{sha256}.png"))
        scene = f"demo/{image}"
        made.append(Stimulus("demo", image, scene, method, sha256, sha256, SIDE, SIDE))
    return tuple(made)
