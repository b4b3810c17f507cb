/**
 * The headline figures of a run, read from its stages' outputs without their whole schema: omits a figure that an output
 * lacks because the stage is older, newer or not in the plan. Reports over seeds and comparisons of runs show them.
 */

import { join } from "node:path";
import { parseJson } from "../../common/json.ts";
import { readTextFile } from "../../common/text-file.ts";
import { unlessMissing } from "../../runs/files.ts";
import {
  ablationChange,
  difference,
  doubledChange,
  interval,
  kendall,
  type Measured,
  meanOf,
  plain,
  plantedAuroc,
  type Reader,
  restoredChange,
  share,
  studiedMean,
  valued,
} from "./headline-readers.ts";

export type { Measured } from "./headline-readers.ts";

/**
 * The outputs that contain headline figures: stage ids, with the file of each. `calibration` is no stage of the run:
 * `lfp calibrate` writes it into the run's folder.
 */
export const headlineFiles = {
  evaluate: "evaluation.json",
  divergence: "divergence.json",
  probe: "probe.json",
  ablate: "ablation.json",
  learned: "learned.json",
  fitted: "probe.json",
  restore: "restore.json",
  autoencoders: "quality.json",
  similarity: "similarity.json",
  calibration: "calibration.json",
} as const;
export type HeadlineStage = keyof typeof headlineFiles;

/** Which direction of a figure is better; null where neither is. */
export type Better = "higher" | "lower" | null;

export interface Headline {
  readonly id: string;
  /** What it is, without its unit; understood without the figures beside it. */
  readonly name: string;
  /** Unit of its values. Empty for plain numbers, and for rewards, which are in the feedback's own units. */
  readonly unit: string;
  readonly better: Better;
  readonly stage: HeadlineStage;
  readonly read: Reader;
}

type Row = readonly [id: string, name: string, unit: string, better: Better, read: Reader];

/** The figures of each output, in the order in which a report shows them. A new output adds a row here. */
const figures: { readonly [S in HeadlineStage]: readonly Row[] } = {
  evaluate: [
    ["gain", "reward gained by tuning", "", "higher", interval("difference")],
    ["reward-base", "reward of the base model", "", null, interval("base")],
    ["reward-tuned", "reward of the tuned model", "", "higher", interval("tuned")],
    ["kl", "KL to the base", "nats a completion", null, interval("kl")],
    ["preference", "preference accuracy of learned reward", "share", "higher", interval("accuracy")],
    ["margin", "margin of chosen over rejected", "nats", "higher", interval("margin")],
    ["preference-loss", "change of the preference loss", "", "lower", interval("lossBy.change")],
    ["likelihood", "change of pairs with chosen likelier", "share", "higher", interval("likelihood.change")],
  ],
  divergence: [
    ["moved", "relative change of studied layers' weights", "", null, studiedMean("relative")],
    ["moved-mlp", "L2 change of the studied layers' MLPs", "", null, studiedMean("mlpOnly")],
  ],
  probe: [
    ["tau-triple", "probe by triple, tau-b", "", "higher", kendall("report.byTriple.probe.kendall")],
    ["tau", "probe by word, tau-b", "", "higher", kendall("report.byWord.probe.kendall")],
    ["tau-base", "base features by word, tau-b", "", null, kendall("report.byWord.baseModel.kendall")],
    ["tau-raw", "raw activations by word, tau-b", "", null, kendall("report.byWord.rawActivations.kendall")],
    ["tau-embedding", "token embeddings by word, tau-b", "", null, kendall("report.byWord.staticEmbedding.kendall")],
    [
      "tau-beyond-base",
      "tau-b by word, tuned less base features",
      "",
      "higher",
      difference("report.byWord.differences.baseModel"),
    ],
    ["auroc", "probe by word, AUROC of the sign", "", "higher", valued("report.byWord.probe.auroc")],
    [
      "signs-positive",
      "probe by word, positive signs right",
      "share",
      "higher",
      share("report.byWord.probe.signAccuracy.positive"),
    ],
    [
      "signs-negative",
      "probe by word, negative signs right",
      "share",
      "higher",
      share("report.byWord.probe.signAccuracy.negative"),
    ],
    ["answers", "probe, held-out answers told right", "share", "higher", valued("report.probe.accuracy")],
    ["answers-auroc", "probe, held-out answers, AUROC", "", "higher", valued("report.probe.auroc")],
    ["answers-length", "answers by their length alone, AUROC", "", null, valued("report.baselines.length.auroc")],
    ["answers-base", "answers by base features, AUROC", "", null, valued("report.baselines.baseModel.auroc")],
    [
      "answers-beyond-base",
      "AUROC of answers, tuned less base features",
      "",
      "higher",
      valued("report.differences.baseModel"),
    ],
  ],
  learned: [
    ["learned-tau", "learned lexicon, tau-b with the rating", "", "higher", valued("statistics.tau")],
    ["learned-auroc", "learned lexicon, AUROC of the sign", "", "higher", valued("statistics.auroc")],
  ],
  fitted: [
    ["fitted-tau", "fitted log-ratio by word, tau-b", "", "higher", kendall("report.byWord.probe.kendall")],
    [
      "fitted-r2",
      "fitted log-ratio by word, R²",
      "",
      "higher",
      plain("report.byWord.probe.agreement.r2", "report.byWord.probe.agreement.r2Interval"),
    ],
    ["fitted-tau-base", "fitted log-ratio, base features, tau-b", "", null, kendall("report.byWord.baseModel.kendall")],
  ],
  ablate: [
    ["ablation", "change by the ablation", "", null, ablationChange],
    ["beyond-random", "change by the ablation beyond random", "", null, interval("set.beyondRandom")],
    ["ablation-loss", "loss by the ablation beyond random", "nats", "lower", interval("set.random.loss.beyond")],
    ["ablation-gain", "change of the gain by the ablation", "", null, interval("set.base.gain")],
    ["doubled", "change with the set doubled", "", null, doubledChange],
  ],
  restore: [
    ["restore-attention", "reward change with attention put back", "", null, restoredChange("attention")],
    ["restore-mlp", "reward change with studied MLPs put back", "", null, restoredChange("mlp")],
    ["restore-head", "reward change with the head put back", "", null, restoredChange("head")],
  ],
  autoencoders: [
    ["fve", "variance explained by the dictionaries", "share", "higher", meanOf("saes", "fve")],
    ["recovered", "loss recovered by the dictionaries", "share", "higher", meanOf("saes", "lossRecovered")],
    ["l0", "active features a token", "", null, meanOf("saes", "l0")],
    ["dead", "dead features of a dictionary", "", "lower", meanOf("saes", "dead")],
    ["mmcs", "mean max cosine of the two sizes", "", "higher", meanOf("similarities", "meanMaxCosine")],
  ],
  similarity: [["mmcs-random", "mean max cosine with random directions", "", null, meanOf("baselines", "withRandom")]],
  calibration: [
    ["planted-log-ratio", "planted words by log-ratio, AUROC", "", "higher", plantedAuroc("logRatio")],
    ["planted-fitted", "planted words by fitted log-ratio, AUROC", "", "higher", plantedAuroc("fittedLogRatio")],
    ["planted-triple", "planted words by probe by triple, AUROC", "", "higher", plantedAuroc("probeByTriple")],
    ["planted-word", "planted words by probe by word, AUROC", "", "higher", plantedAuroc("probeByWord")],
    ["planted-difference", "planted words by tuned minus base, AUROC", "", "higher", plantedAuroc("tunedMinusBase")],
  ],
};

/** The outputs with headline figures, in the order of the table. */
export const headlineStages = Object.keys(figures) as readonly HeadlineStage[];

/** Every headline figure, in the order in which a report shows them. */
export const headlines: readonly Headline[] = headlineStages.flatMap((stage) =>
  figures[stage].map(([id, name, unit, better, read]) => ({ id, name, unit, better, stage, read })),
);

/** A figure's name with its unit. */
export function titleOf({ name, unit }: Pick<Headline, "name" | "unit">): string {
  return unit === "" ? name : `${name}, ${unit}`;
}

/** The files that contain headline figures, for the stages that a run has; `outputOf` gives a stage's output folder. */
export function headlinePaths(
  outputOf: (stage: HeadlineStage) => string | undefined,
): { readonly stage: HeadlineStage; readonly path: string }[] {
  return headlineStages.flatMap((stage) => {
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
