"""Stances of a text towards the answer that it names: denials, hypotheses, retractions, formulas around a box."""
