"""Shapes of rows: which columns hold the question, the completion, the reference, recognized by their names."""

from generators.contract.intake.shapes.recognition import PROBED, recognize, shape_for
from generators.contract.intake.shapes.shape import Shape

__all__ = ["PROBED", "Shape", "recognize", "shape_for"]
