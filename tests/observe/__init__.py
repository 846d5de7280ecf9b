"""Tests of the checkers: what they let pass, and what they catch."""
