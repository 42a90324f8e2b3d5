"""How Stripe says no (https://docs.stripe.com/api/errors)."""

from typing import Any, Literal

ErrorType = Literal["api_error", "card_error", "idempotency_error", "invalid_request_error"]


class RefusedError(Exception):
    """A request that is answered with an error.

    Args:
        message: what went wrong, in a sentence.
        status: the HTTP status.
        kind: Stripe's `type`.
        code: Stripe's `code`, where it gives one.
        param: the parameter at fault, written as in the form.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: ErrorType = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.kind, self.code, self.param = status, kind, code, param

    def body(self) -> dict[str, Any]:
        """The JSON of the answer."""
        known = {"type": self.kind, "code": self.code, "param": self.param, "message": str(self)}
        return {"error": {key: value for key, value in known.items() if value is not None}}


class NotPossibleError(Exception):
    """Something that the parent, the bank or the dashboard can't do in this state."""


def no_such(what: str, object_id: str, param: str, *, status: int = 400) -> RefusedError:
    """An id that names nothing: 404 when it is in the address, 400 when it is a parameter."""
    return RefusedError(f"No such {what}: '{object_id}'", status=status, code="resource_missing", param=param)


def missing(param: str) -> RefusedError:
    """A parameter that has to be there."""
    return RefusedError(f"Missing required param: {param}.", code="parameter_missing", param=param)
