/**
 * The parts of a probe's evaluation that take long: fits, draws of folds and controls. Each depends on data, settings and
 * its key alone, so parts can be computed in any order and on any thread.
 */
import type { z } from "zod";
import { Pacer } from "../common/pacer.ts";
import { untrainedScores } from "./controls.ts";
import { heldOutLeverages, leveragesSchema } from "./familiarity.ts";
import type { TripleFeatures } from "./features.ts";
import { drawFolds, type FoldDraw, foldDrawSchema, tripleSplitOf, wordSplitOf } from "./fold-draws.ts";
import { type FoldResult, fitFold, foldResultSchema } from "./fold-fit.ts";
import { type ControlInput, controlInputs, type ProbeData } from "./probe-data.ts";
import { type ProbeSettings, type SeedScores, seedScoresSchema } from "./report-types.ts";
import type { Keep } from "./saved-parts.ts";
import type { Fold, Split, SplitKind } from "./splits.ts";
import { type ProbeTarget, targetOf, withTargets } from "./targets.ts";
import { type RatedRows, ratedRows } from "./word-means.ts";

/** `features`, or a control. */
export type ProbeInput = "features" | ControlInput;

/** Which part of a kind, as plain JSON. */
interface PartPlaces {
  fit: { readonly split: SplitKind; readonly input: ProbeInput; readonly fold: number };
  draw: { readonly input: ProbeInput; readonly draw: number };
  untrained: { readonly split: SplitKind };
  leverages: { readonly fold: number };
}

interface PartResults {
  fit: FoldResult;
  draw: FoldDraw;
  untrained: SeedScores;
  leverages: number[];
}

export type PartKind = keyof PartPlaces;
export type PartKey<K extends PartKind = PartKind> = { [P in K]: { readonly kind: P } & PartPlaces[P] }[K];

/** The data that parts are computed from. */
export type PartData = Pick<ProbeData, "triples" | "ratings" | "features" | "logRatios" | ControlInput>;

/** What parts share. */
export interface PartContext {
  readonly data: PartData;
  readonly settings: ProbeSettings;
  readonly rows: RatedRows;
  readonly splits: { readonly [K in SplitKind]: Split };
  /** Observes the abort signal. */
  readonly pacer: Pacer;
}

/** Throws `TooFewTriplesError` and `UnratedWordError`. */
export function partContext(data: PartData, settings: ProbeSettings, pacer = new Pacer()): PartContext {
  const { triples, features } = data;
  const rows = ratedRows(triples, data.ratings.values);
  const target = targetFor(features, { data, settings, rows });
  const splits = {
    triple: withTargets(tripleSplitOf(triples, settings), target),
    word: withTargets(wordSplitOf(triples, settings), target),
  };
  return { data, settings, rows, splits, pacer };
}

/** The target of a fit to one of the inputs. */
export function targetFor(
  features: TripleFeatures,
  { data, rows, settings }: Pick<PartContext, "data" | "rows" | "settings">,
): ProbeTarget {
  return targetOf({ features, ...rows, range: data.ratings.range, logRatios: data.logRatios, settings });
}

/** Raw activations have no further draws: they are dense, and take as long as all other inputs together. */
export const drawnInputs: readonly ProbeInput[] = ["features", "baseModel", "staticEmbedding"];

/** All parts of an evaluation, in the order in which it asks for them. */
export function partKeys(data: Pick<ProbeData, ControlInput>, settings: ProbeSettings): PartKey[] {
  const inputs: ProbeInput[] = ["features", ...controlInputs.filter((name) => data[name] !== undefined)];
  const range = (length: number): number[] => [...Array(length).keys()];
  const fits = (split: SplitKind, folds: number): PartKey[] =>
    inputs.flatMap((input) => range(folds).map((fold) => ({ kind: "fit", split, input, fold })));
  const drawn = drawnInputs.filter((name) => inputs.includes(name));
  const leverages = settings.target === "deltas" ? settings.wordFolds : 0;
  return [
    ...fits("triple", 1),
    { kind: "untrained", split: "triple" },
    ...fits("word", settings.wordFolds),
    ...drawn.flatMap((input) => range(settings.foldDraws).map((draw): PartKey => ({ kind: "draw", input, draw }))),
    { kind: "untrained", split: "word" },
    ...range(leverages).map((fold): PartKey => ({ kind: "leverages", fold })),
  ];
}

interface PartRule<K extends PartKind> {
  /** Names the part among those that are stored. */
  readonly name: (place: PartPlaces[K]) => string;
  readonly schema: z.ZodType<PartResults[K]>;
  readonly compute: (place: PartPlaces[K], context: PartContext) => Promise<PartResults[K]>;
}

const partRules: { readonly [K in PartKind]: PartRule<K> } = {
  fit: {
    name: ({ split, input, fold }) => `${split}/${input}/${fold}`,
    schema: foldResultSchema,
    compute: ({ split, input, fold: index }, context) => {
      const { settings, rows, pacer } = context;
      const features = inputOf(input, context);
      const [target, fold] = [targetFor(features, context), foldOf(split, index, context)];
      const controls = input === "features";
      return fitFold({ features, target, fold, index, words: rows.words, settings, controls, pacer });
    },
  },
  draw: {
    name: ({ input, draw }) => `draws/${input}/${draw}`,
    schema: foldDrawSchema,
    compute: ({ input, draw }, context) => {
      const { data, settings, pacer } = context;
      const features = inputOf(input, context);
      const [target, permuted] = [targetFor(features, context), input === "features"];
      return drawFolds({ triples: data.triples, features, target, settings, draw, permuted, pacer });
    },
  },
  untrained: {
    name: ({ split }) => `${split}/untrained`,
    schema: seedScoresSchema,
    compute: ({ split }, context) => {
      const { data, splits, rows, settings, pacer } = context;
      const { truth } = targetFor(data.features, context);
      return untrainedScores(data, splits[split], { words: rows.words, truth }, settings, pacer);
    },
  },
  leverages: {
    name: ({ fold }) => `familiarity/${fold}`,
    schema: leveragesSchema,
    compute: ({ fold }, context) => {
      const { data, settings, pacer } = context;
      return heldOutLeverages(data.features, foldOf("word", fold, context), settings.alpha, pacer);
    },
  },
};

/** The part's result, as plain JSON. */
export function computePart<K extends PartKind>(key: PartKey<K>, context: PartContext): Promise<PartResults[K]> {
  return ruleOf(key).compute(key, context);
}

/** Computes a part somewhere: here, or on another thread. */
export type RunPart = <K extends PartKind>(key: PartKey<K>, context: PartContext) => Promise<unknown>;

export function partName<K extends PartKind>(key: PartKey<K>): string {
  return ruleOf(key).name(key);
}

/** Returns the stored part, or runs and stores it. */
export type KeepPart = <K extends PartKind>(key: PartKey<K>) => Promise<PartResults[K]>;

export function partKeeper(keep: Keep, run: RunPart, context: PartContext): KeepPart {
  return (key) => {
    const { schema } = ruleOf(key);
    return keep(partName(key), schema, async () => schema.parse(await run(key, context)));
  };
}

function ruleOf<K extends PartKind>({ kind }: PartKey<K>): PartRule<K> {
  // The table pairs each kind with its own rule; the type of a union of keys cannot express that pairing.
  return partRules[kind] as unknown as PartRule<K>;
}

function inputOf(input: ProbeInput, { data }: PartContext): TripleFeatures {
  const features = data[input];
  if (features === undefined) throw new TypeError(`the probe's data has no ${input}`);
  return features;
}

function foldOf(split: SplitKind, index: number, { splits }: PartContext): Fold {
  const fold = splits[split].folds[index];
  if (fold === undefined) throw new TypeError(`the split by ${split} has no fold ${index}`);
  return fold;
}
