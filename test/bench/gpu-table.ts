/** What the GPU bench's figures come to beside PyTorch's on the same card: a table, and which of the goals are met. */
import { z } from "zod";

/** The last line of `lfp bench gpu --json`. */
export const OurFigures = z.object({
  adapter: z.string(),
  model: z.string(),
  precision: z.enum(["f32", "split", "half"]),
  products: z.array(z.object({ name: z.string(), tflops: z.number(), share: z.number().nullable() })),
  /** Products and steps that were wrong, or that the adapter did not take. */
  refused: z.array(z.object({ name: z.string(), reason: z.string() })),
  training: z.object({ milliseconds: z.number() }).optional(),
  sampling: z.object({ milliseconds: z.number() }).optional(),
  autoencoders: z.object({ milliseconds: z.number() }).optional(),
});
export type OurFigures = z.infer<typeof OurFigures>;

/** The last line of `pytorch_gpu.py`. */
export const TheirFigures = z.object({
  version: z.string(),
  device: z.string(),
  results: z.array(
    z.object({
      model: z.string(),
      products: z.enum(["float32", "tf32"]),
      matmulTflops: z.record(z.string(), z.number()),
      trainStepMs: z.number(),
      samplingSeconds: z.number(),
      samplingByFoursSeconds: z.number(),
      saeTiedStepMs: z.number(),
      saeUntiedStepMs: z.number(),
    }),
  ),
});
export type TheirFigures = z.infer<typeof TheirFigures>;

/** Figures of several shapes and precisions as Markdown. Without `theirs` the columns of PyTorch stay empty and its goals are not judged. */
export function gpuTable(ours: readonly OurFigures[], theirs: TheirFigures | undefined): string {
  const models = [...new Set(ours.map(({ model }) => model))];
  return models
    .map((model) => {
      const figures = ours.filter((one) => one.model === model);
      const pytorch = theirs?.results.filter((one) => one.model === model) ?? [];
      return [
        `### ${model} on ${figures[0]?.adapter ?? "no adapter"}`,
        "",
        `| | f32 | split | half | PyTorch${theirs === undefined ? "" : ` ${theirs.version}`}, float32 | the same, TF32 |`,
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        ...rows(figures, pytorch),
        "",
        ...goals(figures, pytorch).map(({ goal, verdict }) => `- ${goal}: ${verdict}`),
      ].join("\n");
    })
    .join("\n\n");
}

type Pytorch = TheirFigures["results"];

function rows(figures: readonly OurFigures[], pytorch: Pytorch): string[] {
  const at = (precision: OurFigures["precision"]): OurFigures | undefined =>
    figures.find((one) => one.precision === precision);
  const row = (
    name: string,
    ofOurs: (one: OurFigures) => string | undefined,
    ofTheirs: (one: Pytorch[number]) => string,
  ): string => {
    const cells = (["f32", "split", "half"] as const).map((precision) => {
      const one = at(precision);
      return (one && ofOurs(one)) ?? "";
    });
    const others = (["float32", "tf32"] as const).map((products) => {
      const one = pytorch.find((result) => result.products === products);
      return one === undefined ? "" : ofTheirs(one);
    });
    return `| ${[name, ...cells, ...others].join(" | ")} |`;
  };
  const names = [...new Set(figures.flatMap(({ products }) => products.map(({ name }) => name)))];
  return [
    ...names.map((name) =>
      row(
        `${name}, TFLOP/s (share of the peak)`,
        ({ products }) => productCell(products.find((one) => one.name === name)),
        ({ matmulTflops }) => short(matmulTflops[name]),
      ),
    ),
    row(
      "training step, ms",
      ({ training }) => short(training?.milliseconds),
      ({ trainStepMs }) => short(trainStepMs),
    ),
    row(
      "sampling, ms (PyTorch: one batch / four prompts at a time, as TRL does)",
      ({ sampling }) => short(sampling?.milliseconds),
      (one) => `${short(1000 * one.samplingSeconds)} / ${short(1000 * one.samplingByFoursSeconds)}`,
    ),
    row(
      "autoencoder step, ms (PyTorch: tied as ours / untied, as SAELens does)",
      ({ autoencoders }) => short(autoencoders?.milliseconds),
      (one) => `${short(one.saeTiedStepMs)} / ${short(one.saeUntiedStepMs)}`,
    ),
  ];
}

function productCell(product: OurFigures["products"][number] | undefined): string | undefined {
  if (product === undefined) return undefined;
  const share = product.share === null ? "" : ` (${(100 * product.share).toFixed(0)} %)`;
  return `${short(product.tflops)}${share}`;
}

interface Judged {
  readonly goal: string;
  readonly verdict: string;
}

/** The products that the goals are about: large enough to fill a card. */
const largeProducts = ["mlp", "mlpBack", "logits", "weightGradient"];

function goals(figures: readonly OurFigures[], pytorch: Pytorch): Judged[] {
  const f32 = figures.find(({ precision }) => precision === "f32");
  const half = figures.find(({ precision }) => precision === "half");
  const float32 = pytorch.find(({ products }) => products === "float32");
  return [
    { goal: "products in F32 over 50 % of the peak", verdict: shareVerdict(f32, 0.5) },
    { goal: "products of halves over 30 % of the peak", verdict: shareVerdict(half, 0.3) },
    {
      goal: "training step faster than PyTorch's, eager, float32",
      verdict: failureOf(f32, ["training"]) ?? ratioVerdict(f32?.training?.milliseconds, float32?.trainStepMs),
    },
    {
      goal: "sampling faster than TRL's way of working, float32",
      verdict:
        failureOf(f32, ["sampling"]) ??
        ratioVerdict(f32?.sampling?.milliseconds, float32 && 1000 * float32.samplingByFoursSeconds),
    },
    {
      goal: "autoencoders faster than SAELens's way of working, float32",
      verdict:
        failureOf(f32, ["autoencoders"]) ?? ratioVerdict(f32?.autoencoders?.milliseconds, float32?.saeUntiedStepMs),
    },
  ];
}

/** What is said of a goal one of whose parts was refused, whatever the others reach. */
function failureOf(figures: OurFigures | undefined, parts: readonly string[]): string | undefined {
  const refused = figures?.refused.find(({ name }) => parts.includes(name));
  return refused && `missed (${refused.name} failed: ${refused.reason})`;
}

function shareVerdict(figures: OurFigures | undefined, goal: number): string {
  const failure = failureOf(figures, largeProducts);
  if (failure !== undefined) return failure;
  const shares = figures?.products.filter(({ name, share }) => largeProducts.includes(name) && share !== null) ?? [];
  if (shares.length === 0) return "not measured";
  const least = shares.reduce((one, other) => ((other.share ?? 0) < (one.share ?? 0) ? other : one));
  const percent = (100 * (least.share ?? 0)).toFixed(0);
  return `${(least.share ?? 0) > goal ? "met" : "missed"} (${percent} % at least, of ${least.name})`;
}

function ratioVerdict(ourMs: number | undefined, theirMs: number | undefined): string {
  if (ourMs === undefined || theirMs === undefined) return "not measured";
  return `${ourMs < theirMs ? "met" : "missed"} (time ratio ${(ourMs / theirMs).toFixed(2)})`;
}

function short(value: number | undefined): string {
  return value === undefined ? "" : String(Number(value.toPrecision(3)));
}
