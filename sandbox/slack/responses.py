"""What comes back outside the Web API: the body of an acknowledgement, and posts to a response address."""

import json

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from sandbox.slack.grants import Grants, ResponseAddress
from sandbox.slack.model import Message, SlackError
from sandbox.slack.posting import check_content, check_metadata, from_app
from sandbox.slack.shapes import Json
from sandbox.slack.web_api import refusal
from sandbox.slack.workspace import Workspace

_KNOWN = {
    "text",
    "blocks",
    "attachments",
    "response_type",
    "replace_original",
    "delete_original",
    "thread_ts",
    "unfurl_links",
    "unfurl_media",
    "mrkdwn",
    "metadata",
}


def show_response(workspace: Workspace, address: ResponseAddress, payload: Json) -> Message | None:
    """Show an answer to an interaction where it belongs: to the person alone, to the channel, or in place.

    Raises:
        SlackError: as for a posted message; `invalid_arguments` for an unknown `response_type`.
    """
    for name in sorted(set(payload) - _KNOWN):
        workspace.problem(f"response to {address.interaction_id}: unknown field {name}")
    original = address.original
    if payload.get("delete_original") is True:
        if original is not None and not original.deleted:
            workspace.remove_message(original)
        return None
    kind = payload.get("response_type", "ephemeral")
    if kind not in {"ephemeral", "in_channel"}:
        raise SlackError("invalid_arguments", ["response_type must be ephemeral or in_channel"])
    text = payload.get("text") or ""
    if not isinstance(text, str):
        raise SlackError("invalid_arguments", ["must be a string [json-pointer:/text]"])
    blocks = check_content(text, payload.get("blocks"))
    if payload.get("replace_original") is True and original is not None and not original.deleted:
        original.text, original.interaction_id = text, address.interaction_id
        workspace.replace_blocks(original, blocks)
        return original
    message = from_app(workspace, address.channel, text, blocks)
    message.metadata = check_metadata(payload.get("metadata"))
    message.thread_ts = payload.get("thread_ts")
    message.ephemeral_to = address.user_id if kind == "ephemeral" else None
    message.interaction_id = address.interaction_id
    return workspace.add_message(message)


class ResponseAddresses:
    """Answers posts to the response addresses that interactions gave out."""

    def __init__(self, workspace: Workspace, grants: Grants) -> None:
        self._workspace, self._grants = workspace, grants

    async def handle(self, request: Request) -> Response:
        """Show one response; 404 for an address that is unknown, old or used up."""
        try:
            address = self._grants.use_address(request.path_params["key"])
        except SlackError as error:
            return _refused(error, 404)
        try:
            show_response(self._workspace, address, _payload(await request.body()))
        except SlackError as error:
            return self._bad(address, error)
        return PlainTextResponse("ok")

    def _bad(self, address: ResponseAddress, error: SlackError) -> Response:
        details = "; ".join(error.messages)
        self._workspace.problem(f"response to {address.interaction_id} refused: {error.code} {details}".strip())
        return _refused(error, 400)


def _payload(body: bytes) -> Json:
    try:
        payload = json.loads(body)
    except ValueError:
        payload = None
    if not isinstance(payload, dict):
        raise SlackError("invalid_payload")
    return payload


def _refused(error: SlackError, status: int) -> Response:
    return Response(json.dumps(refusal(error)), status, media_type="application/json")
