"""What the example scenarios claim."""
