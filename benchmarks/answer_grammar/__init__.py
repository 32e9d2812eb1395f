"""A grammar of final answers: each kind gives a reference, renderings that keep its value, and mutations that do not.

    python -m benchmarks.answer_grammar [PAIRS]

`pairs(kind, seed)` combines them with the ways in which models present an answer, and with denials and hedges around
the right value. Everything follows from the seed alone.
"""
