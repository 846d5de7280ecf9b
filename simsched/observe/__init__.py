"""Observers: the ledger, the series, the checkers, and the record they fill."""
