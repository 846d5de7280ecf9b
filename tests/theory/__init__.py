"""The simulator against recursions, closed forms and laws that hold exactly."""
