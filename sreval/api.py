"""The public functions and classes: what ``import sreval`` offers, and all that a command calls.

Nothing heavy is imported before a function needs it: neither torch nor pandas, no web framework.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from sreval.errors import (
    ArrayError,
    ImageError,
    SrevalError,
    StatisticsError,
    UsageError,
    counted,
    listed,
    option,
    unknown_name,
)
from sreval.opinions.units import DEFAULT_UNIT, INTERVAL_OF, STUDIES

if TYPE_CHECKING:
    from datetime import datetime

    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    from matplotlib.figure import Figure

    from sreval.benchmarking.data import Checked, Downscaled
    from sreval.benchmarking.plan import Resolved
    from sreval.images.resize import Border
    from sreval.methods import Upscaler
    from sreval.methods.pictures import PictureUpscaler
    from sreval.metrics.protocol import Protocol
    from sreval.opinions.units import IntervalName, Unit
    from sreval.opinions.votes import Scale
    from sreval.report.choices import AnalysisName, FigureName
    from sreval.report.opinions import Request
    from sreval.report.protocols import Conventions
    from sreval.report.scores import Layout, ScoreTable
    from sreval.report.study_folder import WrittenReport
    from sreval.report.study_text import CheckedStudy, Status
    from sreval.report.table import Table
    from sreval.site.checks import Check
    from sreval.site.config import SiteConfig
    from sreval.store.database import Store
    from sreval.store.operators import OperatorRow, Role
    from sreval.store.rehearsal import Rehearsal
    from sreval.store.snapshot import Imported
    from sreval.study.design import StudyDesign
    from sreval.study.manifest import Manifest
    from sreval.training.run import Outcome

    UInt8 = npt.NDArray[np.uint8]
    Method: TypeAlias = str | Path | Callable[..., Any] | Upscaler

__all__ = [
    "Dataset",
    "Model",
    "Results",
    "SrevalError",
    "benchmark",
    "datasets",
    "downscale",
    "fetch",
    "lpips",
    "models",
    "psnr",
    "read_results",
    "score",
    "ssim",
    "train",
    "upscaler",
]

# Images, metrics, benchmarks and training


def downscale(hr: UInt8, scale: int = 4, *, border: Border = "replicate") -> UInt8:
    """The low-resolution image that a benchmark gives its methods: MATLAB's bicubic ``imresize``.

    Keys' cubic convolution (1981, a = -0.5), antialiased, rounded half away from zero after each
    of the two passes.

    Args:
        hr: uint8 (H, W, 3) or (H, W), both sides multiples of ``scale``.
        scale: a whole number from 2 to 16.
        border: ``replicate`` as MATLAB's older releases and the published LR images of Set5, Set14
            and BSD100 have it, or ``symmetric`` as the newer releases.

    Returns:
        uint8 (H / scale, W / scale[, 3]).

    Raises:
        SrevalError: a ValueError, for another type, shape, scale or border.

    Example:
        >>> import numpy as np, sreval
        >>> hr = np.full((8, 12, 3), 200, np.uint8)
        >>> sreval.downscale(hr, 4).shape
        (2, 3, 3)
    """
    from sreval.images.arrays import require_image
    from sreval.images.resize import BORDERS
    from sreval.images.resize import downscale as of_benchmark

    if border not in BORDERS:
        raise unknown_name("border", border, BORDERS)
    require_image(hr, "hr")
    with _arrays():
        return of_benchmark(hr, scale, border)


def psnr(hr: UInt8, sr: UInt8, protocol: str | Protocol = "ledig2017", scale: int = 4) -> float:
    """Peak signal-to-noise ratio in dB, as a benchmark scores it.

    10 log10(255^2 / MSE) of what the protocol compares. The default protocol is that of
    ``benchmark``, the SRGAN paper's (Ledig et al. 2017): so the value is the one in its results.
    Name ``matlab`` for the figure that most papers print.

    Args:
        hr: the original, uint8 (H, W, 3) or (H, W).
        sr: what is scored, of the same height and width. Where one of the two is grey, it is
            repeated to RGB.
        protocol: ``ledig2017``, ``matlab``, ``rgb``, or a Protocol. It fixes luma and border.
        scale: the upscaling factor, by which ``matlab`` and ``rgb`` crop the border.

    Returns:
        dB, higher is better; infinite for identical images.

    Raises:
        SrevalError: a ValueError, for arrays that are no images, differ in size or are smaller
            than the border, and for an unknown protocol.

    Example:
        >>> import numpy as np, sreval
        >>> hr = np.full((32, 32), 100, np.uint8)
        >>> round(sreval.psnr(hr, hr + np.uint8(1), protocol="matlab"), 2)
        48.13
    """
    return _value(hr, sr, protocol, "psnr", scale)


def ssim(
    hr: UInt8,
    sr: UInt8,
    protocol: str | Protocol = "ledig2017",
    scale: int = 4,
    *,
    device: str = "auto",
) -> float:
    """Mean structural similarity (Wang et al. 2004), as a benchmark scores it.

    ``matlab`` and ``rgb`` take the 11x11 Gaussian window of that paper, ``ledig2017`` the one of
    daala's ``dump_ssim``, which grows with the image.

    Args:
        hr: the original, uint8 (H, W, 3) or (H, W).
        sr: what is scored, of the same height and width.
        protocol: ``ledig2017``, ``matlab``, ``rgb``, or a Protocol; see ``psnr``.
        scale: the upscaling factor, by which ``matlab`` and ``rgb`` crop the border.
        device: ``auto`` (a GPU where there is one), ``cpu`` or ``cuda``.

    Returns:
        -1 to 1, higher is better; 1 for identical images.

    Raises:
        SrevalError: a ValueError, as ``psnr``, and for images smaller than the window.

    Example:
        >>> import numpy as np, sreval
        >>> hr = np.arange(1024, dtype=np.uint16).reshape(32, 32).astype(np.uint8)
        >>> sreval.ssim(hr, hr)
        1.0
    """
    return _value(hr, sr, protocol, "ssim", scale, device)


def lpips(
    hr: UInt8,
    sr: UInt8,
    net: Literal["alex", "vgg"] = "alex",
    scale: int = 4,
    *,
    device: str = "auto",
) -> float:
    """Learned perceptual distance (Zhang et al. 2018, version 0.1), as a benchmark scores it.

    ``scale`` pixels are cropped on each side, then the whole image is compared in colour.

    Args:
        hr: the original, uint8 (H, W, 3) or (H, W).
        sr: what is scored, of the same height and width.
        net: the trunk, ``alex`` or ``vgg``. ``sreval data fetch lpips-alex`` brings its weights.
        scale: the upscaling factor, and the pixels that are cropped.
        device: ``auto`` (a GPU where there is one), ``cpu`` or ``cuda``.

    Returns:
        0 for identical images; lower is better.

    Raises:
        SrevalError: a ValueError, as ``psnr``, and for images smaller than the trunk takes. A
            DataError where the trunk's weights are missing.

    Example:
        >>> import numpy as np, sreval
        >>> hr = np.zeros((64, 64, 3), np.uint8)
        >>> sreval.lpips(hr, hr)  # doctest: +SKIP
        0.0
    """
    metrics = {"alex": "lpips", "vgg": "lpips-vgg"}
    if net not in metrics:
        raise unknown_name("trunk of LPIPS", net, metrics)
    # under which of the protocols makes no difference to LPIPS
    return _value(hr, sr, "ledig2017", metrics[net], scale, device)


def score(
    hr: UInt8,
    sr: UInt8,
    protocols: Sequence[str | Protocol] | str | Protocol = ("ledig2017",),
    metrics: Sequence[str] | str = ("psnr", "ssim"),
    scale: int = 4,
    *,
    device: str = "auto",
) -> pd.DataFrame:
    """All metrics of one image under all protocols: the values that a benchmark would write.

    Args:
        hr: the original, uint8 (H, W, 3) or (H, W).
        sr: what is scored, of the same height and width.
        protocols: any of ``ledig2017``, ``matlab``, ``rgb``, or Protocols.
        metrics: any of ``psnr``, ``ssim``, ``lpips``, ``lpips-vgg``.
        scale: the upscaling factor.
        device: ``auto`` (a GPU where there is one), ``cpu`` or ``cuda``.

    Returns:
        A row for each protocol and metric, with the columns ``protocol``, ``metric``, ``value``
        and ``note``. A value that can't be computed is NaN, and its note says why.

    Raises:
        SrevalError: a ValueError, for arrays that are no images or differ in size, and for an
            unknown protocol or metric; a DataError where the weights of LPIPS's trunk are missing.

    Example:
        >>> import numpy as np, sreval
        >>> hr = np.full((32, 32), 100, np.uint8)
        >>> found = sreval.score(hr, hr, protocols=["matlab", "rgb"], metrics=["psnr"])
        >>> found["value"].tolist()
        [inf, inf]
    """
    import pandas as pd

    from sreval.metrics import scorer

    named, under = (list(dict.fromkeys(_several(given))) for given in (metrics, protocols))
    for what, given in (("metrics", named), ("protocols", under)):
        if not given:
            raise UsageError(f"{what} is empty.", "Name one or several.")
    with _arrays():
        on = [_protocol(one) for one in under]
        found = scorer.score(hr, sr, on, named, _scale(scale), _device(named, device))
    rows = [(one.protocol, one.metric, one.value, one.note) for one in found]
    return pd.DataFrame(rows, columns=["protocol", "metric", "value", "note"])


@dataclass(frozen=True, repr=False, eq=False)
class Results:
    """Scores of methods on data sets: what ``benchmark`` gives and ``read_results`` reads.

    A notebook shows them as their table.

    Attributes:
        frame: one row a (data set, scale, method, image, protocol, metric), its ``value``, a
            ``note`` where something is to be said of it, and the SHA-256 of all that it depends
            on. The values of an image that a method failed on are NaN, the reason their note.
        folders: where the results lie, with every SR image as PNG.
        notes: what was left out, and why.
        computed: how many SR images ``benchmark`` made or scored anew.
        reused: how many it took over from an earlier run as they were.
    """

    frame: pd.DataFrame
    folders: tuple[Path, ...]
    notes: tuple[str, ...] = ()
    computed: int = 0
    reused: int = 0

    @property
    def folder(self) -> Path:
        """The results folder. Raises UsageError where there are several."""
        if len(self.folders) > 1:
            raise UsageError(f"These results lie in {len(self.folders)} folders.", "See folders.")
        return self.folders[0]

    @property
    def failures(self) -> pd.DataFrame:
        """The images that a method failed on: dataset, image, method, reason."""
        from sreval.report.collect import scored

        failed = self.frame.drop(scored(self.frame).index).rename(columns={"note": "reason"})
        columns = ["dataset", "image", "method", "reason"]
        return failed[columns].drop_duplicates(ignore_index=True)

    def table(
        self,
        *,
        baseline: str | None = None,
        pairs: bool = False,
        protocol: str | None = None,
        scale: int | None = None,
        metrics: Sequence[str] | str | None = None,
        layout: Layout = "methods",
        paper: bool = False,
        level: float = 0.95,
        votes: VotesLike | None = None,
        studies: Sequence[Any] | Any = (),
        unit: Unit | None = None,
        database: str | None = None,
        allow_open: bool = False,
    ) -> ScoreTable:
        """The results as the SRGAN paper arranges them, with intervals and tests.

        Means with Student's t intervals over images, the best and the second marked; paired
        two-sided Wilcoxon signed-rank tests on request, Holm-adjusted within one data set and
        metric.

        Args:
            baseline: test every method against this one.
            pairs: test all pairs instead; methods that share a letter weren't shown to differ.
            protocol: by default one that all folders have, ``ledig2017`` before others.
            scale: needed where the results hold several.
            metrics: by default all that were computed.
            layout: ``methods`` for all of them, ``losses`` for the paper's loss variants alone.
            paper: add the paper's own figures.
            level: of the intervals, such as 0.95.
            votes: opinions of the same images, for rows of MOS: what ``read_votes`` gives or takes.
            studies: closed studies of the same images, for rows of MOS: names, folders or Studies.
            unit: what varies in intervals and tests of MOS, ``rater``, ``image`` or ``pooled``; by
                default what the study plans, ``rater`` for votes.
            database: where the studies' votes are, if not where their folders say.
            allow_open: take studies that aren't closed, too.

        Returns:
            A Table: ``frame``, ``tests``, ``to_latex()``, ``to_markdown()``, ``to_html()``,
            ``to_csv()``, ``to_json()``, ``to_text()``.

        Raises:
            SrevalError: for a name that the results don't hold, for results without any score,
                and for opinions of other images.
        """
        from dataclasses import replace

        from sreval.content import find
        from sreval.opinions.reading import is_means, needs_votes
        from sreval.opinions.units import UNITS
        from sreval.report.collect import require_scores, select
        from sreval.report.opinion_rows import (
            check_same_stimuli,
            scored_votes,
            scores_of_all,
            with_mos,
            with_studies,
        )
        from sreval.report.scores import LAYOUTS, score_table
        from sreval.report.study_load import load

        if pairs and baseline is not None:
            raise UsageError("pairs and baseline can't be had together.", "Leave one out.")
        named = _several(studies)
        if votes is not None and named:
            raise UsageError("votes and studies can't be had together.", "Leave one out.")
        if not 0.5 <= level <= 0.999:
            raise UsageError(f"{level} isn't a valid level of an interval.", "Give 0.5 to 0.999.")
        for kind, name, known in (("layout", layout, LAYOUTS), ("unit", unit or "rater", UNITS)):
            if name not in known:
                raise unknown_name(kind, name, known)
        opened = [
            load(
                getattr(one, "folder", None) or find("studies", str(one)),
                getattr(one, "database", None) or database,
                allow_open=allow_open,
                means=True,
            )
            for one in named
        ]
        for folder in self.folders:
            require_scores(self.frame, folder)
        frame = select(self.frame, protocol, scale)
        notes: list[str] = []
        if opened:
            frame, notes = scores_of_all(frame, opened)
        made = score_table(
            frame,
            layout,
            metrics=None if metrics is None else _several(metrics),
            baseline=baseline,
            pairs=pairs,
            with_paper=paper,
            level=level,
        )
        if votes is not None:
            opinions = read_votes(votes)
            if is_means(opinions.frame):
                raise needs_votes("A row of MOS")
            rated, notes = scored_votes(frame, opinions.frame)
            check_same_stimuli(frame, rated)
            made = with_mos(
                made,
                rated,
                unit=unit or "rater",
                baseline=baseline,
                pairs=pairs,
                level=level,
                scale=opinions.scale,
            )
        made = with_studies(made, opened, unit, baseline=baseline, pairs=pairs, level=level)
        return replace(made, notes=[*made.notes, *self.notes, *notes])

    def figure(
        self,
        kind: Literal["comparison", "scores"],
        *,
        dataset: str | None = None,
        image: str | None = None,
        metric: str = "psnr",
        methods: Sequence[str] | str = (),
        region: Sequence[int] | str | None = None,
        protocol: str | None = None,
        scale: int | None = None,
    ) -> Figure:
        """One image under every method, or the scores of every image.

        Args:
            kind: ``comparison`` for one region of one image under every method, enlarged by pixel
                repetition; ``scores`` for every image's score under every method.
            dataset: may be left out where only one has such an image, or only one is there.
            image: of ``comparison``: its name in the results, or its common name (butterfly).
            metric: of ``scores``.
            methods: of ``comparison``; by default all.
            region: of ``comparison``: x, y, width and height in HR pixels; by default where the
                first method errs most.
            protocol: by default one that all folders have, ``ledig2017`` before others.
            scale: needed where the results hold several.

        Returns:
            A matplotlib Figure; ``figure.savefig("butterfly.pdf")`` writes it.

        Raises:
            SrevalError: for a name that the results don't hold, and for an image that is no longer
                what was scored.
        """
        import matplotlib as mpl

        from sreval.report.collect import select
        from sreval.report.figures import comparison_figure, parse_region, scores_figure

        if kind not in ("comparison", "scores"):
            raise unknown_name("kind of figure", kind, ("comparison", "scores"))
        frame = select(self.frame, protocol, scale)
        with mpl.rc_context():  # the look of our figures isn't that of the user's
            if kind == "scores":
                return scores_figure(frame, dataset, metric)
            if image is None:
                raise UsageError("A comparison is of one image.", "Name it: image=...")
            text = region if isinstance(region, str) else ",".join(map(str, region or ()))
            chosen = parse_region(text) if text else None
            return comparison_figure(frame, dataset, image, _several(methods), chosen)

    def worst(
        self,
        metric: str | None = None,
        most: int = 3,
        *,
        protocol: str | None = None,
        scale: int | None = None,
    ) -> pd.DataFrame:
        """The images on which each method does worst compared with the others.

        A single method's are those with its worst values.

        Args:
            metric: by default the first of PSNR, SSIM, LPIPS that was computed.
            most: rows per method, 1 or more.
            protocol: as for ``table``.
            scale: as for ``table``.

        Returns:
            Columns method, rank, dataset, image, name, metric, value, expected, difference; see
            ``report.worst.worst_images``.
        """
        from sreval.report.collect import select
        from sreval.report.worst import worst_images

        if most < 1:
            raise UsageError(f"most can't be {most}.", "Give 1 or more.")
        return worst_images(select(self.frame, protocol, scale), metric, most)

    def compare_protocols(
        self,
        *,
        datasets: Sequence[str] | str = (),
        methods: Sequence[str] | str = (),
        progress: bool = True,
    ) -> Conventions:
        """PSNR and SSIM of the same images under every convention that public tools use.

        Nothing of it is a result: it shows which tool gives which number.

        Args:
            datasets: by default all in the results.
            methods: by default all in the results.
            progress: whether to show a line of progress on stderr.

        Returns:
            Conventions: ``frame`` image by image, ``summary`` of the means; it prints as columns.

        Raises:
            SrevalError: for a name that the results don't hold, and for an image that is no longer
                what was scored.
        """
        from sreval.report.protocols import compare_conventions

        return compare_conventions(self.frame, _several(datasets), _several(methods), progress)

    def methods_text(self) -> str:
        """Paragraphs for a paper's methods section on what ``frame`` holds, with references.

        What a manifest can't know stands in square brackets, for the author to fill in.

        Raises:
            SrevalError: where a manifest is missing or damaged, and for results without any score.
        """
        from sreval.report.methods_text import methods_text

        return methods_text(self.frame, self.folders, self.notes)

    def __repr__(self) -> str:
        counts = self.frame.groupby("dataset", sort=False)["image"].nunique().items()
        sets = ", ".join(f"{name} ({images} images)" for name, images in counts)
        names = {
            column: ", ".join(dict.fromkeys(self.frame[column]))
            for column in ("method", "metric", "protocol")
        }
        failed = len(self.failures)
        return (
            f"Results of {names['method']} on {sets}: {names['metric']} under {names['protocol']}, "
            f"{failed} failures, in {', '.join(map(str, self.folders))}"
        )

    def _repr_html_(self) -> str:
        from html import escape

        from sreval.errors import attempted

        table, why = attempted(self.table)
        if table is None:
            return f"<p>{escape(f'{self!r}. {why}')}</p>"
        count = len(self.failures)
        return table._repr_html_() + (f"<p>{count} failures: see failures.</p>" if count else "")


def benchmark(
    methods: Mapping[str, object] | Sequence[object] | Method,
    datasets: Sequence[str | Path] | str | Path,
    *,
    out: Path | str | None = None,
    protocols: Sequence[str] | str = ("ledig2017",),
    metrics: Sequence[str] | str = ("psnr", "ssim"),
    scale: int = 4,
    device: str = "auto",
    precision: Literal["fp32", "bf16"] = "fp32",
    tile: int | None = None,
    workers: int | None = None,
    progress: bool = True,
    command: str = "",
) -> Results:
    """Run methods on data sets, keep every SR image, and score them under named protocols.

    An image that a method fails on stops none of the others: it is in ``Results.failures``, with
    the reason, also where that is all of them. Ctrl-C leaves a folder from which the same call goes
    on.

    Args:
        methods: by the name that each is to have, or a list. A method is

            - a name (``nearest``, ``bicubic``, ``lanczos``, ``hr``, a model's), a weight file,
              ``published:FOLDER``, or ``python:package.module:function,weights=FILE``;
            - a function: LR image in, uint8 (h, w, 3); SR image out, (scale h, scale w, 3), uint8
              or floats of 0..255. Where it has a parameter ``scale``, it gets the scale;
            - a torch.nn.Module from (1, 3, h, w) to (1, 3, scale h, scale w), RGB, both in 0..1. A
              copy of it runs in evaluation mode.

        datasets: ``Set5``, ``Set14``, ``BSD100``, ``Urban100``, ``demo``, a folder of HR images,
            ``hr=FOLDER,lr=FOLDER``, or a TOML file.
        out: the results folder. What is there and still holds is taken over. Without one, a
            temporary folder is removed together with the last reference to the Results.
        protocols: any of ``ledig2017``, ``matlab``, ``rgb``.
        metrics: any of ``psnr``, ``ssim``, ``lpips``, ``lpips-vgg``.
        scale: the upscaling factor, 2 to 16.
        device: ``auto`` (a GPU where there is one), ``cpu`` or ``cuda``.
        precision: of models by name or file: ``fp32`` or ``bf16``.
        tile: side of their tiles in LR pixels, to bound the memory; None takes whole images.
        workers: images worked on at once; None: one a core.
        progress: whether to say on stderr what will be done, and how far it is.
        command: what the manifest is to name as what made the results; by default this call.

    Returns:
        Results: of what was asked for here; the folder may hold more.

    Raises:
        SrevalError: before any image is made, for a name that means nothing and for a method that
            can't serve a data set; a DataError where the folder can't be written.

    A second run takes over what holds. Nothing tells what a function given here depends on, so it
    is called anew; ``python:module:function,weights=FILE`` names what a function reads. A module is
    taken over where its classes are those of installed packages and its weights are the same.

    Example:
        >>> import numpy as np, sreval
        >>> def nearest(lr, scale):
        ...     return lr.repeat(scale, axis=0).repeat(scale, axis=1)
        >>> results = sreval.benchmark({"ours": nearest, "bicubic": "bicubic"}, "demo",
        ...                            metrics="psnr", progress=False)
        >>> results.table(baseline="bicubic").frame[["method", "n"]].values.tolist()
        [['bicubic', 5], ['ours', 5]]
    """
    import shutil
    import tempfile
    import weakref

    from sreval.settings import user_path

    asked = methods if isinstance(methods, Mapping) else _several(methods)
    texts, own = _methods(asked)
    settings: dict[str, Any] = {
        "datasets": [str(dataset) for dataset in _several(datasets)],
        "out": out,
        "protocols": _several(protocols),
        "metrics": _several(metrics),
        "scale": scale,
        "device": device,
        "precision": precision,
        "tile": tile,
        "workers": workers,
    }
    command = command or _call(benchmark, {"methods": asked, **settings})
    settings["methods"] = texts
    del settings["out"]
    if out is not None:
        return _run(settings, own, user_path(out), progress, command)
    folder = Path(tempfile.mkdtemp(prefix="sreval-"))
    try:
        results = _run(settings, own, folder, progress, command)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(results, shutil.rmtree, folder, ignore_errors=True)
    return results


def read_results(folders: Sequence[str | Path] | str | Path) -> Results:
    """The results that ``benchmark``, or the command of that name, wrote.

    Args:
        folders: one results folder or several, to be shown together.

    Returns:
        Results. Scores that don't hold for a data set as it is now are left out; ``notes`` say so.

    Raises:
        SrevalError: a DataError, for a folder without results or without any score, and for
            folders that can't be shown together, such as those of one method in two versions.

    Example:
        >>> import sreval
        >>> results = sreval.read_results("results")  # doctest: +SKIP
        >>> results.table(baseline="bicubic").to_latex()  # doctest: +SKIP
    """
    from sreval.report.collect import collect
    from sreval.settings import user_path

    named = _several(folders)
    for one in named:
        if not isinstance(one, str | Path):
            raise UsageError(f"A folder can't be {_a(one)}.", "Give its path, str or Path.")
    paths = tuple(dict.fromkeys(user_path(folder) for folder in named))
    if not paths:
        raise UsageError("No results folder is named.", "Name one.")
    notes: list[str] = []
    frame = collect(paths, notes.append)
    return Results(frame, paths, tuple(notes))


def upscaler(
    spec: Method,
    *,
    scale: int = 4,
    device: str = "auto",
    precision: Literal["fp32", "bf16"] = "fp32",
    tile: int | None = None,
) -> PictureUpscaler:
    """A method ready to enlarge images: call what it returns with an array.

    Args:
        spec: ``nearest``, ``bicubic``, ``lanczos``, a model's name, a weight file,
            ``python:package.module:function``, a function or a torch.nn.Module; see ``benchmark``.
        scale: the upscaling factor, 2 to 16; a model has one of its own.
        device: ``auto`` (a GPU where there is one), ``cpu`` or ``cuda``.
        precision: of a model: ``fp32`` or ``bf16``.
        tile: side of a model's tiles in LR pixels, to bound the memory; None takes whole images.

    Returns:
        A PictureUpscaler ``up``: ``up(lr)`` gives the SR image, uint8 (scale h, scale w[, 3]), of
        an LR image, uint8 (h, w[, 3]); ``up.files(pictures, out)`` enlarges files.

    Raises:
        SrevalError: a ValueError, for an unknown name, scale or device; a WeightsError for a model
            without weights.

    Example:
        >>> import numpy as np, sreval
        >>> up = sreval.upscaler("bicubic")
        >>> up(np.zeros((8, 12, 3), np.uint8)).shape
        (32, 48, 3)
    """
    from sreval.devices import PRECISIONS, pick_device
    from sreval.methods import Running, method_of
    from sreval.methods.pictures import PictureUpscaler

    if precision not in PRECISIONS:
        raise unknown_name("precision", precision, PRECISIONS)
    made = method_of(spec, Running(pick_device(device), precision, tile))
    return PictureUpscaler(made, _scale(scale))


def train(
    name: str,
    *,
    data: Sequence[Path | str] | Path | str,
    out: Path | str | None = None,
    profile: str = "paper",
    steps: int | None = None,
    minutes: float | None = None,
    until: datetime | None = None,
    changes: Mapping[str, Any] | None = None,
    device: str = "auto",
    precision: Literal["fp32", "bf16", "fp16"] | None = None,
    start: Path | str | None = None,
    different: Sequence[str] | str = (),
    resume: bool = False,
    progress: bool = True,
) -> Outcome:
    """Train a model by its recipe.

    Test images among the photographs are refused. SIGINT (Ctrl-C) and SIGTERM end the run at its
    next update, with a checkpoint; ``resume=True`` goes on from there, and on the same machine a
    run of given updates then has the weights of one that never stopped.

    Args:
        name: a model, such as ``srresnet-mse``, or the path of a folder with a recipe.toml.
        data: a folder of photographs, or several.
        out: the run's folder; by default runs/NAME-PROFILE.
        profile: one of the recipe's, such as ``paper``, ``gpu``, ``cpu`` or ``smoke``.
        steps: updates, instead of the profile's length.
        minutes: minutes of training, instead.
        until: the time to train up to, instead.
        changes: of the recipe, by dotted key: ``{"data.batch": 8}``.
        device: ``auto`` (a GPU where there is one), ``cpu`` or ``cuda``.
        precision: by default the recipe's.
        start: what to begin from instead of what the recipe names: weights, a run's folder, a
            model's name, or a light checkpoint.
        different: photographs, by file name, that only look like a test image.
        resume: go on from the last checkpoint in ``out``, where there is one.
        progress: whether to say on stderr how far it is.

    Returns:
        An Outcome: ``weights``, ``checkpoint``, ``out``, ``step``, and the ``signal`` that stopped
        it, None where it reached its end.

    Raises:
        SrevalError: a ValueError, for what can't be meant; a TrainingError or DataError for
            photographs that can't be trained on.

    Example:
        >>> import sreval
        >>> run = sreval.train("srresnet-mse", data="photographs",
        ...                    profile="smoke")  # doctest: +SKIP
        >>> up = sreval.upscaler(run.weights)  # doctest: +SKIP
    """
    import io

    from sreval.settings import user_path
    from sreval.training.log import ProgressLine
    from sreval.training.run import Request
    from sreval.training.run import train as run_training

    request = Request(
        name=name,
        data=[user_path(folder) for folder in _several(data)],
        out=None if out is None else user_path(out),
        profile=profile,
        steps=steps,
        changes=changes,
        device=device,
        precision=precision,
        start=None if start is None else user_path(start),
        resume=resume,
        minutes=minutes,
        until=until,
        different=_several(different),
    )
    return run_training(request, ProgressLine(None if progress else io.StringIO()))


def _call(function: Callable[..., Any], given: Mapping[str, object]) -> str:
    """A call of one of these functions as Python writes it, defaults left out."""
    from inspect import signature

    told = []
    for name, parameter in signature(function).parameters.items():
        default = parameter.default
        asked = given.get(name, default)
        if asked != (list(default) if isinstance(default, tuple) else default):
            positional = parameter.kind is parameter.POSITIONAL_OR_KEYWORD
            told.append(_literal(asked) if positional else f"{name}={_literal(asked)}")
    return f"sreval.{function.__name__}({', '.join(told)})"


def _literal(value: object) -> str:
    """A value as Python writes it; a function, module or class by its name."""
    if isinstance(value, str | Path):
        return repr(str(value))
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_literal(key)}: {_literal(one)}" for key, one in value.items())
        return f"{{{pairs}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    if callable(value) or hasattr(value, "specification"):
        return str(getattr(value, "__name__", type(value).__name__))
    return repr(value)


# Data sets


def datasets() -> pd.DataFrame:
    """The data sets known by name, and which of them are on this machine.

    Returns:
        A row a data set: ``name``, ``scales_known`` and ``scales_at_hand`` (lists; empty for a pool
        of photographs), ``folder`` ("" where the set isn't here), ``about``, ``licence``.

    Example:
        >>> import sreval
        >>> sreval.datasets()["name"].tolist()
        ['Set5', 'Set14', 'BSD100', 'Urban100', 'BSDS300-train', 'demo']
    """
    import pandas as pd

    from sreval.benchmarking.data import known_datasets

    return pd.DataFrame(known_datasets())


def fetch(
    names: Sequence[str] | str,
    *,
    scales: Sequence[int] | int = 4,
    to: Path | str | None = None,
    mirror: str | None = None,
    progress: bool = True,
) -> Path:
    """Fetch public data sets, and the weights of LPIPS's trunks and of VGG19.

    Each file is verified by SHA-256. What is there already is not fetched again, and an interrupted
    fetch goes on where it stopped.

    Args:
        names: any of ``Set5``, ``Set14``, ``BSD100``, ``Urban100``, ``BSDS300-train``,
            ``lpips-alex``, ``lpips-vgg``, ``vgg19``.
        scales: of the data sets.
        to: the folder for data sets; by default your own data folder. Weights have their own place.
        mirror: the address of a copy of the public repository.
        progress: whether to say on stderr what is fetched, and how far it is.

    Returns:
        The folder of the data sets.

    Raises:
        SrevalError: a ValueError, for an unknown name or scale; a DataError, for what can't be
            fetched or written.

    Example:
        >>> import sreval
        >>> folder = sreval.fetch(["Set5", "Set14"])  # doctest: +SKIP
    """
    from sreval.benchmarking import data
    from sreval.settings import user_path

    folder = None if to is None else user_path(to)
    return data.fetch(_several(names), _several(scales), folder, mirror, progress)


class Dataset:
    """A data set at one scale. Making the object reads nothing.

    Args:
        spec: a known name, a folder of HR images, ``hr=FOLDER,lr=FOLDER``, or a TOML file; see
            ``benchmark``.
        scale: the upscaling factor, 2 to 16.

    Example:
        >>> import sreval
        >>> sreval.Dataset("demo").check(progress=False).summary
        '3 LR to be made, 2 LR to be made (HR cropped)'
    """

    def __init__(self, spec: str | Path, scale: int = 4) -> None:
        from sreval.content import explicit

        self.spec = explicit(spec) if isinstance(spec, Path) else spec
        self.scale = scale

    def check(self, *, progress: bool = True) -> Checked:
        """Whether all is well: checksums where they are known, else that every image can be used.

        ``progress``: whether to show a line of progress on stderr.

        Returns a Checked: ``images``, a ``summary`` of how the LR images came about (MATLAB's
        bicubic by which border rule, or another way), ``left_out`` and ``problems``; ``print`` it.
        Raises a SrevalError for a data set that isn't there.
        """
        from sreval.benchmarking.data import check

        return check(self.spec, self.scale, progress)

    def downscale(
        self,
        out: Path | str,
        *,
        border: Border = "replicate",
        crop: bool = False,
        progress: bool = True,
    ) -> Downscaled:
        """Write the LR image of every image of a folder, as ``sreval.downscale`` makes it.

        Args:
            out: the folder for the LR images, PNGs of the same stems.
            border: as in ``sreval.downscale``.
            crop: first cut each image to multiples of the scale.
            progress: whether to say on stderr what is left out, and how far it is.

        Returns:
            A Downscaled: ``folder``, how many were ``written``, and ``failed``, which says by file
            name why an image was not.

        Raises:
            SrevalError: for a data set that is no folder of images, an invalid scale or border, and
                a folder that can't be written or holds the images themselves.
        """
        from sreval.benchmarking.data import downscale_folder
        from sreval.settings import user_path

        return downscale_folder(
            user_path(self.spec),
            user_path(out),
            self.scale,
            border,
            crop=crop,
            progress=progress,
        )

    def __repr__(self) -> str:
        return f"<Dataset {self.spec} x{self.scale}>"


# Models


def models() -> pd.DataFrame:
    """Every model known by name, with and without weights.

    Returns:
        A row a model: ``name``, ``about``, ``network`` (a dict), ``parameters``, ``profiles`` (a
        list), ``starts_from``, ``folder``, ``weights_sha256`` and ``updates`` of its weights (""
        and None without), and ``problem``: "", or why it can't be read; its other columns are then
        NaN.

    Example:
        >>> import sreval
        >>> found = sreval.models().set_index("name")
        >>> found.loc["srgan-vgg54", ["parameters", "starts_from"]].tolist()
        [1549462, 'srresnet-mse']
    """
    import pandas as pd

    from sreval.training.models import list_models

    found, broken = list_models()
    rows = [model.facts() | {"problem": ""} for model in found]
    rows += [{"problem": str(error)} for error in broken]
    return pd.DataFrame(rows, dtype=object)


class Model:
    """A model: its recipe, its weights where it has any, and its card.

    ``name`` is one of ``models``, or the path of its folder. ``sreval.upscaler(name)`` enlarges
    with it, ``sreval.train(name, ...)`` trains it.

    Raises UsageError for an unknown model or an incomplete recipe, WeightsError for weights that
    can't be read.

    Example:
        >>> import sreval
        >>> model = sreval.Model("espcn")
        >>> model.facts["parameters"], "smoke" in model.facts["profiles"]
        (24752, True)
        >>> print(model.card.splitlines()[0])
        # espcn
    """

    def __init__(self, name: str | Path) -> None:
        from sreval.content import explicit
        from sreval.training.models import get_model

        self.given = explicit(name) if isinstance(name, Path) else name
        self._found = get_model(self.given)

    @property
    def name(self) -> str:
        """What it is called."""
        return self._found.name

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self._found.folder

    @property
    def facts(self) -> dict[str, Any]:
        """What it is and holds: the columns of ``models``."""
        return self._found.facts()

    @property
    def own(self) -> bool:
        """Whether it lies in ./models or in SREVAL_HOME, so that its card can be written."""
        from sreval.content import own_folders

        return self._found.folder.parent in own_folders("models")

    @property
    def card(self) -> str:
        """Its card, Markdown; of a model without weights, how to train it.

        Raises UsageError where its weights have no card.
        """
        from sreval.training.models import read_card

        return read_card(self._found)

    def write_card(self, run: Outcome | Path | str | None = None, *, device: str = "auto") -> Path:
        """Score its weights, write its card anew, and return the card's path.

        ``run`` is the training run that made its weights: what ``train`` returned, or its folder.
        Without one, what the weights don't say is kept from the card that they have. ``device``
        is ``auto`` (a GPU where there is one), ``cpu`` or ``cuda``.

        Raises UsageError for another run, for a model that the package brings and for an unknown
        device, TrainingError for a folder that holds no run.
        """
        from sreval.devices import pick_device
        from sreval.training.models import read_run, renew_card

        on = pick_device(device)
        made = None if run is None else read_run(_run_folder(run))
        return renew_card(self._found, made, on)

    def verify(self) -> str:
        """Check recipe, weights and card in every respect.

        Returns a line that says what is in order. Raises UsageError or WeightsError for the first
        thing wrong.
        """
        from sreval.training.models import verify_model

        model = verify_model(self.given)
        unknown = "" if model.profile_recorded else "; its recipe was not recorded"
        return f"{model.name}: in order, weights {model.sha256[:12]}{unknown}"

    @classmethod
    def publish(
        cls,
        run: Outcome | Path | str,
        to: Path | str | None = None,
        *,
        replace: bool = False,
        device: str = "auto",
    ) -> Model:
        """Put a run's weights (fp16), recipe and card into your models folder.

        The card is scored on those of Set5, Set14 and BSD100 that are here.

        Args:
            run: what ``train`` returned, or the run's folder.
            to: a models folder; by default ./models where it exists, then SREVAL_HOME/models.
            replace: put these in the place of weights there already.
            device: where it is scored: ``auto`` (a GPU where there is one), ``cpu`` or ``cuda``.

        Returns:
            The model.

        Raises:
            SrevalError: a UsageError, for a smoke run, where weights lie already and for an
                unknown device; a TrainingError, for a folder that holds no run.
        """
        from sreval.devices import pick_device
        from sreval.settings import user_path
        from sreval.training.models import publish

        folder = None if to is None else user_path(to)
        return cls(publish(_run_folder(run), folder, replace, pick_device(device)))

    @staticmethod
    def training_figure(runs: Sequence[Outcome | Path | str] | Outcome | Path | str) -> Figure:
        """Losses and validation scores of training over the updates.

        Args:
            runs: what ``train`` returned, or a run's folder. Several, of one recipe from different
                seeds, are drawn as their mean and one standard deviation either side.

        Returns:
            A matplotlib Figure; ``figure.savefig("training.pdf")`` writes it.

        Raises:
            DataError: for a folder that holds no run, and for runs of several recipes.
        """
        import matplotlib as mpl

        from sreval.report.training_figures import require_one_recipe, training_figure

        folders = [_run_folder(run) for run in _several(runs)]
        require_one_recipe(folders)
        with mpl.rc_context():
            return training_figure(folders)

    def __repr__(self) -> str:
        updates = self.facts["updates"]
        weights = "no weights" if updates is None else f"weights of {updates:,} updates"
        return f"<Model {self.name}: {weights}>"


def _run_folder(run: Outcome | Path | str) -> Path:
    """The folder of a training run."""
    from sreval.settings import user_path

    return user_path(run if isinstance(run, str | Path) else run.out)


def _methods(methods: object) -> tuple[list[str], dict[str, tuple[str, object]]]:
    """Methods as a plan's texts, and those of them that are objects, by their text."""
    if isinstance(methods, Mapping):
        pairs = [(str(name), method) for name, method in methods.items()]
    else:
        pairs = [("", method) for method in _several(methods)]
    texts: list[str] = []
    own: dict[str, tuple[str, object]] = {}
    for name, method in pairs:
        if isinstance(method, str | Path):
            text = f"{name}={method}" if name else str(method)
        else:
            text = name or f"{getattr(method, '__name__', type(method).__name__)}"
        if text in own:
            raise UsageError(f"Two methods are called {text!r}.", "Give a dict of name and method.")
        texts.append(text)
        if name or text != str(method):
            own[text] = (name, method)
    return texts, own


def _run(
    settings: Mapping[str, Any],
    own: Mapping[str, tuple[str, object]],
    folder: Path,
    progress: bool,
    command: str,
) -> Results:
    """A benchmark into ``folder``; ``settings`` are those of a plan, ``own`` as in ``resolve``."""
    from pydantic import ValidationError

    from sreval.benchmarking.plan import BenchmarkPlan, resolve
    from sreval.benchmarking.run import asked, run
    from sreval.config import config_error
    from sreval.methods.dependencies import apart
    from sreval.report.collect import with_failures

    try:
        plan = BenchmarkPlan.model_validate(settings)
    except ValidationError as error:
        raise config_error("benchmark", error) from None
    with apart():
        resolved = resolve(plan, own)
        with _shown(resolved, folder) if progress else nullcontext(lambda _: None) as update:
            outcome = run(resolved, folder, update, command)
    frame = with_failures(outcome.frame.assign(folder=str(folder)), [folder])
    return Results(
        asked(frame, resolved).reset_index(drop=True),
        (folder,),
        computed=outcome.computed,
        reused=outcome.reused,
    )


@contextmanager
def _shown(resolved: Resolved, folder: Path) -> Iterator[Callable[[int], object]]:
    """What a run will do, how far it is, and what its next one could be spared, on stderr."""
    import click

    from sreval.benchmarking.estimate import estimate
    from sreval.benchmarking.run import total_images
    from sreval.images.folders import left_out_note
    from sreval.progress import progress_line

    notes = [f"{d.name}: {left_out_note(d.left_out)}" for d in resolved.datasets if d.left_out]
    expected = estimate(resolved, folder)
    for note in (*notes, str(expected), expected.warning):
        if note:
            click.echo(note, err=True)
    with progress_line(total_images(resolved), "benchmark", "image") as line:
        yield line.update
    for method in resolved.methods:
        if not method.known and method.specification.startswith("python:"):
            click.echo(
                f"{method.name} is Python code: its images are computed anew in each run. If it "
                "reads weights, name them to keep the images between runs: "
                f"{method.name}={method.specification},weights=FILE",
                err=True,
            )


def _value(
    hr: UInt8,
    sr: UInt8,
    protocol: str | Protocol,
    metric: str,
    scale: int,
    device: str = "cpu",
) -> float:
    """One score of one pair. Raises ArrayError with the reason where there is none."""
    from sreval.metrics import scorer

    on = _device([metric], device)
    with _arrays():
        (one,) = scorer.score(hr, sr, [_protocol(protocol)], [metric], _scale(scale), on)
    if math.isnan(one.value):
        raise ArrayError(one.note, one.remedy)
    return one.value


def _device(metrics: Sequence[str], device: str) -> str:
    """The device for these metrics; PSNR needs no torch, which would be loaded to find one."""
    from sreval.devices import pick_device

    return "cpu" if set(metrics) == {"psnr"} else pick_device(device)


@contextmanager
def _arrays() -> Iterator[None]:
    """What is said of image files is said of arrays, too, as the ValueError that it is there."""
    try:
        yield
    except ImageError as error:
        raise ArrayError(error.message, error.remedy) from None


def _protocol(given: str | Protocol) -> Protocol:
    from sreval.metrics.protocol import Protocol, get_protocol

    return given if isinstance(given, Protocol) else get_protocol(str(given))


def _scale(scale: int) -> int:
    from sreval.images.resize import require_scale

    require_scale(scale)
    return int(scale)


def _several(given: Any) -> list[Any]:
    """What may be named alone or in a list."""
    alone = isinstance(given, str) or not isinstance(given, Iterable)
    return [given] if alone else list(given)


# Votes and studies

Adjustment = Literal["holm", "benjamini-hochberg", "none"]
"""How the p values of all comparisons on one data set are adjusted."""

VotesLike: TypeAlias = "Votes | pd.DataFrame | Path | str"
"""Votes that were read, or what `read_votes` reads."""


def read_votes(
    votes: VotesLike,
    *,
    scale: str | Scale = "1..5",
    stimuli: pd.DataFrame | Path | str | None = None,
    header: bool | None = None,
    labels: bool | None = None,
    missing: Collection[object] = (),
    without: Collection[str] = (),
    higher_is_better: Collection[str] = (),
    lower_is_better: Collection[str] = (),
) -> Votes:
    """Read and check opinions, whatever form they have.

    ``votes`` is a file or a DataFrame of one of these forms; a frame is read as the file that it
    could be written to.

    - One row a vote, with the columns rater, image, method, score. The columns dataset, scene,
      kind, accepted and others of docs/reference/data-dictionary.md are used where they are there.
    - A matrix: one row a stimulus and one column a rater, empty where no vote was cast.
      ``stimuli``, a table with a row a stimulus, names the dataset, image, scene and method of
      the rows. ``header`` and ``labels`` say whether a file's first row and first column hold
      names, where they might hold votes.
    - JSON: lists as [method][rater][image], null where no vote was cast.
    - Mean opinion scores with metrics: the columns image, method, mos, and psnr, ssim, ... This
      is for ``analyse("metrics")`` alone. ``higher_is_better`` and ``lower_is_better`` name
      metrics that aren't known by themselves.

    ``scale`` is LOW..HIGH or LOW..HIGH/STEP: "1..5", "1..5/0.5", "0..100/0" for a slider.
    ``missing`` lists what stands for a vote not cast beside an empty cell, such as "NA" or -1.
    The votes of the raters ``without`` are kept, but don't count; this works on Votes, too.

    Raises:
        DataError: a file that can't be read, or is none of these forms.
        UsageError: an argument that can't be meant, such as an unknown rater.
        StatisticsError: a vote that isn't on the scale, or is there twice.

    >>> import pandas as pd
    >>> import sreval
    >>> frame = pd.DataFrame({
    ...     "rater": ["ann", "ann", "bob", "bob"], "image": "baboon",
    ...     "method": ["bicubic", "srgan", "bicubic", "srgan"], "score": [2, 4, 1, 5],
    ... })
    >>> sreval.read_votes(frame)
    <Votes: 4 votes, 2 raters, 1 image, 2 methods>
    """
    from sreval.opinions.heads import directions
    from sreval.opinions.reading import is_means, needs_votes, read_ratings
    from sreval.opinions.votes import Scale, left_out
    from sreval.settings import user_path

    raters = _names(without)
    if isinstance(votes, Votes):
        named = {"stimuli": stimuli, "header": header, "labels": labels}
        given = [name for name, value in named.items() if value is not None]
        given += ["missing"] if missing != () else []
        given += ["scale"] if scale not in ("1..5", votes.scale) else []
        given += ["higher_is_better"] if higher_is_better else []
        given += ["lower_is_better"] if lower_is_better else []
        if given:
            raise UsageError(
                f"These votes were read already, so {listed(given)} can't be applied.",
                "Give them where the file or the DataFrame is read.",
            )
        if raters and is_means(votes.frame):
            raise needs_votes(option("--without", "without"))
        return replace(votes, frame=left_out(votes.frame, raters)) if raters else votes
    if not (isinstance(votes, str | Path) or _is_frame(votes)):
        raise UsageError(
            f"votes can't be {_a(votes)}.", "Give a file, a DataFrame, or what read_votes returned."
        )
    if not isinstance(scale, str | Scale):
        raise UsageError(f"scale can't be {scale!r}.", "Write it as text, such as '1..5'.")
    better = directions(_names(higher_is_better), _names(lower_is_better))
    on = Scale.parse(scale) if isinstance(scale, str) else scale
    read = read_ratings(
        user_path(votes) if isinstance(votes, str | Path) else votes,
        scale=on,
        stimuli=user_path(stimuli) if isinstance(stimuli, str | Path) else stimuli,
        header=header,
        labels=labels,
        missing=_names(missing),
    )
    table, notes = read.table, read.notes
    where = "The DataFrame" if not isinstance(votes, str | Path) else str(votes)
    if not is_means(table):
        if better:
            from sreval.report.opinion_metrics import better_options

            raise UsageError(
                f"{where} holds votes, so its further columns aren't metrics.",
                f"Leave out {better_options('and')}; name results by {option('--results')}.",
            )
        return Votes(left_out(table, raters) if raters else table, notes, on)
    if raters:
        raise needs_votes(option("--without", "without"))
    from sreval.report.opinion_metrics import better_options, own_metrics

    if others := own_metrics(table, better)[1]:
        note = (
            f"{where}: further columns are left alone: {listed(others, 20)}. A metric among them "
            f"is named by {better_options('or')}."
        )
        notes = (*notes, note)
    return Votes(table, notes, on, better)


@dataclass(frozen=True, eq=False, repr=False)
class Votes:
    """Checked votes. `read_votes` and `Study.votes` give them.

    Attributes:
        frame: One row a vote, tidy: the columns rater, image, method, score, dataset, scene,
            kind, accepted, simulated and others. A vote counts where ``kind`` is "vote" and
            ``accepted`` is True. Of a table of mean opinion scores: one row a stimulus.
        notes: What was left alone or taken for granted in reading, a sentence each.
        scale: The rating scale, with ``low``, ``high`` and ``step``.
        better: Of the metrics that were named for a table of mean opinion scores: whether a
            higher value is better.
    """

    frame: pd.DataFrame
    notes: tuple[str, ...]
    scale: Scale
    better: Mapping[str, bool] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        return f"<Votes: {self._counts()}>"

    def _counts(self) -> str:
        """What is there and what counts, in words."""
        from sreval.opinions.reading import is_means
        from sreval.opinions.votes import STIMULUS, exclusions

        frame = self.frame
        if is_means(frame):
            return counted(len(frame), "mean opinion score")
        used = frame[(frame["kind"] == "vote") & frame["accepted"]]
        sizes = {
            "vote": len(used),
            "rater": used["rater"].nunique(),
            "image": len(used[[*STIMULUS[:2]]].drop_duplicates()),
            "method": used["method"].nunique(),
        }
        said = [counted(number, what) for what, number in sizes.items()]
        said += [f"{n} left out ({why})" for why, n in exclusions(frame).items()]
        return ", ".join(said + (["SIMULATED"] if frame["simulated"].any() else []))

    def _repr_html_(self) -> str:
        from html import escape

        notes = "".join(f"<p><small>{escape(note)}</small></p>" for note in self.notes)
        return f"<p>{escape(self._counts())}</p>{self.frame.head().to_html()}{notes}"

    def analyse(
        self,
        analyses: AnalysisName | Sequence[AnalysisName] = (),
        *,
        unit: Unit = DEFAULT_UNIT,
        interval: IntervalName | None = None,
        level: float = 0.95,
        adjustment: Adjustment = "holm",
        alpha: float = 0.05,
        methods: Collection[str] | None = None,
        reference: str = "hr",
        results: object = None,
        protocol: str | None = None,
        factor: int | None = None,
    ) -> Analysis:
        """Analyse the votes: everything they allow, or the ``analyses`` that are named.

        Each analysis fails alone: ``not_done`` says which could not be made, and why. An analysis
        that is named alone raises its error instead.

        Args:
            analyses: One name or several of `report.choices.ANALYSES`; none: all but "stimuli".
            unit: What varies in intervals and tests: "rater" claims that raters in general would
                say so of these images, "image" that these raters would say so of images in
                general. "pooled" takes votes as independent, which they are not.
            interval: The interval of a MOS; None: the one that claims the same as ``unit``.
            level: Confidence level of the intervals, between 0 and 1.
            adjustment: For the p values of all comparisons on one data set.
            alpha: Level of the tests, between 0 and 1.
            methods: Those to compare with each other; None: all.
            reference: The method that is the hidden reference, for "difference".
            results: Benchmark results of the rated images, for "metrics": what `benchmark`
                returns, a folder, or a list of these.
            protocol: Of the results; None: ledig2017 where it was run.
            factor: The upscaling factor, where the results hold several.

        Raises:
            UsageError: an unknown name.
            StatisticsError: a level or alpha outside 0..1; votes that don't allow the one
                analysis that was named.
        """
        from sreval.opinions.arrays import check_level
        from sreval.report.opinions import Request, analyse

        check_level(level)
        if not 0 < alpha < 1:
            raise StatisticsError(f"alpha must lie between 0 and 1, got {alpha}.", "0.05 is usual.")
        if unit not in INTERVAL_OF:
            raise unknown_name("unit", unit, INTERVAL_OF)
        said: list[str] = []
        request = Request(
            unit=unit,
            interval=interval or INTERVAL_OF[unit],
            level=level,
            adjustment=adjustment,
            alpha=alpha,
            scale=self.scale,
            reference=reference,
            scores=_scores(results, protocol, factor, said.append),
            methods=None if methods is None else _names(methods),
            better=self.better,
        )
        names = (analyses,) if isinstance(analyses, str) else tuple(analyses)
        sections, not_done = analyse(self.frame, names, request)
        return Analysis(self, sections, not_done, (*self.notes, *said), request)

    def figure(
        self,
        kind: FigureName,
        *,
        dataset: str | None = None,
        unit: Unit = DEFAULT_UNIT,
        results: object = None,
        protocol: str | None = None,
    ) -> Figure:
        """Draw the votes.

        Args:
            kind: "scores" of every method, "ranks", "significance" of all differences, "raters",
                "matrix" of all votes, "sos" (how far the votes on one image spread), "metrics"
                against opinion.
            dataset: needed where the votes are on several, but for "raters" and "metrics".
            unit: what varies in intervals and tests; see `analyse`.
            results: as in `analyse`; "metrics" needs them.
            protocol: of the results; None: ledig2017 where it was run.

        Returns:
            A matplotlib Figure; ``figure.savefig("scores.pdf")`` writes it.

        Raises:
            UsageError: an unknown name.
            StatisticsError: votes that don't allow the figure.
        """
        import matplotlib as mpl

        from sreval.report.opinion_figures import opinion_figure
        from sreval.report.opinions import Request

        if unit not in INTERVAL_OF:
            raise unknown_name("unit", unit, INTERVAL_OF)
        request = Request(
            unit=unit,
            interval=INTERVAL_OF[unit],
            scale=self.scale,
            better=self.better,
            scores=_scores(results, protocol, None, lambda _: None),
        )
        with mpl.rc_context():
            return opinion_figure(self.frame, kind, request, dataset)


@dataclass(frozen=True, eq=False, repr=False)
class Analysis:
    """What an analysis of votes found: tables of figures, and what each of them claims.

    ``print`` shows it as ``sreval opinions`` does; a notebook shows it as HTML.

    Attributes:
        votes: The votes that were analysed.
        sections: The tables, each with ``title``, ``frame``, ``notes`` and ``facts``.
        not_done: Analyses that could not be made, and why.
        notes: What was left alone or taken for granted in reading the votes and results.
    """

    votes: Votes
    sections: Sequence[Table]
    not_done: Sequence[str]
    notes: tuple[str, ...]
    request: Request

    @property
    def frame(self) -> pd.DataFrame:
        """Every figure of the first table, and of those with the same columns, tidy.

        Raises StatisticsError where no analysis could be made.
        """
        import pandas as pd

        if not self.sections:
            raise StatisticsError(" ".join(self.not_done))
        first = self.sections[0]
        same = [
            made.frame
            for made in self.sections
            if made.analysis == first.analysis and list(made.frame) == list(first.frame)
        ]
        return same[0] if len(same) == 1 else pd.concat(same, ignore_index=True)

    @property
    def frames(self) -> dict[str, pd.DataFrame]:
        """Every figure of every table, tidy, by the table's title."""
        return {made.title: made.frame for made in self.sections}

    @property
    def letters(self) -> pd.DataFrame:
        """The compact letter display of the comparisons: dataset, method, letters.

        Methods of one data set that share a letter weren't shown to differ. A data set on which no
        test could have been significant has no letters, and no rows.
        """
        import pandas as pd

        rows = [
            (made.facts["dataset"], method, letters)
            for made in self.sections
            if isinstance(own := made.facts.get("letters"), dict)
            for method, letters in own.items()
        ]
        return pd.DataFrame(rows, columns=["dataset", "method", "letters"])

    @property
    def text(self) -> str:
        """All tables with their notes, as text."""
        left = "".join(f"Not done: {reason}\n" for reason in self.not_done)
        return "\n".join([*(made.to_text() for made in self.sections), *[left] * bool(left)])

    def records(self) -> dict[str, Any]:
        """Every figure in full, for JSON: what ``sreval opinions --json`` prints."""
        from sreval.opinions.votes import stand_ins

        frame = self.votes.frame
        return {
            "notes": list(self.notes),
            "sections": [section.records() for section in self.sections],
            "not_done": list(self.not_done),
            "simulated": bool(frame["simulated"].any()),
            "stand_ins": stand_ins(frame),
        }

    def write(self, out: Path | str) -> list[str]:
        """Write all tables (text, CSV) and figures (SVG) to the folder ``out``.

        Returns which figures the votes don't allow, and why.
        """
        from sreval.files import write_atomic
        from sreval.report.opinion_figures import all_figures
        from sreval.report.render import csv_text
        from sreval.report.style import save_figure
        from sreval.settings import user_path

        folder = user_path(out)
        said = "\n" * bool(self.notes) + "".join(f"{note}\n" for note in self.notes)
        write_atomic(folder / "opinions.txt", self.text + said)
        for index, section in enumerate(self.sections, 1):
            write_atomic(folder / f"{index:02}-{section.analysis}.csv", csv_text(section.frame))
        not_drawn = []
        for name, figure, why in all_figures(self.votes.frame, self.request):
            if figure is None:
                not_drawn.append(f"{name}: {why}")
            else:
                save_figure(figure, folder / f"{name}.svg")
        return not_drawn

    def __repr__(self) -> str:
        titles = ", ".join(section.title for section in self.sections)
        return f"<Analysis of {self.votes._counts()}: {titles or 'nothing'}>"

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        from html import escape

        left = [f"<p>Not done: {escape(reason)}</p>" for reason in self.not_done]
        notes = [f"<p><small>{escape(note)}</small></p>" for note in self.notes]
        return "".join([*(made._repr_html_() for made in self.sections), *left, *notes])


def mos(
    votes: VotesLike,
    *,
    unit: Unit = DEFAULT_UNIT,
    interval: IntervalName | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Mean opinion scores of every method on every data set, with confidence intervals.

    A MOS is the mean of the images' mean votes (of all votes with "crowdmos"). ``unit``,
    ``interval`` and ``level`` are as in `Votes.analyse`. ``votes`` that were not read yet are read
    on the scale 1..5; use `read_votes` for another.

    Returns a tidy frame, a row a (dataset, method) in the paper's order: ``mos``, ``low``,
    ``high``, ``sd`` of the votes, ``n_votes``, ``n_raters``, ``n_images``, and what the interval
    is: ``interval``, ``level``, ``unit``, ``n`` units, ``estimand``, ``warning``. ``low`` and
    ``high`` are NaN with fewer than three units.

    Raises StatisticsError where no vote counts, and what `read_votes` raises.

    >>> import pandas as pd
    >>> import sreval
    >>> frame = pd.DataFrame({
    ...     "rater": ["ann", "bob", "cid"] * 2, "image": "baboon",
    ...     "method": ["bicubic"] * 3 + ["srgan"] * 3, "score": [2, 1, 3, 4, 5, 3],
    ... })
    >>> found = sreval.mos(frame)
    >>> found[["method", "mos", "n_raters"]].to_numpy().tolist()
    [['bicubic', 2.0, 3], ['srgan', 4.0, 3]]
    """
    read = read_votes(votes)
    return read.analyse("mos", unit=unit, interval=interval, level=level).frame


def compare(
    votes: VotesLike,
    *,
    unit: Unit = DEFAULT_UNIT,
    methods: Collection[str] | None = None,
    adjustment: Adjustment = "holm",
    alpha: float = 0.05,
    level: float = 0.95,
) -> Analysis:
    """Which methods differ: all pairs, data set by data set.

    Two-sided Wilcoxon signed-rank tests of the units' mean votes, p values adjusted within a data
    set, with Student's t intervals of the differences and Friedman's test. ``unit`` decides the
    claim: see `Votes.analyse`.

    Returns an `Analysis`. Its ``frame`` has a row a pair: ``difference`` (first minus second, in
    points) with ``low`` and ``high``, ``p``, ``p_adjusted``, ``rank_biserial``, ``significant``,
    and ``too_small`` where no outcome of so few units could be significant. Its ``letters`` say
    which methods weren't shown to differ.

    Raises UsageError for an unknown unit, method or adjustment, StatisticsError where no data set
    has votes on two methods, and what `read_votes` raises.

    >>> import pandas as pd
    >>> import sreval
    >>> frame = pd.DataFrame([
    ...     {"rater": f"r{rater}", "image": image, "method": method, "score": score}
    ...     for rater in range(8) for image in "abc"
    ...     for method, score in {"bicubic": 2 + rater % 2, "srgan": 4 + rater % 2}.items()
    ... ])
    >>> found = sreval.compare(frame)
    >>> found.frame[["first", "second", "difference", "p", "significant"]].to_numpy().tolist()
    [['srgan', 'bicubic', 2.0, 0.0078125, True]]
    >>> found.letters["letters"].to_list()
    ['a', 'b']
    """
    from sreval.opinions.multiplicity import ADJUSTMENTS

    read = read_votes(votes)
    if adjustment not in ADJUSTMENTS:
        raise unknown_name("adjustment", str(adjustment), ADJUSTMENTS)
    known = set(read.frame["method"])
    for method in _names(methods) if methods is not None else ():
        if method not in known:
            raise unknown_name("method", method, known, "It has no votes.")
    return read.analyse(
        "compare", unit=unit, methods=methods, adjustment=adjustment, alpha=alpha, level=level
    )


def screen(votes: VotesLike, *, reference: str = "hr") -> Analysis:
    """What the usual screening rules say of every rater; nobody is left out.

    The rules are those of ITU-R BT.500-15 (A1-2.3.1), the correlation with the other raters of
    VQEG's tests, and more where the votes hold what they need; docs/explanation/statistics.md has
    them all.

    Returns an `Analysis`. Its ``frame`` has a row a rater, with the figures of every rule and
    ``rejected_by``. Its other ``frames`` show the MOS with and without whom a rule rejects. To
    leave raters out, read the votes again: ``read_votes(votes, without=[...])``.

    Raises StatisticsError where no vote counts, and what `read_votes` raises.
    """
    return read_votes(votes).analyse("screening", reference=reference)


def recover(votes: VotesLike, *, level: float = 0.95) -> Analysis:
    """The quality of every stimulus, freed from the raters' bias and inconsistency.

    The model of Li et al. 2020, as ITU-T P.910 Annex E states it, and the removal of bias of
    ITU-T P.913 12.4.

    Returns an `Analysis`. Its ``frame`` has a row a stimulus (``mos``, ``bias_removed``,
    ``quality`` with intervals); the frame "The raters" of ``frames`` has each rater's bias and
    inconsistency, in points of the scale.

    Raises StatisticsError where no vote counts, and what `read_votes` raises.
    """
    return read_votes(votes).analyse("recovery", level=level)


def reliability(votes: VotesLike, *, level: float = 0.95) -> Analysis:
    """How far the raters agree.

    Intraclass correlation (McGraw and Wong 1996, case 2A), Krippendorff's alpha, split-half
    correlation, each rater against the rest, and the SOS coefficient.

    Returns an `Analysis` whose ``frame`` has a row a figure: ``figure``, ``value``, ``low``,
    ``high``, ``about``. Raises StatisticsError where no figure can be had, and what `read_votes`
    raises.
    """
    return read_votes(votes).analyse("reliability", level=level)


def power(
    difference: float | Sequence[float] = (0.1, 0.2, 0.3),
    *,
    raters: int | Sequence[int] = (6, 8, 10, 13, 16, 20, 26, 34, 44, 56),
    images: int | Sequence[int] = (14, 100),
    unit: Unit = DEFAULT_UNIT,
    methods: int = 2,
    comparisons: int | None = None,
    adjustment: Adjustment = "holm",
    alpha: float = 0.05,
    target: float = 0.8,
    studies: int = STUDIES,
    seed: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> pd.DataFrame:
    """How many raters and images a difference needs, by simulation from the rater model.

    The power of one two-sided signed-rank test over the ``unit``, among the ``comparisons`` that
    a study makes (None: all pairs of ``methods``). ``difference`` is the true difference of two
    methods in points of the scale. ``progress`` is told how many curves of how many are done.

    Returns a tidy frame of simulated figures, a row a (difference, n_images, n_raters): ``power``
    with its ``standard_error`` and lower limit ``low``; ``raters_needed``, the fewest raters that
    reach ``target`` for that difference and number of images, NaN where none of ``raters`` does.

    Raises UsageError for more comparisons than the methods have pairs, StatisticsError for
    numbers that can't be meant.

    >>> import sreval
    >>> curve = sreval.power(1.0, raters=[6, 12], images=14, studies=50)
    >>> curve[["n_raters", "raters_needed"]].to_dict("records")
    [{'n_raters': 6, 'raters_needed': 6}, {'n_raters': 12, 'raters_needed': 6}]
    """
    import pandas as pd

    from sreval.opinions.simulation import power_curve, raters_needed

    differences = _numbers("difference", difference, 0, whole=False)
    counts = _numbers("raters", raters, 2, whole=True)
    sizes = _numbers("images", images, 1, whole=True)
    for name, share in (("alpha", alpha), ("target", target)):
        if _numbers(name, share, 0, whole=False)[0] >= 1:
            raise StatisticsError(f"{name} can't be {share}.", "Give a number between 0 and 1.")
    for name, one, low in (
        ("methods", methods, 2),
        ("comparisons", 1 if comparisons is None else comparisons, 1),
        ("studies", studies, 1),
        ("seed", seed, 0),
    ):
        _numbers(name, one, low, whole=True)
    most = math.comb(methods, 2)
    if comparisons is not None and comparisons > most:
        raise UsageError(
            f"{methods} methods have {counted(most, 'pair')}, fewer than {comparisons} "
            "comparisons.",
            f"Name more by {option('--methods')}, or fewer by {option('--comparisons')}.",
        )
    total, parts = len(differences) * len(sizes), []
    for one in differences:
        for size in sizes:
            parts.append(
                power_curve(
                    [one],
                    counts,
                    [size],
                    unit=unit,
                    comparisons=comparisons or most,
                    adjustment=adjustment,
                    alpha=alpha,
                    studies=studies,
                    seed=seed,
                )
            )
            if progress is not None:
                progress(len(parts), total)
    curve = pd.concat(parts, ignore_index=True)
    needed = raters_needed(curve, target).rename(columns={"n_raters": "raters_needed"})
    return curve.merge(needed, on=["difference", "n_images"]).assign(target=target)


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
        from sreval import settings
        from sreval.content import explicit, find

        if not isinstance(study, str | Path):
            raise UsageError(f"A study can't be {_a(study)}.", "Give its name or its folder.")
        self.given = explicit(study) if isinstance(study, Path) else study
        self.database = None if database is None else str(database)
        self._folder: Path | None = None
        try:
            self._folder = find("studies", self.given)
        except UsageError:
            if not (self.database or settings.database()):
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
        from sreval.study.design import json_schema

        return json_schema()

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
        import tomllib

        from sreval.study.manifest import DESIGN

        if self._folder is None or not (self._folder / DESIGN).is_file():
            return self.given
        with suppress(OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
            name = tomllib.loads((self._folder / DESIGN).read_text(encoding="utf-8")).get("name")
            if isinstance(name, str):
                return name
        return self.design.name  # says what is wrong with the file

    def check(self, results: object = None) -> CheckedStudy:
        """Prove that the design can be met; say how long a rater sits and what can be found.

        ``results`` are benchmark results of the images, for a study that isn't frozen: what
        `benchmark` returns, a folder, or a list of these. ``print`` the returned object, or look
        at its ``problems``, ``missing``, ``notes``, ``tests`` and ``minutes``.

        Raises UsageError for results of a study that is frozen.
        """
        from sreval.report.study_text import checked
        from sreval.study.check import check
        from sreval.study.sources import available

        design, manifest = self.design, self.manifest
        folders = _result_folders(results)
        if manifest and folders:
            raise UsageError(
                f"{self.given} is frozen: its stimuli are what they are.",
                f"Omit {option('--results')}.",
            )
        found = check(design, manifest, None if manifest else available(design, folders))
        return checked(self.given, design, manifest, found)

    def plan(self, rater: int = 0, *, slot: int | None = None) -> pd.DataFrame:
        """What one rater will be shown, item by item, and why: a tidy frame, a row an item.

        Raters count from 0. ``slot`` gives the place of a rater who dropped out to another one.
        Raises DataError for a study that isn't frozen, StatisticsError for a negative number.
        """
        from dataclasses import asdict

        import pandas as pd

        from sreval.study.manifest import load_manifest
        from sreval.study.plan import make_plan

        if min(rater, slot or 0) < 0:
            raise StatisticsError(f"Raters count from 0, got {min(rater, slot or 0)}.")
        place = rater if slot is None else slot
        items = make_plan(self.design, load_manifest(self.folder), place, rater)
        return pd.DataFrame([asdict(item) for item in items], dtype=object)

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
        from sreval.study import freeze as freezing
        from sreval.study.attainable import attainable
        from sreval.study.exposure import scenes_of, stimulus_set
        from sreval.study.manifest import MANIFEST, STIMULI

        self._refuse_packaged()
        folder, design = self.folder, self.design
        if again:
            self._refuse_once_begun()
        manifest = freezing.freeze(
            folder,
            design,
            _result_folders(results),
            stand_ins=stand_ins,
            again=again,
            progress=progress,
        )
        stimuli = stimulus_set(design, scenes_of(manifest))
        notes = tuple(f"{m.note}. {m.remedy}" for m in attainable(design, stimuli) if m.hopeless)
        files = {stimulus.sha256 for stimulus in manifest.stimuli}
        size = sum((folder / STIMULI / f"{name}.png").stat().st_size for name in files)
        return Frozen(folder / MANIFEST, manifest, size, notes)

    def _refuse_packaged(self) -> None:
        from sreval.content import own_folders, packaged

        home, own = self.folder.resolve().parent, own_folders("studies")
        if home == packaged("studies").resolve() and home not in [o.resolve() for o in own]:
            raise UsageError(
                f"{self.given} is a study that the package brings; nothing is written into it.",
                f"Copy it first: sreval study new mine --from {self.folder.name}",
            )

    def _refuse_once_begun(self) -> None:
        """Raise StateError when a rater has enrolled: what one was shown, all must be shown."""
        from sreval.store import studies
        from sreval.store.database import parse_url, sqlite_path
        from sreval.store.errors import StateError

        path = sqlite_path(parse_url(self.url))
        if path is not None and not path.exists():
            return
        with self._store() as store:
            known = self.name in studies.names(store)
            begun = studies.get(store, self.name).locked_at if known else None
        if begun:
            raise StateError(
                f"Raters have begun study {self.name!r} ({begun:%Y-%m-%d}); its stimuli stay.",
                f"Begin another one: sreval study new {self.name}-2 --from {self.folder}",
            )

    # Raters

    @property
    def url(self) -> str:
        """The URL of the database. Raises UsageError for a study of the package without one."""
        from sreval.store.database import default_url

        url = default_url(self._folder, self.database)
        assert url is not None  # there is a folder, or a database was named
        return url

    @contextmanager
    def _store(self, *, create: bool = False) -> Iterator[Store]:
        from sreval.store.database import open_store

        store = open_store(self.url, create=create)
        try:
            yield store
        finally:
            store.dispose()

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
            qualities: The true quality of each method on the scale, by method or by (dataset,
                method); or a CSV file with the columns method, quality and, if they differ,
                dataset. None: the opinion scores of the SRGAN paper.
            seed: Of the raters.
            progress: Is told how many votes of how many are cast.

        Returns what came of it: ``complete`` raters, ``votes``, ``failures``. Raises StoreError
        where real raters have begun, DataError for a study that isn't frozen or a method without
        a quality.
        """
        from sreval.settings import user_path
        from sreval.store.rehearsal import rehearse
        from sreval.study.respondent import read_qualities

        if not 1 <= raters <= _MOST_RATERS:
            raise UsageError(f"raters can't be {raters}.", f"Give 1 to {_MOST_RATERS}.")
        if qualities is None:
            from sreval.report.paper import figures

            known = {
                (s, m): value for (s, m, metric), value in figures().items() if metric == "mos"
            }
        elif isinstance(qualities, Mapping):
            known = {
                key if isinstance(key, tuple) else ("", str(key)): float(value)
                for key, value in qualities.items()
            }
        else:
            known = dict(read_qualities(user_path(qualities)))
        return rehearse(self.folder, self.url, raters, known, seed=seed, told=progress)

    def invite(
        self,
        count: int = 1,
        *,
        kind: Literal["personal", "open", "kiosk"] = "personal",
        quota: int | None = None,
        rater: str | None = None,
        label: str = "",
        expires: datetime | None = None,
        base_url: str = "http://127.0.0.1:8000",
    ) -> list[Link]:
        """Make links for raters. Nobody can look them up later: only their hashes are stored.

        A "personal" link is for one rater; an "open" one for everybody and a "kiosk" one for a
        laboratory's machine, up to ``quota`` raters. ``rater`` gets a new link for a lost one.
        ``expires`` is the last moment at which a rater may begin, UTC where it names no zone.
        ``base_url`` is the address at which raters reach the site.

        Raises UsageError for what doesn't go together, StateError for a closed study.
        """
        from sreval.store import invitations, studies
        from sreval.study.manifest import load_manifest

        if (kind != "personal" or rater) and count > 1:
            raise UsageError(
                f"{option(f'--count {count}', f'count={count}')} belongs to personal links.",
                "Omit it.",
            )
        if count < 1:
            raise UsageError(f"count can't be {count}.", "Give 1 or more.")
        if quota and kind == "personal":
            raise UsageError(
                option(
                    "--quota belongs to --open or --kiosk.",
                    'quota= belongs to kind="open" or kind="kiosk".',
                ),
                "Add one, or omit it.",
            )
        until = _last_moment(expires)
        design, manifest = self.design, load_manifest(self.folder)
        made = []
        with self._store(create=True) as store:
            studies.register(store, design, manifest)
            for number in range(1, count + 1):
                note = f"{label} {number}" if label and count > 1 else label
                if rater:
                    key, token = invitations.renew(store, design.name, rater)
                else:
                    key, token = invitations.create(
                        store, design.name, kind, quota=quota, expires=until, label=note
                    )
                made.append(Link(key, note, f"{base_url.rstrip('/')}/r/{token}"))
        return made

    def revoke(self, link: int) -> None:
        """Disable a link, by its number; votes cast through it stay."""
        from sreval.store import invitations

        with self._store() as store:
            if link not in {row.id for row in invitations.listing(store, self.name)}:
                raise UsageError(
                    f"{self.name} has no link {link}.", "See: sreval study status --json."
                )
            invitations.revoke(store, link)

    def extend(
        self, link: int, *, quota: int | None = None, expires: datetime | None = None
    ) -> None:
        """Let more raters begin by a link, or for longer, by its number. Raises UsageError."""
        from sreval.store import invitations

        until = _last_moment(expires)
        with self._store() as store:
            invitations.extend(store, self.name, link, quota=quota, expires=until)

    def serve(
        self,
        host: str = "127.0.0.1",
        port: int = 8000,
        *,
        threads: int = 8,
        base_url: str = "",
        trusted_proxies: int = 0,
        invite: bool = False,
        ready: Callable[[str, str | None], object] | None = None,
    ) -> int:
        """Serve the frozen study's rating site until Ctrl-C or SIGTERM, from the main thread.

        Only this machine can reach it unless ``host`` says otherwise; port 0 takes a free one.
        ``ready`` is told the site's address and, with ``invite``, a personal link for you; None
        writes them to stderr. Returns the number of the signal that ended it.
        """
        import sys

        from sreval.site import server
        from sreval.site.app import create_app, personal_link
        from sreval.site.logs import log_to_stderr

        config = self._site(base_url, trusted_proxies)
        app = create_app(config)
        with server.listen(host, port) as opened:
            address = config.base_url or server.address_of(opened)
            log_to_stderr()

            def begin() -> None:
                link = f"{address}{personal_link(app)}" if invite else None
                if ready is None:
                    sys.stderr.write(f"Serving {self.folder.name} at {link or address}\n")
                else:
                    ready(address, link)

            return server.serve(app, opened, threads, begin)

    def check_site(
        self,
        *,
        base_url: str = "",
        trusted_proxies: int = 0,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Iterator[Check]:
        """Whether all that serving needs holds: one ``Check`` after the other, name, ok, found.

        Database, folders, stimuli, secret, clock and disk are looked at; nothing is changed.
        ``progress`` is told how many stimuli of how many are hashed.
        """
        from sreval.site.checks import check_site

        return check_site(self._site(base_url, trusted_proxies), progress)

    def _site(self, base_url: str, trusted_proxies: int) -> SiteConfig:
        from sreval.site.config import from_variables, site_config

        return site_config(
            study=self.folder,
            database=self.url,
            base_url=base_url,
            trusted_proxies=trusted_proxies,
            **from_variables("secret", "secret_file"),
        )

    def status(self) -> Status:
        """Who is how far, how it ended for whom, and how often what has been rated.

        ``print`` the returned object; its ``overview`` and ``links`` hold the figures. Raises
        StoreError where there is no database yet.
        """
        from sreval.report.study_text import Status
        from sreval.store.overview import overview

        with self._store() as store:
            return Status(overview(store, self.name))

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
        from sreval.store import studies

        with self._store() as store:
            studies.set_state(store, self.name, state)

    def release(self, raters: Collection[str] = (), *, idle_days: float = 14.0) -> list[str]:
        """End the sessions of drop-outs, so that the next raters take their places.

        Those are released who did nothing for ``idle_days``, of ``raters`` or of all. Returns
        their names. Their votes stay; whether those are used is up to the design's rules.
        """
        from datetime import timedelta

        from sreval.store import raters as store_raters

        with self._store() as store:
            return list(
                store_raters.release(store, self.name, timedelta(days=idle_days), _names(raters))
            )

    def delete_rater(self, rater: str) -> None:
        """Delete all that is stored of a rater, for good; a count stays.

        Backups and exports made before still hold it. Raises UsageError for an unknown rater.
        """
        from sreval.store import raters

        with self._store() as store:
            raters.delete_rater(store, self.name, rater)

    def purge(self) -> int:
        """Delete all raters' data once the design's retention date has come, for good.

        Returns of how many raters. Raises StateError before that date.
        """
        import datetime as dt

        from sreval.store import raters

        with self._store() as store:
            return raters.purge(store, self.name, dt.datetime.now(dt.UTC).date())

    # Operators of the site

    def operators(self) -> list[OperatorRow]:
        """The accounts for the pages under /operator: name, role, made, locked until, last seen.

        An account holds for all studies of the database.
        """
        from sreval.store import operators

        with self._store() as store:
            return operators.listing(store)

    def add_operator(self, name: str, role: Role, password: str) -> None:
        """Make an account: an "owner" steers studies, a "viewer" looks.

        Raises UsageError for a name that is taken or unfit, and for a password that is too short.
        """
        from sreval.store import operators

        with self._store(create=True) as store:
            operators.add(store, name, role, password)

    def remove_operator(self, name: str) -> None:
        """Delete an account and end its logins; the audit log keeps the name. Raises UsageError."""
        from sreval.store import operators

        with self._store() as store:
            operators.remove(store, name)

    def set_password(self, name: str, password: str) -> None:
        """Change an operator's password. The account's logins end, and it is unlocked.

        Raises UsageError for an unknown name, and for a password that is too short.
        """
        from sreval.store import operators

        with self._store() as store:
            operators.set_password(store, name, password)

    # Results

    def votes(self, *, allow_open: bool | None = None) -> Votes:
        """The votes so far, with ``accepted`` by the design's rules and the operator's decisions.

        ``allow_open``: also of a study that isn't closed; None: only where all raters so far are
        simulated. Means of an open study's methods are a look at its results, which the audit
        log keeps. Raises UsageError for an open study, StatisticsError where nobody voted.
        """
        from sreval.opinions.votes import ACR
        from sreval.report.study_load import load

        data = load(self.folder, self.database, allow_open=allow_open)
        if data.votes.empty:
            raise StatisticsError(f"Study {self.name} has no votes.", "Invite raters first.")
        return Votes(data.votes, (), ACR)

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
        from sreval.report.study_folder import write_report
        from sreval.report.study_load import load
        from sreval.settings import user_path

        data = load(self.folder, self.database, allow_open=allow_open)
        place = Path(f"{data.design.name}-report") if out is None else user_path(out)
        step()
        folders = _result_folders(results)
        return write_report(data, place, folders, protocol, study=self.given, step=step)

    def export(self, out: Path | str | None = None) -> Path:
        """Write votes, plans, sessions, answers and events as CSV, with the design.

        ``out`` is a new .zip or folder; None: STUDY-TIME.zip, here. No link and no secret is in it.
        Before the study is closed an export counts as a look at results. Raises UsageError for a
        place that exists.
        """
        from sreval.settings import user_path
        from sreval.store import snapshot
        from sreval.study.manifest import load_manifest

        with self._store() as store:
            manifest = load_manifest(self.folder)
            place = Path(f"{self.name}-{_now()}.zip") if out is None else user_path(out)
            return snapshot.export(store, self.name, manifest, place)

    def import_(self, file: Path | str) -> Imported:
        """Store an export, or a backup's studies: the whole, or the sessions that are lacking here.

        Raters who were deleted here stay deleted. Raises DataError for a damaged export,
        StateError where the study here has another design, other stimuli or other raters.
        """
        from sreval.settings import user_path
        from sreval.store import snapshot

        with self._store(create=True) as store:
            return snapshot.import_(store, user_path(file))

    def backup(self, out: Path | str | None = None) -> Path:
        """Copy the whole database, also while raters vote; returns the copy's path.

        ``out`` is a new file; None: STUDY-TIME.backup.zip, here. Keep the copy as safe as the
        original.
        """
        from sreval.settings import user_path
        from sreval.store.snapshot import backup

        place = Path(f"{self.name}-{_now()}.backup.zip") if out is None else user_path(out)
        return backup(self.url, place)

    def restore(self, file: Path | str, *, overwrite: bool = False) -> None:
        """Put a backup into the database's place, at once or not at all; stop the server before.

        ``overwrite``: also where the database holds votes. Raises DataError for what isn't a
        backup.
        """
        from sreval.settings import user_path
        from sreval.store.snapshot import restore

        restore(user_path(file), self.url, overwrite=overwrite)

    def upgrade(self) -> tuple[str, bool]:
        """Bring the database's tables to those of this version; back it up before.

        Returns the database's name, and whether there was anything to do.
        """
        from sreval.store.database import Store, parse_url

        store = Store(parse_url(self.url))
        try:
            before = store.check_schema()
            store.upgrade()
        finally:
            store.dispose()
        return store.name, before != "current"

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
        from sreval import settings

        if not (self.database or settings.database() or own.exists()):
            return [*facts, "no votes yet"]
        try:
            seen = self.status().overview
        except SrevalError as error:
            return [*facts, error.message]
        simulated = ["SIMULATED"] if seen.simulated else []
        return [*facts, seen.state, f"{seen.complete} complete", f"{seen.votes} votes", *simulated]

    def __repr__(self) -> str:
        return f"<Study {'; '.join(self._facts())}>"

    def _repr_html_(self) -> str:
        from html import escape

        title, *facts = self._facts()
        return f"<p><b>{escape(title)}</b><br>{escape('; '.join(facts))}</p>"


_MOST_RATERS = 500
"""As many simulated raters are sent at a time."""


def _last_moment(expires: datetime | None) -> datetime | None:
    from datetime import UTC, datetime

    if expires is None:
        return None
    until = expires if expires.tzinfo else expires.replace(tzinfo=UTC)
    if until <= datetime.now(UTC):
        raise UsageError(
            f"{option('--expires')} {until.astimezone(UTC):%Y-%m-%d %H:%M} UTC is over.",
            "Name a later time.",
        )
    return until


def _now() -> str:
    from datetime import UTC, datetime

    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}"


def _names(given: object) -> tuple[str, ...]:
    """Each as text; what stands alone is one name, a text not its letters."""
    return tuple(map(str, _several(given)))


def _is_frame(given: object) -> bool:
    """Whether it is a DataFrame; whoever has one has loaded pandas."""
    import sys

    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(given, pandas.DataFrame)


def _a(given: object) -> str:
    """A value in an error: None as itself, anything else by its type."""
    return "None" if given is None else f"of the type {type(given).__name__}"


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
    from sreval.report import archive as packing
    from sreval.settings import user_path

    results: list[Path] = []
    studies: list[Path] = []
    databases: dict[Path, str] = {}
    for source in _several(sources):
        if isinstance(source, Results):
            results += source.folders
        elif isinstance(source, Study):
            databases[source.folder] = source.url
            studies.append(source.folder)
        elif not isinstance(source, str | Path):
            raise UsageError(
                f"An archive can't hold {_a(source)}.", "Name folders of results and studies."
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


def _numbers(name: str, given: object, low: float, whole: bool) -> list[Any]:
    """One number or several, each above ``low``, or whole and at least ``low``."""
    found = _several(given)
    kind: Any = numbers.Integral if whole else numbers.Real
    for one in found:
        if not isinstance(one, kind) or not (low <= one if whole else low < one < math.inf):
            wanted = f"whole numbers from {low}" if whole else f"numbers above {low}"
            raise StatisticsError(f"{name} can't be {one!r}.", f"Give {wanted}.")
    if not found:
        raise StatisticsError(f"{name} is empty.", "Give one number or several.")
    return [int(one) if whole else float(one) for one in found]


def _result_folders(results: object) -> list[Path]:
    """The folders of benchmark results: of a path, a Results, or a list of these."""
    from sreval.settings import user_path

    if results is None:
        return []
    if isinstance(results, str | Path):
        return [user_path(results)]
    own = getattr(results, "folders", None) or getattr(results, "folder", None)
    if own is not None:
        return _result_folders(own)
    if isinstance(results, Iterable):
        return [folder for each in results for folder in _result_folders(each)]
    raise UsageError(
        f"results can't be {type(results).__name__}.",
        "Give a folder of results, or what sreval.benchmark returned.",
    )


def _scores(
    results: object, protocol: str | None, factor: int | None, say: Callable[[str], object]
) -> pd.DataFrame | None:
    """The benchmark's scores of one protocol and scale, None without results."""
    folders = _result_folders(results)
    if not folders:
        return None
    from sreval.report.collect import scored, select

    read = results if isinstance(results, Results) else read_results(folders)
    for note in read.notes:
        say(note)
    return scored(select(read.frame, protocol, factor, "factor="))


__all__ += [
    "Analysis",
    "Study",
    "Votes",
    "archive",
    "compare",
    "mos",
    "power",
    "read_votes",
    "recover",
    "reliability",
    "screen",
]
