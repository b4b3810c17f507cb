/**
 * A model of Gemma-2B's exact shape (random BF16 weights in shards, 5 GB on disk): is made, loaded, read, tuned by two steps
 * of DPO on adapters, saved, and read again as a pair with its base. Prints one line of JSON with times and the peak memory
 * after each part. Linux only; needs 16 GB of memory, minutes, and `--folder` on a disk with 6 GB free (kept; a temporary
 * folder is removed). `--tiny` does the same with a model of 2 MB.
 */
import { createWriteStream } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import { parseArgs } from "node:util";
import { f32ToBf16 } from "../../server/common/floats.loops.ts";
import { Random } from "../../server/common/random.ts";
import { createCpuDevice } from "../../server/engine/cpu/device.ts";
import type { Device } from "../../server/engine/device.ts";
import { sizeOf } from "../../server/engine/graph.ts";
import type { ModelParameter } from "../../server/models/architecture.ts";
import { loadModel } from "../../server/models/checkpoint.ts";
import { parseConfig } from "../../server/models/config.ts";
import { LogRatioScorer } from "../../server/models/log-ratio.ts";
import { parametersOf } from "../../server/models/model.ts";
import { createDpoTrainer } from "../../server/tuning/dpo.ts";
import { DpoConfig, dpoPresets } from "../../server/tuning/dpo-config.ts";
import { openPolicy } from "../../server/tuning/policy.ts";
import type { TokenPair } from "../../server/tuning/token-pair.ts";

/** config.json of google/gemma-2b-it. */
const gemma2b = {
  architectures: ["GemmaForCausalLM"],
  attention_bias: false,
  bos_token_id: 2,
  eos_token_id: 1,
  head_dim: 256,
  hidden_act: "gelu",
  hidden_size: 2048,
  intermediate_size: 16_384,
  max_position_embeddings: 8192,
  model_type: "gemma",
  num_attention_heads: 8,
  num_hidden_layers: 18,
  num_key_value_heads: 1,
  pad_token_id: 0,
  rms_norm_eps: 1e-6,
  rope_theta: 10_000,
  torch_dtype: "bfloat16",
  vocab_size: 256_000,
};
const tiny = {
  ...gemma2b,
  hidden_size: 64,
  head_dim: 16,
  intermediate_size: 256,
  vocab_size: 4096,
  num_hidden_layers: 3,
};

/** Bytes of a shard, at most; a tensor is in one. */
const shardBytes = 2 ** 31;

/** Writes random weights as transformers saves them: shards with an index. */
async function makeCheckpoint(folder: string, json: typeof gemma2b): Promise<void> {
  await mkdir(folder, { recursive: true });
  const shards: ModelParameter[][] = [[]];
  let bytes = 0;
  for (const parameter of parametersOf(parseConfig(json, "config"))) {
    const size = 2 * sizeOf(parameter.shape);
    if (bytes > 0 && bytes + size > shardBytes) {
      shards.push([]);
      bytes = 0;
    }
    shards.at(-1)?.push(parameter);
    bytes += size;
  }
  const block = randomBlock();
  const weightMap: Record<string, string> = {};
  for (const [at, parameters] of shards.entries()) {
    const name = `model-${String(at + 1).padStart(5, "0")}-of-${String(shards.length).padStart(5, "0")}.safetensors`;
    for (const parameter of parameters) weightMap[parameter.name] = name;
    await writeShard(join(folder, name), parameters, block);
  }
  await writeFile(join(folder, "model.safetensors.index.json"), JSON.stringify({ weight_map: weightMap }));
  await writeFile(join(folder, "config.json"), JSON.stringify(json));
}

/** Values uniform within 0.035, the deviation of 0.02 that such models start with. */
function randomBlock(): Uint16Array {
  const random = Random.fromSeed(1);
  const bits = new Uint16Array(2 ** 22 + 1);
  f32ToBf16(
    Float32Array.from(bits, () => 0.035 * (2 * random.uniform() - 1)),
    bits,
  );
  return bits;
}

async function writeShard(path: string, parameters: readonly ModelParameter[], block: Uint16Array): Promise<void> {
  let end = 0;
  const header = Object.fromEntries(
    parameters.map(({ name, shape }) => {
      const start = end;
      end += 2 * sizeOf(shape);
      return [name, { dtype: "BF16", shape, data_offsets: [start, end] }];
    }),
  );
  const text = JSON.stringify({ __metadata__: { format: "pt" }, ...header });
  const prefix = Buffer.alloc(8 + Math.ceil(text.length / 8) * 8, " ");
  prefix.writeBigUInt64LE(BigInt(prefix.length - 8));
  prefix.write(text, 8);
  const stream = createWriteStream(path);
  stream.write(prefix);
  for (const { shape, role } of parameters) {
    const source = role === "norm" ? new Uint16Array(sizeOf(shape)) : block;
    for (let left = sizeOf(shape); left > 0; left -= source.length) {
      const piece = source.subarray(0, Math.min(left, source.length));
      if (!stream.write(new Uint8Array(piece.buffer, 0, piece.byteLength)))
        await new Promise<void>((resolve) => stream.once("drain", () => resolve()));
    }
  }
  stream.end();
  await finished(stream);
}

/** The process's largest resident memory so far, in GiB. */
async function peakGiB(): Promise<number> {
  const [, kilobytes = "NaN"] = /VmHWM:\s+(\d+) kB/.exec(await readFile("/proc/self/status", "utf8")) ?? [];
  return Math.round((Number(kilobytes) / 2 ** 20) * 100) / 100;
}

function randomIds(count: number, below: number, random: Random): Int32Array {
  return Int32Array.from({ length: count }, () => 3 + random.integer(below - 3));
}

const parts: Record<string, { readonly seconds: number; readonly peakGiB: number }> = {};

async function timed<R>(name: string, work: () => Promise<R>): Promise<R> {
  const start = performance.now();
  const result = await work();
  parts[name] = { seconds: Math.round((performance.now() - start) / 100) / 10, peakGiB: await peakGiB() };
  process.stderr.write(`${name}: ${JSON.stringify(parts[name])}\n`);
  return result;
}

interface Tuned {
  readonly losses: readonly number[];
  readonly norms: readonly number[];
}

async function tune(device: Device, base: string, output: string): Promise<Tuned> {
  const lora = { rank: 16, alpha: 32, targets: "all-linear" as const };
  const sizes = { kind: "dpo", steps: 2, batchSize: 2, pairsAtOnce: 1, reference: "once", learningRate: 1e-3 } as const;
  const config = DpoConfig.parse({ ...dpoPresets["quick-preferences"], ...sizes, warmupSteps: 0, lora });
  const reference = await timed("load", () => loadModel(device, base));
  const random = Random.fromSeed(2);
  const pairs = Array.from({ length: 4 }, (): TokenPair => {
    const prompt = randomIds(16, reference.config.vocabSize, random);
    const answer = () => ({ prompt, answer: randomIds(16, reference.config.vocabSize, random) });
    return { chosen: answer(), rejected: answer() };
  });
  const policy = await openPolicy({ device, reference, loadPolicy: () => loadModel(device, base) }, lora, random);
  const trainer = await timed("DPO's reference, 4 pairs of 2 x 32 tokens", () =>
    createDpoTrainer({ device, policy, reference, pairs, config, random }),
  );
  const steps = [];
  while (!trainer.done) steps.push(await timed(`DPO step ${trainer.steps + 1}, 2 pairs`, () => trainer.step()));
  await timed("save", () => trainer.save(output));
  await trainer.dispose();
  return { losses: steps.map(({ metrics }) => metrics.loss), norms: steps.map(({ metrics }) => metrics.gradientNorm) };
}

/** The largest log-ratio of a passage, of base and tuned model: above 0 once adapters have learned. */
async function readPair(device: Device, base: string, tuned: string, tokens: number): Promise<number> {
  const pair = {
    tuned: await loadModel(device, tuned, { prefix: "tuned." }),
    base: await loadModel(device, base, { prefix: "base." }),
  };
  const scorer = await LogRatioScorer.create(device, pair, { shape: [1, tokens], kl: true });
  const ids = randomIds(tokens, pair.base.config.vocabSize, Random.fromSeed(9));
  const [scores] = await scorer.score([ids]);
  await scorer.dispose();
  const ratios = scores?.logRatio.subarray(1) ?? new Float32Array();
  return ratios.reduce((most, ratio) => Math.max(most, Math.abs(ratio)), 0);
}

const { values: options } = parseArgs({
  options: { folder: { type: "string" }, tiny: { type: "boolean", default: false } },
});
const folder = options.folder ?? (await mkdtemp(join(tmpdir(), "lfp-large-")));
try {
  process.stdout.write(`${JSON.stringify(await measured(options.tiny ? tiny : gemma2b))}\n`);
} finally {
  // The weights are gigabytes: they do not stay behind where a part fails.
  if (options.folder === undefined) await rm(folder, { recursive: true });
}

async function measured(json: typeof gemma2b): Promise<object> {
  const [base, tuned] = [join(folder, "base"), join(folder, "tuned")];
  const isMade = (await stat(join(base, "config.json")).catch(() => undefined))?.isFile() === true;
  if (!isMade) await timed("make", () => makeCheckpoint(base, json));
  const device = await createCpuDevice(options.tiny ? { fixedFrom: 0 } : {});
  try {
    const { losses, norms } = await tune(device, base, tuned);
    const largestLogRatio = await timed("read 64 tokens by base and tuned", () => readPair(device, base, tuned, 64));
    const parameters = parametersOf(parseConfig(json, "config")).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
    return { name: "large", parameters, losses, norms, largestLogRatio, parts, peakGiB: await peakGiB() };
  } finally {
    await device.close();
  }
}
