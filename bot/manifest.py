"""The app's manifest: everything Slack has to know, to make the app from in one go.

Follows Slack's "App manifest reference", schema 2.0.0.
"""

from typing import Any

BOT_SCOPES = (
    "chat:write",
    "commands",
    "files:write",
    "im:write",
    "usergroups:read",
    "users:read",
    "users:read.email",
)
# The last two: a workspace took the app out, and its token is to be forgotten.
BOT_EVENTS = ("app_home_opened", "app_uninstalled", "tokens_revoked")
_COMMANDS = (
    ("/player", "See what a player's family owes", "NAME"),
    ("/resend", "Mail a family its payment links again", "NAME [ITEM]"),
    ("/blast", "Mail everyone who owes, once somebody approves it", ""),
    ("/dues", "What is owed by team, and what came in", "[TEAM | help]"),
)
FIND_PLAYER = "find_player"


def manifest(public_url: str, *, socket_mode: bool, is_installable: bool = False) -> dict[str, Any]:
    """Return the manifest for a server at `public_url`; with Socket Mode no address is needed.

    `is_installable`: other workspaces may install the app, and come back to the server with Slack's answer.
    """
    redirect = {"redirect_urls": [f"{public_url.rstrip('/')}/slack/oauth_redirect"]} if is_installable else {}
    requests = {} if socket_mode else {"request_url": f"{public_url.rstrip('/')}/slack/events"}
    options = {} if socket_mode else {"message_menu_options_url": requests["request_url"]}
    return {
        "_metadata": {"major_version": 2, "minor_version": 0},
        "display_information": {
            "name": "Sideline",
            "description": "Your club's billing desk: balances, payment links and reminders.",
            "background_color": "#0b6e4f",
        },
        "features": {
            "app_home": {
                "home_tab_enabled": True,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": True,
            },
            "bot_user": {"display_name": "Sideline", "always_online": True},
            "slash_commands": [_command(*command, requests) for command in _COMMANDS],
            "shortcuts": [
                {
                    "name": "Find the player",
                    "type": "message",
                    "callback_id": FIND_PLAYER,
                    "description": "Look up the players a message names",
                }
            ],
        },
        "oauth_config": {**redirect, "scopes": {"bot": list(BOT_SCOPES)}},
        "settings": {
            "event_subscriptions": {**requests, "bot_events": list(BOT_EVENTS)},
            "interactivity": {"is_enabled": True, **requests, **options},
            "org_deploy_enabled": False,
            "socket_mode_enabled": socket_mode,
            "token_rotation_enabled": False,
        },
    }


def _command(command: str, description: str, usage_hint: str, requests: dict[str, str]) -> dict[str, Any]:
    address = {"url": requests["request_url"]} if requests else {}
    hint = {"usage_hint": usage_hint} if usage_hint else {}
    # Unescaped: names come as typed, and mentions mean nothing here.
    return {"command": command, "description": description, "should_escape": False, **hint, **address}
