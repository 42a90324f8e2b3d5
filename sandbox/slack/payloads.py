"""The payloads that Slack sends when somebody does something.

Follows Slack's "Interaction payloads" and "Slash commands" (docs.slack.dev/reference/interaction-payloads,
docs.slack.dev/interactivity/implementing-slash-commands).
"""

import time
from typing import Literal

from sandbox.slack.model import Channel, Message, Surface, View
from sandbox.slack.posting import as_answer
from sandbox.slack.shapes import Json
from sandbox.slack.state import values_of
from sandbox.slack.view_json import view_as_json
from sandbox.slack.workspace import APP_ID, BOT_USER, Workspace

VERIFICATION = "local-verification-token"
DOMAIN = "local-club"
ENTERPRISE = "Local league"


def slash_command(workspace: Workspace, user_id: str, channel: Channel, command: str, text: str) -> Json:
    """The form of a slash command, without its grants."""
    form = {
        "token": VERIFICATION,
        "team_id": workspace.team_id,
        "team_domain": DOMAIN,
        "channel_id": channel.id,
        "channel_name": "directmessage" if channel.is_im else channel.name,
        "user_id": user_id,
        "user_name": workspace.users[user_id].name,
        "command": command,
        "text": text,
        "api_app_id": APP_ID,
        "is_enterprise_install": "false",
    }
    if workspace.enterprise_id:
        form |= {"enterprise_id": workspace.enterprise_id, "enterprise_name": ENTERPRISE}
    return form


def enterprise_of(workspace: Workspace) -> Json | None:
    """The organization that a workspace is part of, as payloads and tokens name it."""
    return {"id": workspace.enterprise_id, "name": ENTERPRISE} if workspace.enterprise_id else None


def _who(workspace: Workspace, user_id: str, kind: str) -> Json:
    name = workspace.users[user_id].name
    return {
        "type": kind,
        "user": {"id": user_id, "username": name, "name": name, "team_id": workspace.team_id},
        "api_app_id": APP_ID,
        "token": VERIFICATION,
        "team": {"id": workspace.team_id, "domain": DOMAIN},
        "enterprise": enterprise_of(workspace),
        "is_enterprise_install": False,
    }


def _where(workspace: Workspace, surface: Surface) -> Json:
    if isinstance(surface, View):
        return {
            "container": {"type": "view", "view_id": surface.id},
            "view": view_as_json(workspace, surface),
        }
    channel = workspace.channels[surface.channel]
    name = "directmessage" if channel.is_im else channel.name
    where: Json = {
        "container": {
            "type": "message",
            "message_ts": surface.ts,
            "channel_id": channel.id,
            "is_ephemeral": surface.ephemeral_to is not None,
        },
        "channel": {"id": channel.id, "name": name},
    }
    if surface.ephemeral_to is None:  # Slack keeps no copy of what it showed to one person
        where["message"] = as_answer(workspace, surface)
    return where


def block_actions(workspace: Workspace, user_id: str, surface: Surface, action: Json) -> Json:
    """Somebody used an element; without its grants."""
    payload = _who(workspace, user_id, "block_actions") | _where(workspace, surface)
    if isinstance(surface, Message):
        payload["state"] = {"values": values_of(surface)}
    payload["actions"] = [{**action, "action_ts": f"{time.time():.6f}"}]
    return payload


def block_suggestion(
    workspace: Workspace, user_id: str, surface: Surface, block_id: str, action_id: str, query: str
) -> Json:
    """Somebody types into an external select."""
    asked = {"action_id": action_id, "block_id": block_id, "value": query}
    return _who(workspace, user_id, "block_suggestion") | _where(workspace, surface) | asked


def view_event(workspace: Workspace, view: View, kind: Literal["view_submission", "view_closed"]) -> Json:
    """Somebody submitted or closed a modal."""
    payload = _who(workspace, view.user_id, kind)
    payload["view"] = view_as_json(workspace, view)
    if kind == "view_submission":
        payload["response_urls"] = []
    else:
        payload["is_cleared"] = False
    return payload


def message_shortcut(workspace: Workspace, user_id: str, callback_id: str, message: Message) -> Json:
    """Somebody chose a message shortcut; without its grants."""
    channel = workspace.channels[message.channel]
    return _who(workspace, user_id, "message_action") | {
        "action_ts": f"{time.time():.6f}",
        "callback_id": callback_id,
        "channel": {"id": channel.id, "name": "directmessage" if channel.is_im else channel.name},
        "message_ts": message.ts,
        "message": as_answer(workspace, message),
    }


def event_callback(workspace: Workspace, event: Json, event_id: str) -> Json:
    """An event in its outer envelope."""
    envelope: Json = {
        "token": VERIFICATION,
        "team_id": workspace.team_id,
        "api_app_id": APP_ID,
        "event": event,
        "type": "event_callback",
        "event_id": event_id,
        "event_time": int(workspace.clock().timestamp()),
        "authorizations": [
            {
                "enterprise_id": workspace.enterprise_id,
                "team_id": workspace.team_id,
                "user_id": BOT_USER,
                "is_bot": True,
            }
        ],
        "is_ext_shared_channel": False,
    }
    if workspace.enterprise_id:
        envelope["enterprise_id"] = workspace.enterprise_id
    return envelope


def uninstalled() -> Json:
    """The event of somebody removing the app from the workspace."""
    return {"type": "app_uninstalled", "event_ts": f"{time.time():.6f}"}


def bot_token_revoked() -> Json:
    """The event of the bot's token being taken back, which comes along with the other."""
    tokens = {"oauth": [], "bot": [BOT_USER]}
    return {"type": "tokens_revoked", "tokens": tokens, "event_ts": f"{time.time():.6f}"}


def home_opened(workspace: Workspace, user_id: str) -> Json:
    """The event of somebody opening the app's home tab."""
    event: Json = {
        "type": "app_home_opened",
        "user": user_id,
        "channel": workspace.direct_channel(user_id).id,
        "tab": "home",
        "event_ts": f"{time.time():.6f}",
    }
    if user_id in workspace.homes:
        event["view"] = view_as_json(workspace, workspace.homes[user_id])
    return event
