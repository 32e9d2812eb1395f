"""Whether a text stands by the answer that it names: denials, hypotheses, retractions, formulas around a box."""
