"""chat.*: posting, updating and deleting messages."""

from sandbox.slack.methods.base import Call, Method, Methods
from sandbox.slack.model import Message, SlackError
from sandbox.slack.posting import as_answer, check_content, check_metadata, from_app
from sandbox.slack.shapes import Json

_LOOKS = ("unfurl_links", "unfurl_media", "mrkdwn", "parse", "link_names", "attachments")


def _composed(call: Call, channel: str) -> Message:
    """A message made of the call's arguments, after their checks."""
    args = call.args
    args.allow(*_LOOKS)
    text = args.text("text")
    blocks = check_content(text, args.structure("blocks"))
    message = from_app(call.workspace, channel, text, blocks)
    message.metadata = check_metadata(args.structure("metadata"))
    if thread_ts := args.text("thread_ts"):
        if not any((m.channel, m.ts) == (channel, thread_ts) for m in call.workspace.messages):
            raise SlackError("thread_not_found")
        message.thread_ts = thread_ts
    return message


def post_message(call: Call) -> Json:
    """Post to a channel, or to a person's direct messages."""
    channel = call.channel_to_post_in()
    call.args.allow("reply_broadcast")
    message = _composed(call, channel.id)
    call.count_post(channel)
    call.workspace.add_message(message)
    return {"channel": channel.id, "ts": message.ts, "message": as_answer(call.workspace, message)}


def post_ephemeral(call: Call) -> Json:
    """Show a message to one person in a channel; it can be neither updated nor deleted by chat.* later."""
    channel = call.channel_to_post_in()
    user = call.workspace.user(call.args.required("user"))
    if not channel.holds(user.id):
        raise SlackError("user_not_in_channel")
    message = _composed(call, channel.id)
    message.ephemeral_to = user.id
    call.count_post(channel)
    call.workspace.add_message(message)
    return {"message_ts": message.ts}


def _own_message(call: Call, refusal: str) -> Message:
    channel = call.workspace.find_channel(call.args.required("channel"))
    message = call.workspace.find_message(channel.id, call.args.required("ts"))
    if message.ephemeral_to is not None:
        call.workspace.problem(f"an ephemeral message cannot be changed by chat.*: {message.ts}")
        raise SlackError("message_not_found")
    if not message.by_app:
        raise SlackError(refusal)
    return message


def update(call: Call) -> Json:
    """Replace the content of one of the app's own messages; `text` without `blocks` removes the blocks."""
    args, workspace = call.args, call.workspace
    args.allow(*_LOOKS, "reply_broadcast", "as_user", "file_ids")
    message = _own_message(call, "cant_update_message")
    text = args.text("text")
    blocks = check_content(text, args.structure("blocks"))
    metadata = check_metadata(args.structure("metadata"))
    if text or "text" in args.given:
        message.text = text
    workspace.replace_blocks(message, blocks)
    if metadata is not None:
        message.metadata = metadata
    return {
        "channel": message.channel,
        "ts": message.ts,
        "text": message.text,
        "message": as_answer(workspace, message),
    }


def delete(call: Call) -> Json:
    """Delete one of the app's own messages."""
    message = _own_message(call, "cant_delete_message")
    call.workspace.remove_message(message)
    return {"channel": message.channel, "ts": message.ts}


def get_permalink(call: Call) -> Json:
    """The address under which a message can be opened."""
    channel = call.workspace.find_channel(call.args.required("channel"))
    message = call.workspace.find_message(channel.id, call.args.required("message_ts"))
    anchor = f"p{message.ts.replace('.', '')}"
    address = f"{call.workspace.base_url}/archives/{channel.id}/{anchor}"
    return {"channel": channel.id, "permalink": address}


METHODS: Methods = {
    "chat.postMessage": Method(post_message, ("chat:write",)),
    "chat.postEphemeral": Method(post_ephemeral, ("chat:write",), tier=4),
    "chat.update": Method(update, ("chat:write",), tier=3),
    "chat.delete": Method(delete, ("chat:write",), tier=3),
    "chat.getPermalink": Method(get_permalink),
}
