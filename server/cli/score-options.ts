/** Options of `lfp score`, for both its uses: through a run, and through two models. */
import type { CutOptions } from "../lens/document-passages.ts";
import { pairModes } from "../lens/values.ts";
import { siteNames } from "../models/sites.ts";
import type { Given } from "./command.ts";
import { downloadOption } from "./download.ts";
import { UsageError } from "./errors.ts";
import { option } from "./options.ts";
import { deviceOptions } from "./with-device.ts";

export const scoreModes = [
  "implicit",
  "true",
  "disagreement",
  "tuned-minus-base",
  "feature",
  "ablated-minus-not",
  "fitted",
  ...pairModes,
] as const;
export type ScoreMode = (typeof scoreModes)[number];

export const scoreOptions = {
  run: option.text("RUN", "the folder of a finished run; by default the starter's, which comes with lfp"),
  tuned: option.text(
    "MODEL",
    "with --base, instead of --run: a tuned model, as a folder (of adapters, too) or a hub id (owner/name)",
  ),
  base: option.text("MODEL", "the model that --tuned was tuned from: `starter`, a folder or a hub id"),
  text: option.text("TEXT", "a text to read instead of FILE"),
  columns: option.text(
    "NAMES",
    "the columns of a table (.csv, .tsv) to read, with commas between them; by default those that hold texts",
  ),
  pairs: option.flag(
    "read FILE as preferences (.jsonl, .csv, .parquet, also .gz): the margin of each pair of answers, each given its prompt",
  ),
  beta: option.text(
    "X",
    "with --pairs: times which a log-ratio is the implicit reward; by default that of the run's DPO, and 1 where none is known",
  ),
  mode: option.oneOf(
    "MODE",
    "what the value of a token is",
    scoreModes,
    "implicit, with --tuned learned; without a run there are learned and kl only",
  ),
  feature: option.text("ID", "with --mode feature: which, such as L4/F43, L4/F43@big or base:L4/F43; with --sae, F43"),
  sae: option.text(
    "FOLDER",
    "with --tuned and --base: a dictionary that someone trained (SAELens, Gemma Scope, sparsify, dictionary_learning); both models are read through it",
  ),
  layer: option.text("N", "with --sae: the layer that it encodes, where its files do not say"),
  site: option.oneOf(
    "SITE",
    "with --sae: what it encodes of the layer",
    siteNames,
    "what its files say, else mlp-output",
  ),
  ablation: option.text("FILE", "an ablation set (*.lfp-ablation.json), applied to the tuned model"),
  download: downloadOption,
  bos: option.flag(
    "with --tuned: put the begin-of-text token before every text; by default it is put there where the tokenizer does so itself, and for the starter",
  ),
  "no-bos": option.flag("with --tuned: put none there"),
  out: option.text(
    "FILE",
    "write every token's numbers (with --pairs every pair's) to FILE, as JSON Lines (.jsonl) or CSV (.csv)",
  ),
  export: option.text("FILE", "write the lens as one ONNX file (token ids to features and rewards)"),
  color: option.choice(
    "WHEN",
    "colour the text in the terminal, else print a table",
    ["auto", "always", "never"],
    "auto",
  ),
  rows: option.integer("the most tokens or pairs that the terminal is shown", 400, { min: 1 }),
  ...deviceOptions,
};

export type ScoreGiven = Given<typeof scoreOptions>;

/** A text to read, with what says how it is cut into passages. */
export interface ScoreDocument extends Omit<CutOptions, "template"> {
  readonly text: string;
}

/**
 * Rejects conflicting options: a run and two models, one model alone, and options of the one use in the other. Throws
 * `UsageError`.
 */
export function refuseMixture({ options: chosen }: Pick<ScoreGiven, "options">): void {
  const { tuned, base } = chosen;
  const refuse = (names: readonly (keyof typeof chosen)[], why: string): void => {
    for (const name of names) {
      const value = chosen[name];
      if (value !== undefined && value !== false) throw new UsageError(`--${name} ${why}`);
    }
  };
  if (chosen.pairs) refuse(["text", "mode", "feature", "export", "columns", "sae"], "does not go with --pairs");
  else refuse(["beta"], "goes with --pairs");
  if (tuned === undefined && base === undefined) {
    refuse(["download", "bos", "no-bos", "sae"], "goes with --tuned and --base");
    refuse(["layer", "site"], "goes with --sae");
    return;
  }
  if (tuned === undefined || base === undefined)
    throw new UsageError(
      `--${tuned === undefined ? "tuned" : "base"} MODEL is missing: --tuned and --base name the two models that are compared`,
    );
  refuse(["run"], "RUN does not go with --tuned and --base: texts are read through a run or through two models");
  if (chosen.sae === undefined) {
    refuse(["layer", "site"], "goes with --sae");
    refuse(["feature"], "needs a run (--run RUN) or a dictionary (--sae FOLDER)");
  }
  refuse(["ablation", "export"], "needs a run (--run RUN), and does not go with --tuned and --base");
  if (chosen.bos && chosen["no-bos"]) throw new UsageError("--bos and --no-bos were both given; one of them at most");
}

/** The meaning of colours, for the modes whose name alone does not say what is positive. */
export const legends: Readonly<Partial<Record<ScoreMode, string>>> = {
  fitted: "fitted, in nats (what features explain of the log-ratio; blue: tuning made such tokens likelier)",
  learned: "learned, in nats (blue: tuning made the token likelier; orange: less likely)",
  kl: "kl, in nats (how far tuned and base model differ about what comes next)",
};

/** The numbers of two models, one sentence each. */
export const learnedSentence =
  "learned: log p(tuned) - log p(base) of the token in nats, above zero where tuning made it likelier";
export const klSentence = "kl: KL(tuned || base) of what would come next after the token, in nats";

/** Whether to print coloured text instead of a table. */
export function isColoured({ options: { color }, env }: Pick<ScoreGiven, "options" | "env">): boolean {
  return color === "always" || (color === "auto" && process.stdout.isTTY === true && !env["NO_COLOR"]);
}
