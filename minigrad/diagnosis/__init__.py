"""The doctor: what keeps a model from learning, measured on one batch and said in words.

`examination` has `doctor` and is read first, `records` what it returns. `given` checks the arguments; `watch` runs the
model forward and backward and looks on; `layers` and `missing` read off what was seen, `overfitting` trains on a few
examples. `facts` gathers all of that, `rules_data` and `rules_model` say what it means, `page` writes it down.
"""

from __future__ import annotations

from .examination import doctor
from .records import Diagnosis, Finding, LayerReport, MissingGradient, Overfit

__all__ = ["Diagnosis", "Finding", "LayerReport", "MissingGradient", "Overfit", "doctor"]
