"""ArrayDataset, and two datasets built on it: Fashion-MNIST as it ships, MNIST from every place it may come from."""

from __future__ import annotations

import gzip
import hashlib
import importlib.resources
import shutil
import struct
import sys
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from minigrad.data import MNIST, ArrayDataset, FashionMNIST, mnist
from minigrad.data import fashion_mnist as fashion_mnist_module

REAL_MNIST = Path(__file__).parents[2] / "shared" / "data" / "mnist"


def random_dataset(n: int = 7, shape: tuple[int, ...] = (5, 4), **kwargs) -> ArrayDataset:
    rng = np.random.default_rng(0)
    return ArrayDataset(rng.integers(0, 256, (n, *shape), dtype=np.uint8), rng.integers(0, 10, n), **kwargs)


# ArrayDataset


@pytest.mark.parametrize("shape", [(5, 4), (1, 5, 4), (3, 5, 4)])
def test_batch_gathers_and_scales_uint8_images(shape):
    dataset = random_dataset(shape=shape)
    images, labels = dataset.batch([6, 0, 0, -1])
    expected = np.float32(dataset.images[[6, 0, 0, -1]]) / np.float32(255)
    assert images.dtype == np.float32
    np.testing.assert_array_equal(images, expected.reshape(4, -1, 5, 4))
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(labels, dataset.labels[[6, 0, 0, -1]])


def test_every_pixel_value_is_divided_by_255_in_float32():
    dataset = ArrayDataset(np.arange(256, dtype=np.uint8).reshape(1, 16, 16), [0])
    images, _ = dataset.batch([0])
    np.testing.assert_array_equal(images.ravel(), [np.float32(i) / np.float32(255) for i in range(256)])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floating_images_become_float32_unscaled(dtype):
    pixels = np.random.default_rng(0).normal(0, 100, (3, 2, 5, 4)).astype(dtype)
    images, _ = ArrayDataset(pixels, [0, 1, 2]).batch([2, 1])
    assert images.dtype == np.float32
    np.testing.assert_array_equal(images, pixels[[2, 1]].astype(np.float32))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_arrays_are_kept_but_never_handed_out(dtype):
    pixels = np.ones((3, 5, 4), dtype)
    dataset = ArrayDataset(pixels, np.arange(3))
    assert np.shares_memory(dataset.images, pixels)
    images, labels = dataset.batch([0, 1, 2])
    images[...] = -1
    labels[...] = -1
    assert (pixels == 1).all()
    np.testing.assert_array_equal(dataset.labels, np.arange(3))


def test_images_of_any_strides_give_the_same_batches():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 14), dtype=np.uint8)
    strided = ArrayDataset(pixels.T[::-2], np.zeros(7, int))
    plain = ArrayDataset(pixels.T[::-2].copy(), np.zeros(7, int))
    np.testing.assert_array_equal(strided.batch([3, 1])[0], plain.batch([3, 1])[0])


def test_indices_are_those_of_the_images_that_were_given(backend: str):
    dataset = ArrayDataset(np.zeros((3, 2, 2), np.uint8), [0, 1, 2]).to(backend)
    dataset.images = np.zeros((5, 2, 2), np.uint8)
    with pytest.raises(IndexError, match="out of range for 3 samples, got 4 to 4"):
        dataset.batch([4])


@pytest.mark.parametrize("indices", [[], np.zeros(0, np.int32), range(0)])
def test_an_empty_batch_keeps_the_image_shape(indices):
    images, labels = random_dataset().batch(indices)
    assert images.shape == (0, 1, 5, 4) and images.dtype == np.float32
    assert labels.shape == (0,) and labels.dtype == np.int64


@pytest.mark.parametrize("index", [0, 6, -7, np.int64(3), np.uint8(3)])
def test_one_sample_is_an_image_and_an_int(index):
    dataset = random_dataset()
    image, label = dataset[index]
    assert image.shape == (1, 5, 4) and image.dtype == np.float32
    np.testing.assert_array_equal(image[0], np.float32(dataset.images[index]) / np.float32(255))
    assert type(label) is int and label == dataset.labels[index]


def test_iterating_ends_after_the_last_sample():
    dataset = random_dataset()
    assert [label for _, label in dataset] == dataset.labels.tolist()


def test_take_gives_the_first_samples_without_a_copy():
    dataset = random_dataset(classes="abcdefghij")
    first = dataset.take(3)
    assert len(first) == 3 and first.classes == tuple("abcdefghij")
    assert np.shares_memory(first.images, dataset.images)
    np.testing.assert_array_equal(first.batch(range(3))[0], dataset.batch(range(3))[0])
    np.testing.assert_array_equal(first.labels, dataset.labels[:3])
    assert len(dataset.take(0)) == 0 and len(dataset.take(7)) == 7


# Fashion-MNIST


@pytest.mark.parametrize(("train", "count"), [(True, 60_000), (False, 10_000)])
def test_fashion_mnist_is_whole_and_balanced(train, count):
    dataset = FashionMNIST(train=train)
    assert dataset.images.shape == (count, 28, 28) and dataset.images.dtype == np.uint8
    np.testing.assert_array_equal(np.bincount(dataset.labels), [count // 10] * 10)
    assert repr(dataset) == f"FashionMNIST({count} images of shape (1, 28, 28), uint8)"


def test_fashion_mnist_names_its_classes():
    dataset = FashionMNIST(train=False)
    assert len(dataset.classes) == 10
    # The first test images, as shown in the dataset's paper: an ankle boot, a pullover, two trousers, a shirt.
    assert [dataset.classes[dataset[i][1]] for i in range(5)] == [
        "ankle boot",
        "pullover",
        "trouser",
        "trouser",
        "shirt",
    ]


def test_fashion_mnist_ships_with_its_licence():
    licence = (importlib.resources.files("minigrad.data.fashion_mnist") / "LICENSE").read_text()
    assert "The MIT License" in licence and "2017 Zalando SE" in licence and "fashion-mnist" in licence


def test_a_changed_fashion_mnist_file_is_refused(monkeypatch):
    monkeypatch.setitem(fashion_mnist_module.SHA256, "t10k-labels-idx1-ubyte", "0" * 64)
    with pytest.raises(ValueError, match="t10k-labels-idx1-ubyte.gz: not the file that was expected"):
        FashionMNIST(train=False)


# MNIST


@pytest.mark.skipif(not REAL_MNIST.is_dir(), reason="the real MNIST files are not beside this checkout")
@pytest.mark.parametrize(("train", "count", "first"), [(True, 60_000, 5), (False, 10_000, 7)])
def test_the_real_mnist(monkeypatch, train, count, first):
    monkeypatch.setenv("MINIGRAD_DATA", str(REAL_MNIST.parent))
    dataset = MNIST(train)
    assert dataset.images.shape == (count, 28, 28)
    assert dataset.classes[dataset[0][1]] == str(first)


@pytest.fixture
def files(tmp_path, monkeypatch) -> dict[str, bytes]:
    """A small MNIST in place of the real one: four gzipped files by name, whose digests `mnist` now expects. No
    environment variable is set, and the cache is an empty folder."""
    rng = np.random.default_rng(0)
    contents = {}
    for split, count in (("train", 6), ("t10k", 4)):
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = rng.integers(0, 10, count, dtype=np.uint8)
        contents[f"{split}-images-idx3-ubyte"] = struct.pack(">4I", 0x803, *images.shape) + images.tobytes()
        contents[f"{split}-labels-idx1-ubyte"] = struct.pack(">2I", 0x801, count) + labels.tobytes()
    monkeypatch.setattr(mnist, "SHA256", {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()})
    monkeypatch.setattr(mnist, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(mnist, "MIRRORS", ())
    monkeypatch.delenv("MINIGRAD_DATA", raising=False)
    return {f"{name}.gz": gzip.compress(data) for name, data in contents.items()}


def put(files: dict[str, bytes], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def cached(tmp_path: Path) -> set[str]:
    return {path.name for path in (tmp_path / "cache").iterdir()}


def assert_is_the_small_mnist(dataset: MNIST) -> None:
    assert dataset.images.shape == (6, 28, 28)
    assert (
        mnist.SHA256["train-labels-idx1-ubyte"]
        == hashlib.sha256(struct.pack(">2I", 0x801, 6) + dataset.labels.astype(np.uint8).tobytes()).hexdigest()
    )


@pytest.mark.parametrize("subfolder", ["", "mnist"])
@pytest.mark.parametrize("zipped", [True, False])
def test_mnist_is_found_where_the_variable_points(files, tmp_path, monkeypatch, subfolder, zipped):
    if not zipped:
        files = {name.removesuffix(".gz"): gzip.decompress(content) for name, content in files.items()}
    put(files, tmp_path / "here" / subfolder)
    monkeypatch.setenv("MINIGRAD_DATA", str(tmp_path / "here"))
    assert_is_the_small_mnist(MNIST())
    assert len(MNIST(train=False)) == 4
    assert not (tmp_path / "cache").exists()


def test_a_foreign_file_where_the_variable_points_is_refused(files, tmp_path, monkeypatch):
    put(files, tmp_path / "here")
    name = "train-labels-idx1-ubyte.gz"
    shutil.copy(tmp_path / "here" / "t10k-labels-idx1-ubyte.gz", tmp_path / "here" / name)
    monkeypatch.setenv("MINIGRAD_DATA", str(tmp_path / "here"))
    with pytest.raises(ValueError, match=f"{name}: not the file that was expected"):
        MNIST()


def test_mnist_is_found_in_the_cache_without_pooch(files, tmp_path, monkeypatch):
    put(files, tmp_path / "cache")
    monkeypatch.setitem(sys.modules, "pooch", None)
    monkeypatch.setenv("MINIGRAD_DATA", str(tmp_path / "nowhere"))
    assert_is_the_small_mnist(MNIST())


def test_the_cache_is_where_pooch_has_it(monkeypatch, tmp_path):
    pooch = pytest.importorskip("pooch")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert mnist.cache_folder() == pooch.os_cache("minigrad")
    if sys.platform.startswith("linux"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert mnist.cache_folder() == pooch.os_cache("minigrad") == tmp_path / "minigrad"


def test_without_pooch_the_error_says_what_to_install(files, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r"pip install pooch, .*MINIGRAD_DATA"):
        MNIST()


class Mirror(BaseHTTPRequestHandler):
    """Serves `files`, misbehaving as `fault` says; `asked` collects the names asked for."""

    def __init__(self, files: dict[str, bytes], fault: str, asked: list[str], *args) -> None:
        self.files, self.fault, self.asked = files, fault, asked
        super().__init__(*args)

    def do_GET(self) -> None:
        name = self.path.removeprefix("/mnist/")
        self.asked.append(name)
        content = self.files[name]
        if self.fault == "wrong file":
            content = gzip.compress(struct.pack(">2I", 0x801, 3) + bytes(3))
        elif self.fault == "web page":
            content = b"<html>Please log in</html>"
        self.send_response(404 if self.fault == "not found" else 200)
        # A server that closes the connection without this header looks to its client like one that has finished.
        if self.fault != "cut, length unknown":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if self.fault.startswith("cut") else content)

    def log_message(self, *args) -> None:
        pass


@pytest.fixture
def mirror(files, monkeypatch):
    """Makes a server on this machine the next mirror and returns the list of the names it is asked for."""
    pytest.importorskip("pooch")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    servers = []

    def mirror(fault: str = "") -> list[str]:
        asked: list[str] = []
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Mirror, files, fault, asked))
        servers.append(server)
        if fault == "no connection":
            server.server_close()
        else:
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/mnist/"
        monkeypatch.setattr(mnist, "MIRRORS", (*mnist.MIRRORS, url))
        return asked

    yield mirror
    for server in servers:
        if server.socket.fileno() >= 0:  # not "no connection", which never ran
            server.shutdown()
            server.server_close()


TRAIN_FILES = ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"]
FAULTS = ["no connection", "not found", "wrong file", "web page", "cut", "cut, length unknown"]


def test_mnist_is_downloaded_once(mirror, tmp_path):
    first, second = mirror(), mirror()
    assert_is_the_small_mnist(MNIST())
    assert first == TRAIN_FILES and second == []
    assert cached(tmp_path) == set(TRAIN_FILES)
    assert_is_the_small_mnist(MNIST())
    assert first == TRAIN_FILES


@pytest.mark.parametrize("fault", FAULTS)
def test_the_second_mirror_is_tried_when_the_first_fails(mirror, tmp_path, fault):
    first, second = mirror(fault), mirror()
    assert_is_the_small_mnist(MNIST())
    assert second == TRAIN_FILES and first == (TRAIN_FILES if fault != "no connection" else [])
    assert cached(tmp_path) == set(TRAIN_FILES)


@pytest.mark.parametrize("fault", FAULTS)
def test_when_all_mirrors_fail_the_error_says_what_to_do_and_the_cache_stays_empty(mirror, files, tmp_path, fault):
    mirror(fault)
    mirror(fault)
    with pytest.raises(FileNotFoundError) as caught:
        MNIST()
    for part in (*mnist.MIRRORS, "MINIGRAD_DATA", *files):
        assert part in str(caught.value)
    if fault == "no connection":
        assert "Max retries" not in str(caught.value) and "Connection refused" in str(caught.value)
    assert cached(tmp_path) == set()


def test_an_interrupted_download_leaves_nothing_behind(mirror, tmp_path, monkeypatch):
    import pooch

    def interrupted(self, url, output_file, pooch):
        Path(output_file).write_bytes(b"part")
        raise KeyboardInterrupt

    mirror()
    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        MNIST()
    assert cached(tmp_path) == set()


def test_a_damaged_file_in_the_cache_is_replaced(mirror, files, tmp_path):
    put(files, tmp_path / "cache")
    name = "train-labels-idx1-ubyte.gz"
    (tmp_path / "cache" / name).write_bytes(files[name][:20])
    asked = mirror()
    assert_is_the_small_mnist(MNIST())
    assert asked == [name]
    assert (tmp_path / "cache" / name).read_bytes() == files[name]
