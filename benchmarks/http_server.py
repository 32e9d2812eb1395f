"""A chat server for benchmarks that leaves the CPU to its clients: replies of about 24 KB after a fixed time.

    python -m benchmarks.http_server --latency-ms 5

It prints its port. A prompt begins with its number; the reply repeats it, so that mixed-up answers are noticed.
GET /answered returns {number: how often its whole reply was handed to an open connection}.
"""

import argparse
import asyncio
import contextlib
import json
import random
import re
from collections import Counter
from typing import ClassVar

WORDS = ("let", "us", "check", "the", "sum", "so", "wait", "$x^2$", "\\frac{1}{2}", "therefore", "modulo", "prime", "7")
REPLY_CHARACTERS = 23_500
NUMBER = re.compile(rb'"content":\s*"(\d+)')
LENGTH = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)
MARK = "0123456789" * 2


def halves() -> tuple[bytes, bytes]:
    """Return a reply's JSON before and after the number that it repeats."""
    rng = random.Random(0)
    thought = ""
    while len(thought) < REPLY_CHARACTERS:
        thought += rng.choice(WORDS) + ("\n\n" if rng.random() < 0.05 else " ")
    content = f"<think>\n{MARK} {thought}\n</think>\nThe answer is \\boxed{{42}}."
    usage = {"prompt_tokens": 40, "completion_tokens": len(content) // 4, "total_tokens": 40 + len(content) // 4}
    message = {"role": "assistant", "content": content, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    reply = {"id": "chatcmpl-0", "object": "chat.completion", "created": 0, "model": "bench", "choices": [choice]}
    before, after = json.dumps({**reply, "usage": usage}).split(MARK)
    return before.encode(), after.encode()


class Connection(asyncio.Protocol):
    """One client's connection; its requests come one after the other."""

    answered: ClassVar[Counter[int]] = Counter()
    before, after = halves()
    latency_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.received = transport, b""
        transport.set_write_buffer_limits(1 << 24)

    def data_received(self, data: bytes) -> None:
        self.received += data
        while True:
            head, found, rest = self.received.partition(b"\r\n\r\n")
            size = LENGTH.search(head)
            length = int(size[1]) if size else 0
            if not found or len(rest) < length:
                return
            self.received = rest[length:]
            self.asked(head, rest[:length])

    def asked(self, head: bytes, body: bytes) -> None:
        """Answer a complete request, at once or after the latency."""
        if head.startswith(b"GET"):
            self.send(json.dumps(self.answered).encode())
            return
        found = NUMBER.search(body)
        number = int(found[1]) if found else -1
        if self.latency_s:
            asyncio.get_running_loop().call_later(self.latency_s, self.answer, number)
        else:
            self.answer(number)

    def answer(self, number: int) -> None:
        if not self.transport.is_closing():
            self.send(self.before + b"%020d" % number + self.after)
            self.answered[number] += 1

    def send(self, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        self.transport.write(head + body)


async def serve(port: int) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Parse the arguments and serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency-ms", type=float, default=0)
    options = parser.parse_args()
    Connection.latency_s = options.latency_ms / 1000
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(options.port))


if __name__ == "__main__":
    main()
