/**
 * `npm run bench:growth`: a training step, autoencoders and a reading of the lens, with tokens, layers, width, features and context doubled twice, one at a
 * time, each in a process of its own. Prints a Markdown table of time and memory beside the arithmetic, and says what grows faster than that.
 *
 *     npm run bench:growth -- [--only train|sae|read] [--threads N] [--json]
 *
 * The last line is `{"name":"growth","check":"ok","processor":...,"rows":[...]}`; `check` names what grows faster.
 */
import { availableParallelism, cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { z } from "zod";
import { adamW, trainingProgram } from "../../server/bench/engine.ts";
import { paragraphs } from "../../server/bench/lens.ts";
import { lensSubjectOf } from "../../server/bench/lens-subject.ts";
import { medianOf } from "../../server/bench/timing.ts";
import { Random } from "../../server/common/random.ts";
import { createCpuDevice } from "../../server/engine/cpu/device.ts";
import type { Device } from "../../server/engine/device.ts";
import { Lens } from "../../server/lens/lens.ts";
import { createModel } from "../../server/models/checkpoint.ts";
import { plainPositions } from "../../server/models/model.ts";
import { targetsOf } from "../../server/models/next-token-loss.ts";
import { saeConfigSchema } from "../../server/sae/config.ts";
import { createSaeTrainer } from "../../server/sae/trainer.ts";
import {
  dimensions,
  type Figures,
  type GrowthRow,
  growthTable,
  rowOf,
  type Sizes,
  sizesOf,
  V,
  type WorkName,
  works,
  workTable,
} from "./growth-table.ts";
import { lastLine } from "./last-line.ts";

const Measured = z.strictObject({ seconds: z.number(), cpuSeconds: z.number(), peakMB: z.number() });
/** Null: no work, to know what a process needs without any. */
const Order = z.strictObject({
  work: z.enum(works).nullable(),
  sizes: z.strictObject({
    tokens: z.number(),
    layers: z.number(),
    width: z.number(),
    features: z.number(),
    context: z.number(),
  }),
});

const { values } = parseArgs({
  options: {
    only: { type: "string", multiple: true, default: [] },
    threads: { type: "string", default: String(availableParallelism()) },
    json: { type: "boolean", default: false },
    one: { type: "string" },
  },
});

async function compareAll(): Promise<void> {
  const rows: GrowthRow[] = [];
  const idle = (await figuresOf(null, workTable.train.base, 0)).megabytes;
  for (const work of works) {
    if (values.only.length > 0 && !values.only.includes(work)) continue;
    const { base, doubled } = workTable[work];
    const figures = await figuresOf(work, base, idle);
    for (const dimension of dimensions.filter((one) => doubled.includes(one))) {
      for (const times of [2, 4]) {
        const grown = await figuresOf(work, sizesOf(work, dimension, times), idle);
        rows.push(rowOf(work, { dimension, times }, figures, grown));
      }
    }
  }
  const processor = `${cpus()[0]?.model ?? "unknown processor"}, ${values.threads} threads`;
  if (!values.json) console.log(`### ${processor}\n\n${growthTable(rows)}`);
  const faster = rows.flatMap(({ work, dimension, times, growsFaster }) =>
    growsFaster.map((what) => `${what} of ${work} with ${times} times the ${dimension}`),
  );
  const check = faster.length === 0 ? "ok" : `grows faster than the arithmetic: ${faster.join("; ")}`;
  console.log(JSON.stringify({ name: "growth", check, processor, rows }));
}

async function figuresOf(work: WorkName | null, sizes: Sizes, idleMB: number): Promise<Figures> {
  const order: z.infer<typeof Order> = { work, sizes };
  const file = fileURLToPath(import.meta.url);
  const line = await lastLine(process.execPath, [file, "--threads", values.threads, "--one", JSON.stringify(order)]);
  if (line === undefined) throw new Error(`a piece of work gave no figures: ${JSON.stringify(order)}`);
  const { seconds, cpuSeconds, peakMB } = Measured.parse(JSON.parse(line));
  return { seconds, cpuSeconds, megabytes: peakMB - idleMB };
}

async function measure({ work, sizes }: z.infer<typeof Order>): Promise<z.infer<typeof Measured>> {
  const device = await createCpuDevice({ threads: Number(values.threads) });
  const run = work === null ? async () => undefined : await prepared[work](device, sizes);
  const [seconds, cpuSeconds]: [number[], number[]] = [[], []];
  await run();
  for (let at = 0; at < repeats; at++) {
    const [start, used] = [performance.now(), process.cpuUsage()];
    await run();
    seconds.push((performance.now() - start) / 1000);
    const { user, system } = process.cpuUsage(used);
    cpuSeconds.push((user + system) / 1e6);
  }
  const peakMB = process.resourceUsage().maxRSS / 1024;
  await device.close();
  return { seconds: medianOf(seconds), cpuSeconds: medianOf(cpuSeconds), peakMB };
}

const repeats = 5;

/** Prepares each work; what it returns runs once. */
const prepared: {
  readonly [K in WorkName]: (device: Device, sizes: Sizes) => Promise<() => Promise<unknown>>;
} = {
  train: async (device, sizes) => {
    const model = await createModel(device, modelOf(sizes), Random.fromSeed(1));
    const shape = [sizes.tokens / sizes.context, sizes.context] as const;
    const ids = randomIds(sizes.tokens);
    const batch = { ids, positions: plainPositions(shape), targets: targetsOf(ids, shape) };
    const { optimizer, program } = await trainingProgram(device, model, shape);
    let step = 0;
    return () => program.run({ ...batch, ...optimizer.inputsAt(++step, adamW) });
  },
  sae: async (device, sizes) => {
    const random = Random.fromSeed(1);
    const model = await createModel(device, modelOf(sizes), random);
    const config = saeConfigSchema.parse({
      multiples: [sizes.features / sizes.width],
      batchTokens: 1024,
      bufferTokens: 4096,
      contextLength: sizes.context,
    });
    const texts = Array.from({ length: sizes.tokens / sizes.context }, () => randomIds(sizes.context));
    return async () => {
      const layers = Array.from({ length: sizes.layers }, (_, layer) => layer);
      const models = [{ name: "model", model }];
      const trainer = await createSaeTrainer({ device, models, site: "mlp-output", layers, config, texts, random });
      while ((await trainer.step()) !== undefined);
      await trainer.dispose();
    };
  },
  read: async (device, sizes) => {
    const subject = await lensSubjectOf(device, modelOf(sizes), sizes.features);
    const lens = new Lens(subject);
    const textOf = await paragraphs();
    let number = 0;
    return () => lens.read(textOf(sizes.tokens, ++number));
  },
};

function modelOf({ layers, width }: Sizes): Readonly<Record<string, unknown>> {
  return {
    model_type: "gpt_neox",
    rotary_pct: 0.25,
    use_parallel_residual: true,
    bos_token_id: 0,
    eos_token_id: 0,
    vocab_size: V,
    hidden_size: width,
    num_hidden_layers: layers,
    num_attention_heads: width / 64,
    intermediate_size: 4 * width,
    max_position_embeddings: 2048,
  };
}

function randomIds(count: number): Int32Array {
  const random = Random.fromSeed(2);
  return Int32Array.from({ length: count }, () => random.integer(V));
}

if (values.one === undefined) await compareAll();
else console.log(JSON.stringify(await measure(Order.parse(JSON.parse(values.one)))));
