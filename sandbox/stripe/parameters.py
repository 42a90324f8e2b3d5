"""Strict parameter checks, made from the request types that the Stripe SDK ships.

The SDK's types are written for callers: enums are left open and options of the HTTP client are mixed in. Here
enums are closed, the options are dropped and what is not named is refused, as the API itself does
(https://docs.stripe.com/error-codes).
"""

import re
import sys
import types
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, ForwardRef, Literal, NotRequired, Union, get_args, get_origin

from pydantic import BeforeValidator, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError
from stripe import RequestOptions
from stripe._stripe_object import UntypedStripeObject
from typing_extensions import TypedDict, is_typeddict

from sandbox.stripe.errors import RefusedError, missing
from sandbox.stripe.forms import Form

_INTEGER = re.compile(r"-?\d{1,18}\Z")
_NUMBER = re.compile(r"-?\d+(\.\d+)?\Z")


def _integer(value: object) -> int:
    if not isinstance(value, str) or not _INTEGER.match(value):
        raise PydanticCustomError("integer", "Invalid integer: {value}", {"value": str(value)})
    return int(value)


def _number(value: object) -> object:
    if not isinstance(value, str) or not _NUMBER.match(value):
        raise PydanticCustomError("number", "Invalid decimal: {value}", {"value": str(value)})
    return value


def _boolean(value: object) -> bool:
    if value not in {"true", "false"}:
        raise PydanticCustomError("boolean", "Invalid boolean: {value}", {"value": str(value)})
    return value == "true"


def _filled(value: object) -> object:
    if value == "":
        raise PydanticCustomError("empty", "You passed an empty string, and this parameter can't be unset.")
    return value


def _array(value: object) -> list[Any]:
    if not isinstance(value, dict) or not all(key.isdecimal() for key in value):
        raise PydanticCustomError("array", "Invalid array")
    return [value[key] for key in sorted(value, key=int)]


_CODES = {
    "extra_forbidden": "parameter_unknown",
    "integer": "parameter_invalid_integer",
    "empty": "parameter_invalid_empty",
}
_PLAIN: dict[object, Any] = {
    int: Annotated[int, BeforeValidator(_integer)],
    float: Annotated[float, BeforeValidator(_number)],
    Decimal: Annotated[Decimal, BeforeValidator(_number)],
    bool: Annotated[bool, BeforeValidator(_boolean)],
    str: Annotated[str, BeforeValidator(_filled)],
}


@cache
def _strict_dict(declared: type) -> Any:  # noqa: ANN401 - a type made at run time
    namespace = vars(sys.modules[declared.__module__])
    options = RequestOptions.__annotations__ if _has_options(declared) else {}
    fields = {
        name: _strict_field(name, annotation, namespace)
        for name, annotation in declared.__annotations__.items()
        if name not in options
    }
    make: Any = TypedDict  # type checkers only know types that are written out
    strict = make(declared.__name__, fields)
    strict.__pydantic_config__ = ConfigDict(extra="forbid")
    return strict


def _has_options(declared: type) -> bool:
    """Whether a request type has the HTTP client's options among its own fields."""
    return RequestOptions in getattr(declared, "__orig_bases__", ())


def _strict_field(name: str, annotation: object, namespace: dict[str, Any]) -> Any:  # noqa: ANN401 - a type
    if get_origin(annotation) is not NotRequired:
        return _strict(annotation, namespace)
    strict = _strict(get_args(annotation)[0], namespace)
    # An empty value unsets all metadata, also where the SDK's type leaves that out.
    return NotRequired[Literal[""] | strict if name == "metadata" else strict]


def _strict(declared: Any, namespace: dict[str, Any]) -> Any:  # noqa: ANN401 - types in, types out
    if isinstance(declared, ForwardRef):
        declared = declared.__forward_arg__
    if isinstance(declared, str):
        # The SDK's own annotations, which it writes as text.
        return _strict(eval(declared, namespace), namespace)  # noqa: S307 - the installed SDK's source, no input
    if is_typeddict(declared):
        return _strict_dict(declared)
    origin, arguments = get_origin(declared), get_args(declared)
    if origin in {Union, types.UnionType}:
        return _strict_union(arguments, namespace)
    if origin is list:
        return Annotated[list[_strict(arguments[0], namespace)], BeforeValidator(_array)]  # type: ignore[misc]
    if origin is dict:
        values = arguments[1]
        return dict[str, str if values is str else _strict(values, namespace)]  # type: ignore[misc]
    return _PLAIN.get(declared, declared)


def _strict_union(arms: tuple[Any, ...], namespace: dict[str, Any]) -> Any:  # noqa: ANN401 - types
    arms = tuple(arm for arm in arms if get_origin(arm) is not UntypedStripeObject)
    words = [word for arm in arms if get_origin(arm) is Literal for word in get_args(arm)]
    if str in arms and words == [""]:
        return str
    if words:
        # An enum that is left open for callers of older SDKs; the API itself knows its words.
        arms = tuple(arm for arm in arms if arm is not str)
    return Union[tuple(_strict(arm, namespace) for arm in arms)]  # noqa: UP007 - the arms are a run-time tuple


@cache
def _adapter(declared: type) -> TypeAdapter[dict[str, Any]]:
    return TypeAdapter(_strict_dict(declared))


def check(declared: type, form: Form) -> dict[str, Any]:
    """Return the parameters with their types.

    Args:
        declared: the SDK's request type.
        form: what came in.

    Raises:
        RefusedError: for what Stripe refuses; one fault at a time, like Stripe.
    """
    try:
        return _adapter(declared).validate_python(form)
    except ValidationError as error:
        raise _refusal(error.errors(include_url=False), form) from None


def _refusal(faults: list[ErrorDetails], form: Form) -> RefusedError:
    rank = {"extra_forbidden": 0, "missing": 1}
    worst = min(faults, key=lambda fault: (rank.get(fault["type"], 2), -len(fault["loc"])))
    param = _param(worst["loc"], form)
    kind, words = worst["type"], worst["msg"]
    if kind == "missing":
        return missing(param)
    match kind:
        case "extra_forbidden":
            words = f"Received unknown parameter: {param}"
        case "literal_error":
            words = f"Invalid {param}: must be one of {worst['ctx']['expected']}"
        case "string_type":
            words = f"Invalid string: {param}"
        case "dict_type" | "typed_dict_type":
            words = f"Invalid object: {param}"
        case _:
            pass  # our own checks above say it themselves
    return RefusedError(words, code=_CODES.get(kind), param=param)


def _param(location: tuple[int | str, ...], form: Form) -> str:
    """The parameter's name as in the form; pydantic's location also names the arms of unions it tried."""
    names: list[str] = []
    place: Any = form
    for step in location:
        inside = isinstance(place, dict) and str(step) in place
        # Arms that are types have brackets or capitals in their names; parameters have none.
        is_absent_field = isinstance(place, dict) and step == location[-1] and re.match(r"[a-z_]+\Z", str(step))
        if inside or is_absent_field:
            names.append(str(step))
            place = place.get(str(step))
    return "".join([names[0], *(f"[{name}]" for name in names[1:])]) if names else ""
