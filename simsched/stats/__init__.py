"""From `RunRecord`s to judged numbers: warm-up, intervals, laws, theory and the verdict.

Knows nothing of how the records were made. Every interval is over replications.
"""
