"""Data sets: which there are, where they lie, and whether they are whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sreval.api.given import as_list

if TYPE_CHECKING:
    import pandas as pd

    from sreval.benchmarking.data import Checked, Downscaled


def datasets() -> pd.DataFrame:
    """The data sets known by name, and which of them are on this machine.

    Returns:
        A row a data set: ``name``, ``scales_known`` and ``scales_at_hand`` (lists; empty for a pool
        of photographs), ``folder`` ("" where the set isn't here), ``about``, ``licence``, ``home``
        (the address that it comes from). A set whose checksums aren't known is "not verified".

    Example:
        >>> import sreval
        >>> sreval.datasets()["name"].tolist()[:6]
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
    """Fetch public data sets, and the weights of metrics and of VGG19.

    Each file of a data set is verified by SHA-256. What is there already is not fetched again, and
    an interrupted fetch goes on where it stopped.

    Args:
        names: any of ``Set5``, ``Set14``, ``BSD100``, ``Urban100``, ``BSDS300-train``,
            ``lpips-alex``, ``lpips-vgg``, ``vgg19``, ``dists``, ``brisque``, ``clip-iqa``, ``fid``,
            ``kid``.
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
    from sreval.content import user_path

    folder = None if to is None else user_path(to)
    return data.fetch(as_list(names), as_list(scales), folder, mirror, progress)


class Dataset:
    """A data set at one scale. Making the object reads nothing.

    Args:
        spec: a known name, a folder of HR images, ``hr=FOLDER,lr=FOLDER``, ``lr=FOLDER``, or a TOML
            file; see ``benchmark``.
        scale: the upscaling factor, above 1 and up to 16.

    Example:
        >>> import sreval
        >>> checked = sreval.Dataset("demo").check(degrade="bd", progress=False)
        >>> checked.dataset, checked.images, checked.problems
        ('demo-bd', 5, ())
    """

    def __init__(self, spec: str | Path, scale: float = 4) -> None:
        from sreval.content import explicit

        self.spec = explicit(spec) if isinstance(spec, Path) else spec
        self.scale = scale

    def check(
        self,
        *,
        degrade: str | Path | None = None,
        seed: int | None = None,
        progress: bool = True,
    ) -> Checked:
        """Whether all is well: checksums where they are known, else that every image can be used.

        Args:
            degrade: the recipe by which LR images are to be made, as for ``benchmark``.
            seed: in place of the recipe's own.
            progress: whether to show a line of progress on stderr.

        Returns:
            A Checked: ``images``, the ``sequences`` that they are frames of, a ``summary`` of how
            the LR images came about (MATLAB's bicubic by which border rule, a recorded recipe, or
            another way) or will be made, ``left_out`` and ``problems``; ``print`` it.

        Raises:
            SrevalError: for a data set that isn't there, for an invalid recipe, and for a recipe
                where LR images are given.
        """
        from sreval.benchmarking.data import check
        from sreval.benchmarking.plan import recipe_of

        return check(self.spec, self.scale, recipe_of(degrade, seed), progress)

    def downscale(
        self,
        out: Path | str,
        *,
        degrade: str | Path = "bicubic",
        seed: int | None = None,
        crop: bool = False,
        progress: bool = True,
    ) -> Downscaled:
        """Write the LR image of every image of a folder, as ``sreval.degrade`` makes it.

        Frames stay in the folders of their sequences.

        ``degradation.json`` beside them holds the recipe, its hash, the versions of the packages
        that decide the bytes, and for each image what was drawn for it. ``check`` reads it. The
        same call makes the same files. A folder that holds LR images by another recipe is refused.

        Args:
            out: the folder for the LR images, PNGs of the same names.
            degrade: the recipe, as in ``sreval.degrade``.
            seed: in place of the recipe's own seed.
            crop: first cut each image to what the LR image is enlarged to.
            progress: whether to say on stderr what is left out, and how far it is.

        Returns:
            A Downscaled: ``folder``, how many were ``written``, and ``failed``, which says by file
            name why an image was not.

        Raises:
            SrevalError: for a data set that is no folder of images, an invalid scale or recipe, and
                a folder that can't be written, holds the images themselves, or holds LR images by
                another recipe.
        """
        from sreval.benchmarking.data import downscale_folder
        from sreval.content import user_path
        from sreval.images.degradations import open_degradation

        return downscale_folder(
            user_path(self.spec),
            user_path(out),
            self.scale,
            open_degradation(degrade, seed),
            crop=crop,
            progress=progress,
        )

    def __repr__(self) -> str:
        return f"<Dataset {self.spec} x{self.scale:g}>"
