"""Right functions that are awkward to check: what a gradient checker must pass. AWKWARD lists them.

Where a difference quotient cannot serve, a case brings its gradients along as `analytic`.
"""

from planted_rules.cases import AWKWARD, Awkward

from . import kinds, values

__all__ = ["AWKWARD", "Awkward"]
