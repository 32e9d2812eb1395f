"""Settings of `score` and `train`. They load without torch, which keeps the check of a recipe fast."""

from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field, field_validator, model_validator

from generators.contract.config import Config, Device, ModelName
from generators.contract.errors import RecipeError

Divergence = Literal["forward_kl", "reverse_kl", "jsd", "skew_kl"]
SpanDivergence = Literal["span_kl", "gold", "uld"]  # for a teacher with another tokenizer; see cross_tokenizer.md
DType = Literal["auto", "float32", "bfloat16"]
ReportTo = Literal["tensorboard", "trackio", "wandb"]
REPORT_NAMES = {"tb": "tensorboard", "w&b": "wandb", "wb": "wandb", "weights&biases": "wandb"}  # that people type
MICRO_BATCH_TOKENS = {"cpu": 4096, "cuda": 16384}  # the defaults by device


class ScoreOptions(Config):
    """Options of the engine that runs the teacher."""

    vllm_args: dict[str, Any] = Field(
        default={}, description="arguments of vllm.LLM, such as tensor_parallel_size or gpu_memory_utilization"
    )

    EXECUTION: ClassVar[frozenset[str]] = frozenset({"vllm_args"})


class ScoreConfig(Config):
    """Settings of `score`: one forward pass of the teacher, which keeps top-K logits and tails on a grid of T."""

    teacher: ModelName = Field(min_length=1, description="model folder, embedded:NAME or a name on the hub")
    tokenizer: ModelName | None = Field(
        None, description="model whose tokenizer and chat template render the rows; None: the teacher's"
    )
    engine: Literal["transformers", "vllm"] = Field(
        "transformers", description="engine that runs the teacher; vllm for a teacher that needs several GPUs"
    )
    options: ScoreOptions = Field(ScoreOptions(), description="options of the engine")
    top_k: int = Field(32, ge=0, description="tokens kept per position; the rest is one bucket, or is sampled from")
    sampled: int = Field(
        0, ge=0, le=2**16, description="tokens sampled per position from the rest: an unbiased estimate, for forward_kl"
    )
    sampled_temperature: float = Field(
        1.0, gt=0.0, description="temperature of the sampled tokens; one of `temperatures`"
    )
    temperatures: tuple[float, ...] = Field(
        (1.0, 2.0, 4.0), min_length=1, description="temperatures at which the targets are exact"
    )
    sequence_tokens: int = Field(8192, ge=2, description="longer rows are dropped as too_long")
    batch_tokens: int = Field(16384, ge=1, description="padded tokens of one forward pass")
    dtype: DType = Field("auto", description="the teacher's dtype; auto: bfloat16 on a GPU, float32 on a CPU")
    device: Device = Field("auto", description="auto, cpu, cuda, cuda:1")
    compile: bool = Field(True, description="compile the layers on a GPU, which takes seconds and a C compiler")

    EXECUTION: ClassVar[frozenset[str]] = frozenset({"batch_tokens", "options", "compile"})

    @model_validator(mode="after")
    def _check(self) -> "ScoreConfig":
        if self.options.vllm_args and self.engine != "vllm":
            raise ValueError(f'options.vllm_args is {self.options.vllm_args}, which needs engine = "vllm"')
        grid = self.temperatures
        if any(not 0.0 < t < float("inf") for t in grid) or len(set(grid)) < len(grid):
            raise ValueError(f"temperatures are {list(grid)}; they must be above 0, finite and differ")
        if not self.top_k and not self.sampled:
            raise ValueError("top_k is 0 and sampled is 0, so nothing would be kept; one of them must be above 0")
        if self.sampled and self.sampled_temperature not in grid:
            raise ValueError(
                f"sampled_temperature is {self.sampled_temperature:g}; it must be one of temperatures, {list(grid)}"
            )
        return self

    def less_memory(self) -> tuple[str, Any] | None:
        """Return the key that halves the tokens of one forward pass; None at one token."""
        return ("batch_tokens", self.batch_tokens // 2) if self.batch_tokens > 1 else None

    def check_sampled_logprobs(self) -> None:
        """Raise a RecipeError if the settings need more than sampled log-probabilities, which are exact at T = 1."""
        if self.temperatures != (1.0,) or self.sampled:
            raise RecipeError(
                f"temperatures is {list(self.temperatures)} and sampled is {self.sampled}; log-probabilities kept "
                "while sampling (sampled_logprobs) are exact at T = 1 alone: temperatures = [1.0] and sampled = 0, "
                "or do without them"
            )


class LoraSettings(Config):
    """Settings of low-rank adapters, which are trained in place of the weights."""

    rank: int = Field(16, ge=1, description="rank of the adapters")
    alpha: float = Field(32.0, gt=0.0, description="the adapters' product is scaled by alpha / rank")
    dropout: float = Field(0.0, ge=0.0, lt=1.0, description="dropout before the adapters")
    targets: str | tuple[str, ...] = Field(
        "all-linear", description='layers with adapters: "all-linear" (all but the head), names, or a pattern'
    )
    quantize: Literal["none", "nf4"] = Field(
        "none", description="nf4: the frozen weights in 4 bits (QLoRA), which needs bitsandbytes"
    )


class SpanSettings(Config):
    """Weights of the target tokens of a document's spans in the loss, which is divided by their sum."""

    prompt: float = Field(0.0, ge=0.0, allow_inf_nan=False, description="weight of each token of the prompt")
    think: float = Field(
        1.0, ge=0.0, allow_inf_nan=False, description="weight of each token of the reasoning, its marks included"
    )
    answer: float = Field(
        1.0, ge=0.0, allow_inf_nan=False, description="weight of each token after the reasoning, the end included"
    )

    @model_validator(mode="after")
    def _check(self) -> "SpanSettings":
        if not self.prompt + self.think + self.answer:
            raise ValueError("prompt, think and answer are all 0, so nothing would be learned; one must be above 0")
        return self


class TrainConfig(Config):
    """Settings of `train`: full fine-tuning on `alpha * CE + (1 - alpha) * T^2 * D(teacher_T || student_T)`."""

    student: ModelName = Field(min_length=1, description="model folder, embedded:NAME or a name on the hub")
    alpha: float = Field(1.0, ge=0.0, le=1.0, description="weight of the hard labels; 1 = plain SFT")
    temperature: float = Field(1.0, gt=0.0, description="temperature of teacher and student in the soft labels' term")
    soft_targets: Literal["none", "stored", "online"] = Field("none", description="source of the teacher's term")
    teacher: ModelName | None = Field(
        None, description="the model that runs along with the student, for soft_targets = online"
    )
    divergence: Divergence | SpanDivergence = Field(
        "forward_kl",
        description="divergence of the soft labels' term; span_kl, gold and uld allow a teacher with another tokenizer",
    )
    beta: float = Field(0.5, gt=0.0, lt=1.0, description="the teacher's share of the mixture in jsd, skew_kl, gold")

    spans: SpanSettings = Field(SpanSettings(), description="weights of prompt, reasoning and answer")

    lora: LoraSettings | None = Field(None, description="train low-rank adapters in place of the weights")
    freeze: tuple[str, ...] = Field(
        (), description='weights to leave as they are, by name: "model.embed_tokens.*", "model.layers.0.*"'
    )

    tokens: int | None = Field(None, ge=1, description="stop after this many tokens of prompts and completions")
    epochs: int | None = Field(None, ge=1, description="passes over the corpus; 2 if `tokens` is not set either")
    sequence_tokens: int = Field(8192, ge=2, description="longer rows are dropped as too_long; limit of packed rows")
    batch_tokens: int = Field(8192, ge=1, description="tokens of prompts and completions per optimizer step")
    micro_batch_tokens: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        "auto", description="tokens of one micro-batch with padding; auto: by device, halved where a GPU runs out"
    )
    layout: Literal["auto", "padded", "packed"] = Field(
        "auto",
        description="padded: one document per row; packed: flat rows of several; auto: packed on a GPU in bfloat16",
    )
    compile: bool = Field(True, description="compile the layers on a GPU, which takes seconds and a C compiler")
    activation_checkpointing: Literal["auto", "none", "selective", "full"] = Field(
        "auto",
        description="activations computed again in the backward pass; auto: none, more of them where a GPU runs out",
    )

    learning_rate: float = Field(1e-4, gt=0.0, description="peak learning rate")
    warmup_ratio: float = Field(0.03, ge=0.0, le=1.0, description="share of the steps with linear warm-up")
    final_lr_ratio: float = Field(
        0.1, ge=0.0, le=1.0, description="learning rate at the end of the cosine, as a share of the peak"
    )
    weight_decay: float = Field(0.0, ge=0.0, description="weight decay of matrices; norms and biases have none")
    betas: tuple[float, float] = Field((0.9, 0.95), description="AdamW's betas")
    grad_clip: float = Field(1.0, gt=0.0, description="largest norm of the whole gradient; a larger one is scaled down")
    dtype: DType = Field("auto", description="dtype of matrix products; weights are fp32; auto: bfloat16 on a GPU")
    tolerance: float = Field(
        0.0,
        ge=0.0,
        lt=1.0,
        description="part of the logits' gradient that a GPU may skip (0.002 suits bf16)",
    )
    device: Device = Field("auto", description="auto, cpu, cuda, cuda:1")
    ranks: int = Field(1, ge=1, description="processes of this host that train together (FSDP2), a GPU for each")
    deterministic: bool = Field(
        False, description="the same bits each time on a GPU too, also after a resume; a step takes 2% longer"
    )
    seed: int = Field(0, description="seed of the order of rows")
    validate_every: int = Field(50, ge=1, description="optimizer steps between validations")
    checkpoint_every_s: float = Field(300.0, ge=0.0, description="seconds between checkpoints; 0 = every step")
    report_to: tuple[ReportTo, ...] = Field(
        ("tensorboard",), description="where curves are shown, beside log.jsonl: tensorboard, trackio, wandb; [] = none"
    )

    EXECUTION: ClassVar[frozenset[str]] = frozenset(
        {"checkpoint_every_s", "micro_batch_tokens", "compile", "activation_checkpointing", "report_to", "ranks"}
    )

    @field_validator("report_to", mode="before")
    @classmethod
    def _report_names(cls, given: Any) -> Any:
        """Read one name as a list of it, `none` as an empty one, and the names that people type."""
        names = [given] if isinstance(given, str) else given
        if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
            return given
        plain = [name.lower().removesuffix(".ai").translate(str.maketrans("", "", " _-")) for name in names]
        return () if plain == ["none"] else tuple(REPORT_NAMES.get(name, name) for name in plain)

    @model_validator(mode="after")
    def _check(self) -> "TrainConfig":
        if self.tokens is not None and self.epochs is not None:
            raise ValueError(f"tokens is {self.tokens} and epochs is {self.epochs}; set one of them")
        if self.alpha < 1.0 and self.soft_targets == "none":
            raise ValueError(f"alpha is {self.alpha}, so soft_targets must be stored or online, not none")
        if (self.soft_targets == "online") != (self.teacher is not None):
            raise ValueError(
                f"soft_targets is {self.soft_targets} and teacher is {self.teacher}; online, and only it, needs one"
            )
        if self.lora and self.freeze:
            raise ValueError(f"lora and freeze = {list(self.freeze)} are both set; adapters leave all weights frozen")
        if self.divergence in get_args(SpanDivergence) and self.soft_targets != "online":
            raise ValueError(
                f"divergence is {self.divergence} and soft_targets is {self.soft_targets}; a teacher of another "
                'tokenizer is run beside the student: soft_targets = "online"'
            )
        if self.divergence in get_args(SpanDivergence) and self.spans != SpanSettings():
            raise ValueError(f"divergence is {self.divergence} and spans are set; it has the same weight everywhere")
        if self.spans.prompt and self.soft_targets == "stored":
            raise ValueError(
                f"spans.prompt is {self.spans.prompt:g} and soft_targets is stored; targets are stored for completions "
                'alone: spans.prompt = 0, or soft_targets = "online"'
            )
        return self

    def less_memory(self) -> tuple[str, Any] | None:
        """Return the next key to change: a smaller micro-batch, recomputed activations, then adapters or more ranks.

        What "auto" has tried on one GPU is not advised again. The first two leave the optimizer step as it is.
        """
        alone, given = self.ranks == 1, self.micro_batch_tokens
        tokens = MICRO_BATCH_TOKENS["cuda"] if given == "auto" else given
        halved = given == "auto" and alone
        if not halved and tokens > self.sequence_tokens:
            return "micro_batch_tokens", max(tokens // 2, self.sequence_tokens)
        if self.activation_checkpointing != "full" and not (self.activation_checkpointing == "auto" and alone):
            return "activation_checkpointing", "full"
        if not halved and tokens > 1:
            return "micro_batch_tokens", tokens // 2
        if not alone:
            return "ranks", 2 * self.ranks
        return ("sequence_tokens", self.sequence_tokens // 2) if self.lora else ("lora.rank", LoraSettings().rank)
