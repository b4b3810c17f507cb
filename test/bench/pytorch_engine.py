"""Times in PyTorch what `lfp bench engine` times: training steps, forward passes and matrix products on the CPU.

    python pytorch_engine.py [--shape pythia-70m] [--batch 4] [--tokens 128] [--steps 5] [--threads 2] [--default-adamw] [--forward-only] [--compile] [--json]

The model has random float32 weights. A training step is: gradients to none, forward, next-token cross-entropy over the
batch, backward, gradients clipped to norm 1, AdamW, fused unless --default-adamw. Times are medians after two warm-ups. The last line of output is JSON.
Needs torch and transformers.
"""

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable

import torch
import transformers
from torch.nn import functional

SHAPES = {
    "starter": {
        "hidden_size": 128,
        "num_hidden_layers": 6,
        "num_attention_heads": 4,
        "intermediate_size": 512,
        "vocab_size": 4096,
    },
    "pythia-70m": {
        "hidden_size": 512,
        "num_hidden_layers": 6,
        "num_attention_heads": 8,
        "intermediate_size": 2048,
        "vocab_size": 50304,
    },
    "pythia-160m": {
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "vocab_size": 50304,
    },
    "smollm2-135m": {
        "model_type": "llama",
        "hidden_size": 576,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "intermediate_size": 1536,
        "vocab_size": 49152,
        "tie_word_embeddings": True,
    },
    "qwen3-0.6b": {
        "model_type": "qwen3",
        "hidden_size": 1024,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "intermediate_size": 3072,
        "vocab_size": 151936,
        "tie_word_embeddings": True,
    },
}
GPT_NEOX = {"model_type": "gpt_neox", "rotary_pct": 0.25}  # what a shape is of that names no model type
WARM_UPS = 2


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    model = make_model(options.shape)
    ids = torch.randint(0, model.config.vocab_size, (options.batch, options.tokens))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=not options.default_adamw or None)
    called = torch.compile(model) if options.compile else model

    def train_step() -> None:
        optimizer.zero_grad()
        logits = called(ids, use_cache=False).logits
        functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    @torch.no_grad()
    def forward() -> None:
        called(ids, use_cache=False)

    step_times = [] if options.forward_only else seconds(train_step, options.steps, WARM_UPS)
    forward_times = seconds(forward, options.steps, WARM_UPS)
    forward_s = statistics.median(forward_times)
    result = {
        "name": "engine",
        "device": "cpu",
        "framework": "pytorch",
        "version": torch.__version__,
        "model": f"{options.shape}-shape",
        "dtype": "float32",
        "threads": options.threads,
        "batch": options.batch,
        "tokens": options.tokens,
        "steps": options.steps,
        "fusedAdamW": not options.default_adamw,
        "attention": model.config._attn_implementation,
        "compiled": options.compile,
        "forwardMs": 1000 * forward_s,
        "fastestForwardMs": 1000 * min(forward_times),
        "forwardTokensPerSecond": ids.numel() / forward_s,
        "matmulGflops": matmul_gflops(512, 512, 2048),
        "matmulHeadGflops": matmul_gflops(512, 512, 50304),
        "peakRssMB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    if step_times:
        step_s = statistics.median(step_times)
        result |= {
            "stepMs": 1000 * step_s,
            "fastestStepMs": 1000 * min(step_times),
            "trainTokensPerSecond": ids.numel() / step_s,
        }
    result = {key: round(value, 1) if isinstance(value, float) else value for key, value in result.items()}
    if not options.json:
        print(f"step {result.get('stepMs')} ms, forward {result['forwardMs']} ms, peak {result['peakRssMB']} MB")
    print(json.dumps(result))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Times training, forward passes and matrix products in PyTorch on the CPU."
    )
    parser.add_argument("--shape", choices=SHAPES, default="pythia-70m")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--default-adamw", action="store_true", help="PyTorch's default AdamW in place of the fused one")
    parser.add_argument("--forward-only", action="store_true", help="time no training")
    parser.add_argument("--compile", action="store_true", help="run the model through torch.compile")
    parser.add_argument("--json", action="store_true", help="print nothing but the JSON line")
    return parser.parse_args()


def make_model(shape: str) -> transformers.PreTrainedModel:
    config = config_of(SHAPES[shape])
    return transformers.AutoModelForCausalLM.from_config(config).float().eval()  # no dropout in these architectures' defaults


def config_of(shape: dict[str, object]) -> transformers.PretrainedConfig:
    settings = {"max_position_embeddings": 2048, **(shape if "model_type" in shape else {**GPT_NEOX, **shape})}
    return transformers.AutoConfig.for_model(settings.pop("model_type"), **settings)


def matmul_gflops(m: int, k: int, n: int) -> float:
    """[m, k] x [k, n]."""
    a, b = torch.randn(m, k), torch.randn(k, n)
    return 2e-9 * m * k * n / statistics.median(seconds(lambda: torch.mm(a, b), 15, WARM_UPS))


def seconds(work: Callable[[], object], repeats: int, warm_ups: int) -> list[float]:
    """Wall time of each repeat."""
    for _ in range(warm_ups):
        work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return times


if __name__ == "__main__":
    main()
