"""What is common to every way of showing a message: the checks, and the answer's form."""

from sandbox.slack.blockkit import MESSAGE_CHARACTERS, check_message_blocks, message_size
from sandbox.slack.model import Message, SlackError
from sandbox.slack.shapes import Fields, Findings, Json, string
from sandbox.slack.workspace import APP_ID, BOT_ID, BOT_USER, Workspace

TEXT_LIMIT = 40_000
METADATA_BYTES = 16_000

_METADATA = Fields({"event_type": string(255), "event_payload": lambda *_: None})


def check_content(text: str, blocks: object) -> list[Json]:
    """The blocks to show, after all checks on a message's content.

    Raises:
        SlackError: `no_text`, `msg_too_long`, `invalid_blocks_format`, `invalid_blocks` (with the reasons),
            `msg_blocks_too_long`.
    """
    if blocks is None:
        blocks = []
    if not isinstance(blocks, list):
        raise SlackError("invalid_blocks_format")
    if not text.strip() and not blocks:
        raise SlackError("no_text")
    if len(text) > TEXT_LIMIT:
        raise SlackError("msg_too_long")
    if complaints := check_message_blocks(blocks):
        raise SlackError("invalid_blocks", complaints, {"errors": complaints})
    if message_size(blocks) > MESSAGE_CHARACTERS:
        raise SlackError("msg_blocks_too_long")
    return blocks


def check_metadata(metadata: object) -> Json | None:
    """A message's metadata after its checks.

    Raises:
        SlackError: `invalid_metadata_format` or `metadata_too_large`.
    """
    if metadata is None:
        return None
    findings = Findings()
    _METADATA(metadata, "/metadata", findings)
    if not isinstance(metadata, dict) or not isinstance(metadata.get("event_payload"), dict):
        raise SlackError("invalid_metadata_format", findings.lines)
    if findings.lines:
        raise SlackError("invalid_metadata_format", findings.lines)
    if len(str(metadata)) > METADATA_BYTES:
        raise SlackError("metadata_too_large")
    return metadata


def from_app(workspace: Workspace, channel: str, text: str, blocks: list[Json]) -> Message:
    """A message of the app, not yet shown."""
    return Message(
        channel=channel,
        ts=workspace.next_ts(),
        text=text,
        blocks=blocks,
        user=BOT_USER,
        number=workspace.next_number(),
    )


def as_answer(workspace: Workspace, message: Message) -> Json:
    """A message as the Web API and payloads show it."""
    shown: Json = {"type": "message", "user": message.user, "ts": message.ts, "text": message.text}
    shown["team"] = workspace.team_id
    if message.by_app:
        shown |= {"bot_id": BOT_ID, "app_id": APP_ID}
    if message.blocks:
        shown["blocks"] = message.blocks
    if message.thread_ts:
        shown["thread_ts"] = message.thread_ts
    if message.metadata:
        shown["metadata"] = message.metadata
    if message.edited:
        shown["edited"] = {"user": message.user, "ts": message.ts}
    return shown
