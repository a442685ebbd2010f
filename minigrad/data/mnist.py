"""MNIST, which is not shipped: found in $MINIGRAD_DATA or in the user's cache, else downloaded once, with pooch.

Wherever a file comes from, its decompressed bytes must have the digest in SHA256, so a damaged or foreign file never
becomes a dataset. The files are read by `data.idx`; what a dataset can do is in `data.dataset`.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

from .dataset import ArrayDataset
from .idx import read_idx, read_split

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)

SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
"""Digests of the decompressed files: copies differ in how they were compressed."""


_WITHOUT_NETWORK = "set the environment variable MINIGRAD_DATA to a folder that holds " + ", ".join(
    f"{name}.gz" for name in SHA256
)


class MNIST(ArrayDataset):
    """60,000 training or 10,000 test images of handwritten digits; 28 x 28 pixels, one channel, white on black.

    The files (train-images-idx3-ubyte.gz and so on, gzipped or not) are looked for in the folder that the environment
    variable MINIGRAD_DATA names and in its subfolder mnist, then in the user's cache, and are downloaded into that
    cache otherwise.

    Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits".

    Raises:
        TypeError: `train` is not a bool.
        ValueError: a file in $MINIGRAD_DATA is damaged or is not MNIST's.
        FileNotFoundError: the files are nowhere, and no mirror delivered them.
        ImportError: the files are nowhere, and pooch is not installed.

    >>> train = MNIST()  # doctest: +SKIP
    >>> train  # doctest: +SKIP
    MNIST(60000 images of shape (1, 28, 28), uint8)
    """

    def __init__(self, train: bool = True) -> None:
        images, labels = read_split("MNIST", _find, train)
        super().__init__(images, labels, "0123456789")


def cache_folder() -> Path:
    """The folder for downloads, where `pooch.os_cache("minigrad")` has it too; known without pooch."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or "~/AppData/Local").expanduser() / "minigrad/minigrad/Cache"
    if sys.platform == "darwin":
        return Path("~/Library/Caches/minigrad").expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "minigrad"


def _find(name: str, max_label: int | None) -> np.ndarray:
    if folder := os.environ.get("MINIGRAD_DATA"):
        for path in (Path(folder, sub, file) for sub in ("", "mnist") for file in (f"{name}.gz", name)):
            if path.is_file():
                return read_idx(path, max_label=max_label, sha256=SHA256[name])
    try:
        return read_idx(cache_folder() / f"{name}.gz", max_label=max_label, sha256=SHA256[name])
    except (FileNotFoundError, ValueError):  # a damaged file in the cache is replaced
        return _download(name, max_label)


def _download(name: str, max_label: int | None) -> np.ndarray:
    """The file from the first mirror that has it whole; it reaches the cache only after all checks."""
    try:
        import pooch
    except ImportError:
        raise ImportError(
            f"{_nowhere()}, and downloading it needs pooch: pip install pooch, or {_WITHOUT_NETWORK}"
        ) from None
    fetch = pooch.HTTPDownloader(progressbar=importlib.util.find_spec("tqdm") is not None, timeout=30)
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    failures = []
    for mirror in MIRRORS:
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            path = Path(folder, f"{name}.gz")
            try:
                fetch(mirror + path.name, str(path), None)
                array = read_idx(path, max_label=max_label, sha256=SHA256[name])
            except (OSError, ValueError) as error:  # requests' exceptions are OSErrors
                failures.append(f"  {mirror}{path.name}: {_why(error)}")
                continue
            os.replace(path, cache / path.name)
            return array
    raise FileNotFoundError(
        f"{_nowhere()}, and no mirror delivered it.\nWithout a network, {_WITHOUT_NETWORK}.\nThe mirrors:\n"
        + "\n".join(failures)
    )


def _why(error: Exception) -> str:
    """What urllib3 gives as its reason, where there was no connection: requests says it amid a longer sentence."""
    return str(getattr(error.args[0], "reason", error) if error.args else error)


def _nowhere() -> str:
    folder = os.environ.get("MINIGRAD_DATA") or "not set"
    return f"MNIST is neither in $MINIGRAD_DATA ({folder}) nor in {cache_folder()}"
