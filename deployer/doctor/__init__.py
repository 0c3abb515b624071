"""Say what is here, what is missing and how to get it, before `up` is tried; nothing is changed.

It runs on Python's standard library alone: the launcher starts it where no package can be had, too.
"""

from __future__ import annotations

from deployer.doctor.examination import examine
from deployer.doctor.model import Examination, Finding

__all__ = ["Examination", "Finding", "examine"]
