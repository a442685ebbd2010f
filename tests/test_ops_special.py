"""What the table of random inputs does not reach: ties, kinks, infinities, NaN, huge numbers, third derivatives."""

from __future__ import annotations

import contextlib
import inspect
import math

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, ops
from minigrad.ops.linear import LinearGradWeight

pytestmark = pytest.mark.usefixtures("on_backend")


def leaf(values, dtype: str = "float64") -> Tensor:
    return Tensor(np.array(values, dtype), requires_grad=True)


def gradient(y: Tensor, x: Tensor) -> list:
    return minigrad.grad(y if y.size == 1 else y.sum(), x)[0].tolist()


# ------------------------------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize("operation", [lambda x: x + 2, lambda x: x - 2.0, lambda x: 2 * x, lambda x: x / 2])
def test_a_number_is_a_parameter_and_no_input_of_the_node(operation) -> None:
    x = leaf([1.0, 3.0])
    assert operation(x).grad_fn.inputs == (x,)


def test_integers_to_the_power_of_0_and_1_stay_integers() -> None:
    x = Tensor([-2, 0, 3])
    assert [(x**0).tolist(), (x**1).tolist(), (x**0).dtype] == [[1, 1, 1], [-2, 0, 3], np.int64]


@pytest.mark.parametrize("used", [(0,), (1,), (0, 1)], ids=["weight", "bias", "both"])
def test_a_linear_layers_gradients_have_a_gradient_whichever_is_used(used: tuple[int, ...]) -> None:
    def gradients(dy: Tensor, x: Tensor) -> tuple[Tensor, ...]:
        both = LinearGradWeight.apply(dy, x)
        return tuple(both[index] for index in used)

    rng = np.random.default_rng(0)
    dy, x = (leaf(rng.standard_normal((4, size))) for size in (3, 2))
    minigrad.gradcheck(gradients, (dy, x))
    minigrad.gradcheck(gradients, (dy, x), order=2)


@pytest.mark.parametrize("by", [0, 1], ids=["dy", "x"])
def test_a_linear_layers_gradient_by_its_weight_can_be_differentiated_by_one_input_alone(by: int) -> None:
    rng = np.random.default_rng(by)
    both = [leaf(rng.standard_normal((4, size))) for size in (3, 2)]
    alone = [tensor if index == by else tensor.detach() for index, tensor in enumerate(both)]
    direction = Tensor(rng.standard_normal((3, 2)))

    def second(dy: Tensor, x: Tensor) -> list:
        dweight, _ = LinearGradWeight.apply(dy, x)
        return gradient(dweight * direction, (dy, x)[by])

    assert second(*alone) == second(*both)


# ------------------------------------------------------------------------------------------------------- ties and kinks


@pytest.mark.parametrize(
    ("operation", "values", "expected"),
    [
        (ops.max, [[1.0, 5.0], [5.0, 5.0]], [[0.0, 1.0], [0.0, 0.0]]),
        (ops.min, [[3.0, 1.0], [1.0, 1.0]], [[0.0, 1.0], [0.0, 0.0]]),
        (lambda x: ops.max(x, axis=0), [[1.0, 5.0], [1.0, 5.0]], [[1.0, 1.0], [0.0, 0.0]]),
        (lambda x: ops.max(x, axis=-1), [[1.0, 5.0], [5.0, 5.0]], [[0.0, 1.0], [1.0, 0.0]]),
        (lambda x: ops.max(x, axis=(1, 0)), [[1.0, 5.0], [5.0, 5.0]], [[0.0, 1.0], [0.0, 0.0]]),
        (lambda x: ops.max(x.T), [[1.0, 5.0], [5.0, 5.0]], [[0.0, 0.0], [1.0, 0.0]]),
        (lambda x: ops.max_pool2d(x.reshape(1, 1, 2, 2), 2), [[1.0, 5.0], [5.0, 5.0]], [[0.0, 1.0], [0.0, 0.0]]),
    ],
)
def test_the_first_of_several_extremes_gets_the_whole_gradient(operation, values, expected) -> None:
    x = leaf(values)
    assert gradient(operation(x), x) == expected


def test_argmax_and_argmin_name_the_first() -> None:
    x = leaf([[1.0, 5.0, 5.0], [0.0, 0.0, 7.0]])
    assert (x.argmax().item(), x.argmin().item()) == (5, 3)
    assert x.argmax(1).tolist() == [1, 2]
    assert x.argmin(-1).tolist() == [0, 0]
    assert x.argmax(0, keepdims=True).tolist() == [[0, 0, 1]]
    assert x.argmax(0).dtype == "int64"
    assert ops.argmax(np.ones((0, 3)), 1).shape == (0,)


@pytest.mark.parametrize("pair", [(ops.maximum, 1.0), (ops.minimum, 1.0)])
def test_a_tie_between_two_goes_to_the_first(pair) -> None:
    operation, value = pair
    a, b = leaf([value]), leaf([value])
    operation(a, b).sum().backward()
    assert (a.grad.tolist(), b.grad.tolist()) == ([1.0], [0.0])


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (ops.abs, 0.0),
        (ops.relu, 0.0),
        (lambda x: ops.leaky_relu(x, 0.25), 0.25),
        (lambda x: ops.clip(x, 0.0, 1.0), 1.0),
        (lambda x: ops.clip(x, -1.0, 0.0), 1.0),
        (lambda x: x**0, 0.0),
        (lambda x: x**1, 1.0),
        (lambda x: x**2, 0.0),
        (lambda x: x ** Tensor(np.array([0.0])), 0.0),
        (lambda x: x ** Tensor(np.array([1.0])), 1.0),
    ],
)
def test_the_gradient_at_zero_is_the_documented_one(operation, expected) -> None:
    x = leaf([0.0])
    assert gradient(operation(x), x) == [expected]


@pytest.mark.parametrize(("exponent", "expected"), [(0.0, 0.0), (2.0, 0.0), (1.0, 0.0)])
def test_the_gradient_of_zero_to_a_power_by_the_exponent_is_zero(exponent, expected) -> None:
    b = leaf([exponent])
    assert gradient(Tensor(np.array([0.0])) ** b, b) == [expected]
    assert gradient(0**b, b) == [expected]


def test_to_the_power_of_zero_the_slope_still_depends_on_the_exponent() -> None:
    """d/db of b a^(b-1) at b = 0 is 1 / a."""
    a, b = leaf([2.0]), leaf([0.0])
    (slope,) = minigrad.grad((a**b).sum(), a, create_graph=True)
    assert slope.tolist() == [0.0]
    assert gradient(slope, b) == [0.5]


def test_zero_to_a_negative_power_falls_without_bound() -> None:
    b = leaf([-1.0])
    with np.errstate(divide="ignore"):
        assert gradient(Tensor(np.array([0.0])) ** b, b) == [-math.inf]


@pytest.mark.parametrize("operation", [ops.maximum, ops.minimum])
def test_beside_a_number_a_nan_gets_the_gradient(operation) -> None:
    a, b = leaf([math.nan, 1.0]), leaf([1.0, math.nan])
    operation(a, b).sum().backward()
    assert (a.grad.tolist(), b.grad.tolist()) == ([1.0, 0.0], [0.0, 1.0])


def test_a_negative_base_has_a_gradient_by_the_base_alone() -> None:
    a, b = leaf([-2.0]), leaf([3.0])
    assert gradient(a ** Tensor(np.array([3.0])), a) == [12.0]
    warning = pytest.warns(RuntimeWarning, match="invalid value encountered in log")
    with warning if b.backend.xp is np else contextlib.nullcontext():  # CuPy computes the NaN and says nothing
        assert math.isnan(gradient(Tensor(np.array([-2.0])) ** b, b)[0])


# ------------------------------------------------------------------------------------- infinities, NaN and huge numbers


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("operation", "values", "expected", "slopes"),
    [
        (ops.sigmoid, [-1e4, -750.0, 0.0, 750.0, 1e4], [0.0, 0.0, 0.5, 1.0, 1.0], [0.0, 0.0, 0.25, 0.0, 0.0]),
        (ops.tanh, [-1e4, 0.0, 1e4], [-1.0, 0.0, 1.0], [0.0, 1.0, 0.0]),
        (ops.softplus, [-1e4, 1e4], [0.0, 1e4], [0.0, 1.0]),
        (ops.relu, [-math.inf, math.inf], [0.0, math.inf], [0.0, 1.0]),
        (ops.softmax, [-1e4, 1e4, 1e4], [0.0, 0.5, 0.5], [0.0, 0.0, 0.0]),
        (ops.logsumexp, [-math.inf, 1e4], 1e4, [0.0, 1.0]),
        (ops.logsumexp, [1e4, 1e4 - 2e5], 1e4, [1.0, 0.0]),
        (lambda x: ops.softmax(x)[0], [0.0, -math.inf], 1.0, [0.0, 0.0]),
        (ops.sigmoid, [-math.inf, math.inf], [0.0, 1.0], [0.0, 0.0]),
    ],
)
def test_nothing_overflows(operation, values, expected, slopes, dtype) -> None:
    x = leaf(values, dtype)
    y = operation(x)
    np.testing.assert_allclose(y.numpy(), np.array(expected, dtype), atol=1e-300)
    np.testing.assert_allclose(gradient(y, x), slopes, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cross_entropy_of_huge_logits_is_finite_and_so_is_its_gradient(dtype) -> None:
    logits = leaf([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4]], dtype)
    losses = ops.cross_entropy(logits, [1, 1], reduction="none")
    np.testing.assert_allclose(losses.numpy(), [2e4, math.log(2)], rtol=1e-6)
    np.testing.assert_allclose(gradient(losses, logits), [[1.0, -1.0, 0.0], [0.0, -0.5, 0.5]], atol=1e-6)


@pytest.mark.parametrize(("reduction", "share"), [("mean", 0.5), ("sum", 1.0)])
def test_cross_entropy_and_its_reduction_are_one_step_back(reduction: str, share: float) -> None:
    logits = leaf([[0.0, 1.0, 2.0], [0.0, 0.0, 0.0]])
    (step,) = ops.cross_entropy(logits, [2, 0], reduction).backward_steps()
    expected = share * (ops.softmax(logits, axis=1).numpy() - [[0, 0, 1], [1, 0, 0]])
    np.testing.assert_allclose(step.grad_inputs[0].numpy(), expected, rtol=1e-12)


def test_cross_entropy_is_exact_where_the_loss_is_small() -> None:
    """ln(1 + e^-20) is lost when the probability is computed first."""
    logits = leaf([[20.0, 0.0]])
    assert ops.cross_entropy(logits, [0]).item() == pytest.approx(math.log1p(math.exp(-20)), rel=1e-6)
    np.testing.assert_allclose(gradient(ops.cross_entropy(logits, [0]), logits)[0][1], 2.0611536e-9, rtol=1e-6)


def test_a_loss_and_its_gradient_are_differentiated_in_one_pass() -> None:
    """Then both outputs of the kernel's node get a gradient: the losses, and the probabilities of which its rule is."""
    z, along = leaf([[0.5, -1.0, 2.0], [0.25, 1.0, -0.5]]), Tensor(np.array([[1.0, -2.0, 0.5], [0.0, 1.5, -1.0]]))
    loss = ops.cross_entropy(z, [2, 0])
    (g,) = minigrad.grad(loss, z, create_graph=True)
    slope = (g * along).sum()
    apart = [minigrad.grad(y, z, retain_graph=True)[0].numpy() for y in (loss, slope)]
    (together,) = minigrad.grad(loss + slope, z)
    np.testing.assert_allclose(together.numpy(), apart[0] + apart[1], rtol=1e-12)


def test_log_softmax_of_huge_logits_is_finite() -> None:
    x = leaf([0.0, 1e4])
    assert ops.log_softmax(x).tolist() == [-1e4, 0.0]
    assert gradient(ops.log_softmax(x)[0], x) == [1.0, -1.0]


def test_logsumexp_of_infinity_and_a_large_number_is_infinity() -> None:
    assert ops.logsumexp(Tensor([math.inf, 1e4])).item() == math.inf


def test_logsumexp_of_nothing_but_minus_infinity_is_minus_infinity() -> None:
    assert ops.logsumexp(Tensor([-math.inf, -math.inf])).item() == -math.inf


@pytest.mark.parametrize(
    "operation",
    [
        ops.relu,
        ops.sigmoid,
        ops.tanh,
        ops.softplus,
        ops.leaky_relu,
        ops.abs,
        ops.max,
        ops.min,
        ops.sum,
        lambda x: ops.clip(x, 0.0, 1.0),
        lambda x: ops.maximum(x, 0.0),
        lambda x: ops.minimum(0.0, x),
        lambda x: ops.max_pool2d(x.reshape(1, 1, 1, 2), (1, 2)),
        lambda x: ops.avg_pool2d(x.reshape(1, 1, 1, 2), (1, 2)),
    ],
)
def test_a_nan_stays_a_nan(operation) -> None:
    for values in ([math.nan, 1.0], [1.0, math.nan]):
        assert np.isnan(operation(Tensor(values)).numpy()).any()


def test_a_nan_is_the_maximum_and_gets_its_gradient() -> None:
    x = leaf([1.0, math.nan, math.inf, math.nan])
    for operation in (ops.max, ops.min):
        assert gradient(operation(x), x) == [0.0, 1.0, 0.0, 0.0]


def test_max_pooling_never_takes_padding_for_a_maximum() -> None:
    x = leaf(np.full((1, 1, 2, 2), -5.0))
    y = ops.max_pool2d(x, 2, stride=1, padding=1)
    assert y.tolist() == [[[[-5.0] * 3] * 3]]
    assert gradient(y, x) == [[[[4.0, 2.0], [2.0, 1.0]]]]


def test_average_pooling_counts_padding_only_when_told_to() -> None:
    x = leaf(np.full((1, 1, 2, 2), 4.0))
    assert ops.avg_pool2d(x, 2, stride=2, padding=1).tolist() == [[[[1.0, 1.0], [1.0, 1.0]]]]
    assert ops.avg_pool2d(x, 2, stride=2, padding=1, count_include_pad=False).tolist() == [[[[4.0, 4.0], [4.0, 4.0]]]]


# ------------------------------------------------------------------------------------------------------------- indexing


def test_an_index_with_repeats_sums_their_gradients() -> None:
    for index in ([0, 0, 2], np.array([0, 0, 2]), Tensor([0, 0, 2]), ((0, 0, 2),), np.array([0, -3, 2], "int8")):
        x = leaf([1.0, 2.0, 3.0])
        (x[index] * Tensor(np.array([1.0, 10.0, 100.0]))).sum().backward()
        assert x.grad.tolist() == [11.0, 0.0, 100.0], index


def test_an_index_array_may_change_after_the_forward_pass() -> None:
    index = np.array([0, 1])
    x = leaf([1.0, 2.0, 3.0])
    y = x[index]
    index[:] = 2
    assert gradient(y, x) == [1.0, 1.0, 0.0]


def test_repeats_count_beside_slices_too() -> None:
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    assert gradient(x[[0, 0], 1:], x) == [[0.0, 2.0], [0.0, 0.0]]


def test_masks_and_new_axes() -> None:
    x = leaf([[1.0, -2.0], [-3.0, 4.0]])
    assert x[x > 0].tolist() == [1.0, 4.0]
    assert gradient(x[x > 0], x) == [[1.0, 0.0], [0.0, 1.0]]
    assert x[:, None, 0].shape == (2, 1)
    assert x[..., -1].tolist() == [-2.0, 4.0]
    assert x[True].shape == (1, 2, 2)
    assert x[[]].shape == (0, 2)
    assert x[Tensor(1), Tensor(0)].item() == -3.0
    assert x[[True, False]].tolist() == [[1.0, -2.0]]


def test_labels_may_change_after_the_forward_pass() -> None:
    labels = np.array([0, 1])
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    expected = gradient(ops.cross_entropy(x, labels.copy()), x)
    loss = ops.cross_entropy(x, labels)
    labels[:] = 0
    assert gradient(loss, x) == expected


def test_what_is_left_out_has_the_documented_value() -> None:
    defaults = {
        name: {
            p.name: p.default
            for p in inspect.signature(getattr(ops, name)).parameters.values()
            if p.default is not p.empty
        }
        for name in ops.__all__
    }
    assert defaults == {
        **{name: {} for name in ops.__all__},
        **{
            name: {"axis": None, "keepdims": False}
            for name in ("argmax", "argmin", "logsumexp", "max", "mean", "min", "sum")
        },
        "var": {"axis": None, "keepdims": False, "ddof": 0},
        **{name: {"axis": -1} for name in ("softmax", "log_softmax")},
        **{name: {"axis": 0} for name in ("concatenate", "stack")},
        **{name: {"reduction": "mean"} for name in ("cross_entropy", "mse_loss")},
        "squeeze": {"axis": None},
        "pad": {"value": 0.0},
        "clip": {"low": None, "high": None},
        "flatten": {"start_dim": 0, "end_dim": -1},
        "leaky_relu": {"negative_slope": 0.01},
        "linear": {"bias": None},
        "conv2d": {"bias": None, "stride": 1, "padding": 0, "dilation": 1, "groups": 1},
        "avg_pool2d": {"stride": None, "padding": 0, "count_include_pad": True},
        "max_pool2d": {"stride": None, "padding": 0},
        "dropout": {"p": 0.5, "training": True},
        "batch_norm": {"weight": None, "bias": None, "training": False, "momentum": 0.1, "eps": 1e-5},
    }


def test_what_is_left_out_counts_as_documented() -> None:
    assert ops.logsumexp(Tensor([[0.0, 0.0]])).shape == ()
    assert set(ops.dropout(Tensor(np.ones(100))).tolist()) == {0.0, 2.0}
    center = Tensor([0.0])
    ops.batch_norm(Tensor([[10.0], [20.0]]), center, None, training=True)
    assert center.item() == pytest.approx(1.5, rel=1e-6)


def test_comparisons_and_logic_go_by_the_names_they_are_known_by() -> None:
    for name in ("equal", "greater", "less_equal", "logical_and", "logical_xor"):
        operation = getattr(ops, name)
        assert (operation.__name__, operation.__qualname__) == (name, name)
        assert "; also the operator." in operation.__doc__


# ------------------------------------------------------------------------------------------------------- regularization


def test_dropout_keeps_the_expectation_and_scales_the_gradient_alike() -> None:
    minigrad.manual_seed(0)
    x = leaf(np.ones(10_000))
    y = ops.dropout(x, 0.25)
    values, counts = np.unique(y.numpy(), return_counts=True)
    np.testing.assert_allclose(values, [0.0, 4 / 3])
    assert 2_300 < counts[0] < 2_700
    np.testing.assert_array_equal(gradient(y, x), y.numpy())


def test_dropout_does_nothing_in_evaluation_and_everything_at_one() -> None:
    x = leaf([1.0, 2.0])
    assert ops.dropout(x, 0.9, training=False) is x
    assert ops.dropout(x, 0.0) is x
    assert ops.dropout(x, 1.0).tolist() == [0.0, 0.0]


def test_dropout_draws_the_same_on_every_backend() -> None:
    kept = []
    for name in ("numpy", minigrad.default_backend().name):
        minigrad.manual_seed(3)
        kept.append(ops.dropout(Tensor(np.ones(50), backend=name)).tolist())
    assert kept[0] == kept[1]


def test_batch_norm_moves_the_running_statistics_towards_the_batch() -> None:
    x = Tensor(np.array([[1.0, 10.0], [3.0, 10.0]]))
    center, spread = Tensor(np.array([0.0, 4.0])), Tensor(np.array([1.0, 1.0]))
    arrays = center.data, spread.data
    ops.batch_norm(x, center, spread, training=True, momentum=0.25)
    assert center.tolist() == [0.5, 5.5]  # 0.75 * 0 + 0.25 * 2, and 0.75 * 4 + 0.25 * 10
    assert spread.tolist() == [0.75 + 0.25 * 2.0, 0.75]  # with the unbiased variance, 2 and 0
    assert (arrays[0].tolist(), arrays[1].tolist()) == ([0.0, 4.0], [1.0, 1.0]), (
        "an array somebody may hold was changed"
    )


def test_the_running_variance_is_the_unbiased_one() -> None:
    x, spread = Tensor([[1.0], [2.0], [6.0], [7.0]]), Tensor([0.0])
    ops.batch_norm(x, None, spread, training=True, momentum=1.0)
    np.testing.assert_allclose(spread.numpy(), np.var(x.numpy(), ddof=1), rtol=1e-6)


def test_batch_norm_in_evaluation_leaves_the_running_statistics_alone() -> None:
    center, spread = Tensor([0.5]), Tensor([4.0])
    y = ops.batch_norm(Tensor([[2.5]]), center, spread, eps=0.0)
    assert (y.item(), center.item(), spread.item()) == (1.0, 0.5, 4.0)


def test_an_axis_may_be_one_of_numpys_integers() -> None:
    x = Tensor(np.arange(6.0).reshape(2, 3))
    assert ops.argmax(x, np.int64(-1)).tolist() == [2, 2]
    assert ops.concatenate([x, x], np.int8(1)).shape == (2, 6)


def test_everything_is_flattened_by_default() -> None:
    assert ops.flatten(Tensor(np.arange(24.0).reshape(2, 3, 4))).tolist() == list(range(24))


# -------------------------------------------------------------------------------------- dtypes of integers and booleans


@pytest.mark.parametrize(
    ("call", "values", "dtype"),
    [
        (lambda i: i + 1, [2, 3], "int64"),
        (lambda i: i * True, [1, 2], "int64"),
        (lambda i: i + 0.5, [1.5, 2.5], "float32"),
        (lambda i: i / 2, [0.5, 1.0], "float32"),
        (lambda i: 2**i, [2, 4], "int64"),
        (lambda i: i**2, [1, 4], "int64"),
        (lambda i: i**0.5, [1.0, 2**0.5], "float32"),
        (lambda i: i + Tensor([0.5, 0.5]), [1.5, 2.5], "float32"),
        (lambda i: i + Tensor(np.array([0.5, 0.5])), [1.5, 2.5], "float64"),
        (lambda i: i + Tensor([True, False]), [2, 2], "int64"),
        (lambda i: i.to("uint8") - 1, [0, 1], "uint8"),
        (lambda i: i.to("int8") + i, [2, 4], "int64"),
        (lambda i: i.exp(), [math.e, math.e**2], "float32"),
        (lambda i: i.sigmoid(), [0.7310586, 0.880797], "float32"),
        (lambda i: i.mean(), 1.5, "float32"),
        (lambda i: i.var(), 0.25, "float32"),
        (lambda i: i.sum(), 3, "int64"),
        (lambda i: (i > 1).sum(), 1, "int64"),
        (lambda i: i.max(), 2, "int64"),
        (lambda i: (i > 1).max(), True, "bool"),
        (lambda i: i.clip(2), [2, 2], "int64"),
        (lambda i: i.clip(None, 1.5), [1.0, 1.5], "float32"),
        (lambda i: (i > 1).clip(0), [0.0, 1.0], "float32"),
        (lambda i: (-i).leaky_relu(), [-0.01, -0.02], "float32"),
        (lambda i: i.clip(1.5), [1.5, 2.0], "float32"),
        (lambda i: i.relu(), [1, 2], "int64"),
        (lambda i: i.abs(), [1, 2], "int64"),
        (lambda i: ops.pad(i, 1), [0, 1, 2, 0], "int64"),
        (lambda i: ops.pad(i, 1, 7.0), [7, 1, 2, 7], "int64"),
        (lambda i: ops.pad(i > 1, 1), [False, False, True, False], "bool"),
        (lambda i: ops.pad(i > 1, 1, 1), [True, False, True, True], "bool"),
        (lambda i: ops.pad(i > 1, 1, 2), [2, 0, 1, 2], "int64"),
        (lambda i: ops.pad(i > 1, 1, -1), [-1, 0, 1, -1], "int64"),
        (lambda i: ops.pad(i, 1, 0.5), [0.5, 1.0, 2.0, 0.5], "float32"),
        (lambda i: ops.where(i > 1, i, 0), [0, 2], "int64"),
        (lambda i: ops.where(i > 1, i, 0.5), [0.5, 2.0], "float32"),
        (lambda i: ops.where(i > 1, 1.0, 2.0), [2.0, 1.0], "float32"),
        (lambda i: ops.where(i > 1, True, False), [False, True], "bool"),
        (lambda i: ops.concatenate([i, Tensor([0.5])]), [1.0, 2.0, 0.5], "float32"),
        (lambda i: ops.concatenate([i, Tensor([0.5]), i]), [1.0, 2.0, 0.5, 1.0, 2.0], "float32"),
        (lambda i: ops.concatenate([i, [3], i]), [1, 2, 3, 1, 2], "int64"),
        (lambda i: ops.concatenate([[3], i, i]), [3, 1, 2, 1, 2], "int64"),
        (lambda i: ops.add([1.0, 2.0], 2.0), [3.0, 4.0], "float32"),
        (lambda i: ops.add(2**63 - 1, 1), -(2**63), "int64"),  # as the integers of an array do, without a warning
        (lambda i: ops.linear(i.reshape(1, 2), i.reshape(1, 2), Tensor([3])), [[8.0]], "float32"),
        (lambda i: ops.mse_loss(i, i + 1, "none"), [1.0, 1.0], "float32"),
        (lambda i: i @ i, 5, "int64"),
        (lambda i: i == 2, [False, True], "bool"),
        (lambda i: (i == 2) & (i > 0), [False, True], "bool"),
        (lambda i: (i == 2) | True, [True, True], "bool"),
        (lambda i: (i == 2) ^ (i > 0), [True, False], "bool"),
        (lambda i: ~(i == 2), [True, False], "bool"),
        (lambda i: i & 2, [0, 2], "int64"),
        (lambda i: i.to("float32"), [1.0, 2.0], "float32"),
        (lambda i: i.astype(bool), [True, True], "bool"),
    ],
)
def test_integers_and_booleans(call, values, dtype) -> None:
    y = call(Tensor([1, 2]))
    assert y.dtype == dtype
    assert not y.requires_grad
    np.testing.assert_allclose(y.numpy(), values, rtol=1e-6)


def test_gradients_flow_beside_integers_and_past_them() -> None:
    x = leaf([1.0, 2.0])
    (x * Tensor([3, 4]) + (x > 1)).sum().backward()
    assert x.grad.tolist() == [3.0, 4.0]


# ------------------------------------------------------------------------------------------------ rules of higher order


def test_the_gather_of_max_pooling_has_a_rule_of_its_own() -> None:
    """Scatter's rule is the gather, and the gather's the scatter: seen in a third derivative along the cotangents."""
    x = leaf(np.arange(9.0).reshape(1, 1, 3, 3))
    d, u, v = leaf([[[[2.0, 3.0], [5.0, 7.0]]]]), leaf(np.ones((1, 1, 3, 3))), leaf([[[[1.0, 10.0], [100.0, 1000.0]]]])
    (scattered,) = minigrad.grad(ops.max_pool2d(x, 2, stride=1), x, d, create_graph=True)
    (gathered,) = minigrad.grad(scattered, d, u, create_graph=True)
    (back,) = minigrad.grad(gathered, u, v)
    assert gathered.tolist() == [[[[1.0, 1.0], [1.0, 1.0]]]]
    assert back.tolist() == [[[[0.0, 0.0, 0.0], [0.0, 1.0, 10.0], [0.0, 100.0, 1000.0]]]]


def test_the_hessian_of_a_network_is_symmetric() -> None:
    rng = np.random.default_rng(0)
    image = Tensor(rng.standard_normal((2, 1, 5, 5)))
    weight = Tensor(rng.standard_normal((2, 1, 2, 2)), requires_grad=True)
    hidden = ops.avg_pool2d(ops.sigmoid(ops.conv2d(image, weight)), 2)
    loss = ops.cross_entropy(hidden.flatten(1), [3, 0])
    (slope,) = minigrad.grad(loss, weight, create_graph=True)
    rows = []
    for k in range(weight.size):
        unit = np.zeros(weight.size)
        unit[k] = 1.0
        rows.append(minigrad.grad(slope, weight, [unit.reshape(weight.shape)], retain_graph=True)[0].numpy().ravel())
    hessian = np.array(rows)
    assert np.abs(hessian).max() > 1e-3
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-12)


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "var", "logsumexp", "argmax", "argmin"])
def test_reductions_drop_their_axis_unless_asked_to_keep_it(name) -> None:
    x = minigrad.ones(2, 3)
    assert getattr(ops, name)(x, axis=1).shape == (2,)
    assert getattr(ops, name)(x, axis=1, keepdims=True).shape == (2, 1)
