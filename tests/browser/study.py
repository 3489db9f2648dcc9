"""A frozen study of two real photographs, and the real site that serves it."""

from __future__ import annotations

import hashlib
import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import skimage.data
from PIL import Image
from sqlalchemy import select
from waitress.server import create_server
from werkzeug import Response

from sreval.site.app import create_app, personal_link
from sreval.site.config import Rates, SiteConfig
from sreval.store import models
from sreval.store.database import Store
from sreval.study.design import StudyDesign
from sreval.study.manifest import MANIFEST, STIMULI, Manifest, Stimulus
from sreval.study.task import REFERENCE

UInt8 = npt.NDArray[np.uint8]
LOGIN = "<!doctype html><title>Hotel</title><h1>Please log in</h1>"


def design(**changes: Any) -> dict[str, Any]:
    """Examples, practice and six votes with one break; questions before and after."""
    content: dict[str, Any] = {
        "name": "photographs",
        "title": "How good do enlarged photographs look?",
        "instructions": "You will see photographs that were enlarged in different ways. Some are "
        "sharp, some are not.\n\nPlease say how good each one looks to you as a whole. There is "
        "no time limit, but your first impression counts most.",
        "raters": 200,
        "seed": 11,
        "images": {
            "methods": ["nearest", "bicubic", "hr"],
            "datasets": [{"name": "skimage", "images": list(_scenes())}],
        },
        "calibration": {
            "dataset": "skimage",
            "images": 1,
            "anchors": [{"method": "nearest", "score": 1}, {"method": "hr", "score": 5}],
        },
        "warm_up": {"dataset": "skimage", "images": 1, "methods": ["bicubic"]},
        "order": {"scene_distance": 1},
        "sittings": {"break_every": 6, "break_seconds": 1},
        "viewing": {"least_ms": 100, "grey_ms": 100},
        "consent": {
            "version": "1",
            "text": "You take part in a study of how photographs look after they were enlarged. "
            "It takes about ten minutes.\n\nYour scores are stored under a pseudonym. You may "
            "stop at any time and have your scores deleted.",
        },
        "questions": [
            {
                "key": "sight",
                "text": "Is your sight normal, or corrected to normal by glasses or lenses?",
                "options": ["Yes", "No"],
            },
            {
                "key": "distance",
                "text": "How far are your eyes from the screen, in centimetres?",
                "kind": "number",
                "low": 20,
                "high": 300,
            },
            {
                "key": "light",
                "text": "How is the room lit?",
                "options": ["Daylight", "Lamps", "Dark"],
            },
            {
                "key": "remarks",
                "when": "after",
                "text": "Is there anything that you wish to tell us?",
                "kind": "text",
                "required": False,
            },
        ],
        "outcomes": {"complete": "QX7-4421"},
    }
    return content | changes


def plain(**changes: Any) -> dict[str, Any]:
    """Six votes and nothing else."""
    gone = ("calibration", "warm_up", "questions")
    content = {key: value for key, value in design().items() if key not in gone}
    return content | {"sittings": {}} | changes


def _scenes() -> dict[str, UInt8]:
    """Two photographs, one of an odd width and one of an odd height."""
    return {
        "astronaut": skimage.data.astronaut()[0:320, 10:491],
        "coffee": skimage.data.coffee()[10:367, 120:448],
    }


def _version(image: UInt8, method: str) -> UInt8:
    if method == "hr":
        return image
    height, width = image.shape[:2]
    how = Image.Resampling.NEAREST if method == "nearest" else Image.Resampling.BICUBIC
    small = Image.fromarray(image).resize((width // 4, height // 4), Image.Resampling.BICUBIC)
    return np.asarray(small.resize((width, height), how))


def freeze(folder: Path, content: dict[str, Any]) -> Path:
    """A study's folder, frozen."""
    checked = StudyDesign.model_validate(content)
    in_view = [REFERENCE] if checked.task.shows_reference else []
    methods = dict.fromkeys([*checked.images.methods, *in_view])
    (folder / STIMULI).mkdir(parents=True)
    rows = [f"{key} = {_toml(value)}\n" for key, value in content.items()]
    (folder / "study.toml").write_text("".join(rows), encoding="utf-8")
    stimuli = []
    for name, image in _scenes().items():
        for method in methods:
            buffer = io.BytesIO()
            Image.fromarray(_version(image, method)).save(buffer, "PNG")
            sha256 = hashlib.sha256(buffer.getvalue()).hexdigest()
            (folder / STIMULI / f"{sha256}.png").write_bytes(buffer.getvalue())
            height, width = image.shape[:2]
            stimuli.append(Stimulus("skimage", name, name, method, sha256, sha256, width, height))
    (folder / MANIFEST).write_text(Manifest(tuple(stimuli)).as_json(), encoding="utf-8")
    return folder


def _toml(value: Any) -> str:
    """Scalars and arrays of JSON are TOML; tables stand inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)


@dataclass(frozen=True)
class Served:
    """A study that is being served."""

    folder: Path
    url: str
    store: Store
    link: Callable[[], str]
    """A new rater's personal link."""
    earlier: frozenset[str] = frozenset()
    """Sessions of other tests."""
    _portal: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def behind_a_portal(self) -> Iterator[None]:
        """A hotel answers everything in the site's place, with its login page and status 200."""
        self._portal.set()
        try:
            yield
        finally:
            self._portal.clear()

    def stored(self) -> list[models.Vote]:
        """Every vote of this test, in the order of their storing."""
        with self.store.read() as tx:
            found = tx.scalars(select(models.Vote).order_by(models.Vote.stored_at)).all()
        return [vote for vote in found if vote.session_id not in self.earlier]

    def votes(self) -> list[tuple[int, float]]:
        """Their positions and scores."""
        return [(vote.position, vote.score) for vote in self.stored()]

    def for_one_test(self) -> Served:
        """The same site; votes of earlier tests don't count."""
        return replace(self, earlier=frozenset(vote.session_id for vote in self.stored()))


@contextmanager
def served(folder: Path, content: dict[str, Any], rates: Rates | None = None) -> Iterator[Served]:
    """The real site on a free port of the loopback address."""
    freeze(folder, content)
    config = SiteConfig.given(study=folder, database=str(folder / "votes.sqlite"), rates=rates)
    app = create_app(config)
    portal, hotel = threading.Event(), Response(LOGIN, mimetype="text/html")
    server = create_server(
        lambda *request: (hotel if portal.is_set() else app)(*request),
        host="127.0.0.1",
        port=0,
        threads=4,
    )
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            server.asyncore.loop(timeout=1, map=server._map, count=1)
        for channel in list(server.active_channels.values()):
            channel.handle_close()

    thread = threading.Thread(target=run)
    thread.start()
    url = f"http://127.0.0.1:{server.effective_port}"
    store = app.extensions["sreval"].store
    try:
        yield Served(folder, url, store, lambda: url + personal_link(app), _portal=portal)
    finally:
        stop.set()
        server.pull_trigger()
        thread.join()
        server.task_dispatcher.shutdown()
        server.close()
        store.dispose()
