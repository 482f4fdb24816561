"""Trackers of experiments: where the parameters, figures and report of a finished run also go.

``track`` is the name of a tracker, and what it needs to know after a colon: ``mlflow``, or
``mlflow:http://server:5000``. A tracker of another package is a function of :class:`Tracked` and of that
text (None without one) which returns where the run is; its entry point is in the group ``ptdq.trackers``.
"""

from ptdq.tracking.send import check, track
from ptdq.tracking.tracked import Tracked

__all__ = ["Tracked", "check", "track"]
