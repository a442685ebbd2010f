"""Convolution away from LeNet-5: its forward pass and its two gradients, each apart, for layers of other networks.

Arrays lie in memory as each library's own layers leave them: PyTorch's image by image, minigrad's with the batch
innermost. Images of three channels come from a data set, and so image by image to both.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from lenet_rows import batch_innermost
from measure import Pair

import minigrad as mg
from minigrad.ops.conv import Conv2dGradInput, Conv2dGradWeight

GOAL = 1.5


class Case(NamedTuple):
    image: tuple[int, int, int, int]
    outputs: int
    kernel: int
    stride: int = 1
    padding: int = 0

    def __str__(self) -> str:
        shape = ",".join(map(str, self.image))
        extra = f"/{self.stride}" if self.stride > 1 else ""
        return f"({shape}) {self.outputs} {self.kernel}x{self.kernel}{extra}"


CASES = (
    Case((32, 64, 32, 32), 64, 3, padding=1),
    Case((8, 128, 28, 28), 128, 3, padding=1),
    Case((32, 64, 32, 32), 64, 3, stride=2, padding=1),
    Case((32, 64, 32, 32), 64, 1),
    Case((16, 3, 112, 112), 64, 7, stride=2, padding=3),
)


def conv_pairs(torch: Any) -> Iterator[Pair]:
    for case in CASES:
        yield from _pairs(case, torch)


def _pairs(case: Case, torch: Any) -> Iterator[Pair]:
    random = np.random.default_rng(0)
    images = random.standard_normal(case.image, dtype=np.float32)
    weights = random.standard_normal((case.outputs, case.image[1], case.kernel, case.kernel), dtype=np.float32)
    x, w = mg.tensor(images if case.image[1] == 3 else batch_innermost(images)), mg.tensor(weights)
    dy = mg.conv2d(x, w, stride=case.stride, padding=case.padding)  # any numbers, in the right shape and layout
    stride, padding = (case.stride, case.stride), (case.padding, case.padding)
    geometry = {"stride": stride, "padding": padding, "dilation": (1, 1), "groups": 1}

    peers: dict[str, Any] = {"forward": None, "gradient by input": None, "gradient by weight": None}
    if torch:
        X, W, DY = (torch.tensor(np.ascontiguousarray(tensor.numpy())) for tensor in (x, w, dy))
        options = {"stride": case.stride, "padding": case.padding}
        peers = {
            "forward": lambda: torch.nn.functional.conv2d(X, W, **options),
            "gradient by input": lambda: torch.nn.grad.conv2d_input(X.shape, W, DY, **options),
            "gradient by weight": lambda: torch.nn.grad.conv2d_weight(X, W.shape, DY, **options),
        }
    own = {
        "forward": lambda: mg.conv2d(x, w, stride=case.stride, padding=case.padding),
        "gradient by input": lambda: Conv2dGradInput.apply(dy, w, image=x.shape[2:], **geometry),
        "gradient by weight": lambda: Conv2dGradWeight.apply(dy, x, kernel=w.shape[2:], **geometry)[0],
    }
    for part, step in own.items():
        yield Pair(f"{case} {part}", step, peers[part], GOAL)
