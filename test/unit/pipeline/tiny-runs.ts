/** The smallest runs of the real pipeline by name, for what holds of every run: what is experimented, and where it computes for long. */
import { tinyExperiment } from "./tiny-experiment.ts";
import { linesOf, rowAt, tinyPreferences } from "./tiny-preferences.ts";

interface TinyRun {
  readonly experiment: object;
  /** Stages whose work may take longer than anyone wants to lose. */
  readonly longStages: readonly string[];
}

/** Stages of every run that compute for long. */
const everywhere = ["evaluate", "autoencoders", "collect-tuned", "probe", "examples", "attribute", "ablate"];
const ofWords = [...everywhere, "restore", "fitted"];

/** With prompts enough that attribution saves in the middle. */
const wordRun = { ...tinyExperiment, attribute: { prompts: 80 } };

/** The tiny runs. That of `preferences` reads a file `pairs.jsonl`, which holds `pairLines`, in the working directory. */
export const tinyRuns = {
  quick: { experiment: wordRun, longStages: ofWords },
  "quick-preferences": {
    experiment: {
      ...wordRun,
      preset: "quick-preferences",
      tuning: {
        pairs: { from: "reward", prompts: 40, completions: 2, promptsAtOnce: 8 },
        steps: 4,
        batchSize: 8,
        pairsAtOnce: 4,
      },
    },
    longStages: ["tune", ...ofWords],
  },
  preferences: { experiment: tinyPreferences, longStages: ["tune", ...everywhere] },
} as const satisfies Readonly<Record<string, TinyRun>>;
export type TinyRunName = keyof typeof tinyRuns;
export const isTinyRun = (name: string): name is TinyRunName => Object.hasOwn(tinyRuns, name);

export const pairLines = linesOf(Array.from({ length: 60 }, (_, at) => rowAt(at)));
