"""Rows whose parts stand in several files or lines, put together."""

from generators.contract.intake.joins.joined import joined

__all__ = ["joined"]
