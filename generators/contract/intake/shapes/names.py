"""Names of columns in public data sets and in the files of the tools that write completions, by their use.

Case, blanks, hyphens and capitals inside a name do not count.
"""

import re

CHATS = (
    "messages", "conversations", "conversation", "chat", "dialogue", "dialog", "contents", "turns", "items", "data",
    "input_messages",
)  # fmt: skip
LIKE_ANSWERS = re.compile(r"resp|answ|compl|outp|gener|solut|repl|pred|text", re.IGNORECASE)
ABOUT_ANSWERS = re.compile(  # names of what is known of an answer, or of another text
    r"(?:^|_)(?:created|date|time|id|type|format|count|len|length|tokens?|usage|model|context|status|score|reward|"
    r"verified|correct|matches|is|num|source|license|author)(?:_|$)|(?:At|Id|Count|Tokens|Time)$",
    re.IGNORECASE,
)
ASKING = re.compile(r"\w+_(?:question|problem|prompt|query|instruction)")  # where no column has a usual name
ANSWERING = re.compile(r"\w+_(?:response|completion|generation|output|reply|trajectory)")
NO_QUESTION = re.compile(r"(?:system|negative|rejected)_\w+")
DIALOGS = ("data", "conversation", "conversations", "dialogue", "dialog", "chat")  # of texts that alternate
QUESTIONS = (
    "question", "problem", "prompt", "instruction", "query", "problem_statement", "question_content", "question_text",
    "user_prompt", "full_prompt", "user", "human", "inputs", "task", "input", "input_text", "message_1", "q",
)  # fmt: skip
PASSAGES = ("input", "context", "passage")  # further text of an instruction
BODIES = ("body",)  # the beginning of a problem, where the question is its last sentence, as in SVAMP
OPTIONS = ("choices",)  # completions of a server, or the options of a question
SYSTEMS = ("system", "system_prompt", "system_message", "system_instruction")
PAIRS = (  # (reasoning, answer) in two columns
    ("deepseek_thinking_trajectory", "deepseek_attempt"),
    ("gemini_thinking_trajectory", "gemini_attempt"),
    ("thinking_trajectories", "attempt"),
    ("deepseek_reasoning", "deepseek_solution"),
    ("complex_cot", "response"),
    ("think_content", "answer_content"),
    ("reasoning_content", "content"),
)
REASONINGS = (
    "reasoning_content", "reasoning", "thinking", "thought", "thoughts", "think", "reasoning_details",
    "thinking_content", "reasoning_trace", "reasoning_text", "thinking_trajectory", "model_reasoning",
    "chain_of_thought", "cot",
)  # fmt: skip
RESPONSES = (
    "generations", "responses", "completions", "response", "completion", "generation", "generated_text",
    "generated_solution", "generated_answer", "generated", "model_output", "model_response", "model_answer",
    "llm_response", "model_completion", "r1_generation", "r1_solution", "r1_response", "deepseek_solution",
    "deepseek_response", "deepseek_r1_response", "output", "outputs", "output_text", "prediction", "predictions",
    "choices", "candidates", "samples", "chosen", "assistant", "gpt", "reply", "trajectory", "targets", "message_2",
)  # fmt: skip
NUMBERED = re.compile(r"(?:r1|qwq|deepseek|model)?_?(?:solution|response|generation|completion|output)_?\d+")
ANSWERS = ("answer", "solution", "final_answer")
SPOKEN = ("answer", "solution", "final", "final_answer", "content", "a")  # a completion where nothing else is one
REFERENCES = (
    "reference", "gold", "gold_answer", "reference_answer", "expected_answer", "ground_truth", "groundtruth",
    "ground_truth_answer", "gold_standard_solution", "correct_answer", "final_answer", "reward_model.ground_truth",
    "answer", "target", "ground_truth_solution", "verification_info", "test_cases", "input_output", "test", "tests",
    "solution", "a",
)  # fmt: skip
FINISHES = (
    "finish_reason", "finish_reasons", "stop_reason", "stop_reasons", "done_reason", "finish", "completion_status",
    "details.finish_reason", "meta_info.finish_reason", "metadata.finish_reason", "meta.finish_reason",
    "response_metadata.finish_reason", "generation_info.finish_reason", "metadata.stop_reason",
)  # fmt: skip
COMPLETE = ("is_reasoning_complete", "is_complete", "complete", "is_finished", "finished", "completed", "done")
TRUNCATED = ("truncated", "is_truncated", "was_truncated", "cut_off")
LEFT_OUT = (
    "tools",
    "functions",
    "images",
    "image",
    "videos",
    "audios",
    "context",
    "passage",
)  # columns that change what a row means
SWITCHES = {"on", "off", "yes", "no", "true", "false", "low", "medium", "high", "none"}  # values that are no reasoning
VERDICTS = (
    "correctness_math_verify",
    "correctness_llama",
    "correctness",
    "is_correct",
    "correct",
    "deepseek_grade",
    "label",
)
TEACHERS = ("teacher", "model", "model_name", "generation_model", "generator")
YES_NO = ("true", "false", "yes", "no")
SOURCES = ("source", "data_source", "problem_source")
NAMES = (  # (name, columns that tell it)
    ("OpenR1-Math", ("generations", "is_reasoning_complete")),
    ("distill traces", ("trace_id", "prompt_id", "sampling", "answer")),
    ("distill corpus", ("trace_id", "messages")),
    ("distill prompts", ("prompt_id", "messages", "verifier", "reference", "drop_reason")),
    ("s1K", ("thinking_trajectories",)),
    ("s1K-1.1", ("deepseek_thinking_trajectory", "deepseek_attempt")),
    ("OpenThoughts metadata", ("deepseek_reasoning", "deepseek_solution")),
    ("medical-o1", ("question", "complex_cot", "response")),
    ("DeepMath", ("r1_solution_1", "r1_solution_2")),
    ("Magpie", ("conversations", "gen_input_configs")),
    ("NuminaMath-1.5", ("problem", "solution", "problem_is_valid")),
    ("NuminaMath", ("problem", "solution", "messages", "source")),
    ("OpenMathReasoning", ("problem", "generated_solution", "generation_model")),
    ("OpenMathInstruct", ("problem", "generated_solution", "expected_answer")),
    ("Llama-Nemotron", ("input", "output", "generator")),
    ("OpenCodeReasoning", ("input", "output", "solution")),
    ("verl", ("prompt", "reward_model")),
    ("OpenOrca", ("system_prompt", "question", "response")),
    ("Dolly", ("instruction", "context", "response")),
    ("batch results", ("custom_id", "generations")),
    ("batch requests", ("custom_id", "messages")),
    ("preference pairs", ("prompt", "chosen", "rejected")),
    ("Alpaca", ("instruction", "output")),
    ("Gemini contents", ("contents",)),
    ("ShareGPT", ("conversations",)),
    ("messages", ("messages",)),
)
