import { z } from "zod";
import { Random } from "../common/random.ts";
import type { Device } from "../engine/device.ts";
import type { Model } from "../models/model.ts";
import type { Tokenizer } from "../models/tokenizer.ts";
import { collectFeatures, rawActivations } from "../probe/collect.ts";
import { type Floats, largestDifference } from "../probe/features.loops.ts";
import { tripleFeatures } from "../probe/features.ts";
import type { ProbeData } from "../probe/probe-data.ts";
import { evaluateProbe } from "../probe/regression.ts";
import { defaultProbeSettings } from "../probe/report-types.ts";
import { type RowMatrix, rowMatrix } from "../statistics/linear-algebra.ts";
import { type LinearModel, predictLinear } from "../statistics/linear-model.ts";
import { fitRidge } from "../statistics/ridge.ts";
import { spansOf } from "../tasks/contrast.ts";
import type { Triple } from "../tasks/task.ts";

/** One line of `lfp bench probe --json`. Times are wall-clock seconds. */
export const probeBenchSchema = z.strictObject({
  name: z.literal("probe"),
  /** "ok", or what is wrong: speed counts only with correct results. */
  check: z.string(),
  device: z.string(),
  triples: z.int(),
  features: z.int(),
  /** Versions of triples, run up to their target word. */
  collectTextsPerSecond: z.number(),
  /** All fits, controls and statistics of both splits on those triples. */
  evaluationSeconds: z.number(),
  ridgeRows: z.int(),
  ridgeColumns: z.int(),
  ridgeSeconds: z.number(),
  ridgeGflops: z.number(),
  peakRssMB: z.int(),
});

export type ProbeBench = z.infer<typeof probeBenchSchema>;

export interface ProbeBenchOptions {
  readonly device: Device;
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  readonly triples: readonly Triple[];
  readonly ratings: ProbeData["ratings"];
  readonly prefixIds?: readonly number[];
  /** Size of the ridge problem; default 4,000 x 1,280. */
  readonly ridge?: { readonly rows: number; readonly columns: number };
}

/**
 * Times collection, a ridge fit and the whole evaluation, and checks them: batching against single runs, the fit
 * against its own optimum.
 */
export async function benchProbe(options: ProbeBenchOptions): Promise<ProbeBench> {
  const { device, model, triples, ratings, ridge = { rows: 4000, columns: 1280 } } = options;
  const collection = {
    ...options,
    layers: Array.from({ length: model.config.layers }, (_, layer) => layer),
    encoders: { raw: rawActivations({ siteAt: () => "mlp-output" }) },
    multiToken: "average" as const,
  };
  // A warm-up, so that everything compiled on first use is compiled.
  const alone = await collectFeatures(spansOf(triples.slice(0, 1)), collection);
  const [batched, collectSeconds] = await timed(() => collectFeatures(spansOf(triples), collection));
  const worst = Math.max(
    ...[0, 1, 2].map((version) =>
      largestDifference(rowOf(alone.raw.rows, version), rowOf(batched.raw.rows, version * triples.length)),
    ),
  );
  const [, evaluationSeconds] = await timed(() =>
    evaluateProbe({ triples, ratings, features: tripleFeatures(batched.raw) }, defaultProbeSettings),
  );
  const problem = ridgeProblem(ridge);
  const [fit, ridgeSeconds] = await timed(async () => fitRidge(problem.features, problem.targets));
  const slope = slopeAt(fit, problem);
  const checks = [
    ...(worst <= 1e-4 ? [] : [`a text in a batch differs from the same text alone by ${worst}`]),
    ...(slope <= 1e-9 ? [] : [`the ridge fit is not at its optimum: slope ${slope}`]),
  ];
  return {
    name: "probe",
    check: checks.length === 0 ? "ok" : checks.join("; "),
    device: device.kind,
    triples: triples.length,
    features: batched.raw.rows.columns,
    collectTextsPerSecond: (3 * triples.length) / collectSeconds,
    evaluationSeconds,
    ridgeRows: ridge.rows,
    ridgeColumns: ridge.columns,
    ridgeSeconds,
    ridgeGflops: (ridge.rows * ridge.columns ** 2 + ridge.columns ** 3 / 3) / ridgeSeconds / 1e9,
    peakRssMB: Math.round(process.resourceUsage().maxRSS / 1024),
  };
}

interface RidgeProblem {
  readonly features: RowMatrix;
  readonly targets: Float64Array;
}

async function timed<T>(work: () => Promise<T>): Promise<[result: T, seconds: number]> {
  const start = performance.now();
  const result = await work();
  return [result, (performance.now() - start) / 1000];
}

/** A ridge problem with dense features, the slow case. */
function ridgeProblem({ rows, columns }: { rows: number; columns: number }): RidgeProblem {
  const random = Random.fromSeed(1);
  const data = new Float32Array(rows * columns).map(() => random.uniform() - 0.5);
  return { features: rowMatrix(data, rows, columns), targets: new Float64Array(rows).map(() => random.normal()) };
}

/** The largest partial derivative of the ridge objective (alpha 1) at a model, relative to that at weight 0. */
function slopeAt(model: LinearModel, { features, targets }: RidgeProblem): number {
  const errors = predictLinear(model, features).map((value, row) => (targets[row] ?? Number.NaN) - value);
  const slope = new Float64Array(features.columns);
  const scale = new Float64Array(features.columns);
  for (let row = 0; row < features.rows; row++) {
    for (let column = 0; column < features.columns; column++) {
      const value = features.data[row * features.columns + column] ?? Number.NaN;
      slope[column] = (slope[column] ?? 0) + value * (errors[row] ?? 0);
      scale[column] = (scale[column] ?? 0) + Math.abs(value * (errors[row] ?? 0));
    }
  }
  const relative = slope.map((sum, column) => Math.abs(sum - (model.weights[column] ?? 0)) / (scale[column] ?? 1));
  return relative.reduce((most, value) => Math.max(most, value), 0);
}

function rowOf({ data, columns }: RowMatrix, row: number): Floats {
  return data.subarray(row * columns, (row + 1) * columns);
}
