"""Times in PyTorch on a CUDA GPU what `lfp bench gpu` times: products, a training step, sampling and an autoencoder step.

    python pytorch_gpu.py [--shapes pythia-70m pythia-160m] [--repeats 20] [--tiny] [--device cuda] [--json]

Run it on the machine and GPU on which `lfp bench gpu` runs. All tensors are float32; each part is timed with full float32 products and with
TF32 allowed, the products also in float16 with float32 sums. Weights are random.

- products: those of `lfp bench gpu`, in TFLOP/s.
- training step: 8 texts of 512 tokens; gradients to none, forward, next-token cross-entropy, backward, gradients clipped to norm 1, AdamW; eager.
- sampling: 64 prompts of 2 to 9 tokens, padded on the left, 20 new tokens each from the whole distribution: `generate` of transformers in one batch,
  and four prompts at a time as TRL 0.7.7's PPO trainer calls it by default.
- autoencoder step: 2048 rows of activations, features of one and two times the width. "tied" is ours: tied weights, unit rows with the gradient
  through the norm, ReLU, squared distance plus L1, Adam. "untied" is how SAELens trains: an encoder and a decoder, the gradient's part along decoder
  rows taken away, Adam, rows set to norm 1 again, and the loss read at every step; one autoencoder after the other.

Times are medians after three warm-ups, each repeat waiting for the GPU. The last line of output is JSON. Needs torch (with CUDA) and transformers.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
import transformers
from torch.nn import functional

from pytorch_engine import SHAPES, WARM_UPS, config_of
from pytorch_generate import left_padded_prompts
from pytorch_sae import Autoencoder as TiedAutoencoder

TINY = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "vocab_size": 300,
}
L1 = 0.5


def main() -> None:
    options = parse()
    device = torch.device(options.device)
    torch.manual_seed(1)
    shapes = {"tiny": TINY} if options.tiny else {name: SHAPES[name] for name in options.shapes}
    results = []
    for tf32 in [False] if device.type == "cpu" else [False, True]:
        torch.backends.cuda.matmul.allow_tf32 = tf32
        torch.backends.cudnn.allow_tf32 = tf32
        for name, shape in shapes.items():
            results.append({"model": f"{name}-shape", "products": "tf32" if tf32 else "float32", **parts(shape, options)})
    result = {
        "name": "gpu",
        "framework": "pytorch",
        "version": torch.__version__,
        "transformers": transformers.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "repeats": options.repeats,
        "results": results,
    }
    if not options.json:
        for one in results:
            print(json.dumps(one, indent=1))
    print(json.dumps(result))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Times in PyTorch on a CUDA GPU what `lfp bench gpu` times.")
    parser.add_argument("--shapes", choices=SHAPES, nargs="+", default=["pythia-70m", "pythia-160m"])
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--tiny", action="store_true", help="a tiny model, to see that the script runs")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--json", action="store_true", help="print nothing but the JSON line")
    return parser.parse_args()


def parts(shape: dict[str, int], options: argparse.Namespace) -> dict[str, object]:
    return {
        "matmulTflops": products(shape, options),
        **training(shape, options),
        **sampling(shape, options),
        **autoencoders(shape, options),
    }


def products(shape: dict[str, int], options: argparse.Namespace) -> dict[str, float]:
    """TFLOP/s by product: rows, columns, inner extent."""
    tokens = 64 if options.tiny else 4096
    width, inner, vocab = shape["hidden_size"], shape["intermediate_size"], shape["vocab_size"]
    heads = shape["num_attention_heads"]
    texts, length = (2, 16) if options.tiny else (8, 512)
    sizes = {
        "mlp": (1, tokens, inner, width),
        "mlpBack": (1, tokens, width, inner),
        "weightGradient": (1, width, inner, tokens),
        "logits": (1, tokens // 4, vocab, width),
        "scores": (texts * heads, length, length, width // heads),
        "samplingStep": (1, 64, inner, width),
        "encoder": (1, 2048 if not options.tiny else 64, 2 * width, width),
    }
    found = {}
    for name, (batch, m, n, k) in sizes.items():
        for dtype in [torch.float32] if options.device == "cpu" else [torch.float32, torch.float16]:
            a = torch.randn(batch, m, k, device=options.device, dtype=dtype)
            b = torch.randn(batch, k, n, device=options.device, dtype=dtype)
            calls = max(1, min(100, int(1e10 / (batch * m * n * k)))) if options.device != "cpu" else 1

            def work(a: torch.Tensor = a, b: torch.Tensor = b, calls: int = calls) -> None:
                for _ in range(calls):
                    torch.bmm(a, b)

            label = name if dtype == torch.float32 else f"{name}Half"
            found[label] = round(2e-12 * batch * m * n * k * calls / median(work, options), 3)
    return found


def training(shape: dict[str, int], options: argparse.Namespace) -> dict[str, float]:
    model = make_model(shape, options)
    batch, tokens = (2, 16) if options.tiny else (8, 512)
    ids = torch.randint(0, shape["vocab_size"], (batch, tokens), device=options.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)

    def step() -> None:
        optimizer.zero_grad()
        logits = model(ids, use_cache=False).logits
        functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    seconds = median(step, options)
    return {"trainStepMs": round(1000 * seconds, 3), "trainTokensPerSecond": round(ids.numel() / seconds)}


@torch.no_grad()
def sampling(shape: dict[str, int], options: argparse.Namespace) -> dict[str, float]:
    model = make_model(shape, options).eval()
    prompts, new = (4, 4) if options.tiny else (64, 20)
    ids, mask = (x.to(options.device) for x in left_padded_prompts(prompts, shape["vocab_size"]))
    model.generation_config = transformers.GenerationConfig(
        min_new_tokens=new, max_new_tokens=new, do_sample=True, temperature=1.0, top_k=0, top_p=1.0, use_cache=True,
        eos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    whole = median(lambda: model.generate(ids, attention_mask=mask), options)

    def by_four() -> None:
        for at in range(0, prompts, 4):
            model.generate(ids[at : at + 4], attention_mask=mask[at : at + 4])

    fours = median(by_four, options)
    return {
        "samplingSeconds": round(whole, 4),
        "newTokensPerSecond": round(prompts * new / whole),
        "samplingByFoursSeconds": round(fours, 4),
    }


def autoencoders(shape: dict[str, int], options: argparse.Namespace) -> dict[str, float]:
    width, rows = shape["hidden_size"], 64 if options.tiny else 2048
    x = torch.randn(rows, width, device=options.device)
    tied = [TiedAutoencoder(width, multiple * width).to(options.device) for multiple in (1, 2)]
    optimizer = torch.optim.Adam([parameter for sae in tied for parameter in sae.parameters()], lr=1e-3)

    def tied_step() -> None:
        optimizer.zero_grad()
        torch.stack([sae(x)[0] for sae in tied]).sum().backward()
        optimizer.step()

    untied = [UntiedAutoencoder(width, multiple * width).to(options.device) for multiple in (1, 2)]
    optimizers = [torch.optim.Adam(sae.parameters(), lr=1e-3) for sae in untied]

    def untied_step() -> None:
        for sae, adam in zip(untied, optimizers, strict=True):
            sae.step(x, adam)

    return {
        "saeTiedStepMs": round(1000 * median(tied_step, options), 4),
        "saeUntiedStepMs": round(1000 * median(untied_step, options), 4),
    }


class UntiedAutoencoder(torch.nn.Module):
    def __init__(self, width: int, features: int) -> None:
        super().__init__()
        decoder = functional.normalize(torch.randn(features, width), dim=1)
        self.decoder = torch.nn.Parameter(decoder)
        self.encoder = torch.nn.Parameter(decoder.T.clone().contiguous())
        self.encoder_bias = torch.nn.Parameter(torch.zeros(features))
        self.decoder_bias = torch.nn.Parameter(torch.zeros(width))

    def step(self, x: torch.Tensor, optimizer: torch.optim.Optimizer) -> float:
        features = torch.relu((x - self.decoder_bias) @ self.encoder + self.encoder_bias)
        error = (features @ self.decoder + self.decoder_bias - x).square().sum(dim=1).mean()
        loss = error + L1 * features.sum(dim=1).mean()
        optimizer.zero_grad()
        loss.backward()
        with torch.no_grad():
            gradient = self.decoder.grad
            gradient -= (gradient * self.decoder).sum(dim=1, keepdim=True) * self.decoder
        optimizer.step()
        with torch.no_grad():
            self.decoder /= self.decoder.norm(dim=1, keepdim=True)
        return loss.item()


def make_model(shape: dict[str, int], options: argparse.Namespace) -> transformers.PreTrainedModel:
    return transformers.AutoModelForCausalLM.from_config(config_of(shape)).float().to(options.device)


def median(work: Callable[[], object], options: argparse.Namespace) -> float:
    """Wall seconds of one call, the GPU's work included."""
    times = []
    for at in range(-WARM_UPS - 1, 2 if options.tiny else options.repeats):
        wait(options)
        start = time.perf_counter()
        work()
        wait(options)
        if at >= 0:
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def wait(options: argparse.Namespace) -> None:
    if options.device != "cpu":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
