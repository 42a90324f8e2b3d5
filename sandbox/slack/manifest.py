"""An app manifest: its limits, and what an installed app may therefore do.

Follows Slack's "App manifest reference" (docs.slack.dev/reference/app-manifest).
"""

from sandbox.slack.shapes import Check, Fields, Findings, Json, boolean, integer, items, one_of, string

ADDRESS = string(3000, pattern=r"https?://\S+")
_WORDS = items(string(255), 255, minimum=0)


def _anything(value: object, pointer: str, findings: Findings) -> None:
    if value is None:
        findings.add(pointer, "must not be null")


def _names_are_unique(features: Json, pointer: str, findings: Findings) -> None:
    commands = [each["command"] for each in features.get("slash_commands", [])]
    if len(commands) != len(set(commands)):
        findings.add(f"{pointer}/slash_commands", "commands must be unique")
    callbacks = [each["callback_id"] for each in features.get("shortcuts", [])]
    if len(callbacks) != len(set(callbacks)):
        findings.add(f"{pointer}/shortcuts", "callback_ids must be unique")


_COMMAND = Fields(
    {"command": string(32, 2, r"/[^\sA-Z]+"), "description": string(2000)},
    {"url": ADDRESS, "usage_hint": string(1000), "should_escape": boolean},
)
_SHORTCUT = Fields(
    {
        "type": one_of("message", "global"),
        "name": string(24),
        "callback_id": string(255),
        "description": string(150),
    }
)
_BOT_USER = Fields({"display_name": string(80, pattern=r"[A-Za-z0-9\-_. ]+")}, {"always_online": boolean})
_APP_HOME = Fields(
    {},
    {
        "home_tab_enabled": boolean,
        "messages_tab_enabled": boolean,
        "messages_tab_read_only_enabled": boolean,
    },
)
_FEATURES = Fields(
    {},
    {
        "app_home": _APP_HOME,
        "bot_user": _BOT_USER,
        "slash_commands": items(_COMMAND, 50, minimum=0),
        "shortcuts": items(_SHORTCUT, 10, minimum=0),
        "unfurl_domains": items(string(255), 5, minimum=0),
    },
    (_names_are_unique,),
)
_SETTINGS: dict[str, Check] = {
    "allowed_ip_address_ranges": items(string(50), 10, minimum=0),
    "event_subscriptions": Fields(
        {},
        {"request_url": ADDRESS, "bot_events": _WORDS, "user_events": _WORDS, "metadata_subscriptions": _anything},
    ),
    "interactivity": Fields(
        {"is_enabled": boolean}, {"request_url": ADDRESS, "message_menu_options_url": ADDRESS}
    ),
    "org_deploy_enabled": boolean,
    "socket_mode_enabled": boolean,
    "token_rotation_enabled": boolean,
    "is_hosted": boolean,
    "function_runtime": one_of("remote", "slack"),
}
_MANIFEST = Fields(
    {
        "display_information": Fields(
            {"name": string(35)},
            {
                "description": string(140),
                "long_description": string(4000, 174),
                "background_color": string(7, 4, "#(?:[0-9a-fA-F]{3}){1,2}"),
            },
        )
    },
    {
        "_metadata": Fields({}, {"major_version": integer(1, 2), "minor_version": integer(0, 9)}),
        "features": _FEATURES,
        "oauth_config": Fields(
            {},
            {
                "redirect_urls": items(ADDRESS, 1000, minimum=0),
                "scopes": Fields({}, {"bot": _WORDS, "user": _WORDS}),
                "token_management_enabled": boolean,
            },
        ),
        "settings": Fields({}, _SETTINGS),
    },
)


def check_manifest(manifest: object) -> list[str]:
    """What Slack would object to in a manifest; empty when it would install the app."""
    findings = Findings()
    _MANIFEST(manifest, "", findings)
    if not findings.lines and isinstance(manifest, dict):
        _check_together(manifest, findings)
    return findings.lines


def _check_together(manifest: Json, findings: Findings) -> None:
    features, settings = manifest.get("features", {}), manifest.get("settings", {})
    scopes = bot_scopes(manifest)
    over_http = not settings.get("socket_mode_enabled", False)
    if features.get("slash_commands") and "commands" not in scopes:
        findings.add("/oauth_config/scopes/bot", "slash commands need the commands scope")
    if features.get("shortcuts") and "commands" not in scopes:
        findings.add("/oauth_config/scopes/bot", "shortcuts need the commands scope")
    if scopes and "bot_user" not in features:
        findings.add("/features", "bot scopes need a bot_user")
    if not over_http:
        return
    for number, command in enumerate(features.get("slash_commands", [])):
        if "url" not in command:
            findings.add(f"/features/slash_commands/{number}", "missing required field: url")
    if settings.get("interactivity", {}).get("is_enabled") and "request_url" not in settings["interactivity"]:
        findings.add("/settings/interactivity", "missing required field: request_url")
    events = settings.get("event_subscriptions", {})
    if events.get("bot_events") and "request_url" not in events:
        findings.add("/settings/event_subscriptions", "missing required field: request_url")


def bot_scopes(manifest: Json) -> list[str]:
    """The bot token's scopes."""
    scopes: list[str] = manifest.get("oauth_config", {}).get("scopes", {}).get("bot", [])
    return scopes


class Installed:
    """What the manifest lets people do with the app; without a manifest, everything.

    Args:
        manifest: the app's manifest, or None for an app that may do all.

    Raises:
        ValueError: for a manifest that Slack would not install, with all reasons.
    """

    def __init__(self, manifest: Json | None) -> None:
        if manifest is not None and (complaints := check_manifest(manifest)):
            raise ValueError("Slack would refuse this manifest: " + "; ".join(complaints))
        self._manifest = manifest
        self.features: Json = (manifest or {}).get("features", {})
        self._settings: Json = (manifest or {}).get("settings", {})

    def has_command(self, command: str) -> bool:
        """Whether people can type this command."""
        commands = self.features.get("slash_commands", [])
        return self._manifest is None or any(each["command"] == command for each in commands)

    def has_shortcut(self, callback_id: str, kind: str) -> bool:
        """Whether people find this shortcut; `kind` is `message` or `global`."""
        shortcuts = self.features.get("shortcuts", [])
        return self._manifest is None or any(
            (each["callback_id"], each["type"]) == (callback_id, kind) for each in shortcuts
        )

    def is_interactive(self) -> bool:
        """Whether buttons reach the app at all."""
        return self._manifest is None or bool(self._settings.get("interactivity", {}).get("is_enabled"))

    def loads_options(self) -> bool:
        """Whether an external select can ask the app; over HTTP that takes an address of its own."""
        if self._manifest is None or self._settings.get("socket_mode_enabled"):
            return True
        return "message_menu_options_url" in self._settings.get("interactivity", {})

    def hears(self, event: str) -> bool:
        """Whether the app subscribed to an event."""
        events = self._settings.get("event_subscriptions", {}).get("bot_events", [])
        return self._manifest is None or event in events
