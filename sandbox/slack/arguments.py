"""The arguments of a Web API call, however they were sent: query, form or JSON."""

import json

from starlette.requests import Request

from sandbox.slack.model import SlackError
from sandbox.slack.shapes import Json


async def read_arguments(request: Request) -> Json:
    """All arguments of a call; the body's win over the query's.

    Raises:
        SlackError: `invalid_json` or `json_not_object` for a body that says it is JSON,
            `invalid_post_type` for a body of another kind.
    """
    arguments: Json = dict(request.query_params)
    if request.method != "POST":
        return arguments
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == "application/json":
        try:
            body = json.loads(await request.body() or b"{}")
        except ValueError:
            raise SlackError("invalid_json") from None
        if not isinstance(body, dict):
            raise SlackError("json_not_object")
        return arguments | body
    if content_type in {"application/x-www-form-urlencoded", "multipart/form-data"}:
        form = await request.form()
        return arguments | {name: value for name, value in form.items() if isinstance(value, str)}
    if await request.body():
        raise SlackError("invalid_post_type")
    return arguments


class Arguments:
    """Reads arguments as the kinds that a method wants."""

    def __init__(self, given: Json) -> None:
        self.given = given
        self.asked: set[str] = {"token"}

    def _get(self, name: str) -> object:
        self.asked.add(name)
        value = self.given.get(name)
        return None if value == "" else value

    def text(self, name: str) -> str:
        """A string; empty when it was not given.

        Raises:
            SlackError: `invalid_arguments` if it is no string.
        """
        value = self._get(name)
        if value is None:
            return ""
        if isinstance(value, (dict, list, bool)):
            raise SlackError("invalid_arguments", [f"must be a string [json-pointer:/{name}]"])
        return str(value)

    def required(self, name: str) -> str:
        """A string that must be there.

        Raises:
            SlackError: `invalid_arguments`, naming it.
        """
        value = self.text(name)
        if not value:
            raise SlackError("invalid_arguments", [f"missing required field: {name}"])
        return value

    def number(self, name: str) -> int:
        """A whole number; 0 when it was not given.

        Raises:
            SlackError: `invalid_arguments` if it is none.
        """
        value = self.text(name) or "0"
        if not value.isdecimal():
            raise SlackError("invalid_arguments", [f"must be an integer [json-pointer:/{name}]"])
        return int(value)

    def flag(self, name: str) -> bool:
        """True if the argument says so in any of Slack's ways."""
        return self._get(name) in (True, "1", "true", "True")

    def structure(self, name: str) -> object:
        """A list or an object; a form carries it as a JSON text.

        Raises:
            SlackError: `invalid_arguments` if the text is no JSON.
        """
        value = self._get(name)
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError:
            raise SlackError("invalid_arguments", [f"invalid JSON [json-pointer:/{name}]"]) from None

    def allow(self, *names: str) -> None:
        """Name arguments that the method knows and the stand-in shows no effect of."""
        self.asked.update(names)

    def unknown(self) -> list[str]:
        """The arguments that no one asked for."""
        return sorted(set(self.given) - self.asked)
