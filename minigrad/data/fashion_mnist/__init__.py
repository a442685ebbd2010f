"""Fashion-MNIST, whose four files lie in this folder (see LICENSE beside them), so that it works offline.

H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms",
2017, arXiv:1708.07747. The files are read by `data.idx`; what a dataset can do is in `data.dataset`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..dataset import ArrayDataset
from ..idx import read_idx, read_split

SHA256 = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
"""Digests of the decompressed files."""

CLASSES = (
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)


class FashionMNIST(ArrayDataset):
    """60,000 training or 10,000 test images of clothes in ten classes; 28 x 28 pixels, one channel, light on black.

    Raises:
        TypeError: `train` is not a bool.
        ValueError: an installed file is damaged.

    >>> test = FashionMNIST(train=False)
    >>> test
    FashionMNIST(10000 images of shape (1, 28, 28), uint8)
    >>> image, label = test[0]
    >>> image.shape, test.classes[label]
    ((1, 28, 28), 'ankle boot')
    """

    def __init__(self, train: bool = True) -> None:
        images, labels = read_split("FashionMNIST", _read, train)
        super().__init__(images, labels, CLASSES)


def _read(name: str, max_label: int | None) -> np.ndarray:
    return read_idx(Path(__file__).with_name(f"{name}.gz"), max_label=max_label, sha256=SHA256[name])
