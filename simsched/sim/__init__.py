"""The simulated machine: clock, cores, OS threads, resources, and the observer protocol.

This package knows SimPy and the rules of an operating system. It knows no particular scheduler:
those live in :mod:`simsched.schedulers` and are built from what is here.
"""
