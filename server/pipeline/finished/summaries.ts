/**
 * Short summaries of stages for lists of runs, from a stage's output or log. Loads none of the stages, so that a list
 * need not wait for the training code.
 */

import { join } from "node:path";
import { z } from "zod";
import { parseJson } from "../../common/json.ts";
import { linesOf } from "../../common/lines.ts";
import { openRegular, readTextFile } from "../../common/text-file.ts";
import { Calibration } from "../../protocol/calibration.ts";
import { MeasuresLine, measuresBy } from "../../protocol/measures.ts";
import { chosenInWords } from "../chosen-layers.ts";

/**
 * The summary of a stage's output folder; null for a stage without one. `stage` is the stage's name, of which a plan
 * can have several. Throws `ZodError` or a file error when the output is not what the stage writes.
 */
export async function summariseStage(stage: string, folder: string): Promise<string | null> {
  return (await summaries[stage]?.(folder)) ?? null;
}

/** The summary of a running stage, from the last line of its metrics and the `first`; null for a stage without one. */
export function summariseMetrics(
  stage: string,
  line: Readonly<Record<string, unknown>>,
  first: unknown,
): string | null {
  if (stage === "tune" || stage === "tune-pairs") return stepInWords(line, first);
  const fve = Object.entries(line).flatMap(([name, value]) =>
    name.endsWith(".fve") && typeof value === "number" ? [value] : [],
  );
  return stage === "autoencoders" && fve.length > 0 ? `${explained(fve)} explained` : null;
}

const tuneManifest = z.object({
  settings: z.object({ reward: z.object({ edits: z.array(z.unknown()).optional() }) }),
});
const evaluation = z.object({ base: z.object({ mean: z.number() }), tuned: z.object({ mean: z.number() }) });
const pairEvaluation = z.object({ accuracy: z.object({ mean: z.number() }), margin: z.object({ mean: z.number() }) });
const counted = z.object({ pairs: z.int() });
const pairCounts = z.object({
  read: z.object({ data: z.object({ rows: z.int() }) }),
  sets: z.object({ tuning: counted, heldOut: counted, analysis: counted }),
});
const planted = z.object({ words: z.array(z.object({ word: z.string() })) });
const learned = z.object({
  statistics: z.object({ words: z.int(), tau: z.object({ value: z.number().nullable() }) }),
});
const divergence = z.object({
  measure: z.string(),
  choose: z.string(),
  layers: z.array(z.object({ layer: z.int() }).catchall(z.number())),
  chosen: z.array(z.int()),
});
const proportion = z.object({ share: z.number().nullable() });
const classified = z.object({
  report: z.object({
    kind: z.literal("classification"),
    probe: z.object({ accuracy: z.object({ value: z.number() }) }),
  }),
});
const probe = z.object({
  report: z.object({
    byWord: z.object({ probe: z.object({ signAccuracy: z.object({ positive: proportion, negative: proportion }) }) }),
  }),
});
const fitted = z.object({
  report: z.object({
    byWord: z.object({ probe: z.object({ kendall: z.object({ tau: z.number().nullable() }) }) }),
  }),
});
const quality = z.object({ saes: z.array(z.object({ fve: z.number(), l0: z.number() })) });

const summaries: Readonly<Record<string, (folder: string) => Promise<string>>> = {
  prepare: async (folder) => {
    const names = ["tuning", "held-out", "analysis"];
    const counts = await Promise.all(names.map((name) => countLines(join(folder, `${name}.jsonl`))));
    return names.map((name, at) => `${counts[at]} ${name}`).join(", ");
  },
  evaluate: async (folder) => {
    const { base, tuned } = await readJson(folder, "evaluation.json", evaluation);
    return `reward ${base.mean.toFixed(2)} to ${tuned.mean.toFixed(2)}`;
  },
  tune: async (folder) => {
    const { edits = [] } = (await readJson(folder, "manifest.json", tuneManifest)).settings.reward;
    const edited = edits.length === 0 ? "" : `, ${edits.length} ${edits.length === 1 ? "rating" : "ratings"} edited`;
    return `${await stepsOf(folder)}${edited}`;
  },
  "prepare-pairs": async (folder) => {
    const { read, sets } = await readJson(folder, "counts.json", pairCounts);
    const names = { tuning: "tuning", heldOut: "held-out", analysis: "analysis" } as const;
    const pairs = (Object.keys(names) as (keyof typeof names)[]).map((set) => `${sets[set].pairs} ${names[set]}`);
    return `${pairs.join(", ")} pairs of ${read.data.rows} rows`;
  },
  "tune-pairs": (folder) => stepsOf(folder),
  "evaluate-pairs": async (folder) => {
    const { accuracy, margin } = await readJson(folder, "evaluation.json", pairEvaluation);
    return `preference accuracy ${share(accuracy.mean)}, margin ${margin.mean.toFixed(2)} nats`;
  },
  learned: async (folder) => {
    const { words, tau } = (await readJson(folder, "learned.json", learned)).statistics;
    return `${words} words, tau-b with the ratings ${tau.value === null ? "undefined" : tau.value.toFixed(2)}`;
  },
  calibrate: async (folder) => {
    const { best, readings } = await readJson(folder, "calibration.json", Calibration);
    const auroc = best === null ? undefined : readings[best]?.words.auroc?.toFixed(2);
    return auroc === undefined ? "no reading finds planted words more often than chance" : `${best}: AUROC ${auroc}`;
  },
  plant: async (folder) => {
    const { words } = await readJson(folder, "planted.json", planted);
    return words.map(({ word }) => word).join(", ");
  },
  triples: async (folder) => `${await countLines(join(folder, "triples.jsonl"))} triples`,
  probe: async (folder) => {
    const read = (await readJson(folder, "probe.json", z.union([classified, probe]))).report;
    if ("kind" in read) return `held-out answers told right: ${share(read.probe.accuracy.value)}`;
    const { positive, negative } = read.byWord.probe.signAccuracy;
    const [right, wrong] = [positive, negative].map((one) => (one.share === null ? "none" : share(one.share)));
    return `signs of unseen words right: positive ${right}, negative ${wrong}`;
  },
  fitted: async (folder) => {
    const { tau } = (await readJson(folder, "probe.json", fitted)).report.byWord.probe.kendall;
    return `log-ratio of unseen words: ${tau === null ? "no order" : `tau-b ${tau.toFixed(2)}`}`;
  },
  divergence: async (folder) => chosenInWords(await readJson(folder, "divergence.json", divergence)),
  autoencoders: async (folder) => {
    const { saes } = await readJson(folder, "quality.json", quality);
    return `${saes.length} dictionaries: ${explained(saes.map(({ fve }) => fve))} explained`;
  },
};

/** The steps of a tuning, and its first measure over them. */
async function stepsOf(folder: string): Promise<string> {
  const lines = (await readTextFile(join(folder, "log.jsonl"), "result")).split("\n").filter((line) => line !== "");
  const [first, ...rest] = lines.map((line) => parseJson(line));
  const steps = MeasuresLine.safeParse(first).success ? rest : [first, ...rest];
  return `${steps.length} steps${overSteps(steps, first)}`;
}

/** A step of tuning, by its measures that have a short name. */
function stepInWords(line: Readonly<Record<string, unknown>>, first: unknown): string | null {
  const measured = measuresBy(first).flatMap(({ column, short }) => {
    const value = line[column];
    return short === undefined || typeof value !== "number" ? [] : [`${short} ${value.toFixed(2)}`];
  });
  return measured.length === 0 ? null : `step ${line["step"]}: ${measured.join(", ")}`;
}

/** The first such measure, from the first step to the last; empty if there is none. */
function overSteps(steps: readonly unknown[], first: unknown): string {
  const measure = measuresBy(first).find(({ short }) => short !== undefined);
  if (measure === undefined) return "";
  const row = z.looseObject({ [measure.column]: z.number() });
  const values = [steps[0], steps.at(-1)].map((step) => Number(row.parse(step)[measure.column]));
  return `, ${measure.short} ${values.map((value) => value.toFixed(2)).join(" to ")}`;
}

function explained(fve: readonly number[]): string {
  const [low, high] = [share(Math.min(...fve)), share(Math.max(...fve))];
  return low === high ? low : `${low} to ${high}`;
}

async function readJson<T>(folder: string, name: string, schema: z.ZodType<T>): Promise<T> {
  return schema.parse(parseJson(await readTextFile(join(folder, name), "result")));
}

function share(value: number): string {
  return `${Math.round(value * 100)} %`;
}

async function countLines(path: string): Promise<number> {
  let count = 0;
  await using handle = await openRegular(path);
  for await (const line of linesOf(handle.createReadStream({ encoding: "utf8", autoClose: false })))
    if (line !== "") count += 1;
  return count;
}
