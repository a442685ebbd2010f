"""gradcheck: its verdicts, its report and its options. Whether it can be fooled: test_gradcheck_planted.py."""

from __future__ import annotations

import json

import numpy as np
import pytest

import minigrad
from minigrad import Function, GradcheckError, Tensor, gradcheck, gradcheck_module, gradcheck_numpy, nn


class HalfSquare(Function):
    """y = x^2, with the 2 of its derivative forgotten"""

    def forward(self, x):
        return x * x

    def backward(self, dy):
        (x,) = self.inputs
        return (dy * x,)


class Floor(Function):
    def forward(self, x):
        return np.floor(x)

    def backward(self, dy):
        return (dy * 0.0,)


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def verdicts(fn, *inputs, **options) -> list[str]:
    return [one.verdict for one in gradcheck(fn, inputs, raise_error=False, **options).inputs]


# ---------------------------------------------------------------------------------------------------------- verdicts


def test_a_right_gradient_makes_a_true_report(backend) -> None:
    with minigrad.use_backend(backend):
        report = gradcheck(lambda x, w: minigrad.conv2d(x, w, padding=1).relu(), (draw(2, 3, 5, 4), draw(4, 3, 3, 2)))
    assert report
    assert report.backend == backend
    assert [(one.name, one.verdict, one.checked) for one in report.inputs] == [("x", "ok", 120), ("w", "ok", 72)]


def test_a_wrong_rule_is_named_with_its_place_and_its_cause() -> None:
    x = draw(3)
    with pytest.raises(GradcheckError) as raised:
        gradcheck(lambda x: HalfSquare.apply(minigrad.exp(x)).sum(), x)
    (one,) = raised.value.report.inputs
    assert one.verdict == "wrong"
    assert one.operation == "HalfSquare"
    assert one.cause.name == "constant factor"
    assert one.worst.numeric == pytest.approx(2 * one.worst.analytic, rel=1e-6)
    for said in ("wrong", "HalfSquare", "constant factor", "1/2"):
        assert said in str(raised.value)


def test_a_right_operation_beside_a_wrong_one_is_not_blamed() -> None:
    report = gradcheck(
        lambda x, y: (minigrad.exp(x) * 2).sum() + HalfSquare.apply(y).sum(), (draw(2), draw(3)), raise_error=False
    )
    assert [(one.verdict, one.operation) for one in report.inputs] == [("ok", None), ("wrong", "HalfSquare")]


@pytest.mark.parametrize("at", [0.0, -0.0])
def test_a_kink_shows_both_slopes(at) -> None:
    report = gradcheck(abs, np.array([at, 1.0]), raise_error=False)
    (one,) = report.inputs
    assert not report
    assert one.verdict == "kink"
    assert one.worst.index == (0,)
    assert one.worst.left == pytest.approx(-one.worst.right)
    assert f"{one.worst.left:.6g} on the left" in str(report)


@pytest.mark.parametrize(
    ("fn", "x"),
    [
        (minigrad.relu, [0.0, 1.0]),
        (lambda x: x.max(axis=0), [1.0, 1.0, 0.0]),
        (lambda x: minigrad.maximum(x, x[::-1]), [2.0, 1.0, 1.0, 0.0]),
        (lambda x: minigrad.max_pool2d(x.reshape(1, 1, 2, 2), 2), [3.0, 1.0, 3.0, 0.0]),
        (Floor.apply, [0.5, 2.0]),
        (lambda x: minigrad.clip(x, 0.0, 1.0), [0.5, 1.0]),
    ],
)
def test_kinks_ties_and_jumps_are_kinks(fn, x) -> None:
    assert verdicts(fn, np.array(x)) == ["kink"]


@pytest.mark.parametrize("offset", [1e-3, 1e-6, 1e-9, -1e-9])
def test_next_to_a_kink_all_is_well(offset) -> None:
    assert verdicts(minigrad.relu, np.array([offset, 1.0, -1.0])) == ["ok"]


def test_a_gradient_that_is_neither_slope_of_a_kink_is_wrong() -> None:
    class Relu(Function):
        def forward(self, x):
            return np.maximum(x, 0)

        def backward(self, dy):
            (x,) = self.inputs
            return (dy * Tensor(np.where(x.data == 0, 5.0, x.data > 0)),)

    assert verdicts(Relu.apply, np.array([0.0, 1.0, -1.0])) == ["wrong"]


def test_what_depends_on_chance_is_nondeterministic() -> None:
    assert verdicts(lambda x: minigrad.dropout(x, 0.5, training=True), draw(100)) == ["nondeterministic"]


def test_chance_with_a_seed_is_fine() -> None:
    def fn(x):
        minigrad.manual_seed(3)
        return minigrad.dropout(x, 0.5, training=True)

    assert verdicts(fn, draw(10)) == ["ok"]


def test_a_cut_path_is_disconnected() -> None:
    assert verdicts(lambda x, y: x.detach() * y, draw(3), draw(3)) == ["disconnected", "ok"]


def test_a_gradient_without_a_dependence_is_disconnected() -> None:
    class Constant(Function):
        def forward(self, x):
            return np.ones_like(x)

        def backward(self, dy):
            return (dy,)

    assert verdicts(Constant.apply, draw(3)) == ["disconnected"]


def test_a_path_that_is_cut_in_part_lacks_a_term() -> None:
    (one,) = gradcheck(lambda x: x.detach() * x, draw(3), raise_error=False).inputs
    assert (one.verdict, one.operation, one.cause.name) == ("wrong", None, "term missing")


def test_inputs_that_are_not_used_are_ok() -> None:
    assert verdicts(lambda x, y: x * 2.0, draw(3), draw(2)) == ["ok", "ok"]


@pytest.mark.parametrize(("fn", "x"), [(minigrad.log, [-1.0, 1.0]), (lambda x: x**0.5, [0.0, 1.0])])
def test_what_is_not_finite_is_said(fn, x) -> None:
    assert verdicts(fn, np.array(x)) == ["non-finite"]


@pytest.mark.usefixtures("on_backend")
def test_a_function_that_writes_into_its_input_is_found() -> None:
    def fn(x):
        x.data[0] = 9.0
        return x * x

    assert verdicts(fn, draw(3)) == ["mutates its input"]


@pytest.mark.usefixtures("on_backend")
def test_the_callers_arrays_and_tensors_stay_as_they_are() -> None:
    x, t = draw(3), Tensor(draw(3), requires_grad=True)

    def fn(t, x):
        t.data[0] = 9.0
        return t * x

    before, data = x.copy(), t.numpy()
    gradcheck(fn, (t, x), raise_error=False)
    assert np.array_equal(x, before)
    assert np.array_equal(t.numpy(), data)
    assert t.grad is None


# ----------------------------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1.0, 1e6, 1e12])
def test_right_and_wrong_are_told_apart_at_every_scale(scale) -> None:
    x = scale * draw(4)
    assert verdicts(lambda x: x * x, x) == ["ok"]
    assert verdicts(HalfSquare.apply, x) == ["wrong"]
    assert verdicts(lambda x: HalfSquare.apply(x) * scale, draw(4)) == ["wrong"]


def test_inputs_of_very_different_sizes() -> None:
    assert verdicts(minigrad.log, np.array([1e-8, 1.0, 1e8])) == ["ok"]


def test_a_float32_function_is_checked_with_what_float32_allows() -> None:
    w = Tensor(draw(3, 2).astype(np.float32))
    report = gradcheck(lambda x: x @ w, Tensor(draw(4, 3).astype(np.float32)))
    assert report.dtype == "float32"
    assert "float32" in report.notes[0]
    report = gradcheck(lambda x: HalfSquare.apply(x.astype("float32")), draw(4), raise_error=False)
    assert [one.verdict for one in report.inputs] == ["wrong"]


def test_a_step_that_cannot_serve_is_a_matter_of_precision() -> None:
    (one,) = gradcheck(minigrad.exp, draw(3), eps=1e-15, raise_error=False).inputs
    assert one.verdict == "precision"


def test_one_wrong_element_among_many_is_found() -> None:
    class Flawed(Function):
        def forward(self, x):
            return 2 * x

        def backward(self, dy):
            g = 2 * dy.data
            g[17, 77] += 1.0
            return (Tensor._wrap(g, dy.backend),)

    (one,) = gradcheck(Flawed.apply, draw(100, 200), raise_error=False).inputs
    assert (one.verdict, one.worst.index) == ("wrong", (17, 77))
    assert one.checked < 100


def test_the_sample_is_seeded() -> None:
    counts = [gradcheck(lambda x: x * x, draw(1000), seed=seed, max_elements=7).inputs[0].checked for seed in (0, 1)]
    assert counts == [7, 7]


# ------------------------------------------------------------------------------------------- orders, modules, arrays


def test_the_gradient_of_the_gradient() -> None:
    x, w = draw(2, 2, 4, 3), draw(3, 2, 3, 2)
    report = gradcheck(lambda x, w: minigrad.conv2d(x, w, padding=1), (x, w), order=2)
    assert [one.name for one in report.inputs] == ["x", "w", "d/d x", "d/d w", "d/d gradient of the output"]


class CarelessProduct(Function):
    """Right where both gradients are needed, and not where one is."""

    def forward(self, a, b):
        return a * b

    def backward(self, dy):
        a, b = self.inputs
        if all(self.needs):
            return dy * b, dy * a
        return dy * a if self.needs[0] else None, dy * b if self.needs[1] else None


class CarelessPair(Function):
    """Right where both outputs are used, and not where the second one is by itself."""

    def forward(self, x):
        return x * 2.0, x * 3.0

    def backward(self, dy, dz):
        if dy is None or dz is None:
            return ((dz if dy is None else dy) * 2.0,)
        return (dy * 2.0 + dz * 3.0,)


@pytest.mark.parametrize(
    ("fn", "inputs", "operation", "cause"),
    [
        (CarelessProduct.apply, 2, "CarelessProduct", "needs misread"),
        (
            lambda x: CarelessProduct.apply(x, Tensor([1.0, 2.0, 3.0], dtype="float64")),
            1,
            "CarelessProduct",
            "term missing",
        ),
        (CarelessPair.apply, 1, "CarelessPair", "unused output"),
        (lambda x: CarelessPair.apply(x)[1], 1, "CarelessPair", "unused output"),
    ],
)
def test_rules_are_also_tried_where_one_gradient_or_one_output_is_wanted(fn, inputs, operation, cause) -> None:
    report = gradcheck(fn, [draw(3, seed=i) for i in range(inputs)], raise_error=False)
    assert {(one.verdict, one.operation, one.cause.name) for one in report.inputs} == {("wrong", operation, cause)}


def test_a_rule_that_returns_too_many_gradients_is_reported() -> None:
    class Generous(Function):
        def forward(self, x):
            return x * x

        def backward(self, dy):
            return dy * self.inputs[0] * 2.0, dy

    (one,) = gradcheck(Generous.apply, draw(3), raise_error=False).inputs
    assert (one.verdict, one.operation, one.cause.name) == ("wrong", "Generous", "rule fails")
    assert "must return a tuple of 1 gradients" in one.detail


def test_a_rule_that_cannot_be_differentiated_again_is_found() -> None:
    class Square(Function):
        def forward(self, x):
            return x * x

        def backward(self, dy):
            return (dy * Tensor(2 * self.inputs[0].numpy()),)

    assert gradcheck(Square.apply, draw(3))
    with pytest.raises(GradcheckError, match="term missing") as raised:
        gradcheck(lambda x: Square.apply(minigrad.sin(x)), draw(3), order=2)
    assert {one.operation for one in raised.value.report.wrong} == {"Square"}


@pytest.mark.parametrize("apart", [20.0, 30.0, 50.0])
@pytest.mark.parametrize("seed", [8, 13])
def test_what_rounding_leaves_of_a_saturated_softmax_is_not_called_wrong(apart: float, seed: int) -> None:
    logits = np.random.default_rng(seed).standard_normal((2, 4)) + apart * np.arange(4)
    report = gradcheck(lambda x: minigrad.softmax(x, axis=1), logits, order=2, seed=seed, raise_error=False)
    assert {one.verdict for one in report.inputs} <= {"ok", "precision"}


def test_a_module_is_checked_by_the_names_of_its_parameters() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Sigmoid(), nn.Flatten(), nn.Linear(8, 3))
    before = {name: p.numpy() for name, p in model.named_parameters()}
    report = gradcheck_module(model, minigrad.cross_entropy, (minigrad.rand(2, 1, 4, 4), Tensor([0, 2])))
    assert [one.name for one in report.inputs] == ["0.weight", "0.bias", "3.weight", "3.bias", "inputs"]
    for name, parameter in model.named_parameters():
        assert parameter.dtype == np.float32
        assert parameter.grad is None
        assert np.array_equal(parameter.numpy(), before[name])


def test_a_wrong_layer_of_a_module_is_named() -> None:
    class Squares(nn.Module):
        def forward(self, x):
            return HalfSquare.apply(x)

    model = nn.Sequential(nn.Linear(3, 4), Squares(), nn.Linear(4, 2))
    batch = (minigrad.randn(5, 3), minigrad.randn(5, 2))
    report = gradcheck_module(model, minigrad.mse_loss, batch, raise_error=False)
    assert {one.name: one.operation for one in report.wrong} == dict.fromkeys(
        ["0.weight", "0.bias", "inputs"], "HalfSquare"
    )


def test_a_layer_written_by_hand_in_numpy() -> None:
    def forward(x, w):
        return x @ w

    def backward(grad_output, x, w):
        return grad_output @ w, x.T @ grad_output

    x, w = draw(2, 3), draw(3, 3)
    report = gradcheck_numpy(forward, backward, (x, w), raise_error=False)
    assert [(one.name, one.verdict) for one in report.inputs] == [("x", "wrong"), ("w", "ok")]
    assert report.inputs[0].cause.name == "transposed"
    assert gradcheck_numpy(forward, lambda g, x, w: (g @ w.T, x.T @ g), (x, w))


def test_one_array_needs_no_tuple() -> None:
    assert gradcheck_numpy(np.exp, lambda g, x: g * np.exp(x), draw(3))


def test_integer_arrays_have_no_gradient() -> None:
    def backward(g, table, index):
        d = np.zeros_like(table)
        np.add.at(d, index, g)
        return d, None

    assert gradcheck_numpy(lambda table, index: table[index], backward, (draw(4, 2), np.array([1, 1, 3])))


def test_two_backends_are_compared(backends) -> None:
    other = next((name for name in backends if name != "numpy"), None)
    if other is None:
        pytest.skip("there is no second backend on this machine")

    def fn(x):
        return x * (2.0 if x.backend.name == "numpy" else 3.0)

    x = Tensor(draw(5), backend=other)
    assert "numpy" in gradcheck(minigrad.sigmoid, x, against="numpy").notes[-1]
    (one,) = gradcheck(fn, x, against="numpy", raise_error=False).inputs
    assert one.verdict == "wrong"
    assert "on numpy" in one.detail


# -------------------------------------------------------------------------------------------------------- the report


def test_the_report_can_be_written_as_json() -> None:
    report = gradcheck(HalfSquare.apply, draw(2, 2), raise_error=False)
    read = json.loads(json.dumps(report.to_dict()))
    assert read["ok"] is False
    assert read["inputs"][0]["cause"] == "constant factor"
    assert read["inputs"][0]["worst"]["index"] in [[0, 0], [0, 1], [1, 0], [1, 1]]


def test_the_table_for_notebooks_says_the_same_and_escapes_names() -> None:
    table = gradcheck(lambda x: HalfSquare.apply(x), draw(2), raise_error=False)._repr_html_()
    assert "constant factor" in table
    assert "&lt;lambda&gt;" in table
    assert "<lambda>" not in table


def test_the_curve_is_a_v() -> None:
    (one,) = gradcheck(minigrad.exp, draw(3)).inputs
    gaps = np.array([gap for _, gap in one.curve])
    best = gaps.argmin()
    assert 2 < best < len(gaps) - 4
    assert gaps[0] > 1e4 * gaps[best] < gaps[-1]


def test_the_picture_of_the_curve() -> None:
    pytest.importorskip("matplotlib")
    figure = gradcheck(lambda x, y: x.exp() * HalfSquare.apply(y), (draw(3), draw(3)), raise_error=False).plot()
    assert [axes.get_title() for axes in figure.axes] == ["x: ok", "y: wrong"]


# ------------------------------------------------------------------------------------------------ what is wrong to ask


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"eps": 0}, ValueError, "eps must be above 0, got 0"),
        ({"eps": "small"}, TypeError, "eps must be a number"),
        ({"atol": -1.0}, ValueError, "atol must be at least 0"),
        ({"rtol": float("nan")}, ValueError, "rtol must be at least 0"),
        ({"order": 3}, ValueError, "order must be 1 or 2, got 3"),
        ({"seed": -1}, ValueError, "seed"),
        ({"max_elements": 0}, ValueError, "max_elements"),
        ({"against": "torch"}, minigrad.BackendError, "torch"),
    ],
)
def test_options_are_checked(options, error, message) -> None:
    with pytest.raises(error, match=message):
        gradcheck(minigrad.exp, draw(2), **options)


@pytest.mark.parametrize(
    ("fn", "inputs", "error", "message"),
    [
        (3, draw(2), TypeError, "fn must be a function"),
        (minigrad.exp, Tensor([1, 2]), TypeError, "none of the inputs is a floating"),
        (minigrad.exp, (), TypeError, "none of the inputs is a floating"),
        (lambda x: x.numpy(), draw(2), TypeError, "must return a Tensor"),
        (lambda x: x > 0, draw(2), TypeError, "no floating Tensor"),
    ],
)
def test_there_must_be_something_to_check(fn, inputs, error, message) -> None:
    with pytest.raises(error, match=message):
        gradcheck(fn, inputs)


def test_a_backward_that_returns_too_few_gradients_is_an_error() -> None:
    with pytest.raises(TypeError, match="a gradient for each of 2 inputs"):
        gradcheck_numpy(lambda x, y: x * y, lambda g, x, y: (g * y,), (draw(2), draw(2)))


def test_an_error_of_the_function_is_its_own() -> None:
    with pytest.raises(ValueError, match="matmul"):
        gradcheck(lambda x, y: x @ y, (draw(2, 3), draw(2, 3)))


def test_unknown_options_are_errors() -> None:
    with pytest.raises(TypeError, match="unknown option 'tol'"):
        gradcheck_numpy(np.exp, lambda g, x: g, draw(2), tol=1)
