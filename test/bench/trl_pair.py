"""Tunes the starter by TRL, and holds `lfp score --tuned --base` against PyTorch's log-ratios of that pair.

    python trl_pair.py [--method dpo|sft] [--steps 20] [--texts 24] [--dtype float32|float16|bfloat16] [--lfp "node server/cli.ts"] [--keep FOLDER]

DPO: pairs of praise and blame about films, praise preferred, beta 0.1. SFT: the starter's reviews. What TRL saved is read back for both sides of the
comparison. Texts: reviews of the starter's corpus (which DPO does not see), cut to the context, with the begin-of-text token before each. Compares
the log-ratio of every token and the KL of what comes next, and says for DPO how often beta times the summed log-ratio, which is its implicit reward,
is larger for the preferred text. The last line of output is JSON. Needs torch, transformers, trl and a node that runs lfp.
"""

import argparse
import json
import pathlib
import shlex
import subprocess
import tempfile

import datasets
import torch
import transformers
import trl

ROOT = pathlib.Path(__file__).resolve().parents[2]
STARTER = ROOT / "assets" / "starter"
BETA = 0.1
TOLERANCE = 1e-4
SUBJECTS = ["film", "movie", "story", "cast", "plot", "script", "ending", "acting", "music", "director"]
PRAISE = ["wonderful", "great", "excellent", "a joy", "beautiful", "brilliant", "funny", "moving"]
BLAME = ["terrible", "bad", "awful", "a bore", "ugly", "stupid", "dull", "a mess"]


def main() -> None:
    options = parse()
    torch.manual_seed(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(options.keep or scratch)
        pairs = preferences()
        tune(options, pairs, folder)
        texts = [text for text in reviews()[-options.texts :] if len(text.split()) > 1]
        texts += [pair["prompt"] + pair["chosen"] for pair in pairs[:4]]
        tuned, base, tokenizer = load(folder), load(STARTER), transformers.AutoTokenizer.from_pretrained(STARTER)
        expected = [read(tuned, base, tokenizer, text) for text in texts]
        got = score(options.lfp, folder, texts)
        result = {
            "name": "trl-pair",
            "method": options.method,
            "trl": trl.__version__,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "dtype": options.dtype,
            "steps": options.steps,
            **compare(expected, got),
        }
        if options.method == "dpo":
            margins = [implicit(tuned, base, tokenizer, pair) for pair in pairs[::8]]
            result["preferred"] = sum(margin > 0 for margin in margins) / len(margins)
    result["check"] = "ok" if max(result["largestDifference"], result["largestDifferenceOfKl"]) < TOLERANCE else "failed"
    print(json.dumps(result))
    if result["check"] != "ok":
        raise SystemExit(1)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Holds lfp score against PyTorch on a pair that TRL tuned.")
    parser.add_argument("--method", choices=["dpo", "sft"], default="dpo")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--texts", type=int, default=24)
    parser.add_argument("--dtype", choices=["float32", "float16", "bfloat16"], default="float32", help="of the saved weights")
    parser.add_argument("--lfp", default="node server/cli.ts", help="the command, run in the project's folder")
    parser.add_argument("--keep", help="a folder for the tuned model")
    return parser.parse_args()


def preferences() -> list[dict[str, str]]:
    starts = ["The {} was", "I thought that the {} was"]
    return [
        {"prompt": start.format(subject), "chosen": f" {good}.", "rejected": f" {bad}."}
        for start in starts
        for subject in SUBJECTS
        for good, bad in zip(PRAISE, BLAME, strict=True)
    ]


def reviews() -> list[str]:
    # Not splitlines: texts may hold separators that JSON does not escape.
    return [json.loads(line)["text"] for line in (STARTER / "reviews.jsonl").read_text().strip().split("\n")]


def tune(options: argparse.Namespace, pairs: list[dict[str, str]], folder: pathlib.Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(STARTER)
    model = load(STARTER)
    common = {
        "output_dir": str(folder / "trainer"),
        "max_steps": options.steps,
        "per_device_train_batch_size": 16,
        "learning_rate": 5e-4,
        "logging_steps": 5,
        "save_strategy": "no",
        "report_to": [],
        "use_cpu": True,
        "bf16": False,
        "fp16": False,
        "gradient_checkpointing": False,
        "seed": 1,
    }
    if options.method == "dpo":
        trainer = trl.DPOTrainer(
            model=model,
            ref_model=load(STARTER),
            args=trl.DPOConfig(beta=BETA, max_length=64, **common),
            train_dataset=datasets.Dataset.from_list(pairs),
            processing_class=tokenizer,
        )
    else:
        trainer = trl.SFTTrainer(
            model=model,
            args=trl.SFTConfig(max_length=64, **common),
            train_dataset=datasets.Dataset.from_list([{"text": text} for text in reviews()[:256]]),
            processing_class=tokenizer,
        )
    trainer.train()
    trainer.model.to(getattr(torch, options.dtype)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def load(folder: pathlib.Path) -> transformers.PreTrainedModel:
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


@torch.no_grad()
def read(tuned, base, tokenizer, text: str) -> dict[str, list[float]]:
    """Of every token of a text, cut to what fits behind the begin-of-text token: log-ratio, divergence after it."""
    ids = [tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False)["input_ids"]]
    ids = torch.tensor([ids[: tuned.config.max_position_embeddings]])
    log_p, log_q = (torch.log_softmax(model(ids).logits[0].double(), dim=-1) for model in (tuned, base))
    own = ids[0, 1:, None]
    ratio = (log_p[:-1].gather(1, own) - log_q[:-1].gather(1, own)).squeeze(1)
    return {"learned": ratio.tolist(), "kl": (log_p.exp() * (log_p - log_q)).sum(-1)[1:].tolist()}


def implicit(tuned, base, tokenizer, pair: dict[str, str]) -> float:
    """Beta times the log-ratio of the preferred answer, less that of the other."""
    start = len(tokenizer(pair["prompt"], add_special_tokens=False)["input_ids"])
    of = lambda answer: sum(read(tuned, base, tokenizer, pair["prompt"] + answer)["learned"][start:])
    return BETA * (of(pair["chosen"]) - of(pair["rejected"]))


def score(lfp: str, tuned: pathlib.Path, texts: list[str]) -> list[dict[str, list[float]]]:
    """What `lfp score` gives for each text."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "texts.jsonl"
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        command = [*shlex.split(lfp), "score", str(path), "--tuned", str(tuned), "--base", str(STARTER), "--bos", "--json"]
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    passages = json.loads(ran.stdout.strip().split("\n")[-1])["passages"]
    assert len(passages) == len(texts), f"{len(passages)} passages of {len(texts)} texts"
    return [{key: [token[key] for token in passage["tokens"]] for key in ("learned", "kl")} for passage in passages]


def compare(expected: list[dict], got: list[dict]) -> dict[str, float]:
    worst = {"learned": 0.0, "kl": 0.0}
    tokens, largest = 0, 0.0
    for one, other in zip(expected, got, strict=True):
        count = len(one["learned"])
        assert len(other["learned"]) >= count, "lfp reads fewer tokens than transformers"
        tokens += count
        largest = max(largest, *(abs(value) for value in one["learned"]))
        for key in worst:
            differences = [abs(a - b) for a, b in zip(one[key], other[key][:count], strict=True)]
            worst[key] = max(worst[key], *differences)
    return {
        "texts": len(expected),
        "tokens": tokens,
        "largestLogRatio": largest,
        "largestDifference": worst["learned"],
        "largestDifferenceOfKl": worst["kl"],
    }


if __name__ == "__main__":
    main()
