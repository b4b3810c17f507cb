import { candidates, precisions, shapeClass } from "../../kernels/matmul/choose.ts";
import { describeVariant, type Variant } from "../../kernels/matmul/variants.ts";
import { messageOf } from "../common/errors.ts";
import { writeTuning } from "../common/tuning-file.ts";
import { KernelTimer } from "../engine/webgpu/kernel-timer.ts";
import { stateFolder } from "../pipeline/machine-queue.ts";
import { BenchCheckError } from "./bench-timing.ts";
import { type CommandResult, defineCommand } from "./command.ts";
import { UsageError } from "./errors.ts";
import {
  type ProductSizes,
  productSizeNames,
  productSizes,
  projectProducts,
  timeProduct,
  timingOf,
} from "./gpu-products.ts";
import { option } from "./options.ts";

export const tune = defineCommand({
  usage: "[options]",
  about:
    "Measures on this machine's GPU which kernels compute the matrix products of training, sampling and autoencoders fastest, and keeps " +
    "what is faster than the built-in choice in a file for this adapter, which every later command uses. Each kernel's results are checked " +
    "against the CPU before it is timed. Takes a few minutes; the file can be deleted at any time.",
  options: {
    shape: option.choice("SHAPE", "the model's size", productSizeNames, "pythia-70m"),
    precision: option.choice("PRECISION", "how exactly factors are taken", precisions, "f32"),
    adapter: option.text("NAME", "part of the name of the GPU, where there are several"),
    only: option.texts("PRODUCT", "measure only this product, by the name that the output gives it"),
    candidates: option.integer("kernels to try for each product, at most", 100, { min: 1 }),
  },
  run: async ({ options, env, signal, note }): Promise<CommandResult> => {
    const timer = await KernelTimer.open(options.adapter === undefined ? {} : { adapter: options.adapter });
    try {
      const found = await measureAll(timer, productSizes[options.shape], { ...options, signal, note });
      const better = Object.fromEntries(
        found.flatMap(({ key, best, gain }) => (gain > leastGain ? [[key, best] as const] : [])),
      );
      const file = await writeTuning(stateFolder(env), timer.traits, better);
      const products = found.map(({ name, best, gain, tflops }) => ({
        name,
        variant: describeVariant(best),
        gflops: Number((1000 * tflops).toPrecision(4)),
        gain: Math.round(100 * gain) / 100,
      }));
      const json = {
        name: "tune",
        check: "ok",
        adapter: timer.traits.description,
        precision: options.precision,
        file,
        stored: Object.keys(better).length,
        products,
      };
      return { json, text: asText(json) };
    } finally {
      await timer.close();
    }
  },
});

/** What is less than this much faster than the built-in choice may be so by chance. */
const leastGain = 1.03;

interface Found {
  readonly name: string;
  readonly key: string;
  readonly best: Variant;
  readonly tflops: number;
  /** Times as fast as the built-in choice. */
  readonly gain: number;
}

interface Work {
  readonly precision: (typeof precisions)[number];
  readonly only: readonly string[];
  readonly candidates: number;
  readonly signal: AbortSignal;
  readonly note: (line: string) => void;
}

async function measureAll(timer: KernelTimer, sizes: ProductSizes, work: Work): Promise<Found[]> {
  const found: Found[] = [];
  const products = projectProducts(sizes);
  for (const name of work.only)
    if (products[name] === undefined)
      throw new UsageError(`--only is ${JSON.stringify(name)}; expected one of ${Object.keys(products).join(", ")}`);
  for (const [name, shape] of Object.entries(products)) {
    if (work.only.length > 0 && !work.only.includes(name)) continue;
    work.signal.throwIfAborted();
    work.note(`timing ${name}: [${shape.batch} x ${shape.M}, ${shape.N}] over ${shape.K}`);
    const variants = candidates(shape, timer.adapter, work.precision).slice(0, work.candidates);
    const timing = { ...timingOf(timer), signal: work.signal };
    const timed = await timeProduct(timer, shape, variants, timing, (variant, reason) => {
      // The built-in choice has to be right; another one is not taken then.
      if (variant === variants[0]) throw reason;
      const what = reason instanceof BenchCheckError ? "computed wrongly" : "was refused";
      work.note(`${describeVariant(variant)} ${what} and is left out: ${messageOf(reason)}`);
    });
    const [first] = timed;
    const best = timed.toSorted((a, b) => a.seconds - b.seconds)[0];
    if (first === undefined || best === undefined) continue;
    const key = shapeClass(shape, work.precision);
    found.push({ name, key, best: best.variant, tflops: best.tflops, gain: first.seconds / best.seconds });
  }
  return found;
}

function asText(json: {
  readonly adapter: string;
  readonly precision: string;
  readonly file: string;
  readonly stored: number;
  readonly products: readonly { name: string; variant: string; gflops: number; gain: number }[];
}): string {
  const lines = json.products.map(
    ({ name, variant, gflops, gain }) =>
      `${name.padEnd(20)}${String(gflops).padStart(10)} GFLOP/s  ${gain.toFixed(2).padStart(5)} times the built-in choice: ${variant}`,
  );
  return [
    `${json.adapter}, ${json.precision}; checks passed`,
    ...lines,
    `${json.stored} kernels that are faster than the built-in choice are in ${json.file}`,
  ].join("\n");
}
