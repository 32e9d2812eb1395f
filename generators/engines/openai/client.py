"""Sample with any server that speaks the OpenAI API: hosted ones, `vllm serve`, SGLang, llama.cpp.

Every sample is a separate request. Several URLs share the work in proportion to their limits, which are found at run
time: server_limits.py follows what a server refuses, client_limits.py what this process can take up.

`api = "completions"` sends the prompt as token ids, rendered by the same code as for every other engine. With
`token_ids` a vLLM server returns exact ids, so that truncated samples can be continued; the repetition penalty and
top-k that the model's generation config suggests are then switched off, as for the other engines.
"""

import asyncio
import os
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

import aiohttp
from pydantic import Field, field_validator, model_validator
from pydantic_core import to_json
from yarl import URL

from generators.contract.config import ModelName
from generators.contract.engine import EngineOptions, Outcome, SampleRequest, SamplingConfig
from generators.contract.errors import RecipeError, ServerRefuses
from generators.contract.models import model_path
from generators.engines.openai.client_limits import ClientLimits, WaitClock
from generators.engines.openai.replies import Fault, Reply, excerpt, read_reply, spoken_error, without
from generators.engines.openai.server_limits import Server, retry_after_s
from generators.sampling.async_engine import AsyncEngine, OwnLoop
from generators.sampling.requests import TokenizedPrompt, sampled_row, tokenize_prompts, tokens_left

DEFAULT_KEY = "OPENAI_API_KEY"
OWN = ("model", "messages", "prompt", "max_tokens", "temperature", "top_p", "seed", "n", "stream", "stop")
SECRET = re.compile(r"api[-_]?key|authorization|secret|password", re.IGNORECASE)
PLAIN_SAMPLING = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}
VLLM = {"return_token_ids": True, "skip_special_tokens": False, **PLAIN_SAMPLING}
STOPS = (401, 402, 403, 404, 405, 410)
BUSY = (429, 503)
AGAIN = (408, 409, 425)
FULL_S = 0.02  # between two checks for a server with room


class Options(EngineOptions):
    """Servers and the form of requests. API keys come from environment variables only."""

    EXECUTION = frozenset(
        {"base_urls", "api_key_env", "concurrency", "connect_timeout_s", "answer_timeout_s", "read_timeout_s"}
    )
    REMOTE = True
    PRIVATE: ClassVar[frozenset[str]] = frozenset({"base_urls", "api_key_env", "extra_body"})  # may contain secrets

    base_urls: tuple[str, ...] = Field(min_length=1, description="one URL or several, such as http://localhost:8000/v1")
    api_key_env: str | None = Field(
        default=None, description=f"environment variable that holds the API key; none: {DEFAULT_KEY}, if it is set"
    )
    api: Literal["chat", "completions"] = Field(
        default="chat", description="endpoint: chat sends messages, completions sends token ids made by `tokenizer`"
    )
    tokenizer: ModelName | None = Field(default=None, description="the model's tokenizer: a folder or a hub name")
    token_ids: bool = Field(default=False, description="ask for exact token ids, which vLLM's server returns")
    think_opened: bool = Field(default=False, description="the server's template opens <think>; replies begin after it")
    extra_body: dict[str, Any] = Field(default={}, description="further keys of every request's JSON")
    omit: tuple[str, ...] = Field(default=(), description="keys to leave out of requests, such as seed")
    concurrency: int = Field(default=256, ge=1, description="most requests in flight to one URL")
    connect_timeout_s: float = Field(default=8, gt=0, description="seconds to open a connection")
    answer_timeout_s: float = Field(default=3600, gt=0, description="seconds from the request to the reply's head")
    read_timeout_s: float = Field(default=300, gt=0, description="seconds between two pieces of a reply's body")

    @field_validator("base_urls", mode="before")
    @classmethod
    def _one_or_several(cls, urls: Any) -> Any:
        return (urls,) if isinstance(urls, str) else urls

    @field_validator("base_urls")
    @classmethod
    def _no_secrets(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            parts = urlsplit(url)
            if parts.username or parts.password or parts.query or parts.fragment or "@" in parts.netloc:
                raise ValueError("a URL with a user, password or query is not taken, as manifests would show it")
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("a URL begins with http:// or https:// and names a host")
        return tuple(url.rstrip("/") for url in urls)

    @field_validator("api_key_env")
    @classmethod
    def _a_name(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", name):
            raise ValueError("this is no name of an environment variable; the key itself has no place in a recipe")
        return name

    @field_validator("extra_body")
    @classmethod
    def _further_keys(cls, body: dict[str, Any]) -> dict[str, Any]:
        for key in body:
            if key in OWN:
                raise ValueError(f"{key} is set by the sampling settings or not taken")
            if SECRET.search(key):
                raise ValueError("keys have no place in a recipe; name an environment variable in api_key_env")
        return body

    @model_validator(mode="after")
    def _fits(self) -> "Options":
        if self.api == "completions" and self.tokenizer is None:
            raise ValueError('api = "completions" needs tokenizer, a folder or a hub name')
        return self

    def continues(self) -> bool:
        """Return whether a truncated sample can be continued: exact ids are returned and can be sent."""
        return self.api == "completions" and self.token_ids

    def decoding(self) -> dict[str, Any]:
        """Return the further keys and the left-out ones, which shape samples too."""
        own = {"extra_body": self.extra_body, "omit": sorted(self.omit)}
        return {key: value for key, value in own.items() if value}

    def key(self) -> str | None:
        """Return the API key; a named variable that is not set is a RecipeError."""
        key = os.environ.get(self.api_key_env or DEFAULT_KEY, "").strip()
        if self.api_key_env and not key:
            raise RecipeError(f"option api_key_env: the environment variable {self.api_key_env} is not set")
        if not (key.isascii() and key.isprintable()):
            raise RecipeError(f"the environment variable {self.api_key_env or DEFAULT_KEY} holds no valid key")
        return key or None


def build(model: str, sampling: SamplingConfig, options: Options) -> "HttpEngine":
    """Start an engine that samples `model`, by the name the servers know it."""
    return HttpEngine(model, sampling, options)


class HttpEngine(AsyncEngine):
    """An engine that POSTs each sample to one of the servers, over connections that stay open."""

    def __init__(self, model: str, sampling: SamplingConfig, options: Options) -> None:
        clock = WaitClock()
        super().__init__(OwnLoop(asyncio.SelectorEventLoop(clock)), self.attempt, self.capacity)
        self.sampling, self.options, self.key = sampling, options, options.key()
        path = {"chat": "/chat/completions", "completions": "/completions"}[options.api]
        self.servers = [Server(url + path, options.concurrency) for url in options.base_urls]
        self.urls = {server.url: URL(server.url) for server in self.servers}
        self.client_limits = ClientLimits(clock, len(self.servers) * options.concurrency)
        self.suspects: set[str] = set()  # trace_ids of samples that failed while others were answered
        self.prompts: dict[str, TokenizedPrompt] = {}  # trace_id -> prompt of a submitted sample
        self.common = self.common_keys(model)
        self.session = self.own.run(lambda: self.loop.run_until_complete(self.connect()))

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer that the options name; None without one."""
        if self.options.tokenizer is None:
            return None
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(model_path(self.options.tokenizer))

    def common_keys(self, model: str) -> dict[str, Any]:
        """Return the keys that all requests share."""
        decoding = {"temperature": self.sampling.temperature, "top_p": self.sampling.top_p}
        return {"model": model, **decoding, **(VLLM if self.options.token_ids else {}), **self.options.extra_body}

    async def connect(self) -> aiohttp.ClientSession:
        """Open the pool of connections; its size is not limited here."""
        headers = {"Content-Type": "application/json"}
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=headers | ({"Authorization": f"Bearer {self.key}"} if self.key else {}),
            timeout=aiohttp.ClientTimeout(total=None, connect=self.options.connect_timeout_s),
        )

    def capacity(self) -> int:
        """Return the samples that may be in flight, by the limits of the servers and of this process."""
        open_places = sum(server.room() for server in self.servers)
        return min(self.client_limits.allows(self.in_flight), self.in_flight + open_places)

    def submit(self, requests: Sequence[SampleRequest]) -> None:
        """Start requests; where token ids are sent or returned, tokenize the prompts together first."""
        if self.tokenizer:
            switches = self.options.extra_body.get("chat_template_kwargs")
            prompts = tokenize_prompts(self.tokenizer, requests, switches)
            self.prompts |= {request.trace_id: prompts[request.prompt_id] for request in requests}
        super().submit(requests)

    async def attempt(self, request: SampleRequest) -> Outcome:
        """Attempt a sample once, on the server with the largest free share."""
        prompt = self.prompts.pop(request.trace_id, None)
        if prompt and prompt.refusal:
            return Outcome(request, error=prompt.refusal, final=True)
        server = await self.free_server()
        began = server.begin()
        try:
            row = await self.ask(server, request, prompt)
        except Fault as fault:
            return self.failed(server, began, request, fault)
        finally:
            server.in_flight -= 1
        server.answered(began)
        self.suspects.discard(request.trace_id)
        return Outcome(request, row)

    async def free_server(self) -> Server:
        """Return the server with the largest free share of its limit; wait while all are full."""
        while True:
            best = max(self.servers, key=lambda server: server.room() / server.limit)
            if best.room():
                return best
            await asyncio.sleep(FULL_S)

    def failed(self, server: Server, began: float, request: SampleRequest, fault: Fault) -> Outcome:
        """Return the failed attempt, and blame the sample or the server, whose limits then tighten."""
        error = without(self.key, fault.sentence)
        if fault.final:
            return Outcome(request, error=error, final=True)
        if fault.busy and fault.after_s is not None:
            server.overloaded(began, fault.after_s)
        elif fault.busy or server.failed(request.trace_id, request.trace_id in self.suspects, began):
            server.unavailable(began)
        else:
            self.suspects.add(request.trace_id)
            return Outcome(request, error=error)
        return Outcome(request, error=error, blameless=True)

    async def ask(self, server: Server, request: SampleRequest, prompt: TokenizedPrompt | None) -> dict[str, Any]:
        """Return the trace row of one request."""
        given = len(prompt.token_ids) if prompt else 0
        most = tokens_left(request, given + len(request.prefix), self.sampling, None)
        status, headers, body = await self.post(server, self.body(request, prompt, most))
        if status != 200:
            raise self.refusal(server, status, headers, body)
        opened = prompt.opened if prompt else self.options.think_opened
        return self.row(server, request, prompt, read_reply(body, most, opened))

    def body(self, request: SampleRequest, prompt: TokenizedPrompt | None, most: int) -> bytes:
        """Return the request's JSON; a continuation has a different seed."""
        asked: dict[str, Any] = {**self.common, "max_tokens": most, "seed": request.seed + len(request.prefix)}
        if self.options.api == "chat":
            asked["messages"] = request.messages
        else:
            assert prompt, "a prompt was not tokenized"
            asked["prompt"] = [*prompt.token_ids, *request.prefix]
        for key in self.options.omit:
            asked.pop(key, None)
        return to_json(asked)

    async def post(self, server: Server, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        """Return (status, headers, body) of the reply; every network error is raised as a Fault."""
        url, options = server.url, self.options
        limit = options.answer_timeout_s
        try:
            async with asyncio.timeout(limit) as clock:
                async with self.session.post(self.urls[url], data=body, allow_redirects=False) as response:
                    pieces, limit = [], options.read_timeout_s
                    clock.reschedule(self.loop.time() + limit)
                    while piece := await response.content.readany():
                        pieces.append(piece)
                        clock.reschedule(self.loop.time() + limit)
                    return response.status, response.headers, b"".join(pieces)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            reason = getattr(error, "strerror", None) or f"it takes longer than {options.connect_timeout_s:g} s"
            raise Fault(f"no connection to {url}: {reason}", busy=True) from None
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, ConnectionError) as error:
            raise Fault(f"{url} closed the connection: {excerpt(str(error))}") from None
        except TimeoutError:
            raise Fault(f"{url} sent nothing for {limit:g} s") from None
        except aiohttp.ClientPayloadError:
            raise Fault(f"{url} broke off within a reply") from None
        except aiohttp.ClientError as error:
            raise Fault(f"{url} does not answer in HTTP: {type(error).__name__}") from None

    def refusal(self, server: Server, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        """Return the fault of a status other than 200; raise ServerRefuses for one that every request would get."""
        said = without(self.key, spoken_error(body))
        sentence = f"{server.url} answers {status}{': ' if said else ''}{said}"
        if status in STOPS or status < 400:
            raise ServerRefuses(sentence)
        if status in BUSY:
            return Fault(sentence, busy=True, after_s=retry_after_s(headers.get("Retry-After")) or 0.0)
        return Fault(sentence, final=status < 500 and status not in AGAIN)

    def row(
        self, server: Server, request: SampleRequest, prompt: TokenizedPrompt | None, reply: Reply
    ) -> dict[str, Any]:
        """Return the trace row; with exact ids and a tokenizer, by the same code as for every other engine."""
        if self.options.token_ids and reply.token_ids is None:
            raise ServerRefuses(f"{server.url} gives no token ids, as only vLLM's server does; set token_ids = false")
        if prompt and reply.token_ids is not None:
            return sampled_row(request, prompt, self.tokenizer, reply.token_ids, reply.finish_reason)
        return request.row(
            **reply.completion.columns(),
            finish_reason=reply.finish_reason,
            prompt_tokens=len(prompt.token_ids) if prompt else reply.prompt_tokens,
            completion_tokens=reply.completion_tokens,
            token_ids=reply.token_ids,
        )

    async def release(self) -> None:
        """Close the connections."""
        await self.session.close()
