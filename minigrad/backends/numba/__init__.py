"""The fast CPU backend. (being built)"""
import numba  # noqa
from ..numpy import *  # noqa
