"""Small building blocks to say what a JSON document must look like, with errors worded and placed as Slack does.

Slack answers a malformed document with lines such as
`[ERROR] must be less than 76 characters [json-pointer:/blocks/0/accessory/text/text]`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


class Findings:
    """Everything found wrong with one document, in Slack's words."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, pointer: str, complaint: str) -> None:
        """Note `complaint` about the value at the JSON pointer `pointer`."""
        self.lines.append(f"{complaint} [json-pointer:{pointer}]")


Check = Callable[[object, str, Findings], None]


@dataclass(frozen=True, slots=True)
class Fields:
    """An object's fields: the required ones, the allowed others, and rules across fields."""

    required: Mapping[str, Check]
    optional: Mapping[str, Check] = field(default_factory=dict)
    rules: Sequence[Callable[[Json, str, Findings], None]] = ()

    def __call__(self, value: object, pointer: str, findings: Findings) -> None:
        """Check that `value` is an object with these fields and no others."""
        if not isinstance(value, dict):
            findings.add(pointer, "must be an object")
            return
        before = len(findings.lines)
        for name in self.required:
            if value.get(name) is None:
                findings.add(pointer, f"missing required field: {name}")
        known = {**self.required, **self.optional}
        for name, item in value.items():
            if name not in known:
                findings.add(f"{pointer}/{name}", f"unknown field: {name}")
            elif item is not None:
                known[name](item, f"{pointer}/{name}", findings)
            elif name in self.optional:
                findings.add(f"{pointer}/{name}", "must not be null")
        if len(findings.lines) == before:  # a rule may rely on the fields being what they should be
            for rule in self.rules:
                rule(value, pointer, findings)


def string(maximum: int, minimum: int = 1, pattern: str | None = None) -> Check:
    """A string of `minimum` to `maximum` characters, matching `pattern` as a whole if one is given."""

    def check(value: object, pointer: str, findings: Findings) -> None:
        if not isinstance(value, str):
            findings.add(pointer, "must be a string")
        elif len(value) < minimum:
            findings.add(pointer, f"must be more than {minimum - 1} characters")
        elif len(value) > maximum:
            findings.add(pointer, f"must be less than {maximum + 1} characters")
        elif pattern and not re.fullmatch(pattern, value):
            findings.add(pointer, f"must match pattern {pattern}")

    return check


def one_of(*allowed: str) -> Check:
    """One of the given words."""

    def check(value: object, pointer: str, findings: Findings) -> None:
        if value not in allowed:
            findings.add(pointer, f"must be one of: {', '.join(allowed)}")

    return check


def boolean(value: object, pointer: str, findings: Findings) -> None:
    """True or false, not a word for it."""
    if not isinstance(value, bool):
        findings.add(pointer, "must be a boolean")


def integer(minimum: int, maximum: int) -> Check:
    """A whole number between the two, both included."""

    def check(value: object, pointer: str, findings: Findings) -> None:
        if not isinstance(value, int) or isinstance(value, bool):
            findings.add(pointer, "must be an integer")
        elif not minimum <= value <= maximum:
            findings.add(pointer, f"must be between {minimum} and {maximum}")

    return check


def items(each: Check, maximum: int, minimum: int = 1) -> Check:
    """A list of `minimum` to `maximum` items that all pass `each`."""

    def check(value: object, pointer: str, findings: Findings) -> None:
        if not isinstance(value, list):
            findings.add(pointer, "must be an array")
            return
        if len(value) < minimum:
            findings.add(pointer, f"no less than {minimum} items allowed")
        if len(value) > maximum:
            findings.add(pointer, f"no more than {maximum} items allowed")
        for number, item in enumerate(value[:maximum]):
            each(item, f"{pointer}/{number}", findings)

    return check


def by_type(schemas: Mapping[str, Check]) -> Check:
    """An object whose `type` says which of the schemas holds."""

    def check(value: object, pointer: str, findings: Findings) -> None:
        if not isinstance(value, dict):
            findings.add(pointer, "must be an object")
        elif not isinstance(value.get("type"), str):
            findings.add(pointer, "missing required field: type")
        elif value["type"] not in schemas:
            findings.add(f"{pointer}/type", f"unsupported type: {value['type']}")
        else:
            schemas[value["type"]](value, pointer, findings)

    return check


def exactly_one(*names: str) -> Callable[[Json, str, Findings], None]:
    """A rule: one of these fields, and not two of them."""

    def rule(value: Json, pointer: str, findings: Findings) -> None:
        if sum(name in value for name in names) != 1:
            findings.add(pointer, f"must define exactly one of: {', '.join(names)}")

    return rule


def at_least_one(*names: str) -> Callable[[Json, str, Findings], None]:
    """A rule: one of these fields, or several."""

    def rule(value: Json, pointer: str, findings: Findings) -> None:
        if not any(name in value for name in names):
            findings.add(pointer, f"must define either: {', '.join(names)}")

    return rule


def in_order(low: str, high: str) -> Callable[[Json, str, Findings], None]:
    """A rule: the field `low` is not above the field `high`."""

    def rule(value: Json, pointer: str, findings: Findings) -> None:
        if low in value and high in value and float(value[low]) > float(value[high]):
            findings.add(pointer, f"{low} must not be more than {high}")

    return rule
