"""Times in PyTorch what `lfp bench sae` times: autoencoders of several sizes, trained on several layers of two models at once.

    python pytorch_sae.py [--shape starter] [--steps 32] [--batch 2048] [--buffer 16384] [--tokens 256] [--threads 2] [--compile] [--json]

The models have random float32 weights. A chunk of random texts goes through both models once, stopping after the highest layer; its
MLP outputs are held, mixed, and given out a batch at a time; every autoencoder (tied, unit rows with the gradient flowing through, ReLU,
squared distance plus L1) takes one step of Adam on each batch and reports its loss, active features and explained variance.
Prints tokens a second over the median chunk (each token through both models and into every autoencoder) and that times the number of autoencoders. The last
line of output is JSON. Needs torch and transformers.
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
}
LAYERS = {"starter": [2, 4], "pythia-70m": [1, 2, 3, 4, 5]}
MULTIPLES = [1, 2]
PASS_TOKENS = 2048
L1 = 0.5


class EnoughLayers(Exception):
    """Ends a forward pass after the highest layer that is read."""


class Autoencoder(torch.nn.Module):
    def __init__(self, width: int, features: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.nn.init.orthogonal_(torch.empty(features, width)))
        self.encoder_bias = torch.nn.Parameter(torch.zeros(features))
        self.decoder_bias = torch.nn.Parameter(torch.zeros(width))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        weight = self.weight / self.weight.norm(dim=1, keepdim=True)
        features = functional.linear(x, weight, self.encoder_bias).relu()
        squares = (torch.addmm(self.decoder_bias, features, weight) - x).square().sum()
        feature_sum = features.sum()
        loss = squares / len(x) + L1 / len(x) * feature_sum
        with torch.no_grad():
            fired = (features > 0).sum(dim=0)
        return loss, squares.detach(), feature_sum.detach(), fired


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    width = SHAPES[options.shape]["hidden_size"]
    models = [make_model(options.shape) for _ in range(2)]
    harvesters = [Harvester(model, LAYERS[options.shape], options.buffer) for model in models]
    subjects = [(harvester, layer) for harvester in harvesters for layer in LAYERS[options.shape]]
    saes = [[Autoencoder(width, multiple * width) for multiple in MULTIPLES] for _ in subjects]
    parameters = [parameter for group in saes for sae in group for parameter in sae.parameters()]
    called = {sae: torch.compile(sae) if options.compile else sae for group in saes for sae in group}
    optimizer = torch.optim.Adam(parameters, lr=1e-3, fused=True)

    def chunk(steps: int) -> None:
        texts = torch.randint(0, SHAPES[options.shape]["vocab_size"], (options.buffer // options.tokens, options.tokens))
        rows_a_pass = max(1, PASS_TOKENS // options.tokens)
        with torch.no_grad():
            for at in range(0, len(texts), rows_a_pass):
                for harvester in harvesters:
                    harvester.run(texts[at : at + rows_a_pass], at * options.tokens)
        order = torch.randperm(options.buffer)
        for step in range(steps):
            rows = order[step * options.batch : (step + 1) * options.batch]
            losses, reports = [], []
            for (harvester, layer), group in zip(subjects, saes, strict=True):
                x = harvester.buffers[layer][rows]
                reports.append((x - x.mean(dim=0)).square().sum())
                for sae in group:
                    loss, *report = called[sae](x)
                    losses.append(loss)
                    reports += report
            optimizer.zero_grad()
            torch.stack(losses).sum().backward()
            optimizer.step()
            [report.tolist() for report in reports]

    per_chunk = options.buffer // options.batch
    chunk(min(2, per_chunk))
    chunks = max(1, round(options.steps / per_chunk))
    cpu = time.process_time()
    times = [seconds_of(lambda: chunk(per_chunk)) for _ in range(chunks)]
    cpu_seconds = time.process_time() - cpu
    seconds = chunks * statistics.median(times)
    tokens = chunks * per_chunk * options.batch
    count = sum(len(group) for group in saes)
    result = {
        "name": "sae",
        "device": "cpu",
        "framework": "pytorch",
        "version": torch.__version__,
        "model": f"{options.shape}-shape",
        "threads": options.threads,
        "fusedAdam": True,
        "attention": models[0].config._attn_implementation,
        "compiled": options.compile,
        "models": len(models),
        "layers": len(LAYERS[options.shape]),
        "autoencoders": count,
        "batchTokens": options.batch,
        "bufferTokens": options.buffer,
        "contextLength": options.tokens,
        "tokensPerSecond": tokens / seconds,
        "saeTokensPerSecond": count * tokens / seconds,
        "cpuSecondsPerMillionTokens": 1e6 * cpu_seconds / tokens,
        "peakRssMB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    result = {key: round(value, 1) if isinstance(value, float) else value for key, value in result.items()}
    if not options.json:
        print(f"{result['tokensPerSecond']} tokens/s into {count} autoencoders, peak {result['peakRssMB']} MB")
    print(json.dumps(result))


def seconds_of(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Times the training of sparse autoencoders in PyTorch on the CPU.")
    parser.add_argument("--shape", choices=SHAPES, default="starter")
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--batch", type=int, default=2048, help="tokens of one step")
    parser.add_argument("--buffer", type=int, default=16384, help="tokens whose activations are held at once")
    parser.add_argument("--tokens", type=int, default=256, help="tokens of one text")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action="store_true", help="run the autoencoders through torch.compile")
    parser.add_argument("--json", action="store_true", help="print nothing but the JSON line")
    return parser.parse_args()


def make_model(shape: str) -> transformers.PreTrainedModel:
    config = transformers.GPTNeoXConfig(rotary_pct=0.25, max_position_embeddings=2048, **SHAPES[shape])
    return transformers.GPTNeoXModel(config).float().eval()


class Harvester:
    """Runs a model and keeps the MLP outputs of some layers in buffers of so many tokens."""

    def __init__(self, model: transformers.PreTrainedModel, layers: list[int], rows: int) -> None:
        self.model = model
        self.buffers = {layer: torch.empty(rows, model.config.hidden_size) for layer in layers}
        self.start = 0
        for layer in layers:
            model.layers[layer].mlp.register_forward_hook(self.keeper(layer, last=layer == max(layers)))

    def keeper(self, layer: int, last: bool):
        def keep(_module, _inputs, output: torch.Tensor) -> None:
            rows = output.flatten(0, 1)
            self.buffers[layer][self.start : self.start + len(rows)] = rows
            if last:
                raise EnoughLayers

        return keep

    def run(self, ids: torch.Tensor, start: int) -> None:
        self.start = start
        try:
            self.model(ids, use_cache=False)
        except EnoughLayers:
            pass


if __name__ == "__main__":
    main()
