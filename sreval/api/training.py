"""Models: training, publishing, cards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sreval.api.given import as_list
from sreval.errors import SrevalError, UsageError

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd
    from matplotlib.figure import Figure
    from torch import Tensor, nn

    from sreval.api.exports import ExportedModel
    from sreval.training.run import Outcome


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
    network: nn.Module | None = None,
    losses: Mapping[str, tuple[Callable[[Tensor, Tensor], Tensor], float]] | None = None,
    resume: bool = False,
    progress: bool = True,
) -> Outcome:
    """Train a model by its recipe.

    Test images among the photographs are refused. SIGINT (Ctrl-C), SIGTERM and SIGUSR1 end the run
    at its next update, with a checkpoint; ``resume=True`` goes on from there, and on the same
    machine a run of given updates then has the weights of one that never stopped. After SIGUSR1 a
    job of Slurm's is put back into the queue. In several processes that torchrun starts, this is
    one run over all of them.

    Args:
        name: a model, such as ``srresnet-mse``, or the path of a folder with a recipe.toml.
        data: a folder of photographs, or several; or shards: tar files, their folder, or a name
            such as ``shard-{000..099}.tar`` for many.
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
        network: a torch.nn.Module in the place of the recipe's network, of which a copy is trained.
            It takes and returns what the recipe's ``[network]`` says: scale, colour, ranges. To
            resume, give it again. To publish it or use it by name, the recipe must name its class
            and arguments: ``name = "python:module:Class"``.
        losses: loss terms in the place of ``[[loss.own]]``, by name: a function from (sr, hr),
            (N, C, H, W) in -1..1, to a tensor without dimensions, and its weight. To resume, give
            them again.
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

    from sreval.content import user_path
    from sreval.training.log import ProgressLine
    from sreval.training.run import Request, require_given
    from sreval.training.run import train as run_training

    require_given(network, losses)

    request = Request(
        name=name,
        data=[user_path(folder) for folder in as_list(data)],
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
        different=as_list(different),
        network=network,
        losses=losses,
    )
    with _as_edited():
        return run_training(request, ProgressLine(None if progress else io.StringIO()))


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
    rows: list[dict[str, Any]] = []
    for model in found:
        try:
            rows.append(model.facts() | {"problem": ""})
        except SrevalError as error:  # of the user's own code that can't be imported here
            broken.append(error)
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
        from sreval.training.models import Model as Found

        self.given = explicit(name) if isinstance(name, Path) else name
        self._found = Found.find(self.given)

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
        return self._found.card()

    def write_card(self, run: Outcome | Path | str | None = None, *, device: str = "auto") -> Path:
        """Score its weights, write its card anew, and return the card's path.

        ``run`` is the training run that made its weights: what ``train`` returned, or its folder.
        Without one, what the weights don't say is kept from the card that they have. ``device``
        is ``auto`` (a GPU where there is one), ``cpu`` or ``cuda``.

        Raises UsageError for another run, for a model that the package brings and for an unknown
        device, TrainingError for a folder that holds no run.
        """
        from sreval.devices import pick_device
        from sreval.training.models import read_run

        on = pick_device(device)
        made = None if run is None else read_run(_run_folder(run))
        return self._found.renew_card(made, on)

    def verify(self) -> str:
        """Check recipe, weights and card in every respect.

        Returns a line that says what is in order. Raises UsageError or WeightsError for the first
        thing wrong.
        """
        from sreval.training.models import Model as Found

        # as it is now, whatever was there when this model was named
        model = Found.find(self.given)
        with _as_edited():
            model.verify()
            changed = model.changed_code()
        said = "" if model.profile_recorded else "; its recipe was not recorded"
        if changed:
            said += f"; the code of {', '.join(changed)} has changed since they were trained"
        return f"{model.name}: in order, weights {model.sha256[:12]}{said}"

    def export(
        self,
        out: Path | str | None = None,
        *,
        format: Literal["onnx", "pt2"] | None = None,
        replace: bool = False,
        progress: bool = True,
    ) -> ExportedModel:
        """Write its network as ONNX or pt2; see ``export_model``."""
        from sreval.api.exports import export_model

        return export_model(
            str(self.folder), out, format=format, replace=replace, progress=progress
        )

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
        from sreval.content import user_path
        from sreval.devices import pick_device
        from sreval.training.models import publish

        folder = None if to is None else user_path(to)
        with _as_edited():
            return cls(publish(_run_folder(run), folder, replace, pick_device(device)))

    @staticmethod
    def training_figure(runs: Sequence[Outcome | Path | str] | Outcome | Path | str) -> Figure:
        """Losses and validation scores of training over the updates.

        Args:
            runs: what ``train`` returned, or a run's folder. Several, of one recipe from different
                seeds, are drawn as faint lines with their mean and, of three and more, its 95%
                interval by Student's t.

        Returns:
            A matplotlib Figure; ``figure.savefig("training.pdf")`` writes it.

        Raises:
            UsageError: for an empty list.
            DataError: for a folder that holds no run, and for runs of several recipes.
        """
        from sreval.report.training_figures import training_figure

        return training_figure(_run_folders(runs))

    @staticmethod
    def training_scores(
        runs: Sequence[Outcome | Path | str] | Outcome | Path | str,
    ) -> pd.DataFrame:
        """The last and the best validation scores of runs of one recipe from different seeds.

        Args:
            runs: what ``train`` returned, or a run's folder, or several.

        Returns:
            For each ``metric`` and ``of`` (``last`` or ``best``) a row a run, with its ``seed``,
            the update ``step`` and the ``value``; and a row whose ``run`` is ``mean``, with the
            ends ``low`` and ``high`` of its 95% interval by Student's t over ``n`` runs, cut at
            the metric's limits, NaN of fewer than three. A run's best is chosen on the scores it
            is told by. Checks of artefacts such as ``grid_peak`` have neither a best nor an
            interval.

        Raises:
            UsageError: for an empty list.
            DataError: for a folder that holds no run, and for runs of several recipes.
        """
        from sreval.report.training_figures import training_scores

        return training_scores(_run_folders(runs))

    def __repr__(self) -> str:
        updates = self.facts["updates"]
        weights = "no weights" if updates is None else f"weights of {updates:,} updates"
        return f"<Model {self.name}: {weights}>"


def _run_folders(
    runs: Sequence[Outcome | Path | str] | Outcome | Path | str,
) -> list[Path]:
    """The folders of training runs. Raises UsageError for an empty list."""
    folders = [_run_folder(run) for run in as_list(runs)]
    if not folders:
        raise UsageError("There is no run to draw.", "Give one or several.")
    return folders


@contextmanager
def _as_edited() -> Iterator[None]:
    """The user's own modules, which may have been edited since this program read them, anew."""
    from sreval.own_code import apart, forget_modules

    with apart():
        forget_modules()
        yield


def _run_folder(run: Outcome | Path | str) -> Path:
    """The folder of a training run."""
    from sreval.content import user_path

    return user_path(run if isinstance(run, str | Path) else run.out)
