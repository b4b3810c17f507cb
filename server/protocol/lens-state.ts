/** The lens's target, a run or two checkpoints, and how ready it is. */
import * as z from "zod";
import { AblationSet } from "./ablation.ts";
import { Calibration } from "./calibration.ts";
import { WireFailure } from "./failure.ts";
import { defineNotification, defineRequest } from "./message.ts";
import { IgnoredWord } from "./problems.ts";
import { ReadingChoice } from "./reading-mode.ts";
import { RunPlace } from "./runs.ts";

/**
 * What the lens reads through: a finished run; without a run a tuned checkpoint and its base checkpoint; or two runs,
 * for the learned reward of `a` minus that of `b`. Folders are absolute.
 */
export const LensTarget = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("run"), folder: z.string() }),
  z.object({ kind: z.literal("pair"), tuned: z.string(), base: z.string() }),
  z.object({ kind: z.literal("difference"), a: z.string(), b: z.string() }),
]);
export type LensTarget = z.infer<typeof LensTarget>;

/** Facts about an open run. */
export const RunInfo = z.object({
  kind: z.literal("run"),
  /** Absolute path of the run folder. */
  runFolder: z.string(),
  runName: z.string(),
  /** Digest of the run's dictionaries; null if the run does not record one. See `RunIdentity`. */
  dictionaries: z.string().nullable().default(null),
  task: z.string(),
  modelType: z.string(),
  layers: z.array(z.int()),
  /** Features of the tuned model's small dictionaries that the probe reads. */
  features: z.int(),
  /** For people, such as `CPU, 2 threads`. */
  device: z.string(),
  hasTrueReward: z.boolean(),
  /** Whether the run has leverage limits, from which a token's familiarity to the probe follows. */
  hasFamiliarity: z.boolean(),
  hasBase: z.boolean(),
  /** Whether the run fitted the log-ratio to its features. */
  hasFitted: z.boolean(),
  /** DPO's beta, times which a log-ratio is the implicit reward; null for a run that was not tuned on preferences. */
  beta: z.number().positive().nullable(),
  /** Whether the run has a `features.sqlite`. */
  hasFeatureStore: z.boolean(),
  /** The power of each reading; null if no calibration applies to the run. */
  calibration: Calibration.nullable(),
});
export type RunInfo = z.infer<typeof RunInfo>;

/** One of two runs whose learned rewards are compared. */
const ComparedSide = z.object({ folder: z.string(), name: z.string() });

/** Facts about two open checkpoints, which have no probe, no features and no true reward. */
export const PairInfo = z.object({
  kind: z.literal("pair"),
  /** Absolute paths of the checkpoints' folders. */
  tuned: z.string(),
  base: z.string(),
  modelType: z.string(),
  /** Whether a begin-of-text token stands before every text; without it the first token has no learned reward. */
  bos: z.boolean(),
  /** For people, such as `CPU, 2 threads`. */
  device: z.string(),
  /**
   * The two runs if values are the learned reward of `a` minus that of `b`; then `tuned` and `base` are their folders.
   * Runs whose tokenizers are not the same are compared by words alone.
   */
  difference: z.object({ a: ComparedSide, b: ComparedSide, sharesTokens: z.boolean() }).optional(),
});
export type PairInfo = z.infer<typeof PairInfo>;

export const LensInfo = z.discriminatedUnion("kind", [RunInfo, PairInfo]);
export type LensInfo = z.infer<typeof LensInfo>;

export const LensState = z.discriminatedUnion("kind", [
  /** Nothing is chosen, and the server found no finished run. */
  z.object({ kind: z.literal("none") }),
  /**
   * A target is chosen but not open. The server opens it for the first reading, or at once if a document's problems are
   * wanted.
   */
  z.object({ kind: z.literal("chosen"), target: LensTarget }),
  z.object({ kind: z.literal("opening"), target: LensTarget }),
  z.object({ kind: z.literal("ready"), info: LensInfo }),
  z.object({ kind: z.literal("failed"), target: LensTarget, failure: WireFailure }),
]);
export type LensState = z.infer<typeof LensState>;

/** Server to editor, after every change of the state. */
export const LensStateChanged = defineNotification("lfp/lensStateChanged", LensState);

/**
 * Chooses the run to read through; null: the newest finished run in the workspace's run folders, else the bundled one.
 */
export const ChooseRun = defineRequest("lfp/chooseRun", z.object({ runFolder: z.string().nullable() }), LensState);

/**
 * Chooses two checkpoints to read through, until something else is chosen; with `open` the server opens them at once.
 * Answers with the resulting state; checkpoints that cannot be compared are an error that says why.
 */
export const ComparePair = defineRequest(
  "lfp/comparePair",
  z.object({ tuned: z.string().max(4096), base: z.string().max(4096), open: z.boolean() }),
  LensState,
);

/**
 * Chooses two runs whose learned rewards are compared, `a` minus `b`, as `ComparePair` does two checkpoints. Runs that
 * cannot be compared are an error that says why.
 */
export const CompareLearned = defineRequest(
  "lfp/compareLearned",
  z.object({ a: z.string().max(4096), b: z.string().max(4096), open: z.boolean() }),
  LensState,
);

/** Sent by the editor as `initializationOptions`. */
export const InitializationOptions = z.object({
  /** Absolute paths of the folders that hold runs, in order of preference. */
  runsRoots: z.array(z.string().max(4096)).max(100).default([]),
  /** False in Restricted Mode: the server loads no models or autoencoders from the workspace and starts no run. */
  trusted: z.boolean().default(false),
  /** See `ServerSettings`. */
  settings: z.unknown().optional(),
  /** Words that the server does not report as problems; the editor keeps the list. */
  ignored: z.array(IgnoredWord).max(10_000).default([]),
});
export type InitializationOptions = z.infer<typeof InitializationOptions>;

/** The settings that the server needs, `lfpLens.*` in VS Code. */
export const ServerSettings = z.object({
  problems: z
    .object({
      enabled: z.boolean().default(true),
      /**
       * Threshold without a calibration: a word is flagged only if its learned and its true reward are both at least
       * this far from zero.
       */
      threshold: z.number().min(0).default(0.5),
      /** Maximum number of problems per document. */
      limit: z.int().min(1).max(1000).default(100),
    })
    .prefault({}),
  /** The reading on which problems are based and with which hovers begin. */
  reading: ReadingChoice.default("auto"),
  /** Whether to report no problems for words that are unfamiliar to the probe. */
  fadeUnfamiliar: z.boolean().default(true),
  /** Names of the columns of tables that are read; without any that a table has, those that hold texts. */
  csvColumns: z.array(z.string().max(300)).max(200).default([]),
  device: z.enum(["auto", "cpu", "gpu"]).default("auto"),
  threads: z.int().min(0).max(256).default(0),
  /** Where runs are started. */
  runOn: RunPlace.default("local"),
});
export type ServerSettings = z.infer<typeof ServerSettings>;

/** Editor to server: the ablation for hovers from now on, which is the overlay's; null: none. */
export const AblationChanged = defineNotification(
  "lfp/ablationChanged",
  z.object({ ablation: AblationSet.nullable() }),
);

/** The target of a state; undefined if nothing is chosen. */
export function targetOf(state: LensState): LensTarget | undefined {
  if (state.kind === "none") return undefined;
  if (state.kind !== "ready") return state.target;
  const { info } = state;
  if (info.kind === "run") return { kind: "run", folder: info.runFolder };
  const { tuned, base, difference } = info;
  return difference === undefined
    ? { kind: "pair", tuned, base }
    : { kind: "difference", a: difference.a.folder, b: difference.b.folder };
}

/** Editor to server, after a change of settings, folders or trust. */
export const ConfigurationChanged = defineNotification("lfp/configurationChanged", InitializationOptions);
