"""Times in PyTorch and transformers what `lfp bench ppo` times: PPO steps with the paper's sizes on the CPU.

    python pytorch_ppo.py [--model FOLDER] [--steps 3] [--threads 2] [--default-adamw] [--json]

A step: 64 prompts of 2 to 9 random ids, left-padded; completions of 8 to 19 tokens sampled in one batch with the key-value
cache at temperature 1; a reward that costs next to nothing (the length of the ids' text modulo 7); log-probabilities and values of the
policy and log-probabilities of the reference, 16 rows at a time; advantages; 4 epochs in mini-batches of 16 with the clipped
losses, gradients clipped to norm 1, AdamW, fused unless --default-adamw. As in ours, all passes are batched over rows padded to one shape, and the head's product is
computed for completion places only; TRL 0.7.7 itself samples prompt by prompt and is slower. Without --model: the shape of Pythia-70m
with random weights. Times are medians after one warm-up. The last line of output is JSON. Needs torch and transformers.
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

BATCH, MINI, EPOCHS = 64, 16, 4
PROMPT, NEW = (2, 9), (8, 19)
P, N = PROMPT[1], NEW[1]


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    policy = load(options.model)
    reference = copy.deepcopy(policy).requires_grad_(False)
    head = torch.nn.Linear(policy.config.hidden_size, 1)
    parameters = [*policy.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-6, fused=not options.default_adamw or None)
    times, cpu = [], []
    for _ in range(options.steps + 1):
        start = time.process_time()
        times.append(step(policy, reference, head, parameters, optimizer))
        cpu.append(time.process_time() - start)
    times, cpu = times[1:], cpu[1:]
    totals = [one["total"] for one in times]
    median = statistics.median(totals)
    result = {
        "name": "ppo",
        "device": "cpu",
        "framework": "pytorch",
        "version": torch.__version__,
        "transformers": transformers.__version__,
        "model": options.model or "pythia-70m-shape",
        "dtype": "float32",
        "threads": options.threads,
        "batch": BATCH,
        "miniBatch": MINI,
        "epochs": EPOCHS,
        "steps": options.steps,
        "fusedAdamW": not options.default_adamw,
        "attention": policy.config._attn_implementation,
        "compiled": False,
        "stepSeconds": round(median, 3),
        "fastestStepSeconds": round(min(totals), 3),
        "episodesPerSecond": round(BATCH / median, 2),
        **{f"{part}Share": round(sum(one[part] for one in times) / sum(totals), 3) for part in ("sampling", "scoring", "training")},
        "cpuSecondsPerStep": round(statistics.mean(cpu), 3),
        "peakRssMB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }
    if not options.json:
        print("seconds:", ", ".join(f"{one:.2f}" for one in totals))
    print(json.dumps(result))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Times PPO steps in PyTorch on the CPU.")
    parser.add_argument("--model", help="a checkpoint's folder, such as assets/starter")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--default-adamw", action="store_true", help="PyTorch's default AdamW in place of the fused one")
    parser.add_argument("--json", action="store_true", help="print nothing but the JSON line")
    return parser.parse_args()


def load(folder: str | None) -> transformers.PreTrainedModel:
    if folder is None:
        return make_model("pythia-70m")
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def step(policy, reference, head, parameters, optimizer) -> dict[str, float]:
    started = time.perf_counter()
    ids, keys, mask = sample(policy)
    sampled = time.perf_counter()
    scores = torch.tensor([len(" ".join(str(id) for id, kept in zip(row, kept_row) if kept)) % 7 / 7 for row, kept_row in zip(ids[:, P:].tolist(), mask.tolist())])
    with torch.no_grad():
        parts = [slice(at, at + MINI) for at in range(0, BATCH, MINI)]
        old = [read(policy, head, ids[part], keys[part], entropies=True) for part in parts]
        old_lp, old_v = torch.cat([one[0] for one in old]), torch.cat([one[1] for one in old])
        ref_lp = torch.cat([read(reference, None, ids[part], keys[part])[0] for part in parts])
    scored = time.perf_counter()
    advantages, returns = learning_signal(old_lp, ref_lp, old_v, scores, mask)
    for _ in range(EPOCHS):
        for rows in torch.randperm(BATCH).split(MINI):
            optimizer.zero_grad()
            lp, v, _ = read(policy, head, ids[rows], keys[rows])
            loss(lp, v, old_lp[rows], old_v[rows], advantages[rows], returns[rows], mask[rows]).backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
    ended = time.perf_counter()
    return {"sampling": sampled - started, "scoring": scored - sampled, "training": ended - scored, "total": ended - started}


@torch.no_grad()
def sample(policy) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ids [BATCH, P + N], which of the prompts' places are real [BATCH, P], which of the completions' are [BATCH, N]."""
    lengths = torch.randint(PROMPT[0], PROMPT[1] + 1, (BATCH,))
    keys = (torch.arange(P) >= P - lengths[:, None]).long()
    prompts = torch.randint(1, policy.config.vocab_size, (BATCH, P)) * keys
    new = torch.randint(NEW[0], NEW[1] + 1, (BATCH,))
    eos = policy.config.eos_token_id
    settings = transformers.GenerationConfig(max_new_tokens=int(new.max()), do_sample=True, temperature=1.0, top_k=0, top_p=1.0, use_cache=True, eos_token_id=eos, pad_token_id=eos)
    policy.generation_config = settings
    made = policy.generate(prompts, attention_mask=keys)
    ids = functional.pad(made, (0, P + N - made.shape[1]))
    completions = ids[:, P:]
    after_end = (completions == eos).long().cumsum(1) - (completions == eos).long() > 0
    mask = ((torch.arange(N) < new[:, None]) & ~after_end).float()
    return ids, keys, mask


def read(model, head, ids: torch.Tensor, keys: torch.Tensor, entropies: bool = False):
    """Log-probabilities [rows, N] of the completions' tokens, and values and entropies where asked for."""
    attention = functional.pad(keys, (0, N - 1), value=1)
    positions = (attention.cumsum(1) - 1).clamp(min=0)
    hidden = model.base_model(ids[:, :-1], attention_mask=attention, position_ids=positions, use_cache=False).last_hidden_state[:, P - 1 :]
    all_lp = model.get_output_embeddings()(hidden).log_softmax(-1)
    lp = all_lp.gather(2, ids[:, P:, None])[..., 0]
    values = None if head is None else head(hidden)[..., 0]
    return lp, values, -(all_lp.exp() * all_lp).sum(-1) if entropies else None


def learning_signal(lp, ref_lp, values, scores, mask, coefficient=0.5, gamma=1.0, lam=0.95):
    rewards = -coefficient * (lp - ref_lp) * mask
    last = mask.sum(1).long() - 1
    rewards[torch.arange(BATCH), last] += scores
    values = values * mask
    after, steps = torch.zeros(BATCH), []
    for t in reversed(range(N)):
        following = values[:, t + 1] if t < N - 1 else 0.0
        after = rewards[:, t] + gamma * following - values[:, t] + gamma * lam * after
        steps.append(after)
    advantages = torch.stack(steps[::-1], dim=1)
    kept = advantages[mask.bool()]
    return (advantages - kept.mean()) * torch.rsqrt(kept.var() + 1e-8), advantages + values


def loss(lp, v, old_lp, old_v, advantages, returns, mask):
    mean = lambda x: (x * mask).sum() / mask.sum()
    ratio = torch.exp((lp - old_lp) * mask)
    policy_loss = mean(torch.max(-advantages * ratio, -advantages * ratio.clamp(0.8, 1.2)))
    clipped = torch.max(torch.min(v, old_v + 0.2), old_v - 0.2)
    value_loss = 0.5 * mean(torch.max((v - returns) ** 2, (clipped - returns) ** 2))
    return policy_loss + 0.1 * value_loss


if __name__ == "__main__":
    main()
