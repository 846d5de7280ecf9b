"""Calibrations: the constants of one machine, in a file that stands between presets and scenario.

A preset says what a runtime is; a calibration, what things cost on one machine. Precedence: the
scenario's own text, then the calibration, then the preset, then the model's default.
"""

from simsched.calibration.apply import calibrate
from simsched.calibration.load import (
    calibration_names,
    calibration_text,
    find_calibration,
    load_calibration,
    loads_calibration,
)
from simsched.calibration.model import Calibration, Reading

__all__ = [
    "Calibration",
    "Reading",
    "calibrate",
    "calibration_names",
    "calibration_text",
    "find_calibration",
    "load_calibration",
    "loads_calibration",
]
