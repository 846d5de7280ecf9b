"""Help without types where they tell a reader nothing: of switches, and of arguments."""

from __future__ import annotations

from typing import Any

from typer.core import TyperArgument, TyperCommand, TyperOption


def plain(params: list[Any]) -> list[Any]:
    """Parameters as help shows them: a switch takes no value, an argument has its name."""
    for param in params:
        if isinstance(param, TyperOption) and param.is_bool_flag and param.metavar is None:
            param.metavar = ""  # in place of <bool>
        elif isinstance(param, TyperArgument):
            param.display_type_rich = _nothing  # type: ignore[method-assign]
    return params


def _nothing(ctx: Any) -> None:
    """No type."""


class Command(TyperCommand):
    """A command with such a help."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Options and arguments, `--help` among them."""
        return plain(super().get_params(ctx))
