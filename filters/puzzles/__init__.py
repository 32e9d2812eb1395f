"""Answers to puzzles: where a text states one, and whether it stands by it."""
