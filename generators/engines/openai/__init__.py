"""Samples with any server that speaks the OpenAI API: hosted ones, `vllm serve`, SGLang, llama.cpp."""

from generators.engines.openai.client import REMOTE, Options, build

__all__ = ["REMOTE", "Options", "build"]
