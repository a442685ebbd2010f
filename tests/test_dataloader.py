"""DataLoader: every sample once an epoch, shuffles that a seed repeats, batches that nothing else holds."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minigrad.backends import default_backend
from minigrad.data import ArrayDataset, DataLoader
from minigrad.random import default_generator, manual_seed
from minigrad.tensor import Tensor


def numbered(n: int) -> ArrayDataset:
    """A dataset whose image i is filled with i and whose label i is i."""
    images = np.broadcast_to(np.arange(n, dtype=np.uint8)[:, None, None], (n, 3, 2))
    return ArrayDataset(images, np.arange(n))


def order(loader) -> list[int]:
    return [label for _, labels in loader for label in labels.numpy().tolist()]


def test_batches_are_tensors_of_images_and_labels_on_the_default_backend():
    dataset = numbered(10)
    batches = list(DataLoader(dataset, batch_size=4))
    assert [images.shape for images, _ in batches] == [(4, 1, 3, 2), (4, 1, 3, 2), (2, 1, 3, 2)]
    start = 0
    for images, labels in batches:
        assert isinstance(images, Tensor) and isinstance(labels, Tensor)
        assert images.backend is default_backend() and labels.backend is default_backend()
        assert images.dtype == np.float32 and labels.dtype == np.int64
        assert not images.requires_grad
        expected_images, expected_labels = dataset.batch(range(start, start + len(labels.numpy())))
        np.testing.assert_array_equal(images.numpy(), expected_images)
        np.testing.assert_array_equal(labels.numpy(), expected_labels)
        start += len(expected_labels)
    assert start == 10


@given(st.integers(0, 40), st.integers(1, 45), st.booleans(), st.booleans())
def test_an_epoch_has_len_batches_and_every_sample_at_most_once(n, batch_size, shuffle, drop_last):
    loader = DataLoader(numbered(n), batch_size, shuffle, drop_last, generator=np.random.default_rng(0))
    sizes = [labels.shape[0] for _, labels in loader]
    assert len(sizes) == len(loader)
    whole, rest = divmod(n, batch_size)
    assert sizes == [batch_size] * whole + ([rest] if rest and not drop_last else [])
    seen = order(loader)
    assert len(set(seen)) == len(seen) == sum(sizes)


def test_without_shuffle_samples_come_in_order_and_nothing_is_drawn():
    generator = np.random.default_rng(0)
    before = generator.bit_generator.state
    assert order(DataLoader(numbered(10), 3, generator=generator)) == list(range(10))
    assert generator.bit_generator.state == before


def test_each_epoch_is_another_permutation_with_images_and_labels_together():
    loader = DataLoader(numbered(50), 8, shuffle=True, generator=np.random.default_rng(0))
    first, second = order(loader), order(loader)
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second and first != sorted(first)
    for images, labels in loader:
        np.testing.assert_array_equal((images.numpy()[:, 0, 0, 0] * 255).round(), labels.numpy())


def test_equal_seeds_give_equal_epochs():
    loaders = [DataLoader(numbered(50), 8, shuffle=True, generator=np.random.default_rng(s)) for s in (3, 3, 4)]
    a, b, c = ([order(loader), order(loader)] for loader in loaders)
    assert a == b
    assert a != c


def test_by_default_shuffles_come_from_the_global_generator():
    loader = DataLoader(numbered(50), 8, shuffle=True)
    manual_seed(5)
    first = order(loader)
    manual_seed(5)
    assert loader.generator is default_generator()
    assert order(loader) == first
    assert order(loader) != first


def test_the_generator_is_drawn_from_when_an_epoch_begins():
    generator = np.random.default_rng(0)
    loader = DataLoader(numbered(50), 8, shuffle=True, generator=generator)
    epoch = iter(loader)
    expected = np.random.default_rng(0).permutation(50).tolist()
    generator.random(100)
    assert order(epoch) == expected


def test_a_restored_generator_state_repeats_the_epochs_after_it():
    loader = DataLoader(numbered(50), 8, shuffle=True, generator=np.random.default_rng(0))
    order(loader)
    state = loader.generator.bit_generator.state
    expected = [order(loader), order(loader)]
    resumed = DataLoader(numbered(50), 8, shuffle=True, generator=np.random.default_rng(99))
    resumed.generator.bit_generator.state = state
    assert [order(resumed), order(resumed)] == expected


def test_an_epoch_left_half_way_does_not_disturb_the_next():
    loader = DataLoader(numbered(50), 8, shuffle=True, generator=np.random.default_rng(0))
    next(iter(loader))
    assert sorted(order(loader)) == list(range(50))


def test_two_epochs_at_once_do_not_disturb_each_other():
    loader = DataLoader(numbered(50), 8, shuffle=True, generator=np.random.default_rng(0))
    pairs = [(a.numpy(), b.numpy()) for (_, a), (_, b) in zip(loader, loader, strict=True)]
    first, second = (np.concatenate(labels).tolist() for labels in zip(*pairs, strict=True))
    alone = DataLoader(numbered(50), 8, shuffle=True, generator=np.random.default_rng(0))
    assert [first, second] == [order(alone), order(alone)]


def test_each_batch_has_memory_of_its_own():
    dataset = numbered(10)
    batches = list(DataLoader(dataset, 5))
    arrays = [tensor.data for batch in batches for tensor in batch]
    for i, array in enumerate(arrays):
        others = [*arrays[:i], *arrays[i + 1 :], dataset.images, dataset.labels]
        assert not any(np.shares_memory(array, other) for other in others)


def test_any_object_with_a_length_and_batch_is_a_dataset():
    class Squares:
        def __len__(self):
            return 5

        def batch(self, indices):
            return np.zeros((len(indices), 1, 2, 2), np.float32), indices**2

    assert order(DataLoader(Squares(), 2)) == [0, 1, 4, 9, 16]
