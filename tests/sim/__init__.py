"""Tests of the clock, the cores, the clients and the resources."""
