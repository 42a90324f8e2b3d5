"""A view as the Web API and payloads show it."""

from sandbox.slack.model import View
from sandbox.slack.shapes import Json
from sandbox.slack.state import values_of
from sandbox.slack.workspace import APP_ID, BOT_ID, Workspace


def view_as_json(workspace: Workspace, view: View) -> Json:
    """The view with its id, hash and what the person has filled in."""
    content = view.content
    return {
        "id": view.id,
        "team_id": workspace.team_id,
        "type": view.kind,
        "blocks": view.blocks,
        "private_metadata": view.private_metadata,
        "callback_id": view.callback_id,
        "state": {"values": values_of(view)},
        "hash": view.hash,
        "title": content.get("title"),
        "submit": content.get("submit"),
        "close": content.get("close"),
        "clear_on_close": content.get("clear_on_close", False),
        "notify_on_close": content.get("notify_on_close", False),
        "previous_view_id": view.previous_view_id,
        "root_view_id": view.root_view_id,
        "app_id": APP_ID,
        "external_id": content.get("external_id", ""),
        "app_installed_team_id": workspace.team_id,
        "bot_id": BOT_ID,
    }
