"""Times in transformers what `lfp bench generate` times: sampling new tokens for a batch of prompts on the CPU.

    python pytorch_generate.py [--shape pythia-70m] [--prompts 64] [--new 20] [--repeats 3] [--threads 2] [--json]

A model of the shape with random float32 weights; prompts of lengths 2 to 9, padded on the left to one batch;
exactly `new` tokens each, sampled from the whole distribution at temperature 1, with the key-value cache. The median after
one warm-up. The last line of output is JSON. Needs torch and transformers.
"""

import argparse
import json
import resource
import statistics

import torch
import transformers

from pytorch_engine import SHAPES, make_model, seconds

SHORTEST, LONGEST = 2, 9


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    model = make_model(options.shape)
    ids, mask = left_padded_prompts(options.prompts, model.config.vocab_size)
    # No end of text: nothing stops a sequence early, and no processor has to forbid it.
    settings = transformers.GenerationConfig(
        min_new_tokens=options.new,
        max_new_tokens=options.new,
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        use_cache=True,
        eos_token_id=None,
        pad_token_id=0,
    )
    model.generation_config = settings

    def generate() -> None:
        made = model.generate(ids, attention_mask=mask)
        assert made.shape == (options.prompts, LONGEST + options.new)

    times = seconds(generate, options.repeats, warm_ups=1)
    middle = statistics.median(times)
    result = {
        "name": "generate",
        "device": "cpu",
        "framework": "transformers",
        "version": transformers.__version__,
        "model": f"{options.shape}-shape",
        "dtype": "float32",
        "threads": options.threads,
        "attention": model.config._attn_implementation,
        "compiled": False,
        "prompts": options.prompts,
        "newTokens": options.new,
        "seconds": round(middle, 3),
        "fastestSeconds": round(min(times), 3),
        "newTokensPerSecond": round(options.prompts * options.new / middle, 1),
        "peakRssMB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }
    if not options.json:
        print("seconds:", ", ".join(f"{time:.3f}" for time in times))
    print(json.dumps(result))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Times batched sampling in transformers on the CPU.")
    parser.add_argument("--shape", choices=SHAPES, default="pythia-70m")
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--new", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="print nothing but the JSON line")
    return parser.parse_args()


def left_padded_prompts(count: int, vocab: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask [count, LONGEST]; the lengths go round from SHORTEST to LONGEST."""
    lengths = SHORTEST + torch.arange(count) % (LONGEST - SHORTEST + 1)
    mask = (torch.arange(LONGEST) >= LONGEST - lengths[:, None]).long()
    return torch.randint(1, vocab, (count, LONGEST)) * mask, mask


if __name__ == "__main__":
    main()
