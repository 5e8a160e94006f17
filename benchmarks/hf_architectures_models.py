"""The architectures of transformers that benchmarks/hf_architectures.py counts: small ones, and those of the papers.

Nothing is downloaded: a model is made from its configuration with random weights, or on the meta device with none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import transformers
from torch import nn

Values = dict[str, Any]

PROMPT = 128  # tokens of a prompt at full size
SMALL_PROMPT = 24


@dataclass(frozen=True)
class Architecture:
    """``config`` and ``model`` are names in transformers; ``small`` and ``full`` change the configuration's defaults.

    ``inputs(config, small)`` are what the forward is called with, on the CPU. ``values`` says that the forward reads
    values (a mask of its own, the routing of tokens), so that it cannot run on meta.  ``step`` counts one token more
    after a prompt instead of the prompt. ``closed(config, small)`` is a closed form of the macs.
    """

    name: str
    group: str
    config: str
    model: str
    inputs: Callable[[Any, bool], Values]
    small: Values = field(default_factory=dict)
    full: Values = field(default_factory=dict)
    values: bool = False
    step: bool = False
    closed: Callable[[Any, int], int] | None = None
    note: str = ""
    dtype: torch.dtype = torch.float32  # at full size; products in groups have no meta kernel in float32

    def configuration(self, small: bool) -> Any:
        options = {k: v() if callable(v) else v for k, v in (self.small if small else self.full).items()}
        return getattr(transformers, self.config)(**options)

    def build(self, small: bool, device: str) -> nn.Module:
        """The model in eval mode; the small one on the CPU with the same weights each time."""
        torch.manual_seed(0)
        with torch.device(device):
            module: nn.Module = getattr(transformers, self.model)(self.configuration(small))
        return (module if small else module.to(self.dtype)).eval()

    def arguments(self, module: nn.Module, small: bool, device: str) -> Values:
        """Keyword arguments; for a step, with the cache that the prompt left."""
        torch.manual_seed(0)
        inputs = self.inputs(module.config, small)
        if device == "meta":
            # Token numbers and masks stay: their values may say what is computed.
            inputs = {k: v.to(device) if v.is_floating_point() else v for k, v in inputs.items()}
        if not self.step:
            return inputs
        on_device = {k: v.to(device) for k, v in inputs.items()}
        with torch.no_grad():
            first = module(**on_device, use_cache=True)
        token = torch.ones(1, 1, dtype=torch.int64)
        if getattr(first, "cache_params", None) is not None:  # state-space models
            return {"input_ids": token, "cache_params": first.cache_params, "use_cache": True}
        step: Values = {"past_key_values": first.past_key_values, "use_cache": True}
        if module.config.is_encoder_decoder:
            hidden = first.encoder_last_hidden_state
            output = transformers.modeling_outputs.BaseModelOutput(last_hidden_state=hidden)
            return {"decoder_input_ids": token, "encoder_outputs": output, **step}
        return {"input_ids": token, **step}


# -- inputs ------------------------------------------------------------------------------------------------------------


def tokens(length: int = PROMPT, small: int = SMALL_PROMPT, name: str = "input_ids") -> Callable[[Any, bool], Values]:
    return lambda config, is_small: {name: torch.full((1, small if is_small else length), 5)}


def with_decoder(inputs: Callable[[Any, bool], Values], length: int = 32) -> Callable[[Any, bool], Values]:
    def both(config: Any, small: bool) -> Values:
        return {**inputs(config, small), "decoder_input_ids": torch.full((1, 6 if small else length), 5)}

    return both


def floats(name: str, full: tuple[int, ...], small: tuple[int, ...]) -> Callable[[Any, bool], Values]:
    return lambda config, is_small: {name: torch.randn(small if is_small else full)}


def image(full: int, small: int = 32) -> Callable[[Any, bool], Values]:
    return floats("pixel_values", (1, 3, full, full), (1, 3, small, small))


def both(*parts: Callable[[Any, bool], Values]) -> Callable[[Any, bool], Values]:
    return lambda config, small: {k: v for part in parts for k, v in part(config, small).items()}


def image_tokens(full: int, small: int) -> Callable[[Any, bool], Values]:
    """A prompt that holds as many tokens of the image as the vision tower makes."""

    def ids(config: Any, is_small: bool) -> Values:
        wanted = small if is_small else full
        ids = torch.full((1, wanted + 8), 5)
        ids[:, :wanted] = config.image_token_id
        return {"input_ids": ids}

    return ids


# -- closed forms: macs of a batch of 1 with n tokens ------------------------------------------------------------------


def bert(c: Any, n: int) -> int:
    d = c.hidden_size
    return (
        c.num_hidden_layers * (n * (4 * d * d + 2 * d * c.intermediate_size) + 2 * n * n * d) + d * d
    )  # and the pooler


def gpt2(c: Any, n: int) -> int:
    d = c.n_embd
    return c.n_layer * (12 * n * d * d + 2 * n * n * d) + n * d * c.vocab_size


def gpt2_step(c: Any, n: int) -> int:
    """One token after n: its products with n + 1 keys and values."""
    d = c.n_embd
    return c.n_layer * (12 * d * d + 2 * (n + 1) * d) + d * c.vocab_size


def _llama_attention(c: Any) -> int:
    """Weights of the four projections."""
    head = getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads
    return 2 * c.hidden_size * head * (c.num_attention_heads + c.num_key_value_heads)


def _llama_products(c: Any, queries: int, keys: int) -> int:
    head = getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads
    return 2 * queries * keys * head * c.num_attention_heads


def llama(c: Any, n: int) -> int:
    weights = _llama_attention(c) + 3 * c.hidden_size * c.intermediate_size
    return c.num_hidden_layers * (n * weights + _llama_products(c, n, n)) + n * c.hidden_size * c.vocab_size


def llama_step(c: Any, n: int) -> int:
    weights = _llama_attention(c) + 3 * c.hidden_size * c.intermediate_size
    return c.num_hidden_layers * (weights + _llama_products(c, 1, n + 1)) + c.hidden_size * c.vocab_size


def mixtral(c: Any, n: int) -> int:
    """Of the experts, those that a token goes to; the router sees every one."""
    experts = c.num_experts_per_tok * 3 * c.hidden_size * c.intermediate_size
    weights = _llama_attention(c) + experts + c.hidden_size * c.num_local_experts
    return c.num_hidden_layers * (n * weights + _llama_products(c, n, n)) + n * c.hidden_size * c.vocab_size


def vit(c: Any, size: int) -> int:
    d, patches = c.hidden_size, (size // c.patch_size) ** 2
    n = patches + 1
    block = n * (4 * d * d + 2 * d * c.intermediate_size) + 2 * n * n * d
    return patches * 3 * c.patch_size**2 * d + c.num_hidden_layers * block + d * c.num_labels


def t5(c: Any, n: int, m: int = 0) -> int:
    """n tokens encoded, m decoded (32, or 6 where small)."""
    m = m or (6 if n == SMALL_PROMPT else 32)
    d, inner, h = c.d_model, c.d_kv * c.num_heads, c.d_ff
    encoder = c.num_layers * (n * (4 * d * inner + 2 * d * h) + 2 * n * n * inner)
    own = m * (4 * d * inner + 2 * d * h) + 2 * m * m * inner
    cross = 2 * m * d * inner + 2 * n * d * inner + 2 * m * n * inner
    return encoder + c.num_decoder_layers * (own + cross) + m * d * c.vocab_size
