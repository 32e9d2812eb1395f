"""The reading of chosen options: letters, the phrases that state a choice, and marks around a letter."""
