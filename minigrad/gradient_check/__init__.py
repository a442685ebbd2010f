"""Gradient checks that explain themselves: gradients against differences, with a verdict and a cause.

Read check.py first. slopes.py takes differences, examine.py compares one input, blame.py finds the operation at fault,
and causes.py (with evidence.py and jacobians.py) the likely cause. subjects.py gives all that can be checked one form.
"""

from .check import gradcheck, gradcheck_module, gradcheck_numpy
from .report import GradcheckError, InputReport, Report

__all__ = ["GradcheckError", "InputReport", "Report", "gradcheck", "gradcheck_module", "gradcheck_numpy"]
