"""The paragraph on the evaluation for a paper's methods section, from the manifests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from sreval.benchmarking.results import (
    Held,
    Image,
    Meaning,
    Snapshot,
    by_title,
    place,
    remarks,
    titled,
)
from sreval.content import names, packaged
from sreval.errors import listed
from sreval.files import sha256_or_empty
from sreval.frames import is_frame, unit_name, unit_of
from sreval.images.known import KNOWN, UNVERIFIED
from sreval.images.scales import checked_scale
from sreval.methods.base import IN_PYTHON
from sreval.methods.sources import WEIGHTS
from sreval.metrics.metric import METRICS, Metric, in_order, metric_of
from sreval.metrics.protocol import Protocol
from sreval.report import paper
from sreval.report.collect import require_any_scores, scales_of, scored
from sreval.report.degradation_text import degradation_text
from sreval.report.text import percent

REFERENCES = {
    "Agustsson and Timofte 2017": "E. Agustsson, R. Timofte. NTIRE 2017 challenge on single image "
    "super-resolution: dataset and study. CVPR Workshops, 2017.",
    "Bevilacqua et al. 2012": "M. Bevilacqua, A. Roumy, C. Guillemot, M.-L. Alberi-Morel. "
    "Low-complexity single-image super-resolution based on nonnegative neighbor embedding. BMVC, "
    "2012.",
    "Bińkowski et al. 2018": "M. Bińkowski, D. J. Sutherland, M. Arbel, A. Gretton. Demystifying "
    "MMD GANs. ICLR, 2018.",
    "Bradley and Terry 1952": "R. A. Bradley, M. E. Terry. Rank analysis of incomplete block "
    "designs: I. The method of paired comparisons. Biometrika 39(3/4), 324-345, 1952.",
    "Cai et al. 2019": "J. Cai, H. Zeng, H. Yong, Z. Cao, L. Zhang. Toward real-world single image "
    "super-resolution: a new benchmark and a new model. ICCV, 2019.",
    "Cameron, Gelbach and Miller 2011": "A. C. Cameron, J. B. Gelbach, D. L. Miller. Robust "
    "inference with multiway clustering. Journal of Business and Economic Statistics 29(2), "
    "238-249, 2011.",
    "Chen et al. 2021": "Y. Chen, S. Liu, X. Wang. Learning continuous image representation with "
    "local implicit image function. CVPR, 2021.",
    "Davidson 1970": "R. R. Davidson. On extending the Bradley-Terry model to accommodate ties in "
    "paired comparison experiments. Journal of the American Statistical Association 65(329), "
    "317-328, 1970.",
    "Ding et al. 2022": "K. Ding, K. Ma, S. Wang, E. P. Simoncelli. Image quality assessment: "
    "unifying structure and texture similarity. IEEE Transactions on Pattern Analysis and Machine "
    "Intelligence 44(5), 2567-2581, 2022.",
    "Dong et al. 2016": "C. Dong, C. C. Loy, K. He, X. Tang. Image super-resolution using deep "
    "convolutional networks. IEEE Transactions on Pattern Analysis and Machine Intelligence 38(2), "
    "295-307, 2016.",
    "Glenn and David 1960": "W. A. Glenn, H. A. David. Ties in paired-comparison experiments using "
    "a modified Thurstone-Mosteller model. Biometrics 16(1), 86-109, 1960.",
    "Heusel et al. 2017": "M. Heusel, H. Ramsauer, T. Unterthiner, B. Nessler, S. Hochreiter. GANs "
    "trained by a two time-scale update rule converge to a local Nash equilibrium. NeurIPS, 2017.",
    "Holm 1979": "S. Holm. A simple sequentially rejective multiple test procedure. Scandinavian "
    "Journal of Statistics 6(2), 65-70, 1979.",
    "Huang et al. 2015": "J.-B. Huang, A. Singh, N. Ahuja. Single image super-resolution from "
    "transformed self-exemplars. CVPR, 2015.",
    "Keys 1981": "R. G. Keys. Cubic convolution interpolation for digital image processing. IEEE "
    "Transactions on Acoustics, Speech, and Signal Processing 29(6), 1153-1160, 1981.",
    "Kim et al. 2016": "J. Kim, J. K. Lee, K. M. Lee. Deeply-recursive convolutional network for "
    "image super-resolution. CVPR, 2016.",
    "Ledig et al. 2017": "C. Ledig, L. Theis, F. Huszár, J. Caballero, A. Cunningham, A. Acosta, "
    "A. Aitken, A. Tejani, J. Totz, Z. Wang, W. Shi. Photo-realistic single image super-resolution "
    "using a generative adversarial network. CVPR, 2017.",
    "Martin et al. 2001": "D. Martin, C. Fowlkes, D. Tal, J. Malik. A database of human segmented "
    "natural images and its application to evaluating segmentation algorithms and measuring "
    "ecological statistics. ICCV, 2001.",
    "Matsui et al. 2017": "Y. Matsui, K. Ito, Y. Aramaki, A. Fujimoto, T. Ogawa, T. Yamasaki, "
    "K. Aizawa. Sketch-based manga retrieval using Manga109 dataset. Multimedia Tools and "
    "Applications 76(20), 21811-21838, 2017.",
    "Mittal et al. 2012": "A. Mittal, A. K. Moorthy, A. C. Bovik. No-reference image quality "
    "assessment in the spatial domain. IEEE Transactions on Image Processing 21(12), 4695-4708, "
    "2012.",
    "Perez-Ortiz and Mantiuk 2017": "M. Perez-Ortiz, R. K. Mantiuk. A practical guide and "
    "software for analysing pairwise comparison experiments. arXiv:1712.03686, 2017.",
    "Reisenhofer et al. 2018": "R. Reisenhofer, S. Bosse, G. Kutyniok, T. Wiegand. A Haar "
    "wavelet-based perceptual similarity index for image quality assessment. Signal Processing: "
    "Image Communication 61, 33-43, 2018.",
    "Sheikh and Bovik 2006": "H. R. Sheikh, A. C. Bovik. Image information and visual quality. "
    "IEEE Transactions on Image Processing 15(2), 430-444, 2006.",
    "Shi et al. 2016": "W. Shi, J. Caballero, F. Huszár, J. Totz, A. P. Aitken, R. Bishop, "
    "D. Rueckert, Z. Wang. Real-time single image and video super-resolution using an efficient "
    "sub-pixel convolutional neural network. CVPR, 2016.",
    "van der Walt et al. 2014": "S. van der Walt, J. L. Schönberger, J. Nunez-Iglesias, "
    "F. Boulogne, J. D. Warner, N. Yager, E. Gouillart, T. Yu. scikit-image: image processing in "
    "Python. PeerJ 2, e453, 2014.",
    "Thurstone 1927": "L. L. Thurstone. A law of comparative judgment. Psychological Review 34(4), "
    "273-286, 1927.",
    "Wang et al. 2003": "Z. Wang, E. P. Simoncelli, A. C. Bovik. Multiscale structural similarity "
    "for image quality assessment. Asilomar Conference on Signals, Systems and Computers, 2003.",
    "Wang et al. 2023": "J. Wang, K. C. K. Chan, C. C. Loy. Exploring CLIP for assessing the look "
    "and feel of images. AAAI, 2023.",
    "Xue et al. 2014": "W. Xue, L. Zhang, X. Mou, A. C. Bovik. Gradient magnitude similarity "
    "deviation: a highly efficient perceptual image quality index. IEEE Transactions on Image "
    "Processing 23(2), 684-695, 2014.",
    "Zhang et al. 2011": "L. Zhang, L. Zhang, X. Mou, D. Zhang. FSIM: a feature similarity index "
    "for image quality assessment. IEEE Transactions on Image Processing 20(8), 2378-2386, 2011.",
    "Wang et al. 2004": "Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli. Image quality "
    "assessment: from error visibility to structural similarity. IEEE Transactions on Image "
    "Processing 13(4), 600-612, 2004.",
    "Wang et al. 2021": "X. Wang, L. Xie, C. Dong, Y. Shan. Real-ESRGAN: training real-world blind "
    "super-resolution with pure synthetic data. ICCV Workshops, 2021.",
    "Wilcoxon 1945": "F. Wilcoxon. Individual comparisons by ranking methods. Biometrics Bulletin "
    "1(6), 80-83, 1945.",
    "Zeyde et al. 2010": "R. Zeyde, M. Elad, M. Protter. On single image scale-up using "
    "sparse-representations. Curves and Surfaces, 2010. LNCS 6920, 711-730, 2012.",
    "Zhang, Tian et al. 2018": "Y. Zhang, Y. Tian, Y. Kong, B. Zhong, Y. Fu. Residual dense "
    "network for image super-resolution. CVPR, 2018.",
    "Zhang et al. 2018": "R. Zhang, P. Isola, A. A. Efros, E. Shechtman, O. Wang. The unreasonable "
    "effectiveness of deep features as a perceptual metric. CVPR, 2018.",
}
"""Every work that a paragraph of methods may cite, by its author and year."""

_SOURCES = {
    "Set5": "Bevilacqua et al. 2012",
    "Set14": "Zeyde et al. 2010",
    "BSD100": "Martin et al. 2001",
    "Urban100": "Huang et al. 2015",
    "demo": "van der Walt et al. 2014",
    "DIV2K-valid": "Agustsson and Timofte 2017",
    "Manga109": "Matsui et al. 2017",
    "RealSR": "Cai et al. 2019",
}

_COME_WITH = {
    "DIV2K-valid": "which its authors made by MATLAB's bicubic imresize",
    "RealSR": "photographs taken at a shorter focal length and aligned with the HR images",
}
"""How the LR images of sets that aren't verified came about."""

_INTERPOLATIONS = {
    "nearest": "nearest-neighbour interpolation",
    "bicubic": "bicubic interpolation as by MATLAB's imresize; Keys 1981",
    "lanczos": "Lanczos interpolation with three lobes, as by Pillow",
}

_ARCHITECTURES = {
    "drcn": "Kim et al. 2016",
    "espcn": "Shi et al. 2016",
    "srcnn": "Dong et al. 2016",
    "srgan": "Ledig et al. 2017",
    "srresnet": "Ledig et al. 2017",
}
"""Whose network a shipped model is, by the first part of its name."""

_LUMA = {
    "bt601": "the luma of BT.601 (16 to 235, rounded, as by MATLAB's rgb2ycbcr)",
    "png2y4m": "the dithered luma of BT.709 that daala's png2y4m makes",
    "none": "the three channels of RGB",
}

_SSIM = {
    "wang": "with a Gaussian window of 11x11 pixels and a standard deviation of 1.5 where the "
    "window lies wholly inside the image (Wang et al. 2004)",
    "daala": "in the form of daala's dump_ssim, whose Gaussian window has a standard deviation of "
    "1.5/256 of the image's height (Wang et al. 2004; Ledig et al. 2017)",
}

_WORKS = {
    "ms-ssim": "Wang et al. 2003",
    "vif": "Sheikh and Bovik 2006",
    "fsim": "Zhang et al. 2011",
    "gmsd": "Xue et al. 2014",
    "haarpsi": "Reisenhofer et al. 2018",
    "dists": "Ding et al. 2022",
    "brisque": "Mittal et al. 2012",
    "clip-iqa": "Wang et al. 2023",
    "fid": "Heusel et al. 2017",
    "kid": "Bińkowski et al. 2018",
}
"""Whose a metric is that another library computes."""

_TRUNKS: dict[str | None, str] = {"alex": "AlexNet", "vgg": "VGG16"}


def methods_text(frame: pd.DataFrame, folders: Sequence[Path], notes: Sequence[str] = ()) -> str:
    """What was evaluated, and how, in plain sentences with a list of the works cited.

    Speaks of the methods, data sets, protocols and metrics in ``frame``, which has rows of the
    results ``folders`` as ``collect.collect`` gives them, and of nothing else in the folders. Says
    what rows and manifests record, and no more: where an image set is the user's own, its source
    is left to fill in, in square brackets. ``notes`` say what was left out of the frame. Raises
    DataError for a ``frame`` without any score.
    """
    require_any_scores(frame, folders)
    runs = [_Folder(folder) for folder in folders]
    rows = scored(frame)
    paragraphs = [
        " ".join([_what(rows), *_data(rows, runs)]),
        _methods(rows, runs),
        " ".join([*_protocols(rows, runs), _statistics(rows)]),
        " ".join([*_failures(frame), *notes]),
        _software(rows, runs),
    ]
    text = "\n\n".join(part for part in paragraphs if part)
    cited = [f"- {work}" for work in works_cited(text)]
    return f"{text}\n\nReferences\n" + "\n".join(cited) + "\n"


def works_cited(text: str) -> list[str]:
    """The works of REFERENCES that a text cites, in their order."""
    return [work for key, work in REFERENCES.items() if _cites(text, key)]


class _Folder:
    """What the manifest of one results folder says."""

    def __init__(self, folder: Path) -> None:
        self.name = str(folder)
        found = Snapshot.of(folder)
        self.runs, self.datasets, self.meanings = found.runs, found.datasets, found.meanings
        self.protocols, self.metrics = found.protocols, found.metrics


def _what(rows: pd.DataFrame) -> str:
    methods = rows.loc[rows["method"] != "hr", "method"].nunique()
    scales = [f"{scale:g}" for scale in scales_of(rows)]
    factor = "an upscaling factor" if len(scales) == 1 else "upscaling factors"
    return f"We evaluated {_count(methods, 'method')} at {factor} of {_and(scales)}."


def _data(rows: pd.DataFrame, runs: Sequence[_Folder]) -> list[str]:
    """Which images, and how their LR images came about."""
    held = _held(rows, runs)
    told: dict[str, None] = {}
    made: dict[tuple[str, str], dict[str, None]] = {}
    unverified: dict[str, None] = {}
    ways = {id(one): Counter(_made_by(one, image) for image in one.images.values()) for one in held}
    for one in held:
        alike = all(ways[id(one)] == ways[id(other)] for other in held if other.name == one.name)
        name = titled(one.name, one.scale, not alike)
        source = _SOURCES.get(one.source, "[state their source]")
        total = len(one.images)
        told[f"{one.name} ({_size(one.images)}; {source})"] = None
        if one.source in UNVERIFIED:
            unverified[one.name] = None
        for how, count in ways[id(one)].items():
            of_all = "" if count == total else f" ({count} of {total})"
            made.setdefault(how, {})[f"{name}{of_all}"] = None
    sentences = [f"The images are those of {_and(list(told))}."]
    if unverified:
        names = _and(list(unverified))
        sentences.append(
            f"Whether the files of {names} are the published ones was not verified: no checksums "
            "of them are known."
        )
    sentences += [f"The {how[0]} of {_and(list(names))} {how[1]}." for how, names in made.items()]
    if (rows["scale"] % 1).any():
        sentences.append(
            "At an upscaling factor s that isn't whole, an image is cropped to the most rows that "
            "are s times those of a low-resolution image, rounded; columns likewise. Of H rows "
            "Chen et al. 2021 take floor(H/s) at low resolution, at times one fewer."
        )
    return sentences + remarks(rows)


def _size(images: Collection[str]) -> str:
    """How many images, or sequences of how many frames each and in all."""
    if unit_name(images) == "image":
        return _count(len(images), "image")
    lengths = sorted(Counter(map(unit_of, images)).values())
    text = f"{_count(len(lengths), 'sequence')} of {_count(lengths[-1], 'frame')}"
    if lengths[0] != lengths[-1]:
        text = text.replace(" of ", f" of {lengths[0]} to ")
    elif len(lengths) > 1:
        text += " each"
    return text if len(lengths) == 1 else f"{text}, {len(images)} in all"


def _made_by(one: Held, image: Image) -> tuple[str, str]:
    """The two parts of a sentence on how LR images were made, between them the data set's name."""
    recipe = one.degradation
    if image.lr and one.source in UNVERIFIED:
        return "LR images", f"are those that come with the set, {_COME_WITH[one.source]}"
    if image.lr and one.source in KNOWN:
        return (
            "HR and LR images",
            "are the pairs that Huang et al. (2015) published; their LR images were made by "
            "MATLAB's bicubic imresize",
        )
    if not image.hr:
        return "LR images", "were given without HR images [state how they were made]"
    if recipe is None or (image.lr and image.recipe_sha256 != recipe.sha256):
        return "LR images", "were given with the HR images [state how they were made]"
    made = f"were made from the HR images by {degradation_text(recipe, one.scale)}"
    return "LR images", made


def _held(rows: pd.DataFrame, runs: Sequence[_Folder]) -> list[Held]:
    """The data sets of the rows, in the paper's order."""
    found = {key: one for run in runs for key, one in run.datasets.items()}
    there = rows[["dataset", "scale"]].drop_duplicates()
    keys = {(d, checked_scale(s)) for d, s in there.itertuples(index=False, name=None)}
    order = paper.sort_datasets(sorted({dataset for dataset, _ in keys}))
    ordered = sorted(keys, key=lambda key: (order.index(key[0]), key[1]))
    return [found[place(*key)] for key in ordered if place(*key) in found]


def _methods(rows: pd.DataFrame, runs: Sequence[_Folder]) -> str:
    meanings = {sha: one for run in runs for of in run.meanings.values() for sha, one in of.items()}
    told = []
    for method in paper.sort_methods(list(rows["method"].unique())):
        own = rows.loc[rows["method"] == method, "method_sha256"].unique()
        known = [meanings[sha] for sha in own if sha in meanings]
        if method != "hr" and known:
            told.append(f"{paper.label(method)} ({_meaning(known[-1])})")
    return f"The methods are {_and(told)}." if told else ""


def _meaning(one: Meaning) -> str:
    """What a method's name stands for, without the folders of whoever ran it."""
    kind, _, rest = one.specification.partition(":")
    if one.specification in _INTERPOLATIONS:
        return _INTERPOLATIONS[one.specification]
    if kind == "published":
        return "images as their authors published them [state the source]"
    if kind == "python":
        return f"the Python function {rest.partition(',')[0]}"
    if not one.weights_sha256:
        return "our own [describe it]"
    model = _shipped().get(one.weights_sha256)
    network = "a network"
    if model:
        network = f"the network {model} that comes with sreval"
        work = _ARCHITECTURES.get(model.partition("-")[0])
        network += f", after {work}," if work else ""
    weights = f"{network} with weights of SHA-256 {one.weights_sha256[:12]}"
    return f"{weights}, computed in {one.settings}" if one.settings else weights


@cache
def _shipped() -> dict[str, str]:
    """The models that the package brings, by the SHA-256 of their weights."""
    folder = packaged("models")
    found = ((sha256_or_empty(folder / name / WEIGHTS), name) for name in names("models"))
    return {sha256: name for sha256, name in found if sha256}


def _protocols(rows: pd.DataFrame, runs: Sequence[_Folder]) -> list[str]:
    """How scores were computed: a sentence a metric and protocol."""
    definitions = {sha256: one for run in runs for sha256, one in run.protocols.items()}
    pairs = rows[["protocol", "protocol_sha256"]].drop_duplicates().itertuples(index=False)
    found = [(definitions[sha256], name, sha256) for name, sha256 in pairs if sha256 in definitions]
    sentences: list[str] = []
    others: list[str] = []
    for protocol, name, sha256 in found:
        own = rows[rows["protocol_sha256"] == sha256]
        metrics = [metric for metric in METRICS if metric in set(own["metric"])]
        others += [key for key in in_order(own["metric"]) if key not in METRICS]
        under = f"Under the protocol {name} (SHA-256 {sha256[:12]})"
        fidelity = [METRICS[metric].name for metric in metrics if METRICS[metric].fidelity]
        if fidelity:
            crop = "as many pixels as the upscaling factor"
            crop = crop if protocol.crop == "scale" else f"{protocol.crop} pixels"
            sentences.append(
                f"{under}, {_and(fidelity)} {'are' if len(fidelity) > 1 else 'is'} computed on "
                f"{_LUMA[protocol.luma]}, after {crop} were cut from each side."
            )
        sentences += [sentence for metric in metrics if (sentence := _DEFINED[metric](protocol))]
    if sentences and (rows["scale"] % 1).any():
        sentences.append("An upscaling factor that isn't whole is rounded up for these crops.")
    known = {key: metrics[-1] for run in runs for key, metrics in run.metrics.items()}
    elsewhere = set(rows.loc[rows["code"] == "", "metric"])
    for key in dict.fromkeys(others):
        sentences.append(_other(None if key in elsewhere else known.get(key), metric_of(key)))
    return list(dict.fromkeys(sentences))


def _other(made: Metric | None, metric: Metric) -> str:
    """How a metric is computed that isn't sreval's; ``made`` is what the manifest says of it."""
    work = f" ({_WORKS[metric.key]})" if metric.key in _WORKS else ""
    if made is None:
        return f"{metric.name}{work} was computed elsewhere [describe how]."
    of_set = ", one value for a whole data set" if made.per == "set" else ""
    if not made.package:
        what = made.specification.removeprefix("python:").removeprefix(IN_PYTHON)
        return f"{metric.name} is our own, computed by the Python function {what} [describe it]."
    crop = "as many pixels as the upscaling factor"
    option = made.specification.partition(",crop=")[2]
    crop = f"{option} pixels" if option else crop
    return (
        f"{metric.name}{work} is computed by {made.package} on RGB in [0, 1] after {crop} were cut "
        f"from each side{of_set}."
    )


def _ssim(protocol: Protocol) -> str:
    mean = ", averaged over the channels" if protocol.luma == "none" else ""
    return f"SSIM is computed {_SSIM[protocol.ssim_window]}{mean}."


def _lpips(protocol: Protocol, metric: str) -> str:
    trunk = _TRUNKS[METRICS[metric].trunk_under(protocol)]
    return (
        f"LPIPS (Zhang et al. 2018, version 0.1, {trunk}) is computed on RGB after as many pixels "
        "as the upscaling factor were cut from each side."
    )


_DEFINED: dict[str, Callable[[Protocol], str]] = {
    "psnr": lambda _: "",
    "ssim": _ssim,
    "lpips": lambda protocol: _lpips(protocol, "lpips"),
    "lpips-vgg": lambda protocol: _lpips(protocol, "lpips-vgg"),
}
"""The sentence that defines each metric, with the work it cites; PSNR needs none."""


def _statistics(rows: pd.DataFrame) -> str:
    images = set(rows["image"]) - {""}
    frames = any(map(is_frame, images))
    of = [*["image"] * (not all(map(is_frame, images)) or not frames), *["sequence"] * frames]
    mean = " or ".join(f"its {unit}s" for unit in of)
    mean += ", each of which scores the mean over its frames" if of == ["sequence"] else ""
    mean += ", of which a sequence scores the mean over its frames" if len(of) > 1 else ""
    left = "a frame" if of == ["sequence"] else "an image"
    return (
        f"The score on a data set is the mean over {mean}; {left} for which any method has no "
        f"finite score is left out for all. Intervals are {percent(0.95)} Student's t "
        f"intervals over the {' or '.join(f'{unit}s' for unit in of)}. Where methods are compared, "
        "it is by two-sided Wilcoxon signed-rank tests (Wilcoxon 1945) on the "
        f"{' or '.join(f'{unit}s{chr(39)}' for unit in of)} scores, adjusted by Holm's procedure "
        "(Holm 1979) within one data set and metric."
    )


def _failures(frame: pd.DataFrame) -> list[str]:
    """Which methods have no score of which images."""
    frame = by_title(frame)
    lacking = frame[frame["value"].isna()]
    sentences = []
    for (method, dataset), own in lacking.groupby(["method", "dataset"]):
        images = list(dict.fromkeys(own["image"]))
        what = "frame" if unit_name(images) == "sequence" else "image"
        metrics = _and([metric_of(key).name for key in in_order(own["metric"])])
        sentences.append(
            f"{paper.label(str(method))} has no {metrics} on {_count(len(images), what)} of "
            f"{dataset} ({listed(images)})."
        )
    return sentences


def _software(rows: pd.DataFrame, runs: Sequence[_Folder]) -> str:
    codes = sorted(set(rows["code"]) - {""})
    used = [run for folder in runs for run in folder.runs if _made(run, rows)]
    named = [*_NAMED, *(["lpips"] if rows["metric"].str.startswith("lpips").any() else [])]
    packages = _each(
        used, lambda run: [f"{p} {v}" for p, v in run["packages"].items() if p in named]
    )
    machines = _each(used, lambda run: [_machine(run["machine"])])
    text = f"All scores were computed with sreval {_and(codes)}"
    text += f" ({', '.join(packages)})" if packages else ""
    return f"{text}{f' on {_and(machines)}' if machines else ''}."


def _made(run: dict[str, Any], rows: pd.DataFrame) -> bool:
    """Whether a run may have made any of the rows."""
    alike = (
        rows["code"].eq(run["code"])
        & rows["method"].isin(list(run["methods"]))
        & rows["protocol"].isin(list(run["protocols"]))
    )
    return bool(alike.any())


_NAMED = ("torch", "numpy", "scipy", "pillow")


def _machine(facts: dict[str, Any]) -> str:
    return str(facts.get("gpu") or f"{facts['processor']} ({facts['system']})")


def _each(
    runs: Iterable[dict[str, Any]], of: Callable[[dict[str, Any]], Sequence[str]]
) -> list[str]:
    return list(dict.fromkeys(text for run in runs for text in of(run)))


def _cites(text: str, key: str) -> bool:
    author, _, year = key.rpartition(" ")
    return key in text or f"{author} ({year})" in text


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _and(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
