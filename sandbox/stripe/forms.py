"""Form-encoded parameters with brackets, as Stripe reads them: `line_items[0][price_data][currency]=usd`."""

import re
from typing import TypeAlias
from urllib.parse import parse_qsl

from sandbox.stripe.errors import RefusedError

Form: TypeAlias = "dict[str, str | Form]"

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)\Z")
_BRACKET = re.compile(r"\[([^\[\]]*)\]")


def parse_form(encoded: str) -> Form:
    """Read a query string or a body. Arrays come out as dicts from "0", "1", …; the types tell them apart.

    Raises:
        RefusedError: for what can't be read.
    """
    form: Form = {}
    try:
        pairs = parse_qsl(encoded, keep_blank_values=True, errors="strict")
    except ValueError:
        raise RefusedError("Invalid request: the parameters are not valid UTF-8.") from None
    for name, value in pairs:
        _put(form, name, value)
    return form


def _put(form: Form, name: str, value: str) -> None:
    match = _NAME.match(name)
    if match is None:
        raise RefusedError(f"Invalid request: can't read the parameter name {name!r}.", param=name)
    *folders, last = [match[1], *_BRACKET.findall(match[2])]
    place = form
    for folder in folders:
        inner = place.setdefault(folder or str(len(place)), {})
        if isinstance(inner, str):
            raise RefusedError(f"Invalid request: {name} is given both as a value and as a hash.", param=name)
        place = inner
    key = last or str(len(place))
    if isinstance(place.get(key), dict):
        raise RefusedError(f"Invalid request: {name} is given both as a value and as a hash.", param=name)
    place[key] = value
