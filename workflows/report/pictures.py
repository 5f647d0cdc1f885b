"""Every picture of a run, each a function from numbers to a PNG.

All label their axes, keep their meaning without colour, and exist in light and dark.
"""

from __future__ import annotations

from workflows.report.confusion_picture import confusion_matrix_picture
from workflows.report.curves import learning_curves_picture, reliability_picture
from workflows.report.sheets import image_sheet

__all__ = ["confusion_matrix_picture", "image_sheet", "learning_curves_picture", "reliability_picture"]
