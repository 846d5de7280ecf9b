"""Experiments made of many simulations: which run, in what order, where, and what becomes of them.

Knows how to spread simulations over processes and how to put their records together; neither how
one works inside nor how results are shown.
"""
