"""Times in TRL what `lfp bench dpo` times: its own DPOTrainer on the same pairs on the CPU.

    python trl_dpo.py [--model FOLDER] [--steps 5] [--threads 2] [--json]

A step: 8 pairs of pytorch_dpo.py in their order, the sigmoid loss with beta 0.1, the reference read for every batch, gradients clipped to norm 1, and
what DPOConfig chooses by default (fused AdamW, sdpa), except float32 without checkpointing of activations, which is faster on a CPU. Times are from the end of
one step to that of the next, medians after one warm-up. Checks that TRL reads the tokens that were made, pair by pair, trains all parameters, and begins
with a loss of log 2. Without --model: the shape of Pythia-70m with random weights. The last line of output is JSON. Needs torch, transformers, trl.
"""

import argparse
import json
import math
import resource
import statistics
import tempfile
import time

import datasets
import tokenizers
import torch
import transformers
import trl

from pytorch_dpo import BATCH, BETA, load, pairs

END = "<end>"


class Clock(transformers.TrainerCallback):
    """Notes when each step ended, in wall and CPU seconds."""

    def __init__(self) -> None:
        self.ends: list[tuple[float, float]] = []

    def on_step_end(self, args, state, control, **kwargs) -> None:
        self.ends.append((time.perf_counter(), time.process_time()))


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    datasets.disable_progress_bars()
    policy = load(options.model)
    most = min(256, policy.config.max_position_embeddings)
    made = pairs((options.steps + 1) * BATCH, policy.config.vocab_size, most)
    clock = Clock()
    with tempfile.TemporaryDirectory() as scratch:
        trainer = trainer_of(policy, load(options.model), made, most, options.steps + 1, scratch)
        trainer.add_callback(clock)
        check_data(trainer, made)
        trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(clock.ends) == len(losses) == options.steps + 1, (len(clock.ends), losses)
    assert abs(losses[0] - math.log(2)) < 1e-3, losses[0]
    times = [end[0] - start[0] for start, end in zip(clock.ends, clock.ends[1:])]
    median = statistics.median(times)
    result = {
        "name": "dpo",
        "device": "cpu",
        "framework": "trl",
        "version": trl.__version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "model": options.model or "pythia-70m-shape",
        "dtype": "float32",
        "threads": options.threads,
        "fusedAdamW": "fused" in trainer.args.optim,
        "attention": trainer.model.config._attn_implementation,
        "compiled": False,
        "parameters": sum(parameter.numel() for parameter in trainer.model.parameters() if parameter.requires_grad),
        "batch": BATCH,
        "maxTokens": most,
        "answerTokens": sum(len(pair["chosen"]) + len(pair["rejected"]) for pair in made[BATCH:]),
        "steps": options.steps,
        "stepSeconds": round(median, 3),
        "fastestStepSeconds": round(min(times), 3),
        "pairsPerSecond": round(BATCH / median, 3),
        "cpuSecondsPerStep": round((clock.ends[-1][1] - clock.ends[0][1]) / options.steps, 3),
        "peakRssMB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }
    if not options.json:
        print("seconds:", ", ".join(f"{one:.2f}" for one in times))
    print(json.dumps(result))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Times DPO steps of TRL on the CPU.")
    parser.add_argument("--model", help="a checkpoint's folder, such as assets/starter")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="print nothing but the JSON line")
    return parser.parse_args()


def trainer_of(policy, reference, made: list[dict[str, list[int]]], most: int, steps: int, folder: str) -> trl.DPOTrainer:
    texts = [{key: text_of(ids) for key, ids in pair.items()} for pair in made]
    config = trl.DPOConfig(
        output_dir=folder,
        max_steps=steps,
        per_device_train_batch_size=BATCH,
        train_sampling_strategy="sequential",
        beta=BETA,
        max_length=most,
        learning_rate=5e-5,
        lr_scheduler_type="constant",
        weight_decay=0.0,
        max_grad_norm=1.0,
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        seed=1,
    )
    return trl.DPOTrainer(
        model=policy,
        ref_model=reference,
        args=config,
        train_dataset=datasets.Dataset.from_list(texts),
        processing_class=number_tokenizer(policy.config.vocab_size),
    )


def text_of(ids: list[int]) -> str:
    """As number_tokenizer reads it; TRL itself adds the end of an answer."""
    return "".join(f"{id} " for id in ids if id != 0)


def number_tokenizer(vocabulary: int) -> transformers.PreTrainedTokenizerFast:
    """A number is the token of that id; the end is 0."""
    words = {END: 0, **{str(id): id for id in range(1, vocabulary)}}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token=END))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=END, unk_token=END)


def check_data(trainer: trl.DPOTrainer, made: list[dict[str, list[int]]]) -> None:
    for row, pair in zip(trainer.train_dataset, made, strict=True):
        for key, ids in pair.items():
            assert row[f"{key}_ids"] == ids, f"TRL reads other {key} tokens than were made"


if __name__ == "__main__":
    main()
