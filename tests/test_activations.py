"""What layers return is what the hooks see; a receptive field is where the gradient is; a picture shows both."""

from __future__ import annotations

import numpy as np
import pytest

from minigrad import Tensor, nn
from minigrad.activations import MapRow, ReceptiveField, activations, plot_maps, receptive_field
from minigrad.models import lenet5


def images(N: int = 2) -> Tensor:
    return Tensor(np.random.default_rng(0).random((N, 1, 28, 28), np.float32))


# -- activations -----------------------------------------------------------------------------------------------------


def test_activations_are_what_the_layers_return():
    model, x = lenet5("modern"), images()
    found = activations(model, x, ["4", "0"])
    assert list(found) == ["4", "0"]
    np.testing.assert_array_equal(found["0"], model[:1](x).numpy())
    np.testing.assert_array_equal(found["4"], model[:5](x).numpy())


def test_the_model_runs_in_evaluation_mode_without_recording_and_stays_as_it_was():
    model = nn.Sequential(nn.Dropout(0.9), nn.BatchNorm2d(1), nn.Dropout(0.9).eval())
    before = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    x = images()
    found = activations(model, x, ["0"])
    np.testing.assert_array_equal(found["0"], x.numpy())
    assert [module.training for module in model] == [True, True, False]
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), before[name])


def test_no_hook_is_left_behind_where_the_model_fails():
    model = lenet5()
    with pytest.raises(ValueError, match="conv2d"):
        activations(model, Tensor(np.zeros((1, 3, 28, 28), np.float32)), ["0", "1"])
    assert all(module._forward_hooks == () for module in model.modules())


# -- receptive fields ------------------------------------------------------------------------------------------------

NETWORKS = {
    "plain": [nn.Conv2d(1, 2, (2, 3))],
    "padded": [nn.Conv2d(1, 2, (3, 5), padding=(1, 2)), nn.Tanh(), nn.Conv2d(2, 1, 3, padding=2)],
    "strided and dilated": [nn.Conv2d(1, 2, 3, stride=(2, 1), dilation=(1, 3)), nn.Conv2d(2, 2, (3, 2), stride=2)],
    "named paddings": [nn.Conv2d(1, 2, (4, 3), padding="same", dilation=(3, 2)), nn.Conv2d(2, 2, 2, padding="valid")],
    "pooled": [nn.Conv2d(1, 2, 3), nn.AvgPool2d((2, 3), stride=(2, 1)), nn.Sigmoid(), nn.AvgPool2d(3, padding=1)],
    "nested": [nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)), nn.Sequential(nn.AvgPool2d(2)), nn.Dropout()],
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_receptive_field_is_where_the_gradient_of_a_unit_is(name):
    model = nn.Sequential(*NETWORKS[name]).eval()
    for parameter in model.parameters():
        parameter.data = np.ones_like(parameter.data) * np.float32(0.1)  # so that nothing cancels
    last = [found for found, module in model.named_modules() if not list(module.children())][-1]
    field = receptive_field(model, last)
    H, W = 21, 25
    checked = 0
    x = Tensor(np.random.default_rng(0).random((1, 1, H, W), np.float32), requires_grad=True)
    OH, OW = model(x).shape[2:]
    for row, column in [(0, 0), (OH // 2, OW // 2), (OH - 1, OW - 1), (0, OW - 1)]:
        x.grad = None
        model(x)[0, 0, row, column].backward()
        seen = x.grad.numpy()[0, 0] != 0
        top, left = field.of(row, column)
        expected = np.zeros((H, W), bool)
        expected[max(top, 0) : top + field.size[0], max(left, 0) : left + field.size[1]] = True
        rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
        inside = expected.any(axis=1), expected.any(axis=0)
        if name in ("strided and dilated", "named paddings"):  # dilation sees not every pixel between
            assert seen.any() and not (seen & ~expected).any()
            if (row, column) == (OH // 2, OW // 2):
                assert [rows[0], rows[-1]] == [top, top + field.size[0] - 1]
                assert [columns[0], columns[-1]] == [left, left + field.size[1] - 1]
        else:
            np.testing.assert_array_equal(rows, np.flatnonzero(inside[0]))
            np.testing.assert_array_equal(columns, np.flatnonzero(inside[1]))
        checked += 1
    assert checked == 4


def test_max_pooling_sees_what_average_pooling_does():
    for layer in ("1", "2", "4", "5"):
        assert receptive_field(lenet5("modern"), layer) == receptive_field(lenet5("book"), layer)
    assert receptive_field(lenet5(), "1") == ReceptiveField(size=(5, 5), step=(1, 1), start=(-2, -2))
    assert receptive_field(lenet5(), "5") == ReceptiveField(size=(16, 16), step=(4, 4), start=(-2, -2))


# -- pictures --------------------------------------------------------------------------------------------------------


def rows(C: int = 2) -> list[MapRow]:
    maps = np.zeros((C, 4, 4))
    maps[0, 1, 2], maps[0, 3, 3] = 5, 2
    return [MapRow("first", np.ones((8, 8)), maps), MapRow("difference", np.ones((8, 8)), -maps)]


def test_maps_are_drawn_with_their_strongest_unit_and_what_it_sees():
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    (axes,) = plot_maps(rows(), ReceptiveField((3, 3), (2, 2), (-1, -1)), "what was run").axes
    frames = [line for line in axes.get_lines() if line.get_linewidth() > 1]
    assert len(frames) == 4  # a unit and its field a row; nothing for the map of zeros
    (field, unit) = ([line.get_xdata() - line.get_xdata().min(), line.get_ydata()] for line in frames[:2])
    assert np.ptp(field[1]) == pytest.approx(3 / 8) and min(field[1]) == pytest.approx(1 / 8)
    assert np.ptp(unit[0]) == pytest.approx(1 / 4) and np.ptp(unit[1]) == pytest.approx(1 / 4)
    pictures = axes.get_images()
    assert len(pictures) == 8
    assert [pictures[i].get_clim() for i in (1, 5)] == [(0, 5), (-5, 5)]
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["map 1", "map 2", "first", "difference"]


def test_a_field_that_reaches_into_the_padding_is_drawn_inside_the_image():
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    maps = np.zeros((1, 4, 4))
    maps[0, 0, 3] = 1
    (axes,) = plot_maps([MapRow("", np.ones((8, 8)), maps)], ReceptiveField((5, 5), (2, 2), (-2, -1))).axes
    frame = next(line for line in axes.get_lines() if line.get_linewidth() > 1)
    assert min(frame.get_ydata()) == 0 and np.ptp(frame.get_ydata()) == pytest.approx(3 / 8)
    assert np.ptp(frame.get_xdata()) == pytest.approx(3 / 8)
