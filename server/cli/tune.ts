import { candidates, precisions, shapeClass } from "../../kernels/matmul/choose.ts";
import type { MatmulShape } from "../../kernels/matmul/shape.ts";
import { describeVariant, type Variant } from "../../kernels/matmul/variants.ts";
import {
  type ProductSizes,
  productSizeNames,
  productSizes,
  projectProducts,
  timeProduct,
  timingOf,
} from "../bench/gpu-products.ts";
import { BenchCheckError } from "../bench/timing.ts";
import { messageOf } from "../common/errors.ts";
import { stateFolder } from "../common/state-folder.ts";
import { TuningAttempts, writeTuning } from "../common/tuning-file.ts";
import { KernelTimer } from "../engine/webgpu/kernel-timer.ts";
import { type CommandResult, defineCommand } from "./command.ts";
import { UsageError } from "./errors.ts";
import { option } from "./options.ts";

export const tune = defineCommand({
  usage: "[options]",
  about:
    "Measures on this machine's GPU which kernels compute the matrix products of training, sampling and autoencoders fastest, and keeps " +
    "what is faster than the built-in choice in a file for this adapter, which every later command uses. Each kernel's results are checked " +
    "against the CPU before it is timed. What was found is kept product by product; a kernel that fails, or that lfp ended with the last time, is " +
    "left out. Takes a few minutes; the file can be deleted at any time.",
  options: {
    shape: option.choice("SHAPE", "the model's size", productSizeNames, "pythia-70m"),
    precision: option.choice("PRECISION", "how exactly factors are taken", precisions, "f32"),
    adapter: option.text("NAME", "part of the name of the GPU, where there are several"),
    only: option.texts("PRODUCT", "measure only this product, by the name that the output gives it"),
    candidates: option.integer("kernels to try for each product, at most", 100, { min: 1 }),
  },
  run: async ({ options, env, signal, note }): Promise<CommandResult> => {
    const timer = await KernelTimer.open(options.adapter === undefined ? {} : { adapter: options.adapter });
    const folder = stateFolder(env);
    const attempts = await TuningAttempts.open(folder, timer.traits);
    const file = await writeTuning(folder, timer.traits, {});
    try {
      const keep = async ({ key, best }: Found): Promise<void> => {
        await writeTuning(folder, timer.traits, { [key]: best });
      };
      const work = { ...options, signal, note, attempts, keep };
      const { found, failure } = await measureAll(timer, productSizes[options.shape], work);
      // The built-in choice must work: throw its failure only after all results are stored.
      if (failure !== undefined) throw failure;
      const products = found.map(({ name, best, gain, tflops }) => ({
        name,
        variant: describeVariant(best),
        gflops: Number((1000 * tflops).toPrecision(4)),
        gain: gain === null ? null : Math.round(100 * gain) / 100,
      }));
      const json = {
        name: "tune",
        check: "ok",
        adapter: timer.traits.description,
        precision: options.precision,
        file,
        stored: new Set(found.filter(isBetter).map(({ key }) => key)).size,
        products,
      };
      return { json, text: asText(json) };
    } finally {
      await attempts.end();
      await timer.close();
    }
  },
});

/** Minimum speed-up over the built-in choice; a smaller one may be due to chance. */
const leastGain = 1.03;

interface Found {
  readonly name: string;
  readonly key: string;
  readonly best: Variant;
  readonly tflops: number;
  /** Speed relative to the built-in choice; null if that one failed. */
  readonly gain: number | null;
}

function isBetter({ gain }: Found): boolean {
  return gain === null || gain > leastGain;
}

interface Work {
  readonly precision: (typeof precisions)[number];
  readonly only: readonly string[];
  readonly candidates: number;
  readonly signal: AbortSignal;
  readonly note: (line: string) => void;
  readonly attempts: TuningAttempts;
  /** Stores a result that is faster than the built-in choice. */
  readonly keep: (found: Found) => Promise<void>;
}

interface Measured {
  readonly found: readonly Found[];
  /** The first of the built-in choices that failed. */
  readonly failure: unknown;
}

/** Measures product by product and stores each result at once. */
async function measureAll(timer: KernelTimer, sizes: ProductSizes, work: Work): Promise<Measured> {
  const all: Found[] = [];
  let failure: unknown;
  const products = projectProducts(sizes);
  for (const name of work.only)
    if (products[name] === undefined)
      throw new UsageError(`--only is ${JSON.stringify(name)}; expected one of ${Object.keys(products).join(", ")}`);
  for (const [name, shape] of Object.entries(products)) {
    if (work.only.length > 0 && !work.only.includes(name)) continue;
    work.signal.throwIfAborted();
    work.note(`timing ${name}: [${shape.batch} x ${shape.M}, ${shape.N}] over ${shape.K}`);
    const found = await measureProduct(timer, { name, shape }, work, (reason) => {
      failure ??= reason;
    });
    if (found === undefined) continue;
    all.push(found);
    if (isBetter(found)) await work.keep(found);
  }
  return { found: all, failure };
}

/** Undefined if no variant could be timed. Calls `onFailure` with the reason if the built-in choice could not. */
async function measureProduct(
  timer: KernelTimer,
  { name, shape }: { readonly name: string; readonly shape: MatmulShape },
  { precision, candidates: most, signal, note, attempts }: Work,
  onFailure: (reason: unknown) => void,
): Promise<Found | undefined> {
  const key = shapeClass(shape, precision);
  const attemptOf = (variant: Variant): string => `${key}: ${describeVariant(variant)}`;
  const all = candidates(shape, timer.adapter, precision).slice(0, most);
  const variants = all.filter((variant) => !attempts.hasCrashed(attemptOf(variant)));
  for (const variant of all)
    if (!variants.includes(variant))
      note(
        `${describeVariant(variant)} is left out: lfp ended while it was tried; delete ${attempts.path} to try it again`,
      );
  const timed = await timeProduct(
    timer,
    shape,
    variants,
    { ...timingOf(timer), signal },
    {
      onTry: (variant) => attempts.begin(attemptOf(variant)),
      onRefused: (variant, reason) => {
        if (variant === all[0]) onFailure(reason);
        const what = reason instanceof BenchCheckError ? "computed wrongly" : "failed";
        note(`${describeVariant(variant)} ${what} and is left out: ${messageOf(reason)}`);
      },
    },
  );
  const best = timed.toSorted((a, b) => a.seconds - b.seconds)[0];
  if (best === undefined) return undefined;
  const first = timed.find(({ variant }) => variant === all[0]);
  const gain = first === undefined ? null : first.seconds / best.seconds;
  return { name, key, best: best.variant, tflops: best.tflops, gain };
}

function asText(json: {
  readonly adapter: string;
  readonly precision: string;
  readonly file: string;
  readonly stored: number;
  readonly products: readonly { name: string; variant: string; gflops: number; gain: number | null }[];
}): string {
  const lines = json.products.map(
    ({ name, variant, gflops, gain }) =>
      `${name.padEnd(20)}${String(gflops).padStart(10)} GFLOP/s  ${gain === null ? "the built-in choice failed" : `${gain.toFixed(2).padStart(5)} times the built-in choice`}: ${variant}`,
  );
  return [
    `${json.adapter}, ${json.precision}; checks passed`,
    ...lines,
    `${json.stored} kernels that are faster than the built-in choice are in ${json.file}`,
  ].join("\n");
}
