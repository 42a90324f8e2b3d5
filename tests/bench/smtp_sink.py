"""An SMTP server that takes every mail and keeps none: `python -m tests.bench.smtp_sink PORT`.

As cheap as one in Python gets, so that what is measured is who sends. `NOOP` answers how many mails came.
"""

import asyncio
import sys
from typing import cast

import uvloop

_END = b"\r\n.\r\n"


class Sink(asyncio.Protocol):
    """One connection."""

    taken = 0

    def __init__(self) -> None:
        self._received = b""
        self._is_in_text = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(b"220 sink.test\r\n")

    def data_received(self, data: bytes) -> None:
        """Answer every command and every text that is complete."""
        self._received += data
        answers = []
        while answer := self._next_answer():
            answers.append(answer)
        if answers and self._transport is not None:
            self._transport.write(b"".join(answers))

    def _next_answer(self) -> bytes | None:
        end = _END if self._is_in_text else b"\r\n"
        first, found, rest = self._received.partition(end)
        if not found:
            return None
        self._received = rest
        if self._is_in_text:
            self._is_in_text = False
            Sink.taken += 1
            return b"250 taken\r\n"
        return self._answer_to(first[:4].upper())

    def _answer_to(self, command: bytes) -> bytes:
        if command == b"DATA":
            self._is_in_text = True
            return b"354 go on\r\n"
        return b"250 %d\r\n" % Sink.taken if command == b"NOOP" else b"250 ok\r\n"


async def serve(port: int) -> None:
    """Take mail until the process ends."""
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
