# %% [markdown]
# # Opinions: from votes to a result
#
# A vote is one row: who gave it, on which image, made by which method, and the score. Votes may
# be a CSV file of any tool or, as here, a table in memory. Six raters scored two images under
# three methods, from 1 (bad) to 5 (excellent). Run the file as it is, or cell by cell.

# %%
import pandas as pd

import sreval

scores = {
    ("bird", "bicubic"): [2, 1, 2, 2, 3, 2],
    ("bird", "srresnet"): [3, 3, 4, 3, 4, 3],
    ("bird", "srgan"): [4, 4, 4, 3, 5, 4],
    ("zebra", "bicubic"): [1, 2, 2, 1, 2, 1],
    ("zebra", "srresnet"): [3, 2, 3, 3, 3, 2],
    ("zebra", "srgan"): [4, 3, 5, 4, 4, 4],
}
table = pd.DataFrame(
    [
        {"rater": f"r{number}", "image": image, "method": method, "score": score}
        for (image, method), row in scores.items()
        for number, score in enumerate(row, 1)
    ]
)

# %% [markdown]
# `read_votes` checks every row: scores outside the scale, two votes of one rater on one image,
# names that differ in nothing but case. It says what it found and what it left out.

# %%
votes = sreval.read_votes(table)
print(votes)

# %% [markdown]
# The mean opinion score, with its interval. The unit says what the interval is about: with
# "rater", about raters in general and these images.

# %%
print(sreval.mos(votes, unit="rater")[["method", "mos", "low", "high", "n_raters"]])

# %% [markdown]
# Which methods differ? Every pair is compared on the same raters, and the p values are adjusted
# for the number of pairs. With six raters the smallest p that any votes could give is 0.031, and
# 0.094 after the adjustment: no difference can be shown, however clear it looks. So plan the
# number of raters before you ask them.

# %%
print(sreval.compare(votes, adjustment="holm"))

# %%
curve = sreval.power(0.5, images=[2, 20], methods=3, raters=[6, 12, 26], unit="rater", studies=200)
print(curve[["n_images", "n_raters", "power", "standard_error"]])

# %%
needed = sreval.power(0.5, images=20, methods=3, unit="rater", studies=200)
print(needed[["n_raters", "low", "high", "power"]])

# %% [markdown]
# Do the raters agree, and did anybody vote carelessly? Screening never drops a vote by itself; it
# shows what would change without the raters that a rule names.

# %%
print(sreval.reliability(votes))
print(sreval.screen(votes))
