"""Pictures are PNG files made without a display, and show the numbers they were given."""

from __future__ import annotations

import os
import struct
import subprocess
import sys

import numpy as np
import pytest

from minigrad.plots import plot_confusion, plot_curves, plot_histories, plot_mistakes, save_figure
from minigrad.train import Epoch

HISTORY = [Epoch(n, 2.3 / n, 2.4 / n, 1 - 0.9 / n, 1.0) for n in range(1, 6)]
NAMES = ("cat", "dog", "cow")


@pytest.fixture
def matplotlib():
    return pytest.importorskip("matplotlib", reason="matplotlib is not installed")


def texts(figure) -> list[str]:
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text)]


def curves(axes) -> dict[str, list]:
    return {line.get_label().split(",")[0]: list(line.get_ydata()) for line in axes.get_lines()}


def test_curves_show_every_epoch_and_what_guessing_gives(matplotlib):
    figure = plot_curves(HISTORY, classes=10, title="a run")
    losses, accuracies = figure.axes
    assert figure.get_suptitle() == "a run"
    assert curves(losses)["training"] == [epoch.train_loss for epoch in HISTORY]
    assert curves(losses)["test"] == [epoch.test_loss for epoch in HISTORY]
    assert curves(losses)["guessing"] == pytest.approx([np.log(10)] * 2)
    assert curves(accuracies)["test"] == [100 * epoch.test_accuracy for epoch in HISTORY]
    assert curves(accuracies)["guessing"] == [10, 10]
    assert "nats" in losses.get_ylabel() and "%" in accuracies.get_ylabel()


def test_a_loss_above_the_first_guess_is_inside_the_picture(matplotlib):
    losses, _ = plot_curves([Epoch(1, 9.0, 0.5, 0.1, 1.0)], classes=10).axes
    bottom, top = losses.get_ylim()
    assert bottom == 0 and top > 9


@pytest.mark.parametrize("epochs", [1, 2, 3, 10])
def test_epochs_are_counted_in_whole_numbers(matplotlib, epochs):
    history = [Epoch(number, 1.0, 1.0, 0.5, 1.0) for number in range(1, epochs + 1)]
    for axes in plot_curves(history, classes=10).axes:
        low, high = axes.get_xlim()
        shown = [tick for tick in axes.get_xticks() if low <= tick <= high]
        assert shown and all(tick == round(tick) for tick in shown)


def test_histories_lie_over_each_other(matplotlib):
    figure = plot_histories({"old": HISTORY, "new": HISTORY[:2]}, classes=10, title="what was run")
    shown = [curves(axes) for axes in figure.axes]
    assert [list(panel) for panel in shown] == [["old", "new", "guessing among 10"]] * 3
    assert shown[0]["new"] == [epoch.train_loss for epoch in HISTORY[:2]]
    assert shown[1]["old"] == [epoch.test_loss for epoch in HISTORY]
    assert shown[2]["old"] == [100 * epoch.test_accuracy for epoch in HISTORY]
    assert "what was run" in texts(figure)


def test_a_confusion_matrix_shows_its_counts_and_names(matplotlib):
    counts = np.array([[1200, 3, 0], [4, 50, 6], [0, 0, 0]])  # no example of the third class
    figure = plot_confusion(counts, NAMES)
    shown = texts(figure)
    assert {"1,200", "3", "4", "50", "6", *NAMES} <= set(shown) and "0" not in texts(figure.axes[0])
    assert "1,250 of 1,263 right (99.0 %)" in shown
    assert "a run\n1,250 of 1,263 right (99.0 %)" in texts(plot_confusion(counts, NAMES, "a run"))
    assert figure.axes[0].images[0].get_array().max() <= 100


def test_mistakes_come_in_the_order_of_confidence(matplotlib):
    probabilities = np.array([[0.6, 0.4, 0.0], [0.1, 0.0, 0.9], [0.3, 0.7, 0.0], [0.0, 0.9999, 0.0001]])
    images = np.arange(4 * 4, dtype=np.uint8).reshape(4, 2, 2)
    figure = plot_mistakes(images, np.array([1, 0, 1, 2]), probabilities, NAMES, rows=1, columns=4)
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == [
        *("cow", "taken for dog, 99.9 %"),  # never 100 % for less
        *("cat", "taken for cow, 90.0 %"),
        *("dog", "taken for cat, 60.0 %"),
        "3 mistakes among 4 images, and the 3 that the model was surest of",
    ]
    for image, n in zip(axes.images, (3, 1, 0), strict=True):
        np.testing.assert_array_equal(image.get_array(), images[n])


def test_mistakes_lie_in_a_grid_of_images_that_keep_their_shape(matplotlib):
    labels, probabilities = np.zeros(5, int), np.tile([0.2, 0.5, 0.3], (5, 1))
    figure = plot_mistakes(np.ones((5, 4, 6)), labels, probabilities, NAMES, rows=2, columns=3)
    (axes,), (width, height) = figure.axes, figure.get_size_inches()
    assert (axes.get_xlim(), axes.get_ylim()) == ((0, width), (height, 0))  # in inches, so that squares are square
    left, right, bottom, top = np.transpose([image.get_extent() for image in axes.images])
    np.testing.assert_allclose((bottom - top) * 6, (right - left) * 4)
    np.testing.assert_allclose((left + right) / 2, width * np.array([1, 3, 5, 1, 3]) / 6)
    assert (right[:2] < left[1:3]).all() and (bottom[:2] < top[3:]).all() and bottom.max() < height
    heights = np.array([text.get_position()[1] for text in axes.texts[:-1]]).reshape(5, 2)
    assert (heights[:, 0] < heights[:, 1]).all() and (heights[:, 1] < top).all()
    assert (heights[3:, 0] > bottom[:2]).all()


def test_a_model_without_mistakes_has_a_picture_too(matplotlib):
    figure = plot_mistakes(np.zeros((1, 2, 2)), np.array([0]), np.array([[1.0, 0, 0]]), NAMES)
    assert "0 mistakes among 1 images" in texts(figure)
    figure = plot_mistakes(np.zeros((1, 2, 2)), np.array([0]), np.array([[1.0, 0, 0]]), NAMES, title="a run")
    assert "a run\n0 mistakes among 1 images" in texts(figure)
    figure = plot_mistakes(np.zeros((0, 0, 0)), np.zeros(0, int), np.zeros((0, 3)), NAMES)
    assert "0 mistakes among 0 images" in texts(figure)


def test_a_saved_figure_is_a_png(matplotlib, tmp_path):
    save_figure(plot_curves(HISTORY, classes=10), tmp_path / "curves.png")
    data = (tmp_path / "curves.png").read_bytes()
    assert data.startswith(b"\x89PNG") and os.listdir(tmp_path) == ["curves.png"]
    width, height = struct.unpack(">II", data[16:24])
    assert width > 1000 and height > 500


def test_pictures_need_no_display_and_leave_pyplot_alone(matplotlib, tmp_path):
    script = f"""
import sys
from test_plots import *
save_figure(plot_curves(HISTORY, 10), {str(tmp_path / "x.png")!r})
assert "matplotlib.pyplot" not in sys.modules
"""
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "MPLBACKEND")}
    environment["PYTHONPATH"] = os.pathsep.join([os.path.dirname(__file__), *sys.path])
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, env=environment)


def test_without_matplotlib_one_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"^pictures need matplotlib: pip install matplotlib$"):
        plot_curves(HISTORY, 10)
