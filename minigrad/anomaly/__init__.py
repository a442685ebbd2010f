"""Finding the operation where a computation went wrong: `detect_anomaly` and `replay`.

mode.py watches (it is what `with detect_anomaly():` turns on), application.py holds the one operation that went wrong,
page.py writes what a person reads about it, files.py saves and reads it, repetition.py runs it again.
"""

from .mode import AnomalyError, detect_anomaly
from .repetition import Replay, replay

__all__ = ["AnomalyError", "Replay", "detect_anomaly", "replay"]
