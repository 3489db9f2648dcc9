"""Small tables of votes for tests."""

import numpy as np
import pandas as pd

from sreval.opinions.arrays import Floats


def votes_table(scores: Floats, methods: tuple[str, ...] = ("a", "b", "c")) -> pd.DataFrame:
    """Long form of scores of shape (methods, images, raters), NaN where no vote was cast."""
    method, image, rater = np.nonzero(~np.isnan(scores))
    return pd.DataFrame(
        {
            "rater": [f"r{i:02}" for i in rater],
            "dataset": "Set5",
            "image": [f"img_{i:03}" for i in image],
            "method": [methods[i] for i in method],
            "score": scores[method, image, rater].astype(int),
        }
    )


def random_votes(
    seed: int = 0, methods: int = 3, images: int = 6, raters: int = 8, seen: float = 1.0
) -> pd.DataFrame:
    """Votes of 1 to 5 that grow with the method, a share ``seen`` of the full table."""
    generator = np.random.default_rng(seed)
    latent = generator.normal(size=(methods, images, raters)) + np.arange(methods)[:, None, None]
    scores = np.clip(np.rint(latent + 2), 1, 5)
    scores[generator.random(scores.shape) > seen] = np.nan
    return votes_table(scores, tuple("abcdefgh"[:methods]))
