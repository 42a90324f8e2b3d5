"""A route that takes its request as it is: FastAPI's own look for parameters, which these have none of."""

from starlette.routing import Match, Route
from starlette.types import Scope


class PlainRoute(Route):
    """Starlette's route, which also says who it is, as FastAPI's do: metrics and spans are named by it."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether this route is meant, and what the request's scope gets to know then."""
        match, told = super().matches(scope)
        return match, {**told, "route": self} if told else told
