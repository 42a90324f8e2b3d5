"""files.*: the two-step upload. First an address for the bytes, then the file is shown in a channel."""

import secrets

from sandbox.slack.methods.base import Call, Method, Methods
from sandbox.slack.model import File, SlackError
from sandbox.slack.posting import from_app
from sandbox.slack.shapes import Json

LARGEST = 1_000_000_000


def get_upload_url(call: Call) -> Json:
    """An address to send a file's bytes to."""
    call.args.allow("alt_txt", "snippet_type")
    length = call.args.number("length")
    if not 0 < length <= LARGEST:
        raise SlackError("invalid_arguments", ["length must be a positive number of bytes"])
    file = File(f"F{secrets.token_hex(5).upper()}", call.args.required("filename"), length, secrets.token_hex(16))
    call.workspace.files[file.id] = file
    return {"upload_url": f"{call.workspace.base_url}/upload/v1/{file.secret}", "file_id": file.id}


def _completed(call: Call, given: object) -> File:
    if not isinstance(given, dict) or str(given.get("id")) not in call.workspace.files:
        raise SlackError("file_not_found")
    file = call.workspace.files[str(given["id"])]
    if file.content is None:
        raise SlackError("file_update_failed", [f"no bytes have arrived for {file.id}"])
    if file.shared:
        raise SlackError("file_already_shared")
    file.title = str(given.get("title", file.name))
    return file


def complete_upload(call: Call) -> Json:
    """Finish uploads and, with a channel, show them there as one message."""
    given = call.args.structure("files")
    if not isinstance(given, list) or not given:
        raise SlackError("invalid_arguments", ["missing required field: files"])
    files = [_completed(call, each) for each in given]
    channel_id, comment = call.args.text("channel_id"), call.args.text("initial_comment")
    thread_ts = call.args.text("thread_ts")
    if channel_id:
        channel = call.workspace.find_channel(channel_id)
        if not channel.bot_is_member:
            raise SlackError("not_in_channel")
        message = from_app(call.workspace, channel.id, comment, [])
        message.files, message.thread_ts = [file.id for file in files], thread_ts or None
        call.workspace.add_message(message)
    for file in files:
        file.shared = True
    return {"files": [{"id": file.id, "title": file.title, "name": file.name} for file in files]}


METHODS: Methods = {
    "files.getUploadURLExternal": Method(get_upload_url, ("files:write",), tier=4),
    "files.completeUploadExternal": Method(complete_upload, ("files:write",), tier=4),
}
