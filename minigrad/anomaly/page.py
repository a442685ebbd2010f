"""What a person reads about an operation that went wrong: one page of text."""

from __future__ import annotations

from typing import Any

import numpy as np

from .application import Application, Location, anomalies

_EXAMPLES = 3  # offending elements that are shown


def page(found: Application) -> str:
    """What happened, where, with which arrays, and a few of the elements to blame."""
    lines = [f"{found.operation.name()}: {_what_happened(found)}"]
    if found.location is None:
        lines.append(_row("called", "outside detect_anomaly, so the line isn't known; run forward inside it, too"))
    else:
        lines.append(_row("called at", found.location))
    if found.backward_location is not None:
        lines.append(_row("backward at", found.backward_location))
    if found.inner is not None:
        name, location = found.inner
        lines.append(_row("in its rule", f"{name} was the first with such a result, at {location}"))
    lines.append(_row("backend", found.backend))
    if found.parameters:
        lines.append(_row("parameters", ", ".join(f"{n}={_value(v)}" for n, v in found.parameters.items())))
    lines += [_row(name, statistics(array)) for name, array in {**found.given(), **found.made()}.items()]
    return "\n".join([*lines, *(f"  {line}" for line in _examples(found))])


def changed_page(name: str, location: Location, backward_location: Location, arrays: dict[str, np.ndarray]) -> str:
    """The page about saved arrays that were changed after the operation of that name."""
    changed = f"its saved {' and '.join(arrays)} changed after forward, so its backward rule would give wrong gradients"
    lines = [f"{name}: {changed}", _row("called at", location), _row("backward at", backward_location)]
    lines += [_row(f"{which} now", statistics(array)) for which, array in arrays.items()]
    hint = "something wrote into the array itself; give the tensor another one instead: x.data = x.data + 1"
    return "\n".join([*lines, f"  {hint}"])


def leaf_page(gradient: np.ndarray, allow_infinite: bool, backward_location: Location) -> str:
    """The page about the gradient of a leaf that no backward rule made so."""
    what = f"the gradient of a leaf holds a value that is {_kind(allow_infinite)}"
    lines = [f"backward: {what}; it was given to backward, or returned by a hook"]
    lines += [_row("backward at", backward_location), _row("gradient", statistics(gradient))]
    places = np.argwhere(anomalies(np, gradient, allow_infinite))[:_EXAMPLES]
    return "\n".join([*lines, *(f"  {_element('gradient', gradient, tuple(place))}" for place in places)])


def statistics(array: np.ndarray) -> str:
    """Shape, dtype, and the range and mean of the finite elements; then the numbers of all others, and of zeros.

    >>> statistics(np.array([1.0, -3.0, 0.0, np.nan]))
    '(4,) float64: min -3, max 1, mean -0.666667; 1 NaN, 1 zero'
    """
    title = f"{array.shape} {array.dtype}"
    if array.size == 0:
        return f"{title}: no elements"
    values = array.astype(np.float64)
    finite = values[np.isfinite(values)]
    parts = ["none finite"]
    if finite.size:
        mean = (finite / finite.size).sum()  # which does not overflow
        parts = [f"min {finite.min():.6g}, max {finite.max():.6g}, mean {mean:.6g}"]
    counts = {
        "NaN": np.isnan(values).sum(),
        "inf": (values == np.inf).sum(),
        "-inf": (values == -np.inf).sum(),
        "zero" if (zeros := (values == 0).sum()) == 1 else "zeros": zeros,
    }
    others = [f"{count} {what}" for what, count in counts.items() if count]
    return f"{title}: {'; '.join(parts + [', '.join(others)] * bool(others))}"


def _what_happened(found: Application) -> str:
    kind = _kind(found.allow_infinite)
    bad = [name for name, array in found.given().items() if found.anomalies(array).any()]
    if bad and found.phase == "forward":
        return f"{' and '.join(bad)} already held a value that is {kind} when it was called"
    if bad:
        saved = any(not name.startswith("grad_") for name in bad)  # in a graph that was recorded outside the mode
        origin = "" if saved else "; it was given to backward, or returned by a hook"
        return f"{' and '.join(bad)} already held a value that is {kind} before its backward rule ran{origin}"
    if not any(found.anomalies(array).any() for array in found.made().values()):
        return f"no value is {kind} this time"
    if found.phase == "forward":
        return f"its result holds the first value that is {kind}"
    return f"its backward rule gave the first gradient that is {kind}"


def _kind(allow_infinite: bool) -> str:
    return "NaN" if allow_infinite else "not finite"


def _examples(found: Application) -> list[str]:
    """Lines about single elements: the offending ones that were given, or those that were made, and from what."""
    given = found.given()
    for name, array in given.items():
        places = np.argwhere(found.anomalies(array))
        if len(places):
            return [_element(name, array, tuple(place)) for place in places[:_EXAMPLES]]
    for name, array in found.made().items():
        places = np.argwhere(found.anomalies(array))[:_EXAMPLES]
        if not len(places):
            continue
        if _elementwise(found):
            return [_element(name, array, tuple(place)) + _there(given, tuple(place), array.shape) for place in places]
        return [_element(name, array, tuple(place)) for place in places] + [
            f"largest of {which}: " + ", ".join(_largest(values)) for which, values in given.items() if values.size
        ]
    return []


def _elementwise(found: Application) -> bool:
    """Whether an element of the result depends on those at the same place, as far as can be told from outside."""
    return found.operation.broadcasts or (len(found.inputs) == 1 and found.inputs[0].shape == found.outputs[0].shape)


def _there(given: dict[str, np.ndarray], place: tuple[int, ...], shape: tuple[int, ...]) -> str:
    """What was given at a place of the result, where it broadcasts to the result's shape."""
    parts = []
    for name, array in given.items():
        sizes = shape[len(shape) - array.ndim :] if array.ndim <= len(shape) else None
        if sizes is not None and all(own in (1, size) for own, size in zip(array.shape, sizes, strict=True)):
            index = place[len(place) - array.ndim :]
            own = tuple(0 if size == 1 else i for i, size in zip(index, array.shape, strict=True))
            parts.append(f"{name} is {array[own]!s}")
    return f", where {', '.join(parts)}" if parts else ""


def _largest(array: np.ndarray) -> list[str]:
    order = np.argsort(-np.abs(array.astype(np.float64)), axis=None, kind="stable")
    return [_element("", array, np.unravel_index(i, array.shape)) for i in order[:_EXAMPLES]]


def _element(name: str, array: np.ndarray, place: tuple[Any, ...]) -> str:
    index = f"[{', '.join(map(str, place))}]" if place else ""
    return f"{name}{index} = {array[place]!s}".removeprefix(" = ")  # !s: the shortest text in the array's own dtype


def _value(value: Any) -> str:
    """A parameter's value, arrays by their shapes."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"<{value.dtype} of shape {value.shape}>"
    if isinstance(value, tuple):
        return f"({', '.join(map(_value, value))}{',' * (len(value) == 1)})"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _row(name: str, value: Any) -> str:
    return f"  {name:<14}{value}"
