"""Distorted images against loops over their pixels: where they are taken from, the values between pixels, the draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from minigrad.data import ArrayDataset, DataLoader, Distorted, FashionMNIST


def pixels(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def value_at(image: np.ndarray, row: float, column: float) -> float:
    """The value between the four pixels of an image (H, W), which is 0 outside."""
    (H, W), top, left, total = image.shape, math.floor(row), math.floor(column), 0.0
    for i, j in [(top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)]:
        if 0 <= i < H and 0 <= j < W:
            total += float(image[i, j]) * (1 - abs(row - i)) * (1 - abs(column - j))
    return total


def distorted(image: np.ndarray, move: tuple[int, int], angle: float, factor: float, mirror: bool) -> np.ndarray:
    """An image (C, H, W), mirrored, turned anticlockwise by an angle in degrees, enlarged and moved, pixel by pixel."""
    C, H, W = image.shape
    image = image[:, :, ::-1] if mirror else image
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    result = np.zeros(image.shape)
    for h in range(H):
        for w in range(W):
            right, up = w - (W - 1) / 2 - move[1], -(h - (H - 1) / 2 - move[0])
            right, up = (cos * right + sin * up) / factor, (-sin * right + cos * up) / factor  # turned back
            for c in range(C):
                result[c, h, w] = value_at(image[c], (H - 1) / 2 - up, (W - 1) / 2 + right)
    return result


class Drawn:
    """In place of a generator: gives what is to be drawn."""

    def __init__(self, move: tuple[int, int], angle: float, factor: float, mirror: bool) -> None:
        self.move, self.uniforms, self.mirror = move, [angle, factor], mirror

    def integers(self, low: int, high: int, size: tuple[int, int], endpoint: bool) -> np.ndarray:
        assert endpoint and all(low <= m <= high for m in self.move)
        return np.repeat(np.array(self.move)[:, None], size[1], axis=1)

    def uniform(self, low: float, high: float, size: int) -> np.ndarray:
        return np.full(size, self.uniforms.pop(0))

    def random(self, size: int) -> np.ndarray:
        return np.full(size, 0.0 if self.mirror else 0.9)


@given(
    sizes=st.tuples(*[st.integers(1, 7)] * 2),
    C=st.integers(1, 3),
    N=st.integers(0, 3),
    move=st.tuples(*[st.integers(-9, 9)] * 2),
    angle=st.floats(-200, 200),
    factor=st.floats(0.3, 3),
    mirror=st.booleans(),
)
def test_each_pixel_is_taken_from_where_it_was(sizes, C, N, move, angle, factor, mirror) -> None:
    images = pixels(N, N, C, *sizes)
    dataset = Distorted(ArrayDataset(images, np.arange(N)), shift=9, rotation=200, scale=2, flip=True)
    dataset._generator = Drawn(move, angle, math.log(factor, 3), mirror)  # type: ignore[assignment]
    found, labels = dataset.batch(range(N))
    assert (found.dtype, found.shape, labels.tolist()) == (np.float32, images.shape, list(range(N)))
    for image, result in zip(images, found, strict=True):
        np.testing.assert_allclose(result, distorted(image, move, angle, factor, mirror), atol=1e-4)


def test_without_any_distortion_images_stay_as_they_are() -> None:
    dataset = FashionMNIST(train=False).take(50)
    found, labels = Distorted(dataset, shift=0, rotation=0, scale=0).batch(range(50))
    np.testing.assert_array_equal(found, dataset.batch(range(50))[0])
    np.testing.assert_array_equal(labels, dataset.labels)


@pytest.mark.parametrize("size", [(5, 8), (6, 3), (1, 1)])
def test_a_move_is_by_whole_pixels_and_brings_in_zeros(size: tuple[int, int]) -> None:
    image = pixels(0, 1, 2, *size)
    dataset = Distorted(ArrayDataset(image, [0]), shift=2, rotation=0, scale=0)
    room = np.pad(image, ((0, 0), (0, 0), (2, 2), (2, 2)))
    seen = set()
    for _ in range(200):
        (found,), _ = dataset.batch([0])
        moves = [
            (r, c)
            for r in range(5)
            for c in range(5)
            if np.array_equal(found, room[0, :, r : r + size[0], c : c + size[1]])
        ]
        assert moves
        seen.update(moves)
    assert len(seen) == 25


def test_a_quarter_turn_is_anticlockwise() -> None:
    image = pixels(1, 1, 1, 5, 5)
    dataset = Distorted(ArrayDataset(image, [0]), shift=0, rotation=90, scale=0)
    dataset._generator = Drawn((0, 0), 90, 0, False)  # type: ignore[assignment]
    np.testing.assert_allclose(dataset.batch([0])[0][0, 0], np.rot90(image[0, 0]), atol=1e-6)


def test_half_of_the_images_are_mirrored() -> None:
    image = pixels(2, 1, 1, 3, 4)
    dataset = Distorted(ArrayDataset(image, [0]), shift=0, rotation=0, scale=0, flip=True)
    mirrored = 0
    for found in dataset.batch([0] * 1000)[0]:
        assert np.array_equal(found, image[0]) or np.array_equal(found, image[0, :, :, ::-1])
        mirrored += not np.array_equal(found, image[0])
    assert 400 < mirrored < 600


def test_a_seed_gives_the_same_images_and_each_batch_others() -> None:
    dataset = FashionMNIST(train=False).take(8)
    for generator in (None, np.random.default_rng(5)):
        distorted = Distorted(dataset, flip=True, generator=generator)
        drawn = minigrad.manual_seed(3) if generator is None else generator
        state = drawn.bit_generator.state
        first, second = distorted.batch(range(8))[0], distorted.batch(range(8))[0]
        assert not np.array_equal(first, second)
        drawn.bit_generator.state = state
        np.testing.assert_array_equal(distorted.batch(range(8))[0], first)


def test_a_loader_takes_it_as_any_dataset() -> None:
    dataset = FashionMNIST(train=False).take(10)
    distorted = Distorted(dataset)
    assert (len(distorted), distorted.classes) == (10, dataset.classes)
    shapes = [images.shape for images, _ in DataLoader(distorted, 4, shuffle=True)]
    assert shapes == [(4, 1, 28, 28), (4, 1, 28, 28), (2, 1, 28, 28)]
    assert repr(distorted).endswith("uint8), shift=2, rotation=10, scale=0.1, flip=False)")


def test_images_on_a_gpu_are_refused() -> None:
    class OnGpu(ArrayDataset):
        def __init__(self) -> None:
            super().__init__(np.zeros((1, 2, 2), np.uint8), [0])
            self.backend = type("Other", (), {"xp": None, "name": "cupy"})()

    with pytest.raises(ValueError, match="images are distorted on the host, these are on cupy"):
        Distorted(OnGpu())
