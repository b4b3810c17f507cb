/** What the lens looks through, a run or two checkpoints, and how ready it is. */
import * as z from "zod";
import { AblationSet } from "./ablation.ts";
import { Calibration } from "./calibration.ts";
import { WireFailure } from "./failure.ts";
import { defineNotification, defineRequest } from "./message.ts";
import { IgnoredWord } from "./problems.ts";
import { ReadingChoice } from "./reading-mode.ts";

/** What is looked through: a finished run, or a tuned checkpoint beside the one that it was tuned from, without a run. Folders are absolute. */
export const LensTarget = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("run"), folder: z.string() }),
  z.object({ kind: z.literal("pair"), tuned: z.string(), base: z.string() }),
]);
export type LensTarget = z.infer<typeof LensTarget>;

/** What a run offers, once it is open. */
export const RunInfo = z.object({
  kind: z.literal("run"),
  /** Absolute path of the run folder. */
  runFolder: z.string(),
  runName: z.string(),
  task: z.string(),
  modelType: z.string(),
  layers: z.array(z.int()),
  /** Features of the tuned model's small dictionaries that the probe reads. */
  features: z.int(),
  /** For people, such as `CPU, 2 threads`. */
  device: z.string(),
  hasTrueReward: z.boolean(),
  /** Whether the run says how familiar a token is to its probe. */
  hasFamiliarity: z.boolean(),
  hasBase: z.boolean(),
  /** Whether the run fitted the log-ratio to its features. */
  hasFitted: z.boolean(),
  /** Whether `features.sqlite` is there. */
  hasFeatureStore: z.boolean(),
  /** How much power each reading has, where a calibration speaks for the run. */
  calibration: Calibration.nullable(),
});
export type RunInfo = z.infer<typeof RunInfo>;

/** What two checkpoints offer, once they are open: no probe, no features, no true reward. */
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
});
export type PairInfo = z.infer<typeof PairInfo>;

export const LensInfo = z.discriminatedUnion("kind", [RunInfo, PairInfo]);
export type LensInfo = z.infer<typeof LensInfo>;

export const LensState = z.discriminatedUnion("kind", [
  /** Nothing is chosen, and no finished run is found. */
  z.object({ kind: z.literal("none") }),
  /** It is opened when it is first needed: by a reading, or at once while there is a document whose problems are wanted. */
  z.object({ kind: z.literal("chosen"), target: LensTarget }),
  z.object({ kind: z.literal("opening"), target: LensTarget }),
  z.object({ kind: z.literal("ready"), info: LensInfo }),
  z.object({ kind: z.literal("failed"), target: LensTarget, failure: WireFailure }),
]);
export type LensState = z.infer<typeof LensState>;

/** Server to editor, with every change. */
export const LensStateChanged = defineNotification("lfp/lensStateChanged", LensState);

/** Chooses the run to look through; null: the newest finished one in the workspace's run folders, else the one that came with the extension. */
export const ChooseRun = defineRequest("lfp/chooseRun", z.object({ runFolder: z.string().nullable() }), LensState);

/**
 * Chooses two checkpoints to look through, until something else is chosen; with `open` they are opened at once. The answer is the state then; what
 * does not belong together is an error that says why.
 */
export const ComparePair = defineRequest(
  "lfp/comparePair",
  z.object({ tuned: z.string().max(4096), base: z.string().max(4096), open: z.boolean() }),
  LensState,
);

/** Sent by the editor as `initializationOptions`. */
export const InitializationOptions = z.object({
  /** Absolute folders in which runs stand, in order of preference. */
  runsRoots: z.array(z.string().max(4096)).max(100).default([]),
  /** False in Restricted Mode: no models or autoencoders are loaded from the workspace, and no run is started. */
  trusted: z.boolean().default(false),
  /** See `ServerSettings`. */
  settings: z.unknown().optional(),
  /** Words that are no problems; the editor keeps the list. */
  ignored: z.array(IgnoredWord).max(10_000).default([]),
});
export type InitializationOptions = z.infer<typeof InitializationOptions>;

/** The settings that the server needs, `lfpLens.*` in VS Code. */
export const ServerSettings = z.object({
  problems: z
    .object({
      enabled: z.boolean().default(true),
      /** Where no calibration says from where on a word is flagged: both what was learned and what was meant must be at least this far from zero. */
      threshold: z.number().min(0).default(0.5),
      /** The most problems a document. */
      limit: z.int().min(1).max(1000).default(100),
    })
    .prefault({}),
  /** What problems go by, and hovers begin with. */
  reading: ReadingChoice.default("auto"),
  /** Words that are unfamiliar to the probe are no problems. */
  fadeUnfamiliar: z.boolean().default(true),
  device: z.enum(["auto", "cpu", "gpu"]).default("auto"),
  threads: z.int().min(0).max(256).default(0),
});
export type ServerSettings = z.infer<typeof ServerSettings>;

/** Editor to server: the ablation that hovers are under from now on, with that of the overlay; null: none. */
export const AblationChanged = defineNotification(
  "lfp/ablationChanged",
  z.object({ ablation: AblationSet.nullable() }),
);

/** What a state is about; undefined where nothing is chosen. */
export function targetOf(state: LensState): LensTarget | undefined {
  if (state.kind === "none") return undefined;
  if (state.kind !== "ready") return state.target;
  const { info } = state;
  return info.kind === "run"
    ? { kind: "run", folder: info.runFolder }
    : { kind: "pair", tuned: info.tuned, base: info.base };
}

/** Editor to server, after a change of settings, folders or trust. */
export const ConfigurationChanged = defineNotification("lfp/configurationChanged", InitializationOptions);
