"""Datasets and the loader that cuts them into batches.

`idx` reads the files, `dataset` keeps images and labels in memory, `fashion_mnist` (shipped with the package) and
`mnist` (found or downloaded) are two such datasets, `distortion` makes more of one than there is, `loader` turns any
dataset into batches of Tensors.
"""

from __future__ import annotations

from .dataset import ArrayDataset, Dataset
from .distortion import Distorted
from .fashion_mnist import FashionMNIST
from .idx import read_idx
from .loader import DataLoader
from .mnist import MNIST

__all__ = ["MNIST", "ArrayDataset", "DataLoader", "Dataset", "Distorted", "FashionMNIST", "read_idx"]
