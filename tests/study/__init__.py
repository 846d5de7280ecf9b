"""Tests of experiments made of many simulations."""
