import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { writeFileAtomically } from "../common/atomic-file.ts";
import { LfpError, messageOf } from "../common/errors.ts";
import { exists } from "../common/exists.ts";
import { parseJson } from "../common/json.ts";
import { byCodeUnit } from "../common/order.ts";
import { schemaProblems } from "../common/schema-problems.ts";
import { readTextFile } from "../common/text-file.ts";
import { visibleLine } from "../common/untrusted-text.ts";
import { openSafetensors, type TensorSource, writeSafetensors } from "../models/safetensors.ts";
import type { Familiarity } from "./familiarity.ts";
import type { LinearProbe } from "./linear-probe.ts";
import { type ProbeReport, probeReportSchema, type RegressionReport } from "./report-types.ts";
import type { WordFolds } from "./word-folds.ts";

const WEIGHTS = "weights.safetensors";
const DESCRIPTION = "probe.json";
const FAMILIARITY = "familiarity.safetensors";
const FOLDS = "folds.safetensors";

const scaleSchema = z.strictObject({ low: z.number(), high: z.number() }).nullable();

const descriptionSchema = z.strictObject({
  format: z.literal("lfp-probe/1"),
  /** Upper bound: the number of layers of the deepest model. */
  layers: z.array(z.strictObject({ layer: z.int().min(0), start: z.int().min(0), end: z.int().min(0) })).max(4096),
  deltaScale: scaleSchema,
  outputScale: scaleSchema,
  /** Further facts for a reader, such as model, encoder, lexicon and run. */
  about: z.record(z.string(), z.json()),
  testTriples: z.array(z.string()),
  wordFolds: z
    .strictObject({ outputScales: z.array(scaleSchema), words: z.record(z.string(), z.int().min(0)) })
    .optional(),
  report: z.preprocess(withKind, probeReportSchema),
});

/** A probe's folder cannot be used. */
export class ProbeFileError extends LfpError {
  readonly code = "input";
}

/** A probe with the evaluation of the same fit. */
export interface SavedProbe {
  readonly probe: LinearProbe;
  readonly report: ProbeReport;
  /** Ids of the held-out triples. */
  readonly testTriples: readonly string[];
  readonly about: Readonly<Record<string, z.infer<ReturnType<typeof z.json>>>>;
  /** Undefined if an earlier version fitted the probe. */
  readonly wordFolds?: WordFolds | undefined;
  /** Undefined if an earlier version fitted the probe. */
  readonly familiarity?: Familiarity | undefined;
}

/**
 * Writes a probe into a folder: `probe.json` and three tensor files.
 *
 * `weights.safetensors` has weight [F] and bias [1]; `folds.safetensors` weight [folds, F] and bias [folds];
 * `familiarity.safetensors` means [F], inverse [F (F + 1) / 2] and limit [1] (see `Familiarity`). `probe.json` has
 * layers, scales, split, seed and statistics.
 */
export async function saveProbe(
  folder: string,
  { probe, report, testTriples, about, wordFolds, familiarity }: SavedProbe,
): Promise<void> {
  const { layers, weights, intercept, deltaScale, outputScale } = probe;
  await mkdir(folder, { recursive: true });
  await writeSafetensors(join(folder, WEIGHTS), [
    { name: "weight", dtype: "F32", shape: [weights.length], data: weights },
    { name: "bias", dtype: "F32", shape: [1], data: Float32Array.of(intercept) },
  ]);
  if (familiarity !== undefined) await saveFamiliarity(folder, familiarity);
  if (wordFolds !== undefined) await saveFolds(folder, wordFolds, weights.length);
  const description = descriptionSchema.parse({
    format: "lfp-probe/1",
    layers,
    deltaScale,
    outputScale,
    about,
    testTriples,
    ...(wordFolds === undefined ? {} : { wordFolds: describeFolds(wordFolds) }),
    report,
  });
  const written = { ...description, report: withoutKind(description.report) };
  await writeFileAtomically(join(folder, DESCRIPTION), `${JSON.stringify(written, undefined, 2)}\n`);
}

/** Adds the kind to a report without one: it is a regression's. */
function withKind(report: unknown): unknown {
  return typeof report === "object" && report !== null && !("kind" in report)
    ? { kind: "regression", ...report }
    : report;
}

/** Removes the kind, the inverse of `withKind`: a regression's report keeps the format from before there were kinds. */
function withoutKind({ kind, ...report }: ProbeReport): object {
  return kind === "regression" ? report : { kind, ...report };
}

/** Reads what `saveProbe` wrote. Throws `ProbeFileError`, and what `openSafetensors` and its reads throw. */
export async function loadProbe(folder: string): Promise<SavedProbe> {
  const path = join(folder, DESCRIPTION);
  const { format: _, layers, deltaScale, outputScale, wordFolds: folds, ...rest } = await readDescription(path);
  checkSpans(layers, path);
  await using source = await openSafetensors(join(folder, WEIGHTS));
  const expected = layers.at(-1)?.end ?? 0;
  checkLength(source, "weight", expected);
  checkLength(source, "bias", 1);
  const weights = await source.readFloat32("weight", { requireFinite: true });
  const [intercept = 0] = await source.readFloat32("bias", { requireFinite: true });
  const familiarity = await loadFamiliarity(folder, expected);
  const wordFolds = folds === undefined ? undefined : await loadFolds(folder, folds, expected);
  return { probe: { layers, weights, intercept, deltaScale, outputScale }, wordFolds, familiarity, ...rest };
}

/** Reads a probe of word ratings. Throws `ProbeFileError` for one of another kind, and what `loadProbe` throws. */
export async function loadRegression(folder: string): Promise<SavedProbe & { readonly report: RegressionReport }> {
  const saved = await loadProbe(folder);
  const { report } = saved;
  if (report.kind === "regression") return { ...saved, report };
  throw new ProbeFileError(
    `${join(folder, DESCRIPTION)} is of a ${report.kind}; expected a regression on ratings of words, as runs on words make it`,
  );
}

/**
 * Checks that the layers' spans fill the columns in order: where two overlap or one is missing, a feature would
 * count twice or not at all.
 */
function checkSpans(layers: SavedProbe["probe"]["layers"], path: string): void {
  let [column, before] = [0, -1];
  for (const { layer, start, end } of layers) {
    if (layer <= before || start !== column || end <= start)
      throw new ProbeFileError(
        `${path}: layer ${layer} has the columns ${start} to ${end}; expected layers in ascending order, each with columns of its own from ${column} on; fit the probe again`,
      );
    [column, before] = [end, layer];
  }
}

/** Checks a tensor's length in the file's header, before reading its values. */
function checkLength({ path, tensors }: TensorSource, name: string, expected: number): void {
  const found = tensors.get(name)?.shape.reduce((product, length) => product * length, 1) ?? expected;
  if (found !== expected)
    throw new ProbeFileError(
      `${path} holds ${found} numbers as '${name}', but ${DESCRIPTION} beside it speaks of ${expected}; fit the probe again`,
    );
}

/** Adds the familiarity to the folder of a probe that an earlier version fitted without it. */
export async function saveFamiliarity(folder: string, { means, inverse, limit }: Familiarity): Promise<void> {
  await writeSafetensors(join(folder, FAMILIARITY), [
    { name: "means", dtype: "F32", shape: [means.length], data: means },
    { name: "inverse", dtype: "F32", shape: [inverse.length], data: inverse },
    { name: "limit", dtype: "F32", shape: [1], data: Float32Array.of(limit) },
  ]);
}

async function saveFolds(folder: string, { probes }: WordFolds, features: number): Promise<void> {
  const weights = new Float32Array(probes.length * features);
  for (const [fold, probe] of probes.entries()) weights.set(probe.weights, fold * features);
  await writeSafetensors(join(folder, FOLDS), [
    { name: "weight", dtype: "F32", shape: [probes.length, features], data: weights },
    {
      name: "bias",
      dtype: "F32",
      shape: [probes.length],
      data: Float32Array.from(probes, ({ intercept }) => intercept),
    },
  ]);
}

function describeFolds({ probes, foldOf }: WordFolds): NonNullable<z.infer<typeof descriptionSchema>["wordFolds"]> {
  return {
    outputScales: probes.map(({ outputScale }) => outputScale),
    words: Object.fromEntries([...foldOf].sort(([a], [b]) => byCodeUnit(a, b))),
  };
}

async function loadFolds(
  folder: string,
  { outputScales, words }: NonNullable<z.infer<typeof descriptionSchema>["wordFolds"]>,
  features: number,
): Promise<WordFolds> {
  const folds = outputScales.length;
  const foldOf = new Map(Object.entries(words));
  for (const [word, fold] of foldOf)
    if (fold >= folds)
      throw new ProbeFileError(
        `${join(folder, DESCRIPTION)}: the word '${visibleLine(word, 50)}' is read by fold ${fold}; expected one of 0 to ${folds - 1}, for there are ${folds} folds; fit the probe again`,
      );
  await using source = await openSafetensors(join(folder, FOLDS));
  checkLength(source, "weight", folds * features);
  checkLength(source, "bias", folds);
  const weights = await source.readFloat32("weight", { requireFinite: true });
  const intercepts = await source.readFloat32("bias", { requireFinite: true });
  const probes = outputScales.map((outputScale, fold) => ({
    weights: weights.slice(fold * features, (fold + 1) * features),
    intercept: intercepts[fold] ?? Number.NaN,
    outputScale,
  }));
  return { probes, foldOf };
}

async function loadFamiliarity(folder: string, features: number): Promise<Familiarity | undefined> {
  const path = join(folder, FAMILIARITY);
  if (!(await exists(path))) return undefined;
  await using source = await openSafetensors(path);
  checkLength(source, "means", features);
  checkLength(source, "inverse", (features * (features + 1)) / 2);
  checkLength(source, "limit", 1);
  const means = await source.readFloat32("means", { requireFinite: true });
  const inverse = await source.readFloat32("inverse", { requireFinite: true });
  const [limit = 0] = await source.readFloat32("limit", { requireFinite: true });
  return { means, inverse, limit };
}

async function readDescription(path: string): Promise<z.infer<typeof descriptionSchema>> {
  let json: unknown;
  try {
    json = parseJson(await readTextFile(path, "result"));
  } catch (cause) {
    throw new ProbeFileError(
      `${path} cannot be read: ${messageOf(cause)}. Give a folder that a run saved a probe in.`,
      {
        cause,
      },
    );
  }
  const parsed = descriptionSchema.safeParse(json);
  if (!parsed.success) throw new ProbeFileError(`${path} is no probe: ${schemaProblems(parsed.error)}`);
  return parsed.data;
}
