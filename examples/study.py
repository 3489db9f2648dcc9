# %% [markdown]
# # A study: people rate the images that were scored
#
# The whole way, except for the people: simulated raters take their places. Run the file as it is,
# or cell by cell. It needs no download and takes less than a minute.

# %%
from pathlib import Path

import sreval

# %% [markdown]
# First the images. Interpolation alone is enough to try a study out.

# %%
r = sreval.benchmark(["nearest", "bicubic", "lanczos", "hr"], ["demo"], out="results")

# %% [markdown]
# `quick` is a design that the package brings. The copy, studies/mine/study.toml, holds the whole
# study: what is shown, in which order, the questions, the rules, the planned analysis. Edit it
# now. The first rater locks it. If you run this file again, it goes on with the copy.

# %%
try:
    study = sreval.Study("mine")
except sreval.SrevalError:  # the first time
    study = sreval.Study.new("mine", source="quick")

# %% [markdown]
# The check says whether the design can work. Freezing writes every image that will be shown as a
# file that never changes, under its hash. What raters see is what was scored.

# %%
if study.manifest is None:
    print(study.check(results=r))
    study.freeze(r)

# %% [markdown]
# The rehearsal sends simulated raters through the rating site, with qualities that you guess.
# Their votes go to a database of their own, which begins empty each time. They are marked as
# simulated wherever they appear, and say nothing about the methods. You learn whether the design
# works, and what its result will look like.

# %%
Path("rehearsal.sqlite").unlink(missing_ok=True)
guess = {"nearest": 1.2, "bicubic": 2.0, "lanczos": 2.1, "hr": 4.4}
rehearsal = sreval.Study("mine", database="rehearsal.sqlite")
rehearsal.rehearse(raters=3, qualities=guess)
rehearsal.close()
print(sreval.mos(rehearsal.votes())[["method", "mos", "low", "high"]])

# %% [markdown]
# One table holds the scores of the metrics and the opinions of the same images.

# %%
print(r.table(studies=[rehearsal]))

# %% [markdown]
# For the study itself, invite people and serve the site, from here or from the command line:
#
#     sreval study invite mine --count 26 --csv links.csv
#     sreval serve mine
#     sreval study close mine
#     sreval report mine --results results
