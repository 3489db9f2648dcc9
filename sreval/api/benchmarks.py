"""Runs of methods on data sets, and what they gave."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from sreval.api.given import as_list, kind_of, named_objects, result_folders, to_a_file
from sreval.errors import UsageError, check_name, listed, option, unknown_name

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import pandas as pd
    from matplotlib.figure import Figure

    from sreval.benchmarking.plan import Resolved
    from sreval.benchmarking.run import Progress
    from sreval.images.datasets import Dataset
    from sreval.methods import Upscaler
    from sreval.methods.declarations import Declared
    from sreval.methods.pictures import PictureUpscaler
    from sreval.metrics.own import OwnMetric
    from sreval.opinions.units import Unit
    from sreval.report.choices import Intervals, ResultFigure, Show, Size, TableWidth, Width
    from sreval.report.costs import CostTable, Sizes
    from sreval.report.protocols import Conventions
    from sreval.report.scores import Layout, ScoreTable

    Method: TypeAlias = str | Path | Callable[..., Any] | Upscaler | Declared
    Metric: TypeAlias = str | Callable[..., Any] | OwnMetric
    from sreval.api.votes import VotesLike


@dataclass(frozen=True, repr=False, eq=False)
class Results:
    """Scores of methods on data sets: what ``benchmark`` gives and ``read_results`` reads.

    A notebook shows them as their table.

    Attributes:
        frame: one row a (data set, scale, method, image, protocol, metric), its ``value``, a
            ``note`` where something is to be said of it, and the SHA-256 of all that it depends
            on. The values of an image that a method failed on are NaN, the reason their note.
            ``folder`` is where its SR image lies, ``also_in`` which others have the same row.
        folders: where the results lie, with every SR image as PNG.
        notes: what was left out, and why.
        computed: how many SR images ``benchmark`` made.
        reused: how many it took over from an earlier run.
        rescored: how many of these it scored anew, by a new metric or under a new protocol.
        remedies: what to do about each failure of ``benchmark``, by data set, image and method.
    """

    frame: pd.DataFrame
    folders: tuple[Path, ...]
    notes: tuple[str, ...] = ()
    computed: int = 0
    reused: int = 0
    rescored: int = 0
    remedies: Mapping[tuple[str, str, str], str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The results folder. Raises UsageError where there are several."""
        if len(self.folders) > 1:
            raise UsageError(f"These results lie in {len(self.folders)} folders.", "See folders.")
        return self.folders[0]

    @property
    def failures(self) -> pd.DataFrame:
        """The images that a method failed on: dataset, image, method, reason, remedy.

        The remedy is that of ``remedies``, empty for the failures of an earlier run.
        """
        from sreval.report.collect import scored

        failed = self.frame.drop(scored(self.frame).index).rename(columns={"note": "reason"})
        subject = ["dataset", "image", "method"]
        failed = failed[[*subject, "reason"]].drop_duplicates(ignore_index=True)
        keys = failed[subject].itertuples(index=False, name=None)
        return failed.assign(remedy=[self.remedies.get(key, "") for key in keys])

    def table(
        self,
        *,
        baseline: str | None = None,
        pairs: bool = False,
        protocol: str | None = None,
        scale: Sequence[float] | float | None = None,
        methods: Sequence[str] | str = (),
        datasets: Sequence[str] | str = (),
        metrics: Sequence[str] | str | None = None,
        layout: Layout = "methods",
        sequences: bool = False,
        transposed: bool = False,
        intervals: Intervals = "below",
        paper: bool = False,
        level: float = 0.95,
        caption: str = "",
        label: str = "",
        width: TableWidth = "auto",
        votes: VotesLike | None = None,
        studies: Sequence[Any] | Any = (),
        unit: Unit | None = None,
        database: str | None = None,
        allow_open: bool = False,
    ) -> ScoreTable:
        """The results as the SRGAN paper arranges them, with intervals and tests.

        Means with Student's t intervals over images, the best and the second marked; paired
        two-sided Wilcoxon signed-rank tests on request, Holm-adjusted within one data set and
        metric. Of a data set of sequences they are over the means of its sequences, as frames of
        one sequence are not independent.

        Args:
            baseline: test every method against this one.
            pairs: test all pairs instead; methods that share a letter weren't shown to differ.
            protocol: by default one that all folders have, ``ledig2017`` before others.
            scale: one or several; by default all in the results.
            methods: in the order in which they are to stand; by default all, in the paper's.
            datasets: the same; also sequences of frames, such as ``Vid4/city``.
            metrics: the same; by default all that were computed.
            layout: ``methods`` for all of them, ``losses`` for the paper's loss variants alone.
            sequences: put a row for each sequence of frames before the row of its data set.
            transposed: a row for each method, the metrics of each data set side by side.
            intervals: ``below`` the means, ``beside`` them as half of their width, ``apart`` in
                a second table, or ``none``.
            paper: add the paper's own figures.
            level: of the intervals, such as 0.95.
            caption: in place of the title.
            label: what a LaTeX paper refers to the table by; by default ``tab:scores``.
            width: of the table in LaTeX: ``column``, ``page`` (``table*``), or ``auto`` for a
                column where it fits one. What fits neither is split.
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
        from sreval.api.votes import read_votes
        from sreval.content import find
        from sreval.opinions.units import CLAIMS
        from sreval.opinions.votes import ACR
        from sreval.report.choices import INTERVALS, TABLE_WIDTHS
        from sreval.report.collect import of_protocol, of_scales, require_any_scores
        from sreval.report.opinion_rows import load, results_table
        from sreval.report.scores import LAYOUTS
        from sreval.report.table import checked_label

        if pairs and baseline is not None:
            both = option("--pairs and --baseline", "pairs and baseline")
            raise UsageError(f"{both} can't be had together.", "Leave one out.")
        named = as_list(studies)
        if votes is not None and named:
            both = option("--ratings and --study", "votes and studies")
            raise UsageError(f"{both} can't be had together.", "Leave one out.")
        if not 0.5 <= level <= 0.999:
            raise UsageError(f"{level} isn't a valid level of an interval.", "Give 0.5 to 0.999.")
        if as_list(methods) and layout == "losses":
            both = option("--method and --layout losses", "methods and layout='losses'")
            raise UsageError(f"{both} can't be had together.", "Leave one out.")
        for kind, name, known in (
            ("layout", layout, LAYOUTS),
            ("place of intervals", intervals, INTERVALS),
            ("width", width, TABLE_WIDTHS),
            ("unit", unit or "both", CLAIMS),
        ):
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
        require_any_scores(self.frame, self.folders)
        opinions = None if votes is None else read_votes(votes)
        frame = of_protocol(self.frame, protocol)
        scales = [] if scale is None else as_list(scale)
        if opened and not scales and opened[0].design.images.scale in set(frame["scale"]):
            scales = [opened[0].design.images.scale]
        notes = list(self.notes)
        made = results_table(
            of_scales(frame, scales, notes.append),
            layout,
            votes=opinions.frame if opinions else None,
            scale=opinions.scale if opinions else ACR,
            studies=opened,
            unit=unit,
            methods=as_list(methods),
            datasets=as_list(datasets),
            metrics=None if metrics is None else as_list(metrics),
            baseline=baseline,
            pairs=pairs,
            with_paper=paper,
            level=level,
            intervals=intervals,
            sequences=sequences,
            transposed=transposed,
            notes=notes,
        )
        return replace(made, title=caption or made.title, label=checked_label(label), width=width)

    def figure(
        self,
        kind: ResultFigure,
        *,
        dataset: str | None = None,
        image: Sequence[str] | str | None = None,
        region: Sequence[Any] | str | None = None,
        show: Show | None = None,
        metrics: Sequence[str] | str | None = None,
        metric: str | None = None,
        x: str | None = None,
        y: str | None = None,
        size: Size | None = None,
        costs: CostTable | Path | str | None = None,
        methods: Sequence[str] | str = (),
        width: Width = "page",
        protocol: str | None = None,
        scale: float | None = None,
    ) -> Figure:
        """Images under every method, the scores of every image, or one metric against another.

        Args:
            kind: ``comparison`` for regions of images under every method, beside HR, or beside LR
                where there is no HR; ``scores`` for every
                image's score under every method, with means; ``tradeoff`` for the
                perception-distortion plane (Blau and Michaeli 2018), a point a method.
            dataset: may be left out where only one has such an image, or only one is there; of
                ``scores`` also a sequence of frames.
            image: of ``comparison``: one or several, by their names in the results or their common
                names (butterfly).
            region: of ``comparison``: x, y, width and height in HR pixels, as four numbers or
                "X,Y,WIDTH,HEIGHT", or a list of such: any number of one image, or one for each of
                several. By default where the methods differ most from each other.
            show: of ``comparison``: ``crops``, the default, enlarged by pixel repetition;
                ``difference``, SR - HR on mid-grey; ``error``, |SR - HR| of the luma. These two
                need originals.
            metrics: of ``comparison``: the values below the crops; by default PSNR and SSIM.
            metric: of ``scores``; by default PSNR, or the first of single images that there is.
            x: of ``tradeoff``: the metric of the horizontal axis; by default PSNR.
            y: of ``tradeoff``: that of the vertical axis; by default LPIPS.
            size: of ``tradeoff``: what the area of a marker shows, ``parameters``,
                ``multiply-adds``, ``seconds`` or ``memory``; by default nothing.
            costs: of ``tradeoff``: what ``cost`` returned, or its CSV or JSON. Without it the
                parameters are those that the results name.
            methods: by default all; a comparison has them in the order given.
            width: ``page``, 175 mm, or ``column``, 85 mm.
            protocol: by default one that all folders have, ``ledig2017`` before others.
            scale: needed where the results hold several.

        Returns:
            A matplotlib Figure; ``figure.savefig("butterfly.pdf")`` writes it. Its caption says
            what is left out, and which region was chosen: ``figure.get_supxlabel()``.

        Raises:
            SrevalError: for a name that the results don't hold, an argument of another kind, more
                methods than can be read, and for an image that is no longer what was scored.
        """
        from sreval.metrics.metric import metric_of
        from sreval.report.collect import select
        from sreval.report.comparison import comparison_figure
        from sreval.report.score_figures import scores_figure, tradeoff_figure

        of_kind = {
            "comparison": ("image", "region", "show", "metrics"),
            "scores": ("metric",),
            "tradeoff": ("x", "y", "size", "costs"),
        }
        check_name("kind of figure", kind, of_kind, to_a_file(kind))
        asked: dict[str, Any] = {
            "image": image, "region": region, "show": show, "metrics": metrics,
            "metric": metric, "x": x, "y": y, "size": size, "costs": costs,
        }  # fmt: skip
        given = {name: value for name, value in asked.items() if value is not None}
        for name in given:
            if name not in of_kind[kind]:
                raise UsageError(f"A figure of {kind} takes no {name}.", "Leave it out.")
        if kind == "scores" and metric_of(metric or "psnr").per == "set":
            raise UsageError(
                f"{metric} is of a whole data set; it has no values of single images.",
                "Choose another metric, or see the table.",
            )
        notes = list(self.notes)
        frame = select(self.frame, protocol, scale, say=notes.append)
        chosen: dict[str, Any] = {"methods": as_list(methods), "width": width, "notes": notes}
        if kind == "comparison":
            images, regions = as_list(given.pop("image", [])), _regions(given.pop("region", []))
            given["metrics"] = as_list(given.get("metrics", []))
            return comparison_figure(frame, dataset, images, regions=regions, **chosen, **given)
        if kind == "scores":
            return scores_figure(frame, dataset, **chosen, **given)
        sizes = _sizes(frame, given.pop("size", None), given.pop("costs", None))
        return tradeoff_figure(frame, dataset, sizes=sizes, **chosen, **given)

    def worst(
        self,
        metric: str | None = None,
        most: int = 3,
        *,
        protocol: str | None = None,
        scale: float | None = None,
    ) -> pd.DataFrame:
        """The images on which each method does worst compared with the others.

        A single method's are those with its worst values.

        Args:
            metric: by default the first of single images that was computed.
            most: rows per method, 1 or more.
            protocol: as for ``table``.
            scale: as for ``table``.

        Returns:
            Columns method, rank, dataset, image, name, metric, value, expected, difference; see
            ``report.values.worst_images``.
        """
        from sreval.report.collect import select
        from sreval.report.values import worst_images

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
        """PSNR, SSIM and LPIPS of the same images under every convention that public tools use.

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

        return compare_conventions(self.frame, as_list(datasets), as_list(methods), progress)

    def with_scores(
        self,
        file: Path | str,
        *,
        higher_is_better: Sequence[str] | str = (),
        lower_is_better: Sequence[str] | str = (),
    ) -> Results:
        """These results with scores that were made elsewhere, under every protocol.

        Args:
            file: a CSV with the columns method, dataset, image, metric and value, or with a column
                a metric in place of the last two. dataset may be left out where the results have
                one; an image goes by its name in the results or its common name.
            higher_is_better: those of its metrics that are; a metric such as ``dists`` is known.
            lower_is_better: the same. Tables don't rank a metric without a direction.

        Returns:
            Results, whose notes name the file with its SHA-256. The folders stay as they are.

        Raises:
            SrevalError: for a method, data set or image that the results don't have, for a metric
                that they have already, and for a file that makes no sense.
        """
        from dataclasses import replace

        from sreval.api.given import names_of
        from sreval.content import user_path
        from sreval.report.elsewhere import with_scores

        better, worse = names_of(higher_is_better), names_of(lower_is_better)
        frame, notes = with_scores(self.frame, user_path(file), better, worse)
        return replace(self, frame=frame, notes=(*self.notes, *notes))

    def methods_text(self) -> str:
        """Paragraphs for a paper's methods section on what ``frame`` holds, with references.

        What a manifest can't know stands in square brackets, for the author to fill in.

        Raises:
            SrevalError: where a manifest is missing or damaged, and for results without any score.
        """
        from sreval.report.methods_text import methods_text

        return methods_text(self.frame, self.folders, self.notes)

    def __repr__(self) -> str:
        single = self.frame[self.frame["image"] != ""]
        counts = single.groupby("dataset", sort=False)["image"].nunique().items()
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
    metrics: Mapping[str, object] | Sequence[object] | Metric = ("psnr", "ssim"),
    scale: float = 4,
    degrade: str | Path | None = None,
    seed: int | None = None,
    device: str = "auto",
    precision: Literal["fp32", "bf16"] = "fp32",
    tile: int | None = None,
    workers: int | None = None,
    executor: Executor | str | None = None,
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
              or floats of 0..255. Where it has a parameter ``scale``, it gets the scale; where it
              has one called ``size``, the height and width to make, and then any scale will do;
            - a torch.nn.Module from (1, 3, h, w) to (1, 3, scale h, scale w), RGB, both in 0..1. A
              copy of it runs in evaluation mode;
            - others' weights and networks: ``spandrel:FILE``, ``torchscript:FILE``, ``onnx:FILE``,
              ``python:package.module:Class,weights=FILE``.

            What sreval can't know of one follows after commas (``onnx:net.onnx,range=0..255``), or
            is said by ``declare``.

        datasets: ``Set5``, ``Set14``, ``BSD100``, ``Urban100``, ``demo``, a folder of HR images
            or one of folders of frames, ``hr=FOLDER,lr=FOLDER``, ``lr=FOLDER`` for LR images
            without originals, or a TOML file. Of a data set without originals there are only
            metrics without a reference.
        out: the results folder. What is there and still holds is taken over. Without one, a
            temporary folder is removed together with the last reference to the Results.
        protocols: any of ``ledig2017``, ``matlab``, ``rgb``.
        metrics: by the name that each is to have, or a list. A metric is

            - one of ``psnr``, ``ssim``, ``lpips``, ``lpips-vgg``;
            - with the extra ``metrics``, one of ``ms-ssim``, ``vif``, ``fsim``, ``gmsd``,
              ``haarpsi``, ``dists``, ``brisque``, ``clip-iqa``, ``fid``, ``kid``;
            - ``python:package.module:function,better=lower,...``, a function of HR and SR, or what
              ``metric`` returns;
            - ``pyiqa:NAME``, from an installation of your own.

        scale: the upscaling factor, above 1 and up to 16, such as 4 or 2.5. A ratio takes
            ``nearest``, ``bicubic``, ``lanczos`` or a function with a parameter ``size``. HR images
            are cropped to the largest size to which an LR image is enlarged.
        degrade: how LR images are made of HR images, as in ``sreval.degrade``; None: those of a
            public set as published, others by bicubic. Results name the data set after it, as in
            ``Set5-bd``. Where LR images are given with the HR images, it is refused.
        seed: in place of the recipe's own.
        device: ``auto`` (a GPU where there is one), ``cpu`` or ``cuda``.
        precision: of networks: ``fp32`` or ``bf16``.
        tile: side of their tiles in LR pixels, 16 or more; None takes whole images.
        workers: images worked on at once; None: one for each core, as far as the memory reaches
            (300 MB each).
        executor: what computes the images, of the interface ``concurrent.futures.Executor``: a pool
            of yours, ``client.get_executor()`` of Dask, mpi4py's; or, as a text, the address of a
            Dask scheduler (``tcp://HOST:PORT``) or its file. Files that its workers can't see are
            sent with the tasks. None: processes of this machine; threads for a GPU, for few images,
            and for functions that can't be sent to another process, such as a lambda.
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

    from sreval.content import explicit, user_path

    asked, scores = (
        one if isinstance(one, Mapping) else as_list(one) for one in (methods, metrics)
    )
    texts, own = named_objects(asked, "method")
    keys, own_metrics = named_objects(scores, "metric")
    settings: dict[str, Any] = {
        "datasets": [str(dataset) for dataset in as_list(datasets)],
        "out": out,
        "protocols": as_list(protocols),
        "metrics": scores,
        "scale": scale,
        "degrade": explicit(degrade) if isinstance(degrade, Path) else degrade,
        "seed": seed,
        "device": device,
        "precision": precision,
        "tile": tile,
        "workers": workers,
    }
    command = command or _call(benchmark, {"methods": asked, **settings})
    settings["methods"], settings["metrics"] = texts, keys
    del settings["out"]
    if out is not None:
        return _run(settings, (own, own_metrics), user_path(out), progress, command, executor)
    folder = Path(tempfile.mkdtemp(prefix="sreval-"))
    try:
        results = _run(settings, (own, own_metrics), folder, progress, command, executor)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(results, shutil.rmtree, folder, ignore_errors=True)
    return results


def _sizes(
    frame: pd.DataFrame, size: Size | None, costs: CostTable | Path | str | None
) -> Sizes | None:
    """What each method costs, where a figure is to show it."""
    from sreval.content import user_path
    from sreval.report.costs import sizes_of

    if size is None:
        if costs is not None:
            raise UsageError(
                "Costs are given, but not which of them to show.",
                f"Name it with {option('--size')}.",
            )
        return None
    return sizes_of(frame, size, user_path(costs) if isinstance(costs, str | Path) else costs)


def _regions(given: Any) -> list[str]:
    """Regions as they are written: of one text or four numbers, or a list of such."""
    each = as_list(given)
    if each and not any(isinstance(one, str | Iterable) for one in each):
        each = [each]
    return [one if isinstance(one, str) else ",".join(map(str, as_list(one))) for one in each]


def read_results(folders: Sequence[str | Path] | str | Path) -> Results:
    """The results that ``benchmark``, or the command of that name, wrote.

    Args:
        folders: one results folder or several, to be shown together.

    Returns:
        Results. Scores that don't hold for a data set as it is now are left out; ``notes`` say so.
        Of a run that hasn't ended they hold the images that every method is through with; ``notes``
        say how many these are.

    Raises:
        SrevalError: a DataError, for a folder without results or without any score, and for
            folders that can't be shown together, such as those of one method in two versions.

    Example:
        >>> import sreval
        >>> results = sreval.read_results("results")  # doctest: +SKIP
        >>> results.table(baseline="bicubic").to_latex()  # doctest: +SKIP
    """
    from sreval.content import user_path
    from sreval.report.collect import collect

    named = as_list(folders)
    for one in named:
        if not isinstance(one, str | Path):
            raise UsageError(f"A folder can't be {kind_of(one)}.", "Give its path, str or Path.")
    paths = tuple(dict.fromkeys(user_path(folder) for folder in named))
    if not paths:
        raise UsageError("No results folder is named.", "Name one.")
    notes: list[str] = []
    frame = collect(paths, notes.append)
    return Results(frame, paths, tuple(notes))


def upscaler(
    spec: Method,
    *,
    scale: float | None = None,
    device: str = "auto",
    precision: Literal["fp32", "bf16"] = "fp32",
    tile: int | None = None,
) -> PictureUpscaler:
    """A method ready to enlarge images: call what it returns with an array.

    Args:
        spec: ``nearest``, ``bicubic``, ``lanczos``, a model's name, a weight file,
            ``spandrel:FILE``, ``python:package.module:function``, a function or a torch.nn.Module;
            see ``benchmark``.
        scale: the upscaling factor, above 1 and up to 16; by default the network's own, else 4.
        device: ``auto`` (a GPU where there is one), ``cpu`` or ``cuda``.
        precision: of a network: ``fp32`` or ``bf16``.
        tile: side of a network's tiles in LR pixels, 16 or more, to bound the memory; None takes
            whole images.

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
    from sreval.devices import pick_device
    from sreval.images.scales import checked_scale
    from sreval.methods import Running, method_of
    from sreval.methods.pictures import PictureUpscaler

    made = method_of(spec, Running(pick_device(device), precision, tile))
    chosen = made.scale or 4 if scale is None else checked_scale(scale)
    made.require_scale(chosen)
    return PictureUpscaler(made, chosen)


def declare(method: Callable[..., Any], **declarations: Any) -> Declared:
    """A method with what it takes and returns, where that isn't what sreval expects.

    Args:
        method: a function or a torch.nn.Module, as ``benchmark`` takes it.
        declarations: of both

            - ``scale``: the only one that it enlarges by;
            - ``colour``: ``rgb``, ``bgr``, ``luma`` (MATLAB's; a colour image keeps its chroma by
              bicubic; not of a function) or ``grey`` (one channel, each of a colour image's by
              itself). A function of ``grey`` gets (h, w).

            Of a torch.nn.Module also

            - ``range`` and ``output_range``: the values of black and white, such as ``(-1, 1)``; by
              default ``(0, 1)``, and the output's as the input's;
            - ``multiple`` and ``least``: images are padded by reflection to sizes that it takes;
            - ``fixed``: the only size that it takes, ``48`` or ``(height, width)``: images are
              computed in tiles of that size;
            - ``overlap``: of tiles, in LR pixels; by default 32.

    Returns:
        A method for ``benchmark`` and ``upscaler``.

    Raises:
        SrevalError: a ValueError, for an unknown declaration and a bad value.

    Example:
        >>> import numpy as np, sreval, torch
        >>> net = torch.nn.Upsample(scale_factor=2)
        >>> up = sreval.upscaler(sreval.declare(net, range=(0, 255)))
        >>> up(np.zeros((8, 12, 3), np.uint8)).shape
        (16, 24, 3)
    """
    from sreval.methods.declarations import Declared

    return Declared(method, declarations)


def model_facts(spec: Method, *, device: str = "cpu") -> dict[str, Any]:
    """What is known of a model by name, or of any network: what it is, takes and returns.

    Args:
        spec: a model's name or folder, or a network as ``benchmark`` takes it, such as
            ``spandrel:FILE`` or a torch.nn.Module.
        device: where a network runs to measure how far it sees: ``auto``, ``cpu`` or ``cuda``.

    Returns:
        Of a model by name the columns of ``models``. Of others ``name``, ``network``, ``scale``,
        ``colour``, ``range``, ``output_range``, ``multiple`` and ``least`` of its sizes,
        ``overlap`` of its tiles, ``reach`` (how many LR pixels around a place it sees; None: 64 or
        more, or it can't be measured), ``tiles`` (whether they give what the whole image gives)
        and, where they are known, ``parameters``, ``licence``, ``package``, ``weights_sha256``.
        Of a network for one size also ``fixed_size``; of one that can't be a method ``problem``,
        which says why.

    Raises:
        SrevalError: a ValueError, for what is no network; a WeightsError for a file that can't be
            read.

    Example:
        >>> import sreval, torch
        >>> facts = sreval.model_facts(torch.nn.Conv2d(3, 3, 5, padding=2))
        >>> facts["scale"], facts["parameters"], facts["reach"]
        (1, 228, 2)
    """
    from sreval.devices import pick_device
    from sreval.methods import Running, method_of
    from sreval.methods.sources import is_named_model
    from sreval.training.models import Model

    if isinstance(spec, str | Path) and is_named_model(str(spec)):
        return Model.find(str(spec)).facts()
    made = method_of(spec, Running(pick_device(device)))
    if facts := made.facts(measure=True):
        return {"name": made.name, **facts}
    raise UsageError(f"{made.name} is no network.", "Name a model or a file of weights.")


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
    if callable(value) or hasattr(value, "__name__") or hasattr(value, "specification"):
        return str(getattr(value, "__name__", type(value).__name__))
    return repr(value)


_Own: TypeAlias = Mapping[str, tuple[str, object]]
"""Objects by what a plan calls them, see ``Resolved.of``."""


def _run(
    settings: Mapping[str, Any],
    own: tuple[_Own, _Own],
    folder: Path,
    progress: bool,
    command: str,
    executor: Executor | str | None,
) -> Results:
    """A benchmark into ``folder``; ``settings`` are a plan's, ``own`` as in ``Resolved.of``."""
    from sreval.benchmarking.dask import dask_executor
    from sreval.benchmarking.executors import warm_up_for
    from sreval.benchmarking.plan import BenchmarkPlan, Resolved
    from sreval.benchmarking.results import ResultsFolder, Snapshot
    from sreval.hashes import known_from
    from sreval.own_code import apart

    plan = BenchmarkPlan.checked(settings, "benchmark")
    if isinstance(executor, type) or not (
        isinstance(executor, str | None) or callable(getattr(executor, "submit", None))
    ):
        what = f"the class {executor.__name__}" if isinstance(executor, type) else kind_of(executor)
        raise UsageError(
            f"An executor can't be {what}.",
            "Give one of concurrent.futures, client.get_executor() of Dask, or the address of a "
            "Dask scheduler.",
        )
    given = dask_executor(executor) if isinstance(executor, str) else nullcontext(executor)
    with apart(), known_from(ResultsFolder(folder).hashes), given as computing:
        begin = partial(warm_up_for, plan, folder=ResultsFolder(folder))
        resolved = Resolved.of(plan, *own, begin if computing is None else lambda _: None)
        # while worker processes load, so does what the run and its tables need
        from sreval.benchmarking.run import run
        from sreval.report.collect import joined, with_failures

        if progress:
            import_module("sreval.report.opinion_rows")
        silent = nullcontext((lambda *_: None, lambda _: None))
        shown = _shown(resolved, folder, computing is not None) if progress else silent
        with shown as (update, say):
            outcome = run(resolved, folder, update, say, command, computing)
    frame = joined(outcome.frame.assign(folder=str(folder)))
    frame = with_failures(frame, [Snapshot.of(folder)])
    return Results(
        resolved.asked(frame).reset_index(drop=True),
        (folder,),
        tuple(f"{one.name} isn't computed: it needs originals." for one in resolved.unused),
        computed=outcome.computed,
        reused=outcome.reused,
        rescored=outcome.rescored,
        remedies={(one.dataset, one.image, one.method): one.remedy for one in outcome.failures},
    )


@contextmanager
def _shown(
    resolved: Resolved, folder: Path, elsewhere: bool
) -> Iterator[tuple[Progress, Callable[[str], object]]]:
    """What a run will do, how far it is, and what its next one could be spared, on stderr.

    ``elsewhere``: others compute it, and their speed isn't known here. Gives what ``run`` takes as
    ``progress`` and ``say``.
    """
    import sys

    import click

    from sreval.benchmarking.estimate import estimate
    from sreval.benchmarking.metrics import notes_on
    from sreval.progress import progress_line

    notes = [note for dataset in resolved.datasets for note in dataset.notes]
    notes += notes_on(resolved.metrics)
    expected = estimate(resolved, folder, elsewhere)
    for note in (*notes, str(expected), expected.warning):
        if note:
            click.echo(note, err=True)
    with progress_line(resolved.images, "benchmark", "image") as line:

        def say(text: str) -> None:
            line.write(text, file=sys.stderr)

        count, so_far = len(resolved.methods), _so_far(resolved, folder)

        def update(dataset: Dataset, failed: int) -> None:
            line.set_postfix_str(f"{failed} failed" if failed else "", refresh=False)
            line.update(count)
            if text := so_far(dataset):
                say(text)

        yield update, say
    for method in resolved.methods:
        if method.note:
            click.echo(f"{method.name}: {method.note}.", err=True)
    methods = [(m.name, m.specification) for m in resolved.methods if not m.known]
    metrics = [(m.key, m.specification) for m in resolved.metrics if not m.known]
    for kind, made, found in (("method", "images", methods), ("metric", "scores", metrics)):
        # an object of the running program has no files to name
        anew = [name for name, specification in found if specification.startswith("python:")]
        if anew:
            is_code, their = ("is", "its") if len(anew) == 1 else ("are", "their")
            click.echo(
                f"{listed(anew, len(anew))} {is_code} Python code: each run computes {their} "
                f"{made} anew. Add ,weights=FILE to a {kind} that has a file of weights, and they "
                "are kept.",
                err=True,
            )


_PAUSE = 300.0
"""Seconds between two tables of a run that somebody watches."""


def _so_far(resolved: Resolved, folder: Path) -> Callable[[Dataset], str]:
    """What tells, of a run that is through with another image of a data set, the table so far.

    It does so after each data set but the last, and on a terminal every ``_PAUSE`` seconds; else
    the text is empty.
    """
    import sys
    import time

    from sreval.benchmarking.results import Snapshot
    from sreval.errors import attempted

    left = {dataset.name: len(dataset.items) for dataset in resolved.datasets}
    told = time.monotonic()

    def table() -> str:
        results = read_results(folder)
        results = replace(results, frame=resolved.asked(results.frame))
        return results.table().render("text")

    def so_far(dataset: Dataset) -> str:
        nonlocal told
        left[dataset.name] -= 1
        due = sys.stderr.isatty() and time.monotonic() - told >= _PAUSE
        if not any(left.values()) or (left[dataset.name] and not due):
            return ""
        told = time.monotonic()
        return (attempted(table)[0] or "") if Snapshot.of(folder).asked else ""

    return so_far


def scores_of(
    results: object, protocol: str | None, factor: float | None, say: Callable[[str], object]
) -> pd.DataFrame | None:
    """The benchmark's scores of one protocol and scale, None without results."""
    folders = result_folders(results)
    if not folders:
        return None
    from sreval.report.collect import scored, select

    read = results if isinstance(results, Results) else read_results(folders)
    for note in read.notes:
        say(note)
    return scored(select(read.frame, protocol, factor, "factor=", say))
