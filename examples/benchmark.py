# %% [markdown]
# # A benchmark: your network beside others
#
# A method is a function: a low-resolution image goes in, an image four times as large comes out.
# Both are numpy arrays of uint8, height x width x 3. Here a function of a few lines stands for
# your network. Run the file as it is, or cell by cell in an editor that knows `# %%`.

# %%
from pathlib import Path

import numpy as np
import skimage.data
from skimage.transform import resize

import sreval


def ours(lr):
    """Cubic splines of scikit-image in the place of a network."""
    height, width = lr.shape[:2]
    enlarged = resize(lr / 255, (4 * height, 4 * width), order=3)
    return np.clip(255 * enlarged + 0.5, 0, 255).astype(np.uint8)


# %% [markdown]
# Names stand for what the package brings: interpolation, and networks with their weights. `demo`
# is a data set of five photographs that come with scikit-image. Name "Set5" or a folder of your
# own in its place. All images and scores go to the folder `results`; a second call takes over
# what has not changed.

# %%
r = sreval.benchmark(
    {"ours": ours, "bicubic": "bicubic", "srgan-vgg54": "srgan-vgg54"}, ["demo"], out="results"
)

# %% [markdown]
# One row is one score of one image, with the hashes of everything that it depends on. So pandas
# can answer whatever a table does not.

# %%
print(r.frame[["method", "image", "protocol", "metric", "value"]].head())

# %% [markdown]
# The table has an interval below each mean, and stars where a method differs from the baseline.
# Five photographs are too few for any test, and the table says so. In a notebook it shows itself.

# %%
table = r.table(baseline="bicubic")
print(table)

# %%
Path("table.tex").write_text(table.to_latex(), encoding="utf-8")

# %% [markdown]
# One region under every method. Without a `region` it is the one where the methods differ most.

# %%
figure = r.figure("comparison", image="rocket")
figure.savefig("comparison.png")

# %% [markdown]
# Two arrays can be scored without a benchmark, too. Always name the protocol beside the number:
# another luma or border changes it by up to 1.3 dB.

# %%
hr = skimage.data.astronaut()
sr = ours(sreval.downscale(hr, 4))
print(sreval.score(hr, sr, protocols=["matlab", "ledig2017"]))
