"""The public functions and classes: what ``import sreval`` offers, and all that a command calls.

Nothing heavy is imported before a function needs it: neither torch nor pandas, no web framework.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sreval.errors import ArrayError, ImageError, SrevalError, UsageError, unknown_name

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    from matplotlib.figure import Figure

    from sreval.images.resize import Border
    from sreval.metrics.protocol import Protocol
    from sreval.report.cells import Table
    from sreval.report.protocols import Conventions
    from sreval.report.tables import Layout
    from sreval.statistics.units import Unit

    UInt8 = npt.NDArray[np.uint8]

__all__ = [
    "Results",
    "SrevalError",
    "downscale",
    "lpips",
    "psnr",
    "read_results",
    "score",
    "ssim",
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
            unknown protocol or metric.

    Example:
        >>> import numpy as np, sreval
        >>> hr = np.full((32, 32), 100, np.uint8)
        >>> found = sreval.score(hr, hr, protocols=["matlab", "rgb"], metrics=["psnr"])
        >>> found["value"].tolist()
        [inf, inf]
    """
    import pandas as pd

    from sreval.devices import pick_device
    from sreval.metrics import scorer

    with _arrays():
        found = scorer.score(
            hr,
            sr,
            [_protocol(one) for one in dict.fromkeys(_several(protocols))],
            list(dict.fromkeys(_several(metrics))),
            _scale(scale),
            pick_device(device),
        )
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
        votes: Any = None,
        studies: Sequence[Any] | Any = (),
        unit: Unit | None = None,
        database: str | None = None,
        allow_open: bool = False,
    ) -> Table:
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
        from sreval.report.collect import require_scores, select
        from sreval.report.opinion_rows import check_same_stimuli, scored_votes, with_mos
        from sreval.report.study_load import load
        from sreval.report.study_table import scores_of_all, with_studies
        from sreval.report.tables import LAYOUTS, build_table
        from sreval.statistics.units import UNITS

        if pairs and baseline is not None:
            raise UsageError("pairs and baseline can't be had together.", "Leave one out.")
        named = _several(studies)
        if votes is not None and named:
            raise UsageError("votes and studies can't be had together.", "Leave one out.")
        if not 0.5 <= level <= 0.999:
            raise UsageError(f"{level} is no level of an interval.", "Give 0.5 to 0.999.")
        for kind, name, known in (("layout", layout, LAYOUTS), ("unit", unit or "rater", UNITS)):
            if name not in known:
                raise unknown_name(kind, name, known)
        opened = [
            load(
                getattr(one, "folder", None) or find("studies", str(one)),
                getattr(one, "database", None) or database,
                allow_open=allow_open,
            )
            for one in named
        ]
        for folder in self.folders:
            require_scores(self.frame, folder)
        frame = select(self.frame, protocol, scale)
        notes: list[str] = []
        if opened:
            frame, notes = scores_of_all(frame, opened)
        made = build_table(
            frame,
            layout,
            metrics=None if metrics is None else _several(metrics),
            baseline=baseline,
            pairs=pairs,
            with_paper=paper,
            level=level,
        )
        if votes is not None:
            counted, notes = scored_votes(frame, votes.frame)
            check_same_stimuli(frame, counted)
            made = with_mos(
                made,
                counted,
                unit=unit or "rater",
                baseline=baseline,
                pairs=pairs,
                level=level,
                scale=votes.scale,
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

    paths = tuple(dict.fromkeys(user_path(folder) for folder in _several(folders)))
    if not paths:
        raise UsageError("No results folder is named.", "Name one.")
    notes: list[str] = []
    frame = collect(paths, notes.append)
    return Results(frame, paths, tuple(notes))


def _value(
    hr: UInt8,
    sr: UInt8,
    protocol: str | Protocol,
    metric: str,
    scale: int,
    device: str = "cpu",
) -> float:
    """One score of one pair. Raises ArrayError with the reason where there is none."""
    from sreval.devices import pick_device
    from sreval.metrics import scorer

    if metric != "psnr":  # which needs no torch
        device = pick_device(device)
    with _arrays():
        (one,) = scorer.score(hr, sr, [_protocol(protocol)], [metric], _scale(scale), device)
    if math.isnan(one.value):
        raise ArrayError(one.note, one.remedy)
    return one.value


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
