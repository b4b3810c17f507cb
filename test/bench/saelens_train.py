"""Times in SAELens what `lfp bench sae` times: its own trainer of many autoencoders at once, on the activations of pytorch_sae.py.

    python saelens_train.py [--shape starter] [--steps 32] [--batch 2048] [--buffer 16384] [--tokens 256] [--threads 2] [--json]

Both models run on a chunk of random texts as there; its MLP outputs are mixed and go a batch at a time to SAELens's MultiSAETrainer, with a standard autoencoder
for each layer, model and size (ReLU, L1), gradients clipped, Adam as SAELens makes it. SAELens does not tie encoder and decoder: it has twice the weights, and
the same number of matrix products a step. Checks the numbers of tokens, autoencoders and parameters. Prints tokens a second over the median chunk, and
that times the number of autoencoders. The last line of output is JSON. Needs torch, transformers and sae-lens 6.54 or later.
"""

import argparse
import json
import resource
import statistics
import time
from collections.abc import Iterator

import sae_lens
import torch
from sae_lens.config import LoggingConfig, SAETrainerConfig
from sae_lens.saes.standard_sae import StandardTrainingSAE, StandardTrainingSAEConfig
from sae_lens.training.multi_sae_trainer import MultiSAETrainer

from pytorch_sae import L1, LAYERS, MULTIPLES, PASS_TOKENS, SHAPES, Harvester, make_model


class Chunks:
    """Batches of activations by layer and model, chunk by chunk, with the times at which each chunk began."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.vocabulary = SHAPES[options.shape]["vocab_size"]
        self.harvesters = [Harvester(make_model(options.shape), LAYERS[options.shape], options.buffer) for _ in range(2)]
        self.names = {f"model{index}.{layer}": (index, layer) for index in range(2) for layer in LAYERS[options.shape]}
        self.starts: list[tuple[float, float]] = []
        self.batches = 0

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        while True:
            self.starts.append(now())
            self.harvest()
            for rows in torch.randperm(self.options.buffer).split(self.options.batch):
                self.batches += 1
                yield {name: self.harvesters[index].buffers[layer][rows] for name, (index, layer) in self.names.items()}

    @torch.no_grad()
    def harvest(self) -> None:
        tokens = self.options.tokens
        texts = torch.randint(0, self.vocabulary, (self.options.buffer // tokens, tokens))
        rows_a_pass = max(1, PASS_TOKENS // tokens)
        for at in range(0, len(texts), rows_a_pass):
            for harvester in self.harvesters:
                harvester.run(texts[at : at + rows_a_pass], at * tokens)


def main() -> None:
    options = parse()
    assert options.buffer % options.batch == 0 and options.buffer % options.tokens == 0, "a chunk is whole batches and whole texts"
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    width = SHAPES[options.shape]["hidden_size"]
    per_chunk = options.buffer // options.batch
    chunks = 1 + max(1, round(options.steps / per_chunk))
    data = Chunks(options)
    hooks = {f"{name}.x{multiple}": name for name in data.names for multiple in MULTIPLES}
    saes = {name: autoencoder(width, int(name.rsplit("x", 1)[1]) * width) for name in hooks}
    config = SAETrainerConfig(
        total_training_samples=chunks * options.buffer,
        train_batch_size_samples=options.batch,
        lr=1e-3,
        lr_end=1e-3,
        logger=LoggingConfig(log_to_wandb=False),
    )
    trainer = MultiSAETrainer(cfg=config, saes=saes, hook_names=hooks, data_provider=iter(data))
    trainer.fit()
    marks = [*data.starts, now()]
    check(trainer, data, chunks, options, width)
    times = [end[0] - start[0] for start, end in zip(marks[1:], marks[2:])]
    seconds = statistics.median(times)
    tokens_a_second = options.buffer / seconds
    result = {
        "name": "sae",
        "device": "cpu",
        "framework": "sae-lens",
        "version": sae_lens.__version__,
        "torch": torch.__version__,
        "model": f"{options.shape}-shape",
        "threads": options.threads,
        "fusedAdam": False,
        "attention": data.harvesters[0].model.config._attn_implementation,
        "compiled": False,
        "models": 2,
        "layers": len(LAYERS[options.shape]),
        "autoencoders": len(saes),
        "parameters": sum(parameter.numel() for sae in saes.values() for parameter in sae.parameters()),
        "batchTokens": options.batch,
        "bufferTokens": options.buffer,
        "contextLength": options.tokens,
        "tokensPerSecond": tokens_a_second,
        "saeTokensPerSecond": len(saes) * tokens_a_second,
        "cpuSecondsPerMillionTokens": 1e6 * (marks[-1][1] - marks[1][1]) / ((chunks - 1) * options.buffer),
        "peakRssMB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    result = {key: round(value, 1) if isinstance(value, float) else value for key, value in result.items()}
    if not options.json:
        print(f"{result['tokensPerSecond']} tokens/s into {len(saes)} autoencoders, peak {result['peakRssMB']} MB")
    print(json.dumps(result))


def now() -> tuple[float, float]:
    """Wall and CPU seconds."""
    return time.perf_counter(), time.process_time()


def autoencoder(width: int, features: int) -> StandardTrainingSAE:
    config = StandardTrainingSAEConfig(d_in=width, d_sae=features, l1_coefficient=L1, apply_b_dec_to_input=False)
    return StandardTrainingSAE(config)


def check(trainer: MultiSAETrainer, data: Chunks, chunks: int, options: argparse.Namespace, width: int) -> None:
    per_chunk = options.buffer // options.batch
    assert data.batches == trainer.n_training_steps == chunks * per_chunk, (data.batches, trainer.n_training_steps)
    assert trainer.n_training_samples == chunks * options.buffer, trainer.n_training_samples
    assert len(trainer.saes) == 2 * len(LAYERS[options.shape]) * len(MULTIPLES), len(trainer.saes)
    for name, sae in trainer.saes.items():
        features = int(name.rsplit("x", 1)[1]) * width
        expected = 2 * features * width + features + width
        found = sum(parameter.numel() for parameter in sae.parameters())
        assert found == expected, f"{name} has {found} parameters; expected {expected}"
        assert all(torch.isfinite(parameter).all() for parameter in sae.parameters()), f"{name} did not stay finite"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Times the training of sparse autoencoders by SAELens on the CPU.")
    parser.add_argument("--shape", choices=SHAPES, default="starter")
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--batch", type=int, default=2048, help="tokens of one step")
    parser.add_argument("--buffer", type=int, default=16384, help="tokens whose activations are held at once")
    parser.add_argument("--tokens", type=int, default=256, help="tokens of one text")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="print nothing but the JSON line")
    return parser.parse_args()


if __name__ == "__main__":
    main()
