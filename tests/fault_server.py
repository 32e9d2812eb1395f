"""An OpenAI-compatible server that misbehaves as it is told: a script, so that it can be killed.

    python tests/fault_server.py --port 0 --form inline --fault 500 --first 20

Prints its port. GET /seen gives {"answered": {question: times}, "refused": n, "keys": [Authorization headers]}.
"""

import argparse
import asyncio
import json
import re
from collections import Counter
from email.utils import formatdate
from time import time
from typing import Any

from aiohttp import web

ANSWERED: Counter[str] = Counter()
SEEN: dict[str, Any] = {"refused": 0, "keys": set(), "bodies": [], "peak": 0}
THOUGHT, ANSWER = "First, {q}.\n\nSo it is.", "It is {q}."


def message(form: str, question: str) -> dict[str, Any]:
    """The same completion in each of the forms that servers know."""
    thought, answer = THOUGHT.format(q=question), ANSWER.format(q=question)
    inline = f"{thought}\n</think>\n\n{answer}"
    return {
        "inline": {"content": f"<think>\n{inline}"},
        "opened": {"content": inline},
        "reasoning": {"reasoning": f"\n{thought}\n", "content": f"\n\n{answer}"},
        "reasoning_content": {"reasoning_content": thought, "content": answer},
        "parts": {"content": [{"type": "text", "text": "<think>\n"}, {"type": "text", "text": inline}]},
        "cut": {"content": f"<think>\n{thought}"},
        "cut_opened": {"content": thought},
        "cut_reasoning": {"reasoning": thought, "content": None},
        "surrogate": {"content": f"<think>\n{thought}\n</think>\n{answer} \ud83d|"},
        "empty": {"content": ""},
        "refusal": {"content": None, "refusal": "I will not."},
        "judge": {"content": judged(question)},
    }[form]


def judged(question: str) -> str:
    """A judge's reply, which thinks before it: the candidate is right where it names the reference, such as `x = 7`."""
    reference, candidate = (
        re.search(rf"^\[{name} \w+\]\n(.*?)\n\[/{name} ", question, re.DOTALL | re.MULTILINE)
        for name in ("reference", "candidate")
    )
    if not reference or not candidate:
        return "<think>\nWhat is asked?\n</think>\nI see no answers."
    same = reference[1] in re.findall(r"\w+", candidate[1])
    verdict = "EQUIVALENT" if same else "DIFFERENT"
    return f"<think>\nIs it <verdict>EQUIVALENT</verdict>?\n</think>\n\n**Verdict:** <verdict>{verdict}</verdict>"


def reply(options: argparse.Namespace, question: str) -> bytes:
    """The reply's JSON."""
    finish = "length" if options.form.startswith("cut") else options.finish
    choice = {"index": 0, "message": {"role": "assistant", **message(options.form, question)}, "finish_reason": finish}
    tokens = 0 if options.form in ("empty", "refusal") else 12
    usage = {"prompt_tokens": 7, "completion_tokens": tokens, "total_tokens": 7 + tokens}
    return json.dumps({"object": "chat.completion", "choices": [choice], "usage": usage}).encode()


async def fault(name: str, request: web.Request) -> web.StreamResponse:
    """Anything but a proper reply."""
    if name == "retry-after":
        return web.Response(status=429, headers={"Retry-After": "1"})
    if name == "retry-date":
        return web.Response(status=503, headers={"Retry-After": formatdate(time() + 2, usegmt=True)})
    if name == "garbage":
        return web.Response(body=b"<html>\xff it works!")
    if name == "empty":
        return web.Response(body=b"")
    if name == "half":
        response = web.StreamResponse(headers={"Content-Length": "4000"})
        await response.prepare(request)
        await response.write(b'{"choices": [')
        assert request.transport
        request.transport.close()
        return response
    if name == "never":
        await asyncio.sleep(3600)
    if name == "reset":
        assert request.transport
        request.transport.abort()
    if name == "echo":  # as some do with a wrong key
        return web.json_response({"error": {"message": f"bad key {request.headers.get('Authorization')}"}}, status=500)
    return web.json_response({"error": {"message": "out of order"}}, status=int(name) if name.isdigit() else 500)


def application(options: argparse.Namespace) -> web.Application:
    """Its three pages."""
    left, in_flight = [options.first], [0]

    async def completions(request: web.Request) -> web.StreamResponse:
        in_flight[0] += 1
        SEEN["peak"] = max(SEEN["peak"], in_flight[0])
        try:
            return await answer(request)
        finally:
            in_flight[0] -= 1

    async def answer(request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        question = asked["messages"][-1]["content"]
        SEEN["keys"].add(request.headers.get("Authorization"))
        SEEN["bodies"] = [asked]
        if in_flight[0] > options.most or left[0] > 0:
            left[0] -= 1
            SEEN["refused"] += 1
            return await fault("429" if in_flight[0] > options.most else options.fault, request)
        if "poison" in question:
            return await fault(options.poison, request)
        await asyncio.sleep(options.delay_s)
        if request.transport is None or request.transport.is_closing():
            return web.Response()
        ANSWERED[question] += 1
        return web.Response(body=reply(options, question), content_type="application/json")

    async def seen(request: web.Request) -> web.Response:
        return web.json_response({**SEEN, "answered": ANSWERED, "keys": sorted(map(str, SEEN["keys"]))})

    pages = web.Application()
    pages.add_routes([web.post("/v1/chat/completions", completions), web.get("/seen", seen)])
    return pages


async def serve(options: argparse.Namespace) -> None:
    """Until killed."""
    runner = web.AppRunner(application(options), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", options.port, reuse_address=True)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Parse and serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--form", default="inline")
    parser.add_argument("--finish", default="stop")
    parser.add_argument("--fault", default="500", help="what the first requests get")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--poison", default="500", help="what prompts with this word get")
    parser.add_argument("--delay-s", type=float, default=0.0)
    parser.add_argument("--most", type=int, default=1 << 30, help="requests in flight; more get 429")
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
