"""users.*, usergroups.*, conversations.*, bots.info and team.info: who and what there is."""

from sandbox.slack.methods.base import Call, Method, Methods
from sandbox.slack.model import Channel, SlackError, User
from sandbox.slack.shapes import Json
from sandbox.slack.workspace import APP_ID, BOT_ID, BOT_USER

_READ = ("channels:read", "groups:read", "im:read", "mpim:read")


def user_as_json(call: Call, user: User) -> Json:
    """A user; the address only for an app that may see it."""
    profile: Json = {"real_name": user.name, "display_name": user.name, "team": call.workspace.team_id}
    if user.email and "users:read.email" in call.scopes:
        profile["email"] = user.email
    return {
        "id": user.id,
        "team_id": call.workspace.team_id,
        "name": user.name,
        "real_name": user.name,
        "deleted": user.deleted,
        "is_bot": user.is_bot,
        "tz": "America/Chicago",
        "profile": profile,
    }


def _page(call: Call, found: list[Json], name: str) -> Json:
    """One page of a list, with a cursor to the next."""
    limit = call.args.number("limit") or len(found) or 1
    cursor = call.args.text("cursor")
    if cursor and not cursor.isdigit():
        raise SlackError("invalid_cursor")
    start = int(cursor or 0)
    following = str(start + limit) if start + limit < len(found) else ""
    return {name: found[start : start + limit], "response_metadata": {"next_cursor": following}}


def users_info(call: Call) -> Json:
    """One user."""
    call.args.allow("include_locale")
    return {"user": user_as_json(call, call.workspace.user(call.args.required("user")))}


def users_lookup_by_email(call: Call) -> Json:
    """The user with an address."""
    email = call.args.required("email").casefold()
    for user in call.workspace.users.values():
        if user.email and user.email.casefold() == email and not user.deleted:
            return {"user": user_as_json(call, user)}
    raise SlackError("users_not_found")


def users_list(call: Call) -> Json:
    """All users, by pages."""
    call.args.allow("include_locale", "team_id")
    return _page(call, [user_as_json(call, user) for user in call.workspace.users.values()], "members")


def usergroups_list(call: Call) -> Json:
    """The user groups, with their members if asked."""
    call.args.allow("include_count", "include_disabled", "team_id")
    with_users = call.args.flag("include_users")
    groups: list[Json] = []
    for group in call.workspace.usergroups.values():
        shown: Json = {"id": group.id, "handle": group.handle, "name": group.handle, "is_usergroup": True}
        groups.append({**shown, "users": group.users} if with_users else shown)
    return {"usergroups": groups}


def usergroups_users_list(call: Call) -> Json:
    """The members of a user group."""
    call.args.allow("include_disabled", "team_id")
    group = call.workspace.usergroups.get(call.args.required("usergroup"))
    if group is None:
        raise SlackError("no_such_subteam")
    return {"users": [user for user in group.users if not call.workspace.users[user].deleted]}


def channel_as_json(channel: Channel) -> Json:
    """A conversation."""
    if channel.is_im:
        return {"id": channel.id, "is_im": True, "is_channel": False}
    return {
        "id": channel.id,
        "name": channel.name,
        "is_channel": True,
        "is_im": False,
        "is_archived": channel.is_archived,
        "is_member": channel.bot_is_member,
        "is_private": channel.members is not None,
    }


def conversations_open(call: Call) -> Json:
    """Open the direct messages with one person."""
    call.args.allow("return_im", "prevent_creation")
    users = [each.strip() for each in call.args.required("users").split(",")]
    if len(users) != 1:
        raise SlackError("invalid_arguments", ["the stand-in opens direct messages with one person"])
    channel = call.workspace.direct_channel(users[0])
    return {"channel": {"id": channel.id}, "no_op": False, "already_open": False}


def conversations_info(call: Call) -> Json:
    """One conversation."""
    call.args.allow("include_locale", "include_num_members")
    return {"channel": channel_as_json(call.workspace.find_channel(call.args.required("channel")))}


def conversations_list(call: Call) -> Json:
    """The conversations that are not direct messages, by pages."""
    call.args.allow("types", "exclude_archived", "team_id")
    named = [each for each in call.workspace.channels.values() if not each.is_im]
    return _page(call, [channel_as_json(each) for each in named], "channels")


def conversations_members(call: Call) -> Json:
    """Who is in a conversation, by pages."""
    channel = call.workspace.find_channel(call.args.required("channel"))
    inside = [each for each in call.workspace.users if channel.holds(each)]
    if not channel.bot_is_member and BOT_USER in inside:
        inside.remove(BOT_USER)
    page = _page(call, [{"id": each} for each in inside], "members")
    return {**page, "members": [each["id"] for each in page["members"]]}


def bots_info(call: Call) -> Json:
    """The app's own bot."""
    call.args.allow("team_id")
    if call.args.text("bot") not in {"", BOT_ID}:
        raise SlackError("bot_not_found")
    bot = {"id": BOT_ID, "app_id": APP_ID, "user_id": BOT_USER, "name": "sideline", "deleted": False}
    return {"bot": bot}


def team_info(call: Call) -> Json:
    """The workspace."""
    call.args.allow("team", "domain")
    return {"team": {"id": call.workspace.team_id, "name": "Local club", "domain": "local-club"}}


METHODS: Methods = {
    "users.info": Method(users_info, ("users:read",), tier=4),
    "users.lookupByEmail": Method(users_lookup_by_email, ("users:read.email",), tier=3),
    "users.list": Method(users_list, ("users:read",), tier=2),
    "usergroups.list": Method(usergroups_list, ("usergroups:read",), tier=2),
    "usergroups.users.list": Method(usergroups_users_list, ("usergroups:read",), tier=2),
    "conversations.open": Method(conversations_open, ("im:write", "mpim:write"), tier=3),
    "conversations.info": Method(conversations_info, _READ, tier=3),
    "conversations.list": Method(conversations_list, _READ, tier=2),
    "conversations.members": Method(conversations_members, _READ, tier=4),
    "bots.info": Method(bots_info, ("users:read",), tier=3),
    "team.info": Method(team_info, ("team:read",), tier=3),
}
