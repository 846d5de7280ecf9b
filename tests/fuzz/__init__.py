"""Random valid scenarios, run under every checker."""
