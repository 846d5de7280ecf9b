"""Specifications of schedulers: the knobs of the real runtimes, under their real names."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Tag

from simsched.scenario.base import TAG, Model
from simsched.scenario.spec_base import MAX_INT, Listen, default_name
from simsched.scenario.spec_event_loop import EventLoopSpec
from simsched.scenario.spec_fork_join import ForkJoinSpec
from simsched.scenario.spec_go import GoroutineSpec
from simsched.scenario.spec_reactor import ReactorSpec
from simsched.scenario.spec_thread_pool import JDK_KNOBS, TOMCAT_KNOBS, ThreadPoolSpec
from simsched.scenario.spec_virtual_thread import VirtualThreadSpec
from simsched.scenario.spec_wsgi import GthreadSpec, SyncWorkersSpec

__all__ = [
    "JDK_KNOBS",
    "MAX_INT",
    "SCHEDULER_KINDS",
    "TOMCAT_KNOBS",
    "EventLoopSpec",
    "ForkJoinSpec",
    "GoroutineSpec",
    "GthreadSpec",
    "Listen",
    "ReactorSpec",
    "SchedulerSpec",
    "SyncWorkersSpec",
    "ThreadPoolSpec",
    "VirtualThreadSpec",
    "default_name",
]

SCHEDULER_KINDS: dict[str, type[Model]] = {
    "thread_pool": ThreadPoolSpec,
    "event_loop": EventLoopSpec,
    "goroutine": GoroutineSpec,
    "virtual_thread": VirtualThreadSpec,
    "fork_join": ForkJoinSpec,
    "sync_workers": SyncWorkersSpec,
    "gthread": GthreadSpec,
    "reactor": ReactorSpec,
}


def _tag(value: Any) -> str | None:
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return TAG + kind if isinstance(kind, str) and kind in SCHEDULER_KINDS else None


SchedulerSpec = Annotated[
    Annotated[ThreadPoolSpec, Tag(TAG + "thread_pool")]
    | Annotated[EventLoopSpec, Tag(TAG + "event_loop")]
    | Annotated[GoroutineSpec, Tag(TAG + "goroutine")]
    | Annotated[VirtualThreadSpec, Tag(TAG + "virtual_thread")]
    | Annotated[ForkJoinSpec, Tag(TAG + "fork_join")]
    | Annotated[SyncWorkersSpec, Tag(TAG + "sync_workers")]
    | Annotated[GthreadSpec, Tag(TAG + "gthread")]
    | Annotated[ReactorSpec, Tag(TAG + "reactor")],
    Discriminator(_tag, custom_error_type="which_scheduler", custom_error_message="unknown kind"),
]
"""Any scheduler specification."""
