"""Sample with any server that speaks the OpenAI API: hosted ones, `vllm serve`, SGLang, llama.cpp."""

from generators.engines.openai.client import Options, build

__all__ = ["Options", "build"]
