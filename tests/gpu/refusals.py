"""What CuPy refuses, and in which words: expressions of the module cupy, a float32 array x (2, 3), and HOST."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

HOST = np.ones((2, 3), np.float32)


class Refusal(NamedTuple):
    call: str
    error: type[Exception]
    message: str  # a regular expression


NUMPYS = r"Unsupported type <class 'numpy.ndarray'>"

# What the real package refuses before it looks for a device: oracle.py has it do so.
REFUSALS = [
    Refusal("np.asarray(x)", TypeError, r"Implicit conversion to a NumPy array is not allowed.*\.get\(\)"),
    Refusal("np.testing.assert_array_equal(x, HOST)", TypeError, "Implicit conversion"),
    Refusal("x @ HOST.T", TypeError, "'b' has incorrect type .* got numpy.ndarray"),
    Refusal("x.__setitem__(slice(None), HOST)", ValueError, "non-scalar numpy.ndarray cannot be used for fill"),
    Refusal("x.__setitem__(0, [1.0, 2.0, 3.0])", ValueError, "non-scalar numpy.ndarray"),
    Refusal("x[5]", IndexError, "out of bounds"),
    Refusal("x[x]", IndexError, "arrays used as indices must be of integer or boolean type"),
    Refusal("x.sum(where=x)", TypeError, r"sum\(\) got an unexpected keyword argument 'where'"),
    Refusal("cupy.max(x, initial=0)", TypeError, r"max\(\) got an unexpected keyword argument 'initial'"),
    Refusal("cupy.multiply.at(x, 0, 2.0)", NotImplementedError, "multiply.at` is not supported yet"),
    Refusal("cupy.array([None])", ValueError, "Unsupported dtype object"),
    Refusal("cupy.array(['text'])", ValueError, "Unsupported dtype <U4"),
    Refusal("cupy.zeros(2, object)", ValueError, "Unsupported dtype object"),
    Refusal("x.astype(np.longdouble)", ValueError, "Unsupported dtype float128"),
    Refusal("bool(x)", ValueError, "ambiguous"),
    Refusal("x.item()", ValueError, "size 1"),
    Refusal("hash(x)", TypeError, "unhashable"),
    Refusal("len(x[0, 0])", TypeError, "unsized"),
    Refusal("iter(x[0, 0])", TypeError, "0-d"),
    Refusal("x.ctypes", AttributeError, "'ndarray' object has no attribute 'ctypes'"),
    Refusal("x.flags.writeable", AttributeError, "writeable"),
    Refusal("cupy.errstate", AttributeError, "module 'cupy' has no attribute 'errstate'"),
]

# What it refuses where there is one; without, it complains of that first.
REFUSALS_ON_A_DEVICE = [
    Refusal("x + HOST", TypeError, NUMPYS),
    Refusal("HOST + x", TypeError, NUMPYS),
    Refusal("np.maximum(HOST, x)", TypeError, NUMPYS),
    Refusal("HOST.__iadd__(x)", TypeError, "Output arguments type must be cupy.ndarray"),
    Refusal("x.__iadd__(HOST)", TypeError, NUMPYS),
    Refusal("x.__add__([1.0, 2.0, 3.0])", TypeError, "Unsupported type <class 'list'>"),
    Refusal("x == None", TypeError, "Unsupported type <class 'NoneType'>"),
    Refusal("cupy.exp(HOST)", TypeError, NUMPYS),
    Refusal("cupy.exp([1.0])", TypeError, "Unsupported type <class 'list'>"),
    Refusal("cupy.where(HOST > 0, x, 0)", TypeError, NUMPYS),
    Refusal("cupy.where(x > 0, HOST, 0)", TypeError, "Unsupported type"),
    Refusal("cupy.take_along_axis(x, np.array([[0]]), 1)", TypeError, "Unsupported type"),
    Refusal("cupy.add(x, x, where=x > 0)", TypeError, "Wrong arguments"),
    Refusal("cupy.add(x, x, out=HOST)", TypeError, "Output arguments type must be cupy.ndarray"),
    Refusal("range(cupy.asarray(3))", TypeError, "cannot be interpreted as an integer"),
]
