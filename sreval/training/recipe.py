"""A recipe: all that decides which weights a training run arrives at.

models/NAME/recipe.toml holds the recipe and, under `profiles`, named changes to it: `paper` (the
paper's schedule), `gpu`, `cpu`, `smoke`. What `run` holds (how often to log, what to
compile) changes no weights in meaning and is left out of the recipe's hash.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from sreval import content
from sreval.config import Config, FieldError, config_text, validated
from sreval.errors import UsageError, option, unknown_name
from sreval.files import sha256_bytes
from sreval.images.degradations import Degradation, known_degradation, open_degradation
from sreval.networks.architecture import Architecture, CodeName, OwnArchitecture
from sreval.networks.recipes import Named, merged_with, read_profiles
from sreval.reading import from_toml

KEPT_ASIDE = "kept_aside"
"""The name of the validation set that is cut from the photographs kept from training."""

_LENGTHS = ("optimisation.updates", "optimisation.minutes")


def change(key: str, value: object) -> str:
    """How a user changes one setting of a recipe."""
    return option(f"--set {key}={value}", f"changes={{{key!r}: {value!r}}}")


LOGGED = (
    *("step", "mse", "vgg22", "vgg54", "recursion", "adversarial", "total_variation"),
    *("discriminator", "d_hr", "d_sr", "learning_rate", "rate", "seconds"),
)
"""The columns of losses.csv, which no other term may take."""


class OwnTerm(Config):
    """A loss term of the user's own.

    It is called with sr and hr, (N, C, H, W) in [-1, 1], and returns a float tensor without
    dimensions, through which a gradient reaches sr. Of a torch.nn.Module one object is made, on the
    device; its parameters are not trained, and a checkpoint doesn't hold it.
    """

    term: CodeName
    """`python:module:name` of a function or of a torch.nn.Module that needs no arguments."""
    weight: NonNegativeFloat
    """Its weight; a term of weight 0 is not computed."""
    name: str = Field(default="", max_length=60, pattern=r"^([A-Za-z][A-Za-z0-9_.-]*)?$")
    """What losses.csv and the card call it; empty: the function's own name."""

    @property
    def called(self) -> str:
        """Its name in losses.csv."""
        return self.name or self.term.rpartition(":")[2]


def _degradation(given: object) -> object:
    """A degradation of what a user wrote; None where that is what is done without it."""
    if given == "" or not isinstance(given, str | Path):
        return given or None
    try:
        made = open_degradation(given)
    except UsageError as error:
        # the field's value, which the sentence names already
        reason = error.message.removeprefix(f"{given}: ")
        raise FieldError(reason, remedy=error.remedy) from None
    return None if made.sha256 == known_degradation("bicubic").sha256 else made


class Loss(Config):
    """Weights of the generator's loss terms; a term of weight 0 is not computed.

    The VGG terms are the content terms that `content_scale` concerns: `calibrated` multiplies
    them by the one factor that makes their weighted sum equal the generator's MSE at the start,
    measured over 256 crops; `as-printed` leaves the factor 1/12.75 of the paper alone.

    With `vgg_moves` VGG sees both images moved by the same few pixels, other ones in each update.
    Its poolings stand on a grid of 2, 4, 8 and 16 pixels, and a crop begins at a multiple of 4:
    unmoved, each place in the 4x4 cell of the pixel shuffles always meets the same place of the
    poolings, and what their gradients favour there grows into a pattern of that period.
    """

    mse: NonNegativeFloat = 0.0
    """Weight of the mean squared error of pixels."""
    vgg22: NonNegativeFloat = 0.0
    """Weight of the distance of VGG19's features phi_2,2."""
    vgg54: NonNegativeFloat = 0.0
    """Weight of the distance of VGG19's features phi_5,4."""
    recursion: NonNegativeFloat = 0.0
    """Weight of the mean error of the outputs of DRCN's single recursions."""
    adversarial: NonNegativeFloat = 0.0
    """Weight of the discriminator's judgement."""
    total_variation: NonNegativeFloat = 0.0
    """Weight of the total variation of the output."""
    content_scale: Literal["calibrated", "as-printed"] = "calibrated"
    """How the VGG terms are scaled, see above."""
    vgg_moves: bool = False
    """Whether VGG sees both images moved alike, see above."""
    own: tuple[OwnTerm, ...] = ()
    """Terms of the user's own, each a table `[[loss.own]]`."""

    @property
    def vgg(self) -> dict[str, float]:
        """The VGG terms that count, with their weights."""
        weights = {"vgg22": self.vgg22, "vgg54": self.vgg54}
        return {name: weight for name, weight in weights.items() if weight}

    @property
    def own_terms(self) -> dict[str, OwnTerm]:
        """Those of the user's own that count, by their names in losses.csv."""
        return {term.called: term for term in self.own if term.weight}

    @model_validator(mode="after")
    def _has_content(self) -> Loss:
        if not (self.mse or self.vgg or self.own_terms):
            raise ValueError(
                "mse, vgg22 and vgg54 are all 0: nothing ties the output to the original"
            )
        return self

    @model_validator(mode="after")
    def _names_differ(self) -> Loss:
        names = [term.called for term in self.own]
        for place, name in enumerate(names):
            if name in LOGGED or name in names[:place]:
                raise FieldError(
                    f"the term is called {name!r}, as another column of losses.csv",
                    "own",
                    place,
                    "term",
                    remedy="Give the term a name: name = ...",
                )
        return self


class Data(Config):
    """What a batch is made of. `crop` is in high-resolution pixels.

    With `views` of 8 every crop is turned and mirrored at random, each of the square's eight
    positions as likely. Photographs are cut as they are, and also at `smaller` fractions of their
    size: few photographs then show many textures. `kept_aside` photographs are never trained on:
    their middles are the validation set. Those whose names have the least SHA-256 are taken, a
    tenth of all at most.

    A `window` bounds what the device holds: so many megapixels, renewed photograph by photograph
    while updates go on, in an order that the seed draws. After each `crops_per_photograph` crops
    another photograph takes the place of the oldest. `degrade` is how LR images are made of whole
    photographs. One that draws, such as noise, draws anew each time a photograph comes in, which
    without a window they all do again and again.
    """

    crop: int = Field(default=96, ge=16)
    """Side of a crop, in high-resolution pixels."""
    batch: PositiveInt = 16
    """Crops in a batch."""
    views: Literal[1, 8] = 1
    """1: crops as they are; 8: turned and mirrored at random."""
    smaller: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = ()
    """Fractions of a photograph's size at which it is also cut."""
    kept_aside: NonNegativeInt = 10
    """Photographs for validation, a tenth of all at most."""
    window: NonNegativeFloat = 0.0
    """Megapixels of high resolution that the device holds at once; 0: all photographs."""
    crops_per_photograph: PositiveInt = 16
    """Crops that are cut of a photograph of average size before another takes its place."""
    degrade: Annotated[
        Degradation | None,
        BeforeValidator(_degradation, json_schema_input_type=str | Degradation | None),
    ] = None
    """How LR images are made: what `sreval benchmark --degrade` takes, or the keys of a
    degradation; absent or empty: `bicubic`. A file is relative to the recipe's."""


class Optimisation(Config):
    """The optimiser and its schedule.

    `soap` turns Adam's update into the eigenbasis of the gradient's second moments, for networks
    small enough that this costs little; the basis is renewed every `basis_every` updates. `muon`
    makes the update of a convolution orthogonal, with `beta1` for its momentum. A discriminator
    always has Adam.

    The run ends after `updates`, or when `minutes` are over, validation and saving included.
    `steps` multiplies the learning rate by `factor` at each of `milestones`; `cosine` lets it fall
    to `final_rate` times itself over the updates or the minutes. Both rise linearly over
    `rate_warmup` updates.
    From the share `freeze_norm` of the run on, the generator's batch norms keep their statistics:
    it learns as what it is scored as, whatever else is in a batch. 0 keeps those of the weights
    that the run starts from, 1 never does. Without it, rare crops come to hold most of the variance
    in a long run at a high rate, and a batch that has none of them then ends it.
    bf16 has 8 bits for a number. While the rate is high their rounding averages out; at its end the
    weights come to make up for it, and are worse in fp32, in which they are used: colours are off
    by up to a level. From the share `fp32_from` of the run on, a run in bf16 goes on in fp32. fp16
    has 11 bits and is as fast; it serves losses of `mse` alone.
    `ema` averages the weights, at first over fewer updates: what is validated and exported is
    then the average.

    With `accumulate` an update's batch goes through the networks in so many parts, one after the
    other, and takes that much less memory. Batch norm sees a part at a time. Of several processes
    each takes its share of every part; `synchronised` batch norm then has the statistics of all
    shares together, so that the result doesn't hang on how many processes there are, and `per rank`
    has each share's own, which asks for less exchange. In a single process they are one.
    """

    optimiser: Literal["adam", "soap", "muon"] = "adam"
    """The generator's; a discriminator always has Adam."""
    basis_every: PositiveInt = 10
    """Updates after which SOAP renews its basis."""
    updates: PositiveInt | None = None
    """The run's length in updates; give this or `minutes`."""
    minutes: PositiveFloat | None = None
    """The run's length in time, validation and saving included."""
    learning_rate: PositiveFloat = 1e-4
    """The highest rate."""
    shape: Literal["steps", "cosine"] = "steps"
    """How the rate falls."""
    milestones: tuple[PositiveInt, ...] = ()
    """Updates at which `steps` multiplies the rate by `factor`."""
    factor: PositiveFloat = 0.1
    """What `steps` multiplies the rate by."""
    final_rate: NonNegativeFloat = 0.01
    """The share of the rate to which `cosine` falls."""
    rate_warmup: NonNegativeInt = 0
    """Updates over which the rate rises from 0."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    """Decay of the mean of gradients; Muon's momentum."""
    beta2: float = Field(default=0.999, ge=0, lt=1)
    """Decay of the mean of squared gradients."""
    weight_decay: NonNegativeFloat = 0.0
    """Adam's; the other optimisers have none."""
    ema: float = Field(default=0.0, ge=0, lt=1)
    """Decay of the averaged weights; 0: no average."""
    discriminator_warmup: NonNegativeInt = 0
    """Updates of the discriminator before the generator's first."""
    accumulate: PositiveInt = 1
    """Parts in which a batch is taken, one after the other."""
    batch_norm: Literal["synchronised", "per rank"] = "synchronised"
    """Over what several processes take batch norm's statistics: all shares, or each its own."""
    freeze_norm: float = Field(default=1.0, ge=0, le=1)
    """The share of the run after which batch norms keep their statistics."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """In which the networks compute."""
    fp32_from: float = Field(default=1.0, ge=0, le=1)
    """The share of the run after which a run in bf16 computes in fp32."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """All chance of the run comes from this number."""

    @model_validator(mode="after")
    def _means_one_thing(self) -> Optimisation:
        if (self.updates is None) == (self.minutes is None):
            raise ValueError("give either updates or minutes")
        if self.optimiser != "adam" and self.weight_decay:
            raise ValueError(f"{self.optimiser} has no weight_decay; set it to 0")
        return self


class Run(Config):
    """How a run is watched, saved and sped up; none of this is part of the recipe's hash.

    With `light`, each checkpoint has a light form beside it, of which the newest is kept. The
    validation set is `kept_aside`, the photographs that Data keeps from training, or a named one.
    On a CUDA device the whole update is captured as a `graph`, where that can be done.
    """

    log_every: PositiveInt = 100
    """Updates between two lines of the loss curve."""
    checkpoint_minutes: NonNegativeFloat = 5.0
    """Minutes between two checkpoints."""
    keep: PositiveInt = 3
    """Checkpoints that are kept, the newest."""
    keep_at: tuple[PositiveInt, ...] = ()
    """Updates whose checkpoints are kept for good."""
    light: bool = False
    """Whether the newest checkpoint is also kept in small files."""
    validate_every: PositiveInt = 5000
    """Updates between two validations."""
    dataset: str = KEPT_ASIDE
    """What is validated on."""
    protocol: str = "matlab"
    """The protocol of its scores."""
    metrics: tuple[str, ...] = Field(default=("psnr", "ssim"), min_length=1)
    """Its metrics."""
    compile: Literal["off", "default"] = "off"
    """Whether torch compiles the networks."""
    graph: bool = True
    """Whether a GPU's update is captured as a CUDA graph."""
    tracker: Literal["off", "mlflow"] = "off"
    """What a run reports to beside TensorBoard."""

    @model_validator(mode="after")
    def _names_metrics_once(self) -> Run:
        twice = [name for name in self.metrics if self.metrics.count(name) > 1]
        if twice:
            raise ValueError(f"metrics names {twice[0]!r} twice")
        return self


class Recipe(Config):
    """One model's way from data to weights, with one profile applied.

    `starts_from` names the model whose weights it begins with; empty means from scratch. `choices`
    says what the papers leave open and how it was decided here.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    """What commands and folders call the model."""
    about: str = ""
    """One line for the card."""
    choices: tuple[str, ...] = ()
    """What the papers leave open, and how it was decided here."""
    starts_from: str = ""
    """The model whose weights training begins with; empty: none."""
    network: Architecture
    """The network and its arguments."""
    loss: Loss
    """The loss."""
    data: Data = Data()
    """The batches."""
    optimisation: Optimisation
    """The optimiser and its schedule."""
    run: Run = Run()
    """How the run is watched and saved."""

    @model_validator(mode="after")
    def _pairs_have_the_scale(self) -> Recipe:
        if self.data.crop % self.network.scale:
            raise ValueError(f"data.crop must be a multiple of the scale {self.network.scale}")
        if self.data.degrade is not None:
            try:
                self.data.degrade.require_scale(self.network.scale)
            except UsageError as error:
                raise FieldError(error.message, "data", "degrade", remedy=error.remedy) from None
        if isinstance(self.network, OwnArchitecture):
            whole = self.network.scale * self.network.multiple
            if self.data.crop % whole:
                raise ValueError(
                    f"data.crop must be a multiple of {whole}, network.scale x network.multiple"
                )
        return self

    @model_validator(mode="after")
    def _losses_fit_the_network(self) -> Recipe:
        terms = self.loss
        alone = not (terms.vgg or terms.adversarial or terms.recursion or terms.own_terms)
        if self.optimisation.precision == "fp16" and not alone:
            raise ValueError(
                "fp16 works with mse alone: set optimisation.precision to bf16 or fp32"
            )
        if self.loss.recursion and self.network.name != "drcn":
            raise ValueError("loss.recursion needs the network drcn")
        if self.network.colour != "rgb" and (self.loss.vgg or self.loss.adversarial):
            raise ValueError(f"{self.network.name} makes luma; VGG and adversarial losses need RGB")
        if self.loss.vgg_moves and self.data.crop < 32:
            raise ValueError("loss.vgg_moves needs data.crop to be 32 or more")
        if self.loss.adversarial and self.data.crop % 16:
            raise ValueError("the discriminator needs data.crop to be a multiple of 16")
        parts = self.optimisation.accumulate
        if self.data.batch % parts:
            raise ValueError(
                f"data.batch, {self.data.batch}, must be a multiple of optimisation.accumulate, "
                f"{parts}"
            )
        if self.loss.adversarial and self.data.batch // parts * (self.data.crop // 16) ** 2 < 2:
            raise ValueError(
                "the discriminator's last batch norm would see a single value: data.batch must be "
                f"{2 * parts} or more, or data.crop 32 or more"
            )
        return self

    @property
    def own_code(self) -> tuple[str, ...]:
        """The names of the user's own code that a run of it loads."""
        network = (self.network.name,) if self.network.own else ()
        terms = dict.fromkeys(term.term for term in self.loss.own_terms.values())
        return (*network, *terms)

    def identity(self) -> dict[str, Any]:
        """All that decides the weights."""
        return self.model_dump(mode="json", exclude={"about", "choices", "run"})

    @property
    def sha256(self) -> str:
        """SHA-256 of what `identity` holds and is not the default.

        So a hash outlives a new field, whose default must be what was done before it.
        """
        left_out = {"about", "choices", "run", "network"}
        chosen = self.model_dump(mode="json", exclude=left_out, exclude_defaults=True)
        chosen["network"] = self.network.model_dump(mode="json")
        return sha256_bytes(json.dumps(chosen, sort_keys=True).encode())


def load_recipe(
    name: str,
    profile: str = "paper",
    changes: Mapping[str, Any] | None = None,
    network: str = "",
) -> Recipe:
    """The recipe of a model (a name or a folder) with a profile and then `changes` applied.

    A network of the name `network` takes the place of its own, with the same interface.
    `changes` maps dotted keys to values, as `parse_changes` makes them; one of
    `optimisation.updates` and `optimisation.minutes` replaces the other. Raises
    UsageError naming the file, the field, the bad value and the remedy.
    """
    path, text, merged = _given(name, profile, changes)
    if network:
        merged["network"] = _in_place(merged.get("network"), network, path)
    written = {
        key: change(key, value)
        for key, value in (changes or {}).items()
        if not isinstance(value, Mapping) and not _holds_tables(value)
    }
    recipe = Recipe.checked(
        merged, f"{path} (profile {profile})", text, [("profiles", profile), ()], written
    )
    folder = content.name_of(path.parent)
    if recipe.name != folder:
        raise UsageError(
            f"{path} is the recipe of {recipe.name!r}, but its folder is named {folder!r}.",
            "Give the recipe and its folder one name: weights are published under it.",
        )
    return recipe


def _holds_tables(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(one, Mapping) for one in value)


def _in_place(table: object, name: str, path: Path) -> dict[str, Any]:
    """The table of a network of that name which takes and returns what the recipe's does."""
    try:
        own = validated(Named, {"network": table}).network
    except ValueError as error:
        raise UsageError(f"{path}: {error}.", "Fix the value.") from None
    if isinstance(own, OwnArchitecture):
        same = own.name == name
        return own.model_dump() | {"name": name, "arguments": own.arguments if same else {}}
    keys = ("scale", "colour", "input_range", "output_range")
    return {"name": name, **{key: getattr(own, key) for key in keys}}


def degradation_file(
    name: str, profile: str = "paper", changes: Mapping[str, Any] | None = None
) -> str:
    """The file that holds how LR images are made, or "" where the recipe itself says it."""
    data = _given(name, profile, changes)[2].get("data", {})
    named = str(data.get("degrade", ""))
    return named if named.endswith(".toml") else ""


def _given(
    name: str, profile: str, changes: Mapping[str, Any] | None
) -> tuple[Path, str, dict[str, Any]]:
    """A recipe's file, its text, and what profile and changes make of it, unchecked."""
    path = content.find("models", name) / "recipe.toml"
    text = config_text(path)
    raw, profiles = read_profiles(text, path)
    if profile not in profiles:
        raise unknown_name(f"profile of {path}", profile, profiles)
    merged = merged_with(raw, profiles[profile])
    data = merged.get("data")
    named = data.get("degrade") if isinstance(data, Mapping) else None
    if isinstance(named, str) and named.endswith(".toml"):
        merged = merged_with(
            merged, {"data": {"degrade": str(path.parent / content.user_path(named))}}
        )
    changes = dict(changes or {})
    for length, other in (_LENGTHS, _LENGTHS[::-1]):
        if length in changes:
            changes.setdefault(other, None)
    for key, value in changes.items():
        merged = merged_with(merged, _nested(key, value))
    return path, text, merged


def profile_names(name: str) -> list[str]:
    """The profiles of a model's recipe in the file's order."""
    path = content.find("models", name) / "recipe.toml"
    return list(read_profiles(config_text(path), path)[1])


def parse_changes(settings: Iterable[str]) -> dict[str, Any]:
    """`key=value` texts as dotted keys and TOML values; a bare word is a string.

    Raises UsageError for a text without `=`.
    """
    changes = {}
    for text in settings:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"Can't read {text!r}.", "Write key=value, as in data.batch=8.")
        try:
            changes[key.strip()] = from_toml(f"value = {value}")["value"]
        except ValueError:
            changes[key.strip()] = value.strip()
    return changes


def as_toml(value: Any) -> str:
    """A value as TOML writes it in one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(k)} = {as_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    return json.dumps(value, default=str)


def first_difference(a: Mapping[str, Any], b: Mapping[str, Any], prefix: str = "") -> str | None:
    """The dotted name of the first field in which two identities differ, with both values."""
    for key in sorted(a.keys() | b.keys()):
        x, y = a.get(key), b.get(key)
        if isinstance(x, Mapping) and isinstance(y, Mapping):
            if found := first_difference(x, y, f"{prefix}{key}."):
                return found
        elif x != y:
            return f"{prefix}{key} = {x!r} and {y!r}"
    return None


def _nested(key: str, value: Any) -> dict[str, Any]:
    head, dot, rest = key.partition(".")
    return {head: _nested(rest, value) if dot else value}
