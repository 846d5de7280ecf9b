"""What everything is called, does and costs: the pages behind `simsched explain`.

A page has two halves that are never written twice. What can be known from the program (knobs with
their types, units, defaults and allowed values; the values of a preset and the comments that name
their sources) is read from the models and the preset files. What cannot is a short text, one file
per topic, in ``topics/GROUP/NAME.md``.
"""

from simsched.explain.knobs import Knob
from simsched.explain.pages import Page, UnknownTopic, explain, to_dict
from simsched.explain.topics import GROUPS, Topic, topics

__all__ = ["GROUPS", "Knob", "Page", "Topic", "UnknownTopic", "explain", "to_dict", "topics"]
