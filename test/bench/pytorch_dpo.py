"""Times in PyTorch and transformers what `lfp bench dpo` times: DPO steps on the same pairs on the CPU.

    python pytorch_dpo.py [--model FOLDER] [--steps 5] [--threads 2] [--lora RANK] [--default-adamw] [--json]

A step: 8 pairs of random ids, chosen and rejected in one batch, padded on the right to the batch's longest; log-probabilities of the answers under the frozen
reference (no gradients) and under the policy, the head computed for the answers' own tokens; the sigmoid loss with beta 0.1, gradients clipped to
norm 1, AdamW, fused unless --default-adamw. With --lora: adapters by peft on all Linear weights but the head, the reference is the model without them. Without
--model: the shape of Pythia-70m with random weights. Times are medians after one warm-up. The last line of output is JSON. Needs torch and transformers.
"""

import argparse
import copy
import json
import resource
import statistics
import time

import torch
import transformers
from torch.nn import functional

from pytorch_engine import make_model

BATCH, BETA = 8, 0.1


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    policy = load(options.model)
    reference = policy if options.lora else copy.deepcopy(policy).requires_grad_(False)
    most = min(256, policy.config.max_position_embeddings)
    data = pairs((options.steps + 1) * BATCH, policy.config.vocab_size, most)
    if options.lora:
        import peft

        policy = peft.get_peft_model(policy, peft.LoraConfig(r=options.lora, lora_alpha=2 * options.lora, target_modules="all-linear", task_type="CAUSAL_LM"))
    parameters = [parameter for parameter in policy.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=5e-5, weight_decay=0.0, fused=not options.default_adamw or None)
    times, losses, cpu = [], [], 0.0
    for at in range(options.steps + 1):
        batch = data[at * BATCH : (at + 1) * BATCH]
        started, used = time.perf_counter(), time.process_time()
        losses.append(step(policy, reference, batch, parameters, optimizer))
        times.append(time.perf_counter() - started)
        cpu += (time.process_time() - used) if at > 0 else 0.0
    assert abs(losses[0] - 0.6931) < 1e-3, losses[0]
    median = statistics.median(times[1:])
    result = {
        "name": "dpo",
        "device": "cpu",
        "framework": "pytorch",
        "version": torch.__version__,
        "transformers": transformers.__version__,
        "model": options.model or "pythia-70m-shape",
        "dtype": "float32",
        "threads": options.threads,
        "loraRank": options.lora,
        "fusedAdamW": not options.default_adamw,
        "attention": reference.config._attn_implementation,
        "compiled": False,
        "batch": BATCH,
        "maxTokens": most,
        "steps": options.steps,
        "stepSeconds": round(median, 3),
        "fastestStepSeconds": round(min(times[1:]), 3),
        "pairsPerSecond": round(BATCH / median, 3),
        "cpuSecondsPerStep": round(cpu / options.steps, 3),
        "peakRssMB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }
    if not options.json:
        print("seconds:", ", ".join(f"{one:.2f}" for one in times))
    print(json.dumps(result))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Times DPO steps in PyTorch on the CPU.")
    parser.add_argument("--model", help="a checkpoint's folder, such as assets/starter")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--lora", type=int, default=0, help="rank of adapters; 0: all weights")
    parser.add_argument("--default-adamw", action="store_true", help="PyTorch's default AdamW in place of the fused one")
    parser.add_argument("--json", action="store_true", help="print nothing but the JSON line")
    return parser.parse_args()


def load(folder: str | None) -> transformers.PreTrainedModel:
    if folder is None:
        return make_model("pythia-70m")
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def pairs(count: int, vocabulary: int, most: int) -> list[dict[str, list[int]]]:
    """The pairs of server/bench/dpo-timing.ts, with the end-of-text token 0 after each answer."""
    state = 1

    def below(n: int) -> int:
        nonlocal state
        state = (state * 1664525 + 1013904223) % 2**32
        return (state >> 8) % n

    least, span = most >> 3, (most >> 1) - (most >> 3)
    text = lambda: [1 + below(vocabulary - 1) for _ in range(least + below(span))]
    return [{"prompt": text(), "chosen": [*text(), 0], "rejected": [*text(), 0]} for _ in range(count)]


def step(policy, reference, batch, parameters, optimizer) -> float:
    optimizer.zero_grad()
    with torch.no_grad():
        if reference is not policy and not hasattr(policy, "disable_adapter"):
            base = log_probs(reference, batch)
        else:
            with policy.disable_adapter():
                base = log_probs(policy, batch)
    ratios = log_probs(policy, batch) - base
    loss = -functional.logsigmoid(BETA * (ratios[:BATCH] - ratios[BATCH:])).mean()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
    return loss.item()


def log_probs(model, batch) -> torch.Tensor:
    """Summed log-probabilities of the answers: [2 * BATCH], chosen first."""
    rows = [(pair["prompt"], pair[which]) for which in ("chosen", "rejected") for pair in batch]
    length = max(len(prompt) + len(answer) for prompt, answer in rows)
    ids, attention = torch.zeros(len(rows), length, dtype=torch.long), torch.zeros(len(rows), length, dtype=torch.long)
    scored = torch.zeros(len(rows), length, dtype=torch.bool)
    for row, (prompt, answer) in enumerate(rows):
        whole = torch.tensor([*prompt, *answer])
        ids[row, : len(whole)], attention[row, : len(whole)] = whole, 1
        scored[row, len(prompt) : len(whole)] = True
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    hidden = inner.base_model(ids[:, :-1], attention_mask=attention[:, :-1], use_cache=False).last_hidden_state
    kept = scored[:, 1:]
    logits = inner.get_output_embeddings()(hidden[kept])
    each = torch.zeros(kept.shape).masked_scatter(kept, -functional.cross_entropy(logits, ids[:, 1:][kept], reduction="none"))
    return each.sum(1)


if __name__ == "__main__":
    main()
