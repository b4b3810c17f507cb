/**
 * The headline figures of a finished run, read from its stages' outputs without their whole schema: omits a figure that
 * an output lacks because the stage is older, newer or not in the plan.
 */

import { join } from "node:path";
import { z } from "zod";
import { parseJson } from "../../common/json.ts";
import { readTextFile } from "../../common/text-file.ts";
import { unlessMissing } from "../../runs/files.ts";

/** The outputs that contain headline figures: stage ids, with the file of each. */
export const headlineFiles = {
  evaluate: "evaluation.json",
  autoencoders: "quality.json",
  probe: "probe.json",
  ablate: "ablation.json",
  learned: "learned.json",
  fitted: "probe.json",
  restore: "restore.json",
  similarity: "similarity.json",
} as const;
export type HeadlineStage = keyof typeof headlineFiles;

/** A figure with the 95 % interval within its run, where there is one. */
export interface Measured {
  readonly value: number;
  readonly low: number | null;
  readonly high: number | null;
}

export interface Headline {
  readonly id: string;
  readonly name: string;
  readonly stage: HeadlineStage;
  /** Returns undefined if the output lacks the figure. */
  readonly read: (output: unknown) => Measured | undefined;
}

const kendall = (path: string) => (output: unknown) =>
  measured(output, `${path}.tau`, `${path}.interval.low`, `${path}.interval.high`);
const interval = (path: string) => (output: unknown) => measured(output, `${path}.mean`, `${path}.low`, `${path}.high`);
const difference = (path: string) => (output: unknown) =>
  measured(output, `${path}.difference`, `${path}.interval.low`, `${path}.interval.high`);
const share = (path: string) => (output: unknown) => measured(output, `${path}.share`, `${path}.low`, `${path}.high`);
const valued = (path: string) => (output: unknown) => measured(output, `${path}.value`, `${path}.low`, `${path}.high`);

/** Every headline figure, in the order in which a report shows them. */
export const headlines: readonly Headline[] = [
  { id: "gain", name: "reward gained by tuning", stage: "evaluate", read: interval("difference") },
  { id: "kl", name: "KL to the base, nats a completion", stage: "evaluate", read: interval("kl") },
  {
    id: "preference",
    name: "preference accuracy of the learned reward",
    stage: "evaluate",
    read: interval("accuracy"),
  },
  { id: "margin", name: "margin of chosen over rejected, nats", stage: "evaluate", read: interval("margin") },
  { id: "preference-loss", name: "change of the preference loss", stage: "evaluate", read: interval("lossBy.change") },
  {
    id: "likelihood",
    name: "change of the share of chosen answers that are likelier",
    stage: "evaluate",
    read: interval("likelihood.change"),
  },
  { id: "tau-triple", name: "probe by triple, tau-b", stage: "probe", read: kendall("report.byTriple.probe.kendall") },
  { id: "tau", name: "probe by word, tau-b", stage: "probe", read: kendall("report.byWord.probe.kendall") },
  {
    id: "tau-base",
    name: "the same on the base model's features",
    stage: "probe",
    read: kendall("report.byWord.baseModel.kendall"),
  },
  {
    id: "tau-raw",
    name: "the same on raw activations",
    stage: "probe",
    read: kendall("report.byWord.rawActivations.kendall"),
  },
  {
    id: "tau-embedding",
    name: "the same on the base model's token embeddings",
    stage: "probe",
    read: kendall("report.byWord.staticEmbedding.kendall"),
  },
  {
    id: "tau-beyond-base",
    name: "tau-b by word, tuned less base model's features",
    stage: "probe",
    read: difference("report.byWord.differences.baseModel"),
  },
  {
    id: "signs-positive",
    name: "probe by word, signs of positive words right",
    stage: "probe",
    read: share("report.byWord.probe.signAccuracy.positive"),
  },
  {
    id: "signs-negative",
    name: "probe by word, signs of negative words right",
    stage: "probe",
    read: share("report.byWord.probe.signAccuracy.negative"),
  },
  {
    id: "answers",
    name: "probe, held-out answers told right",
    stage: "probe",
    read: valued("report.probe.accuracy"),
  },
  {
    id: "answers-auroc",
    name: "the same, AUROC",
    stage: "probe",
    read: valued("report.probe.auroc"),
  },
  {
    id: "answers-length",
    name: "the same by the answers' length alone, AUROC",
    stage: "probe",
    read: valued("report.baselines.length.auroc"),
  },
  {
    id: "answers-base",
    name: "the same on the base model's features, AUROC",
    stage: "probe",
    read: valued("report.baselines.baseModel.auroc"),
  },
  {
    id: "answers-beyond-base",
    name: "AUROC of answers, tuned less base model's features",
    stage: "probe",
    read: valued("report.differences.baseModel"),
  },
  {
    id: "learned-tau",
    name: "learned lexicon, tau-b with the rating",
    stage: "learned",
    read: valued("statistics.tau"),
  },
  {
    id: "learned-auroc",
    name: "learned lexicon, AUROC of the sign",
    stage: "learned",
    read: valued("statistics.auroc"),
  },
  {
    id: "fitted-tau",
    name: "fitted log-ratio by word, tau-b with the log-ratio",
    stage: "fitted",
    read: kendall("report.byWord.probe.kendall"),
  },
  {
    id: "fitted-tau-base",
    name: "the same on the base model's features",
    stage: "fitted",
    read: kendall("report.byWord.baseModel.kendall"),
  },
  { id: "ablation", name: "reward change by the ablation", stage: "ablate", read: ablationChange },
  { id: "beyond-random", name: "the same beyond random features", stage: "ablate", read: interval("set.beyondRandom") },
  {
    id: "ablation-loss",
    name: "loss by the ablation beyond random features",
    stage: "ablate",
    read: interval("set.random.loss.beyond"),
  },
  {
    id: "ablation-gain",
    name: "change of the gain by the ablation",
    stage: "ablate",
    read: interval("set.base.gain"),
  },
  { id: "doubled", name: "reward change with the set doubled", stage: "ablate", read: doubledChange },
  ...(["attention", "mlp", "head"] as const).map((part): Headline => {
    const names = { attention: "attention", mlp: "the studied MLPs", head: "the head" };
    return {
      id: `restore-${part}`,
      name: `reward change with ${names[part]} put back`,
      stage: "restore",
      read: (output) => restoredChange(output, part),
    };
  }),
  {
    id: "fve",
    name: "variance explained, tuned model's dictionaries",
    stage: "autoencoders",
    read: (output) => meanOf(output, "saes", "fve"),
  },
  {
    id: "mmcs",
    name: "mean max cosine of the two sizes, tuned model",
    stage: "autoencoders",
    read: (output) => meanOf(output, "similarities", "meanMaxCosine"),
  },
  {
    id: "mmcs-random",
    name: "mean max cosine of the small one with random directions",
    stage: "similarity",
    read: (output) => meanOf(output, "baselines", "withRandom"),
  },
];

/** The files that contain headline figures, for the stages that a run has; `outputOf` gives a stage's output folder. */
export function headlinePaths(
  outputOf: (stage: HeadlineStage) => string | undefined,
): { readonly stage: HeadlineStage; readonly path: string }[] {
  return [...new Set(headlines.map(({ stage }) => stage))].flatMap((stage) => {
    const folder = outputOf(stage);
    return folder === undefined ? [] : [{ stage, path: join(folder, headlineFiles[stage]) }];
  });
}

/**
 * One run's headline figures, by headline id; `files` has the path of each existing stage's file. Throws when a file is
 * not JSON.
 */
export async function readHeadlines(
  files: Partial<Readonly<Record<HeadlineStage, string>>>,
): Promise<Record<string, Measured>> {
  const outputs = new Map<string, unknown>();
  for (const [stage, path] of Object.entries(files)) {
    const text = await unlessMissing(readTextFile(path, "stage output"));
    if (text !== undefined) outputs.set(stage, parseJson(text));
  }
  return Object.fromEntries(
    headlines.flatMap(({ id, stage, read }) => {
      const found = read(outputs.get(stage));
      return found === undefined ? [] : [[id, found]];
    }),
  );
}

function doubledChange(output: unknown): Measured | undefined {
  const beside = z.array(z.unknown()).safeParse(at(output, "beside")).data ?? [];
  const isDoubled = (one: unknown): boolean => {
    const features = z.array(z.object({ factor: z.number() })).safeParse(at(one, "result.features")).data ?? [];
    return features.length > 0 && features.every(({ factor }) => factor === 2);
  };
  const result = at(beside.find(isDoubled), "result");
  return ablationChange({ set: result });
}

function ablationChange(output: unknown): Measured | undefined {
  const conditions = z.array(z.unknown()).safeParse(at(output, "set.conditions")).data ?? [];
  return interval("reward.change")(conditions.find((condition) => at(condition, "kind") === "this"));
}

/** The change for a part: for MLPs the studied layers' row if the run does not study all; other parts have one row. */
function restoredChange(output: unknown, part: string): Measured | undefined {
  const parts = z.array(z.unknown()).safeParse(at(output, "parts")).data ?? [];
  const own = parts.filter((one) => at(one, "part") === part);
  return interval("change")(own.find((one) => at(one, "studied") === true) ?? own[0]);
}

/** The mean over the tuned model's entries of a list, without an interval: the spread over layers is not one. */
function meanOf(output: unknown, list: string, field: string): Measured | undefined {
  const entries = z.array(z.unknown()).safeParse(at(output, list)).data ?? [];
  const values = entries.flatMap((entry) => {
    const value = at(entry, field);
    return at(entry, "model") === "tuned" && typeof value === "number" ? [value] : [];
  });
  if (values.length === 0) return undefined;
  return { value: values.reduce((sum, value) => sum + value, 0) / values.length, low: null, high: null };
}

function measured(output: unknown, value: string, low: string, high: string): Measured | undefined {
  const found = at(output, value);
  if (typeof found !== "number") return undefined;
  const end = (path: string): number | null => {
    const number = at(output, path);
    return typeof number === "number" ? number : null;
  };
  return { value: found, low: end(low), high: end(high) };
}

/** The value at a path `a.b.c`; undefined if the path does not exist. */
function at(value: unknown, path: string): unknown {
  let found = value;
  for (const name of path.split(".")) {
    if (typeof found !== "object" || found === null || !Object.hasOwn(found, name)) return undefined;
    found = Object.entries(found).find(([key]) => key === name)?.[1];
  }
  return found;
}
