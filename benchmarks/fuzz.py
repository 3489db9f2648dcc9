"""Damaged and hostile inputs to every reader of files and to every route of the site.

Takes good files and good requests, damages them by a seed (bits, cuts, splices, other types, huge
numbers, deep nesting, NUL, long names) and gives them to the readers and to the site, whose routes
come from its own map. A refusal is a SrevalError, or an answer below 500, or 503; all else is a
fault. Writes fuzz.json and fuzz.md; exits with 1 where there is a fault or memory grew by 1 GB.

Example: python -m benchmarks.fuzz --inputs 2000 --out build/bench
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import logging
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import numpy as np
import torch
from flask import Flask
from PIL import Image
from werkzeug.test import Client, EnvironBuilder

from benchmarks.site import METHODS, noise_study
from benchmarks.timing import ROOT, progress, provenance, write_results
from sreval import api
from sreval.benchmarking.data import downscale_folder
from sreval.benchmarking.identity import Names
from sreval.benchmarking.plan import BenchmarkPlan
from sreval.benchmarking.results import FORMAT, ResultsFolder, Snapshot, UnderWay, as_json
from sreval.errors import SrevalError
from sreval.files import sha256_bytes
from sreval.images.datasets import open_dataset
from sreval.images.degradations import known_degradation, open_degradation
from sreval.images.degraded import read_record
from sreval.images.io import read_image
from sreval.methods.published import PublishedImages
from sreval.networks.weights import load_network
from sreval.opinions.reading import read_ratings
from sreval.site.app import create_app
from sreval.site.config import SiteConfig
from sreval.store.database import open_store
from sreval.store.invitations import Links
from sreval.store.operators import Operators
from sreval.store.rehearsal import rehearse
from sreval.store.snapshot import backup, export, import_, restore
from sreval.study.check import check
from sreval.study.design import load_design
from sreval.study.manifest import MANIFEST, load_manifest
from sreval.study.respondent import read_qualities
from sreval.study.sources import Available
from sreval.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from sreval.training.learner import Learner
from sreval.training.models import read_run
from sreval.training.recipe import Recipe, load_recipe, parse_changes

INPUTS, SEED = 20_000, 20261127
GOAL_BYTES = 10**9
_SECONDS = 20
"""What one input may take: a reader that hangs is a fault."""
_FRESH = 250
"""Requests after which the site's visitors begin anew: some leave their study, or log out."""
_ODD: tuple[Any, ...] = (
    None, True, -1, 0, 2**31, 2**63, 10**40, 1e308, float("nan"), float("inf"), "", " ", "\0",
    "\ud800", "x" * 5000, "../" * 50, "=1+1", "é" * 300, [], {}, [[]], [None], {"": None}, "1e999",
)  # fmt: skip


@dataclass
class Findings:
    """How many inputs each target had, how many it took, and its faults, the first of a kind."""

    inputs: Counter[str] = field(default_factory=Counter)
    taken: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    faults: dict[str, str] = field(default_factory=dict)
    unhandled: int = 0
    server_errors: int = 0

    def give(self, name: str, run: Callable[[], object]) -> None:
        """Run a reader once; anything but a refusal in words is a fault."""
        self.inputs[name] += 1
        try:
            with _in_time(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                run()
            self.taken[name] += 1
        except SrevalError as error:
            if len(str(error)) > 4000 or "\0" in str(error):
                self.fault(name, error)
        except Exception as error:
            self.fault(name, error)

    def fault(self, name: str, error: Exception) -> None:
        """Keep an exception that nobody should meet."""
        self.unhandled += 1
        frames = traceback.extract_tb(error.__traceback__)
        where = next((f for f in reversed(frames) if "sreval" in f.filename), frames[-1])
        key = f"{name}: {type(error).__name__} in {Path(where.filename).name}:{where.lineno}"
        self.faults.setdefault(key, str(error)[:200])


@contextlib.contextmanager
def _in_time() -> Iterator[None]:
    def late(*_: object) -> None:
        raise TimeoutError(f"no answer within {_SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


# Damage


def damaged(rng: random.Random, data: bytes, suffix: str) -> bytes:
    """``data`` with one to three faults, of its form or of its bytes."""
    shaped = _SHAPED.get(suffix)
    for _ in range(rng.choice((1, 1, 2, 3))):
        if shaped is not None and rng.random() < 0.6:
            with contextlib.suppress(Exception):  # it may be beyond repair already
                data = shaped(rng, data)
                continue
        data = rng.choice(_BYTES)(rng, data)
    return data


def _flipped(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data or b"\0")
    for _ in range(rng.choice((1, 4, 32))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _spliced(rng: random.Random, data: bytes) -> bytes:
    first, second, third = sorted(rng.randrange(len(data) + 1) for _ in range(3))
    return data[:second] + data[first:third] + data[second:]


def _inserted(rng: random.Random, data: bytes) -> bytes:
    place = rng.randrange(len(data) + 1)
    what = rng.choice(
        (b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"[" * 5000, b"{" * 3000, b'"', b"'", b"\n", b"\r",
         b"9" * 5000, b"a" * 5000, b"\x1b[2J", b",,,", b"\xed\xa0\x80", b"\\u0000", b"NaN", b"-")
    )  # fmt: skip
    return data[:place] + what + data[place:]


_BYTES = (_flipped, _cut, _spliced, _inserted)


def _changed(rng: random.Random, content: Any, depth: int = 0) -> Any:
    """JSON's content with one value or key somewhere within changed."""
    inside = isinstance(content, dict | list) and content and (depth == 0 or rng.random() < 0.8)
    if not inside:
        return _deep(rng.choice((50, 300))) if rng.random() < 0.05 else rng.choice(_ODD)
    if isinstance(content, list):
        place, kind = rng.randrange(len(content)), rng.random()
        if kind < 0.1:
            return content[:place] + content[place + 1 :]
        if kind < 0.2:
            return [*content, content[place]]
        return [
            _changed(rng, value, depth + 1) if i == place else value
            for i, value in enumerate(content)
        ]
    key, kind = rng.choice(list(content)), rng.random()
    if kind < 0.1:
        return {k: v for k, v in content.items() if k != key}
    if kind < 0.2:
        return {(f"{k}x" if k == key else k): v for k, v in content.items()}
    return {k: _changed(rng, v, depth + 1) if k == key else v for k, v in content.items()}


def _deep(levels: int) -> Any:
    content: Any = None
    for _ in range(levels):
        content = [content]
    return content


def _json(rng: random.Random, data: bytes) -> bytes:
    return json.dumps(_changed(rng, json.loads(data))).encode(errors="surrogatepass")


def _jsonl(rng: random.Random, data: bytes) -> bytes:
    lines = data.splitlines()
    place = rng.randrange(len(lines))
    return b"\n".join(_json(rng, line) if i == place else line for i, line in enumerate(lines))


def _toml(rng: random.Random, data: bytes) -> bytes:
    lines = data.decode().splitlines()
    places = [i for i, line in enumerate(lines) if "=" in line or line.startswith("[")]
    place = rng.choice(places)
    key, equals, _ = lines[place].partition("=")
    value = rng.choice(
        ("true", "-1", "0", "1e308", "nan", "inf", '""', "[]", "{}", "[[]]", "9" * 30, "9" * 5000,
         '"\\u0000"', '"x"', "1979-05-27", "07:32:00", "[1, 'a']", '"' + "y" * 5000 + '"',
         "[" * 3000, "{a = " * 500, "'''", '["a", "a"]')
    )  # fmt: skip
    changed = [f"{key}= {value}"] if equals else [f"{lines[place]}x", f"[[{lines[place]}]]"]
    lines[place] = rng.choice([*changed, "", f"{key}x = {value}"])
    return "\n".join(lines).encode()


def _csv(rng: random.Random, data: bytes) -> bytes:
    rows = list(csv.reader(io.StringIO(data.decode(), newline="")))
    row = rng.choice(rows)
    kind = rng.random()
    if kind < 0.6 and row:
        odd = rng.choice(_ODD)
        row[rng.randrange(len(row))] = str(odd).encode(errors="replace").decode()
    elif kind < 0.8:
        row.pop() if row and rng.random() < 0.5 else row.append("more")
    else:
        rows.append(list(row))
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _zip(rng: random.Random, data: bytes) -> bytes:
    """One member damaged, and as often as not its checksum in the manifest set right again."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(list(files))
    files[name] = damaged(rng, files[name], Path(name).suffix)
    if name != MANIFEST and rng.random() < 0.7:
        manifest = json.loads(files[MANIFEST])
        manifest["sha256"][name] = sha256_bytes(files[name])
        files[MANIFEST] = json.dumps(manifest).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as made:
        for member, content in files.items():
            made.writestr(member, content)
    return out.getvalue()


def _safetensors(rng: random.Random, data: bytes) -> bytes:
    """Something of the header changed, and the seal left out: it would tell."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    metadata = header.get("__metadata__", {})
    metadata.pop("content_sha256", None)
    fields = [key for key, text in metadata.items() if text[:1] in "{["]
    if fields and rng.random() < 0.6:
        key = rng.choice(fields)
        metadata[key] = _json(rng, metadata[key].encode()).decode(errors="replace")
    else:
        header = _changed(rng, header)
    text = json.dumps(header).encode(errors="replace")
    return len(text).to_bytes(8, "little") + text + data[end:]


_SHAPED: dict[str, Callable[[random.Random, bytes], bytes]] = {
    ".json": _json,
    ".jsonl": _jsonl,
    ".toml": _toml,
    ".csv": _csv,
    ".zip": _zip,
    ".safetensors": _safetensors,
}


# Readers


@dataclass(frozen=True)
class Reader:
    """A file that is good, what reads it, and how often it is given against the others."""

    path: Path
    read: Callable[[], object]
    share: float = 1.0


def readers(folder: Path, study: Path) -> dict[str, Reader]:
    """Every reader with a good file of its own below ``folder``; ``study`` has votes."""
    made: dict[str, Reader] = {}

    def add(name: str, path: Path, read: Callable[[], object], share: float = 1.0) -> None:
        made[name] = Reader(path, read, share)

    database = f"sqlite:///{study / 'votes.sqlite'}"
    store, design, manifest = open_store(database), load_design(study), load_manifest(study)
    other = open_store(f"sqlite:///{folder / 'other.sqlite'}", create=True)
    target = f"sqlite:///{folder / 'restored.sqlite'}"
    export(store, design.name, manifest, folder / "export.zip")
    backup(database, folder / "backup.zip")
    store.dispose()
    archive = folder / "export.zip"
    add("export", archive, lambda: import_(other, archive, design.name), 0.5)
    kept = folder / "backup.zip"
    add("backup", kept, lambda: restore(kept, target, design.name, overwrite=True), 0.2)
    _add_votes(folder, add)
    _add_study(folder, study, add)
    _add_results(folder, add)
    _add_networks(folder, add)
    for kind in ("png", "jpg", "tif", "bmp", "webp"):
        path = folder / f"image.{kind}"
        pixels = np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        add(f"image {kind}", path, partial(read_image, path))
    return made


_Add = Callable[..., None]


def _add_votes(folder: Path, add: _Add) -> None:
    rows = [
        {"rater": f"r{r}", "image": f"i{i}", "method": m, "score": (r + i) % 5 + 1}
        for r in range(3) for i in range(3) for m in METHODS[:2]
    ]  # fmt: skip
    (folder / "votes.json").write_text(json.dumps(rows))
    nested = {m: [[3, 4, None], [2, 5, 1]] for m in METHODS[:2]}
    (folder / "nested.json").write_text(json.dumps(nested))
    long = "rater,image,method,score\n" + "".join(
        ",".join(map(str, r.values())) + "\n" for r in rows
    )
    (folder / "votes.csv").write_text(long)
    (folder / "matrix.csv").write_text("image,r1,r2\na,1,2\nb,3,\nc,5,4\n")
    (folder / "means.csv").write_text("image,method,mos\na,bicubic,2.5\nb,bicubic,3.5\n")
    for name in ("votes.json", "nested.json", "votes.csv", "matrix.csv", "means.csv"):
        add(f"opinions {name}", folder / name, partial(read_ratings, folder / name))
    (folder / "qualities.csv").write_text("method,quality,dataset\nbicubic,2.5,Set5\nhr,4.5,\n")
    add("qualities", folder / "qualities.csv", lambda: read_qualities(folder / "qualities.csv"))


def _add_study(folder: Path, study: Path, add: _Add) -> None:
    own = folder / "study"
    own.mkdir()
    shutil.copy(study / MANIFEST, own)
    shutil.copy(ROOT / "studies" / "ledig2017" / "study.toml", own)
    add("study.toml", own / "study.toml", lambda: load_design(own), 2)
    add("study manifest", own / MANIFEST, lambda: load_manifest(own), 2)
    small = folder / "small"
    small.mkdir()
    shutil.copy(study / "study.toml", small)
    images = {f"img_{number:03}": f"noise/img_{number:03}" for number in range(3)}
    found = Available({"noise": images})
    add("study check", small / "study.toml", lambda: check(load_design(small), None, found))


def _add_results(folder: Path, add: _Add) -> None:
    results = folder / "results"
    shutil.copytree(ROOT / "tests" / "fixtures" / "sreval-0.1" / "results", folder / "first")
    (folder / "HR").mkdir()
    Image.new("RGB", (24, 24), "grey").save(folder / "HR" / "a.png")
    api.benchmark(["nearest"], [str(folder / "HR")], out=results, progress=False)
    rows = list(ResultsFolder(results).rows())
    (results / "journal.jsonl").write_text(
        "".join(json.dumps([asdict(row)]) + "\n" for row in rows)
    )
    ended = ResultsFolder(results)
    begun = UnderWay(
        format=FORMAT,
        started="2026-01-01",
        methods={name: list(known.values()) for name, known in ended.meanings.items()},
        sources={"HR_x4": "HR"},
        datasets=ended.datasets,
        earlier={},
        run=ended.runs[0],
        journal=0,
    )
    (results / "under-way.json").write_text(as_json(asdict(begun)))

    def read(path: Path) -> None:
        held = Snapshot.of(path)
        _ = held.protocols, held.unfinished
        held.failures()
        list(ResultsFolder(path).rows())
        Names(ResultsFolder(path))

    for name in ("results.csv", "manifest.json", "journal.jsonl", "under-way.json"):
        add(f"results {name}", results / name, lambda: read(results), 0.7)
    first = folder / "first"
    add("results of 0.1", first / "manifest.json", lambda: read(first), 0.7)
    (folder / "plan.toml").write_text(
        'methods = ["bicubic"]\ndatasets = ["Set5"]\nmetrics = ["psnr"]\nscale = 4\nout = "r"\n'
    )
    add("plan", folder / "plan.toml", lambda: BenchmarkPlan.load(folder / "plan.toml"), 2)
    (folder / "set.toml").write_text(f'name = "own"\nhr = "{folder / "HR"}"\n\n[scenes]\na = "b"\n')
    add("data set", folder / "set.toml", lambda: open_dataset(str(folder / "set.toml")))
    low = downscale_folder(folder / "HR", folder / "LR", 4, known_degradation("real-esrgan")).folder
    add("degradation.json", low / "degradation.json", lambda: read_record(low))
    (folder / "degradation.toml").write_text(
        'name = "own"\n\n[[steps]]\nstep = "blur"\nsize = [7, 21]\nsigma = 1.6\n\n'
        '[[steps]]\nstep = "resize"\nof = "lr"\nmodes = ["area"]\n'
    )
    add(
        "degradation.toml",
        folder / "degradation.toml",
        lambda: open_degradation(folder / "degradation.toml"),
    )
    pairs = folder / "SR"
    pairs.mkdir()
    shutil.copy(folder / "HR" / "a.png", pairs / "b.png")
    (pairs / "pairs.csv").write_text("image,file\na,b.png\n")
    dataset = open_dataset(str(folder / "HR"))
    add("pairs.csv", pairs / "pairs.csv", lambda: PublishedImages(str(pairs)).prepare(dataset))


def _add_networks(folder: Path, add: _Add) -> None:
    weights = folder / "weights.safetensors"
    shutil.copy(ROOT / "models" / "espcn" / "weights.safetensors", weights)
    add("weights", weights, lambda: load_network(weights), 1.5)
    model = folder / "espcn"
    model.mkdir()
    shutil.copy(ROOT / "models" / "espcn" / "recipe.toml", model)
    add("recipe.toml", model / "recipe.toml", lambda: load_recipe(str(model), "smoke"), 1.5)
    recipe = Recipe.model_validate(
        {
            "name": "tiny",
            "network": {"name": "espcn"},
            "loss": {"mse": 1.0},
            "data": {"crop": 32, "batch": 3},
            "optimisation": {"updates": 6},
        }
    )
    learner, state = Learner(recipe, torch.device("cpu")), torch.Generator()
    stage = {"model": "tiny", "updates": 1}
    begun = Progress(step=1, notes=["a note"], stages=[stage])
    checkpoint = save_checkpoint(folder / "run", learner, state, begun, "data")
    add("checkpoint", checkpoint, lambda: load_checkpoint(checkpoint, learner, state, "data"), 1.5)
    run = folder / "run"
    shutil.copy(ROOT / "models" / "espcn" / "weights.safetensors", run)
    facts = {
        "model": "tiny", "profile": "paper", "recipe": recipe.model_dump(mode="json"),
        "photographs": 3, "megapixels": 0.1, "data_sha256": "0" * 64, "licences": {"CC0": 3},
    }  # fmt: skip
    (run / "run.json").write_text(json.dumps(facts))
    add("run.json", run / "run.json", lambda: read_run(run))


def read_all(found: Findings, rng: random.Random, folder: Path, study: Path, inputs: int) -> None:
    """Give so many damaged files to the readers, by their shares."""
    made = readers(folder, study)
    names, shares = list(made), [reader.share for reader in made.values()]
    good = {name: reader.path.read_bytes() for name, reader in made.items()}
    for name, reader in made.items():
        try:
            reader.read()
        except SrevalError as error:
            raise AssertionError(f"The good file of {name} is refused: {error}") from error
    for number, name in enumerate(rng.choices(names, shares, k=inputs)):
        reader = made[name]
        reader.path.write_bytes(damaged(rng, good[name], reader.path.suffix))
        found.give(name, reader.read)
        reader.path.write_bytes(good[name])
        if number % 1000 == 999:
            progress(f"{number + 1} files, {found.unhandled} faults")
    for _ in range(inputs // 50):
        text = _inserted(rng, _flipped(rng, b"data.batch=8")).decode(errors="surrogateescape")
        found.give("--set", partial(parse_changes, [text]))
        name = rng.choice(("x" * 5000, "a\0b", "a/" * 3000, "\ud800", "é" * 200, text))
        found.give("names", partial(open_dataset, name))
        found.give("names", partial(load_recipe, name))


# Routes


class Visitors:
    """The site, and those who may ask: nobody, raters on their way, an operator; of each the
    cookies and the address of the own page."""

    PASSWORD = "for the fuzz alone, long"

    def __init__(self, study: Path, database: Path) -> None:
        """Make the site; ``renew`` lets its visitors in."""
        config = SiteConfig.given(
            study=study, database=str(database), rates=None, secret="s" * 40, trusted_proxies=1
        )
        self.app: Flask = create_app(config)
        self.store = self.app.extensions["sreval"].store
        self.study = load_design(study).name
        Operators(self.store).add("ada", "owner", self.PASSWORD)
        self.known: list[tuple[str, str]] = []
        self.words: list[str] = []

    def renew(self) -> None:
        """New raters, each a page further than the one before, and a new login."""
        self.known, self.words = [("", "")], ["1", "0", "-1", "r1", "ada", "noise", self.study]
        for pages in (1, 2, 3, 4, 9):
            token = Links(self.store, self.study).create("personal", simulated=True)[1]
            client = self.app.test_client()
            address, text = f"/r/{token}", ""
            for _ in range(pages):
                page = client.get(address, follow_redirects=True)
                text = page.get_data(as_text=True)
                address = self._on(client, page.request.path, text)
            self.words += [token, *re.findall(r"/i/([\w-]+)", text)]
            self._keep(client, address)
        client = self.app.test_client()
        login = next(r.rule for r in self.app.url_map.iter_rules() if r.endpoint.endswith("enter"))
        form = client.get(login).get_data(as_text=True)
        client.post(login, data={**_hidden(form), "name": "ada", "password": self.PASSWORD})
        self._keep(client, "")

    def _keep(self, client: Any, here: str) -> None:
        cookies = "; ".join(f"{c.key}={c.value}" for c in client._cookies.values())
        self.known.append((cookies, here))

    def _on(self, client: Any, here: str, page: str) -> str:
        """Send the first form that leads on; the address of the next page."""
        for action, body in re.findall(
            r'<form[^>]*method="post"[^>]*action="([^"]+)"[^>]*>(.*?)</form>', page, re.DOTALL
        ):
            if "withdraw" in action or "decline" in action:
                continue
            data = _hidden(body)
            facts = {"ratio": 1, "window": [1400, 900], "screen": [1536, 864], "magnified": 1,
                     "touch": False}  # fmt: skip
            if "facts" in data:
                data |= {"facts": json.dumps(facts), "fits": "yes"}
            data |= dict(re.findall(r'type="radio" name="([^"]+)" value="([^"]*)"', body))
            data |= dict.fromkeys(re.findall(r'name="([^"]+)" type="number"', body), "30")
            client.post(action, data=data)
            break
        return here


def _hidden(page: str) -> dict[str, str]:
    return dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page))


def _odd_text(rng: random.Random, words: Sequence[str]) -> str:
    text = rng.choice(
        (rng.choice(words), str(rng.choice(_ODD)), "x" * rng.choice((1, 300, 70_000)))
    )
    return text.encode(errors="replace").decode()


def request(
    rng: random.Random, app: Flask, known: Sequence[tuple[str, str]], words: Sequence[str]
) -> Any:
    """One request of any method to any of the site's routes, as WSGI has it."""
    rule = rng.choice(list(app.url_map.iter_rules()))
    cookie, here = rng.choice(known)
    path = rule.rule
    if here and rng.random() < 0.9:
        path = path.replace("/study/<study>/<place>", here)
    path = re.sub(r"<[^>]+>", lambda _: quote(_odd_text(rng, words)[:2000], safe="/"), path)
    if rng.random() < 0.05:
        path += rng.choice(("/", "//", "/..", "%00", "%ff", "?lang=" + "z" * 3000, "?lang=de&x"))
    methods = [*sorted(rule.methods or ()) * 3, "GET", "POST", "PUT", "DELETE", "PATCH", "TRACE"]
    fields = ("csrf_token", "version", "facts", "fits", "delete", "name", "password", "confirm",
              "to", "decision", "reason", "kind", "count", "quota", "expires", "label", "lang",
              "position", "score", "key", "response_ms", "shown_at", "device", "image",
              "made_from")  # fmt: skip
    ballot = {"position": 1, "score": 3, "key": "k" * 12, "response_ms": 900,
              "shown_at": "2026-03-01T09:00:00Z", "device": "{}",
              "image": rng.choice(words)}  # fmt: skip
    body, kind = b"", ""
    if rng.random() < 0.5:
        body, kind = _json(rng, json.dumps(ballot).encode()), "application/json"
    elif rng.random() < 0.7:
        chosen = {name: _odd_text(rng, words) for name in rng.sample(fields, rng.randrange(8))}
        pairs = (f"{quote(k)}={quote(v[:3000])}" for k, v in chosen.items())
        body, kind = "&".join(pairs).encode(), "application/x-www-form-urlencoded"
    elif rng.random() < 0.5:
        body, kind = (
            b"--b\r\nContent-Disposition: form-data; name=",
            "multipart/form-data; boundary=b",
        )
    if rng.random() < 0.3:
        body = rng.choice(_BYTES)(rng, body)
    raw, _, query = path.partition("?")
    environ = EnvironBuilder(
        path="/", method=rng.choice(methods), data=body, content_type=kind or None
    ).get_environ()
    environ["PATH_INFO"] = _latin(unquote_to_bytes(raw))
    environ["QUERY_STRING"] = query
    environ["HTTP_COOKIE"] = cookie
    if rng.random() < 0.1:
        environ["HTTP_COOKIE"] = _latin(_flipped(rng, environ["HTTP_COOKIE"].encode()))
    for header in ("HOST", "ACCEPT_LANGUAGE", "X_FORWARDED_FOR", "X_FORWARDED_PROTO", "REFERER",
                   "X_FORWARDED_HOST", "X_CSRFTOKEN", "USER_AGENT", "RANGE", "ORIGIN",
                   "IF_NONE_MATCH", "IF_MODIFIED_SINCE", "CONTENT_LENGTH"):  # fmt: skip
        if rng.random() < 0.08:
            value = rng.choice(
                ("a..b", "javascript:", "//evil", "de,en;q=" + "9" * 400, "de-" * 80_000, "[::1",
                 "bytes=0-,5-2", "\xff\xfe", "localhost:99999", "x" * 5000, "-1", "", "@", "a b",
                 "zh;q=nan,de;q=1e400")
            )  # fmt: skip
            name = header if header == "CONTENT_LENGTH" else f"HTTP_{header}"
            if header != "CONTENT_LENGTH" or value in ("-1", "", "@"):
                environ[name] = value
    return rule.rule, environ


def _latin(data: bytes) -> str:
    return data.decode("latin-1")


def ask_all(found: Findings, rng: random.Random, study: Path, folder: Path, requests: int) -> None:
    """Send so many requests to the site; an exception or a status from 500 but 503 is a fault."""
    visitors = Visitors(study, folder / "site.sqlite")
    client = Client(visitors.app.wsgi_app)
    logging.disable(logging.CRITICAL)
    try:
        for number in range(requests):
            if number % _FRESH == 0:
                visitors.renew()
            visitors.app.config["WTF_CSRF_ENABLED"] = number % 4 == 0
            rule, environ = request(rng, visitors.app, visitors.known, visitors.words)

            def run(environ: dict[str, Any] = environ, rule: str = rule) -> None:
                answer = client.run_wsgi_app(environ, buffered=True)
                status = int(answer[1].split(" ")[0])
                found.statuses[status] += 1
                if status >= 500 and status != 503:
                    found.server_errors += 1
                    found.faults.setdefault(f"{environ['REQUEST_METHOD']} {rule}: {status}", "")

            found.give("site", run)
            if number % 1000 == 999:
                progress(f"{number + 1} requests, {found.server_errors} server errors")
    finally:
        logging.disable(logging.NOTSET)
    visitors.store.dispose()


def fuzz(inputs: int, seed: int = SEED) -> tuple[Findings, int]:
    """All of it; what was found, and by how many bytes the peak of memory grew over the start."""
    rng, found = random.Random(seed), Findings()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        study = noise_study(folder / "noise", 3, 4)
        qualities = {("", method): 2.0 + place / 2 for place, method in enumerate(METHODS)}
        rehearse(study, f"sqlite:///{study / 'votes.sqlite'}", 2, qualities)
        (folder / "files").mkdir()
        before = _peak()
        requests = inputs * 3 // 10
        ask_all(found, rng, study, folder, requests)
        read_all(found, rng, folder / "files", study, (inputs - requests) * 50 // 53)
        return found, _peak() - before


def _peak() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main() -> int:
    """Run it and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=INPUTS)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    origin = provenance()
    found, grown = fuzz(options.inputs, options.seed)
    content: Mapping[str, Any] = {
        **origin,
        "seed": options.seed,
        "inputs": sum(found.inputs.values()),
        "unhandled": found.unhandled,
        "server_errors": found.server_errors,
        "peak_grown_mb": round(grown / 1e6),
        "by_target": {n: [found.inputs[n], found.taken[n]] for n in sorted(found.inputs)},
        "statuses": {str(status): count for status, count in sorted(found.statuses.items())},
        "faults": found.faults,
    }
    write_results(options.out, "fuzz", content, "Damaged inputs", lines(content))
    print(options.out / "fuzz.md")
    return int(bool(found.unhandled or found.server_errors or grown >= GOAL_BYTES))


def lines(content: Mapping[str, Any]) -> list[str]:
    """The page of results, below its head."""
    made = [
        f"{content['inputs']:,} inputs, seed {content['seed']}. Unhandled exceptions: "
        f"{content['unhandled']}. Answers of 500 and more, but 503: {content['server_errors']}. "
        f"Memory at its peak above the start: {content['peak_grown_mb']} MB (goal: under "
        f"{GOAL_BYTES / 1e6:.0f}).",
        "",
        "| target | inputs | taken |",
        "| --- | ---: | ---: |",
    ]
    made += [f"| {name} | {n:,} | {ok:,} |" for name, (n, ok) in content["by_target"].items()]
    made += [
        "",
        "Answers of the site by status: "
        + ", ".join(f"{status} {count:,}" for status, count in content["statuses"].items())
        + ".",
    ]
    if content["faults"]:
        made += ["", "| fault, the first of its kind | it said |", "| --- | --- |"]
        made += [
            f"| {key} | {said} |".replace("\n", " ") for key, said in content["faults"].items()
        ]
    return made


if __name__ == "__main__":
    sys.exit(main())
