"""Learning-rate schedules epoch by epoch, and the clipping of gradients."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import nn, optim
from minigrad.tensor import Tensor


def optimizer(*rates: float) -> optim.SGD:
    return optim.SGD([{"params": [nn.Parameter([1.0])], "lr": rate} for rate in rates or (1.0,)])


def rates(scheduler, epochs: int) -> list[float]:
    """The rate of the first group in each of the epochs from the scheduler's present one."""
    seen = []
    for _ in range(epochs):
        seen.append(scheduler.get_last_lr()[0])
        scheduler.step()
    return seen


# -- schedules ---------------------------------------------------------------------------------------------------------


def test_step_lr_multiplies_every_step_size_epochs():
    scheduler = optim.StepLR(optimizer(0.5), step_size=2, gamma=0.5)
    assert rates(scheduler, 7) == [0.5, 0.5, 0.25, 0.25, 0.125, 0.125, 0.0625]
    assert rates(optim.StepLR(optimizer(1.0), 1), 3) == pytest.approx([1.0, 0.1, 0.01])


def test_cosine_annealing_goes_down_to_eta_min_and_up_again():
    expected = [1.0, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2, 0.0]
    scheduler = optim.CosineAnnealingLR(optimizer(1.0), T_max=4)
    assert rates(scheduler, 9) == pytest.approx([*expected, *expected[-2::-1]], abs=1e-12)
    scheduler = optim.CosineAnnealingLR(optimizer(1.0), T_max=2, eta_min=0.5)
    assert rates(scheduler, 3) == pytest.approx([1.0, 0.75, 0.5])


def test_every_group_is_scheduled_from_its_own_rate_also_one_added_later():
    sgd = optimizer(1.0, 0.5)
    scheduler = optim.StepLR(sgd, 1, gamma=0.5)
    scheduler.step()
    assert scheduler.get_last_lr() == [0.5, 0.25] and scheduler.base_lrs == [1.0, 0.5]
    sgd.add_param_group({"params": [nn.Parameter([1.0])], "lr": 8.0})
    assert scheduler.state_dict()["base_lrs"] == [1.0, 0.5, 8.0]
    scheduler.step()
    assert scheduler.get_last_lr() == [0.25, 0.125, 2.0]


def test_the_optimizer_steps_with_the_scheduled_rate():
    p = nn.Parameter([1.0])
    p.grad = Tensor([1.0])
    sgd = optim.SGD([p], lr=0.5)
    scheduler = optim.StepLR(sgd, 1, gamma=0.5)
    for _ in range(2):
        sgd.step()
        scheduler.step()
    assert p.item() == 0.25 and scheduler.last_epoch == 2


@given(st.integers(0, 12), st.booleans(), st.booleans())
def test_a_schedule_continued_from_its_state_is_the_uninterrupted_one(before, cosine, optimizer_first):
    def make(sgd):
        return optim.CosineAnnealingLR(sgd, 5, 0.01) if cosine else optim.StepLR(sgd, 3)

    sgd = optimizer(0.3)
    scheduler = make(sgd)
    rates(scheduler, before)
    states = json.loads(json.dumps([sgd.state_dict(), scheduler.state_dict()]))

    resumed_sgd = optimizer(7.0)
    if optimizer_first:
        resumed_sgd.load_state_dict(states[0])
    resumed = make(resumed_sgd)
    resumed.load_state_dict(states[1])
    if not optimizer_first:
        resumed_sgd.load_state_dict(states[0])
    assert rates(resumed, 8) == rates(scheduler, 8)


def test_the_state_of_a_schedule_is_plain_numbers():
    scheduler = optim.StepLR(optimizer(0.5), step_size=2, gamma=0.5)
    assert scheduler.state_dict() == {"step_size": 2, "gamma": 0.5, "last_epoch": 0, "base_lrs": [0.5]}
    state = scheduler.state_dict()
    rates(scheduler, 3)
    assert state["last_epoch"] == 0


def test_wrong_arguments_of_schedules_are_named():
    with pytest.raises(TypeError, match="StepLR: expected an Optimizer, got a Linear"):
        optim.StepLR(nn.Linear(2, 1), 1)
    for wrong in (1.5, True):
        with pytest.raises(TypeError, match=f"StepLR: step_size must be an integer, got {wrong}"):
            optim.StepLR(optimizer(), wrong)
    with pytest.raises(ValueError, match="StepLR: gamma must be 0 or more, got -1"):
        optim.StepLR(optimizer(), 1, gamma=-1)
    with pytest.raises(ValueError, match="CosineAnnealingLR: T_max must be at least 1, got 0"):
        optim.CosineAnnealingLR(optimizer(), 0)
    with pytest.raises(ValueError, match="CosineAnnealingLR: eta_min must be 0 or more, got -0.1"):
        optim.CosineAnnealingLR(optimizer(), 5, eta_min=-0.1)
    with pytest.raises(NotImplementedError, match=r"LRScheduler: define rate\(self, initial, epoch\)"):
        optim.lr_scheduler.LRScheduler(optimizer())


def test_a_schedules_state_that_does_not_fit_is_refused_and_changes_nothing():
    scheduler = optim.StepLR(optimizer(1.0), 1)
    with pytest.raises(ValueError, match=r"a StepLR has \['base_lrs', 'gamma', .* the state \['T_max', 'base_lrs', "):
        scheduler.load_state_dict(optim.CosineAnnealingLR(optimizer(1.0), 5).state_dict())
    with pytest.raises(ValueError, match="the state is of 2 groups, there are 1"):
        scheduler.load_state_dict({**optim.StepLR(optimizer(1.0, 2.0), 1).state_dict(), "last_epoch": 4})
    with pytest.raises(ValueError, match="StepLR: step_size must be at least 1, got 0"):
        scheduler.load_state_dict({**scheduler.state_dict(), "last_epoch": 4, "base_lrs": [2.0], "step_size": 0})
    assert scheduler.last_epoch == 0 and scheduler.get_last_lr() == [1.0] and scheduler.step_size == 1


# -- clipping ----------------------------------------------------------------------------------------------------------


def with_gradients(*grads, dtype=np.float32) -> list[nn.Parameter]:
    params = []
    for grad in grads:
        array = np.asarray(grad, dtype)
        params.append(nn.Parameter(np.zeros(array.shape, dtype)))
        params[-1].grad = Tensor(array)
    return params


def test_gradients_are_scaled_together_to_the_norm():
    params = [*with_gradients([3.0, 0.0], [[4.0]]), nn.Parameter([1.0])]
    arrays = [p.grad.data for p in params[:2]]
    norm = optim.clip_grad_norm_(params, max_norm=1.0)
    assert isinstance(norm, Tensor) and norm.shape == () and norm.item() == 5.0
    np.testing.assert_allclose(params[0].grad.numpy(), [0.6, 0.0], rtol=1e-6)
    np.testing.assert_allclose(params[1].grad.numpy(), [[0.8]], rtol=1e-6)
    assert params[2].grad is None
    assert [array.tolist() for array in arrays] == [[3.0, 0.0], [[4.0]]]  # replaced, not written into


def test_gradients_within_the_norm_stay_as_they_are():
    (p,) = with_gradients([3.0, 4.0])
    grad = p.grad
    assert optim.clip_grad_norm_(iter([p]), max_norm=5.1).item() == 5.0
    assert p.grad is grad


@pytest.mark.parametrize(("norm_type", "norm"), [(1, 7.0), (2.0, 5.0), (3.0, 91.0 ** (1 / 3)), (math.inf, 4.0)])
def test_any_p_norm(norm_type, norm):
    params = with_gradients([3.0], [-4.0], dtype=np.float64)
    found = optim.clip_grad_norm_(params, 1.0, norm_type)
    assert found.dtype == np.float64 and found.item() == pytest.approx(norm, rel=1e-12)
    assert params[1].grad.item() == pytest.approx(-4.0 / (norm + 1e-6), rel=1e-12)


def test_gradients_whose_squares_overflow_float32_are_clipped():
    (p,) = with_gradients([3e25, 4e25])
    assert optim.clip_grad_norm_(p, 1.0).item() == pytest.approx(5e25)
    np.testing.assert_allclose(p.grad.numpy(), [0.6, 0.8], rtol=1e-5)


def test_a_nan_reaches_the_norm_and_all_gradients():
    for norm_type in (2.0, math.inf):
        params = with_gradients([1.0], [math.nan], [2.0])
        assert math.isnan(optim.clip_grad_norm_(params, 1.0, norm_type).item())
        assert all(math.isnan(p.grad.item()) for p in params)


def test_no_gradients_have_norm_zero(backend):
    assert optim.clip_grad_norm_([nn.Parameter([1.0])], 1.0).item() == 0.0
    assert optim.clip_grad_norm_([], 1.0).item() == 0.0
    p = nn.Parameter(Tensor([1.0], backend=backend))
    p.grad = Tensor([2.0], backend=backend)
    assert optim.clip_grad_norm_(p, 1.0).backend.name == p.grad.backend.name == backend


def test_wrong_arguments_of_clipping_are_named():
    with pytest.raises(ValueError, match="clip_grad_norm_: max_norm must be 0 or more, got -1.0"):
        nn.utils.clip_grad_norm_([], -1.0)
    with pytest.raises(ValueError, match="clip_grad_norm_: norm_type must be above 0, got 0"):
        nn.utils.clip_grad_norm_([], 1.0, 0)


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=20), st.floats(0.0, 1e3), st.sampled_from([1.0, 2.0, math.inf])
)
def test_the_norm_after_clipping_is_at_most_max_norm_and_directions_stay(grads, max_norm, norm_type):
    params = with_gradients(*([g] for g in grads), dtype=np.float64)
    norm = optim.clip_grad_norm_(params, max_norm, norm_type).item()
    after = np.array([p.grad.item() for p in params])
    assert np.linalg.norm(after, norm_type) <= max_norm * (1 + 1e-12)
    assert norm == pytest.approx(np.linalg.norm(grads, norm_type), rel=1e-9)
    np.testing.assert_allclose(after, np.array(grads) * min(1.0, max_norm / (norm + 1e-6)), rtol=1e-9, atol=1e-300)
