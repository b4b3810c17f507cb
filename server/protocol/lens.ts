/** Readings of a document: what the probe makes of every token. Offsets are in UTF-16 units of the document at the given version. */
import * as z from "zod";
import { AblationSet, FeatureId } from "./ablation.ts";
import { WireFailure } from "./failure.ts";
import { LensUnit } from "./lens-unit.ts";
import { defineRequest } from "./message.ts";

const offset = z.int().min(0);

/** What the numbers of an overlay are. A task that rates no words has no true reward, and so no disagreement. */
export const LensMode = z.discriminatedUnion("kind", [
  /** The probe's output on the tuned model's features. */
  z.object({ kind: z.literal("implicit") }),
  /** What the feedback itself gives to the word that the token belongs to. */
  z.object({ kind: z.literal("true") }),
  /** Implicit minus true, where the two differ in sign. */
  z.object({ kind: z.literal("disagreement") }),
  /** Implicit reward read in the tuned model, minus that read in the base model with the same dictionaries and probe. */
  z.object({ kind: z.literal("tunedMinusBase") }),
  /** One feature's activation. */
  z.object({ kind: z.literal("feature"), id: FeatureId }),
  /** Implicit reward with the request's ablation, minus that without. */
  z.object({ kind: z.literal("ablatedMinusNot") }),
  /** The learned reward, log pi_tuned(token | before) - log pi_base(token | before) in nats: above zero, tuning made the token likelier. */
  z.object({ kind: z.literal("learned") }),
  /** The part of the learned reward that a ridge regression on the tuned model's features explains, in nats. */
  z.object({ kind: z.literal("fitted") }),
  /** KL(pi_tuned || pi_base) of what would come next after the token, in nats. */
  z.object({ kind: z.literal("kl") }),
]);
export type LensMode = z.infer<typeof LensMode>;

/** Words or tokens one after the other, as parallel arrays of equal length. */
export const TokenValues = z.object({
  starts: z.array(offset),
  ends: z.array(offset),
  /** Null: the mode has no value here. */
  values: z.array(z.number().nullable()),
  /** Indices of those whose value is an extrapolation of the probe: their features lie far from those that it was fitted on. Empty where that is not known. */
  unfamiliar: z.array(z.int().min(0)),
});
export type TokenValues = z.infer<typeof TokenValues>;

/** A piece of the document that is read by itself: a paragraph, or a field of a JSONL record. */
export const ReadPassage = z.object({ start: offset, end: offset, tokens: TokenValues });
export type ReadPassage = z.infer<typeof ReadPassage>;

/** Passages that touch one of the ranges, in document order; a passage that was read before comes from the cache. */
export const ReadTokens = defineRequest(
  "lfp/readTokens",
  z.object({
    uri: z.string(),
    version: z.int(),
    mode: LensMode,
    unit: LensUnit.default("token"),
    ranges: z.array(z.object({ start: offset, end: offset })).max(64),
    /** Applied to the tuned model. */
    ablation: AblationSet.nullable(),
    /** The most tokens to give; passages beyond it are left out and `complete` is false. */
    maxTokens: z.int().min(1).max(100_000),
  }),
  z.object({
    version: z.int(),
    passages: z.array(ReadPassage),
    /** Passages in the ranges that could not be read, such as quarantined ones, and why. When none can be, the request fails instead. */
    unread: z.array(z.object({ start: offset, end: offset, failure: WireFailure })),
    complete: z.boolean(),
    /** Values are shown on a scale from -limit to +limit, or from 0 for a feature. */
    limit: z.number().positive(),
  }),
);

/** Where implicit and true reward differ most, or where the value is strongest: what a screen reader or the keyboard goes through. */
export const StrongestTokens = defineRequest(
  "lfp/strongestTokens",
  z.object({
    uri: z.string(),
    version: z.int(),
    mode: LensMode,
    unit: LensUnit.default("token"),
    ablation: AblationSet.nullable(),
    limit: z.int().min(1).max(1000),
    /** Leaves out words or tokens whose value is an extrapolation of the probe, wherever that is known. */
    familiarOnly: z.boolean().default(false),
  }),
  z.object({
    version: z.int(),
    tokens: z.array(z.object({ start: offset, end: offset, text: z.string(), value: z.number() })),
    /** Over all words or tokens with a value. */
    mean: z.number().nullable(),
    count: z.int(),
    /** How many tokens with a value were left out as unfamiliar. */
    unfamiliar: z.int(),
    /** False when the document has more tokens than are read at once; the rest was left out. */
    complete: z.boolean(),
  }),
);

const Parts = z.array(
  z.object({
    id: FeatureId,
    activation: z.number(),
    weight: z.number(),
    contribution: z.number(),
    explanation: z.string().nullable(),
  }),
);

/** What the features that are not listed add, and how many of them are active. */
const Rest = z.object({ count: z.int(), contribution: z.number() });

/** Everything behind the number of one word or token; hovers are made from it, and pages may ask for it too. */
export const TokenDetail = z.object({
  start: offset,
  end: offset,
  text: z.string(),
  /** The model's tokens that it is read as. */
  tokens: z.array(z.string()),
  implicit: z.number(),
  /** Null where the feedback rates no word here. */
  trueReward: z.number().nullable(),
  /** Leverage of the token's features over its limit: above 1 `implicit` is an extrapolation of the probe. Null where the run does not say. */
  familiarity: z.number().nullable(),
  base: z.number().nullable(),
  /** The probe's constant. */
  intercept: z.number(),
  /** Largest first by size; each is weight times activation. */
  contributions: Parts,
  /** With the intercept and the list it sums to `implicit`. */
  rest: Rest,
  /** What tuning changed in the prediction of this word or token, in nats. Null where base and tuned model cannot be compared. */
  learned: z
    .object({
      /** log pi_tuned - log pi_base, of a word the sum over its tokens; null where nothing stands before it, or only one model has it. */
      logRatio: z.number().nullable(),
      /** The same of the word that a token belongs to. */
      word: z.object({ start: offset, end: offset, text: z.string(), sum: z.number().nullable() }).nullable(),
      /** KL(pi_tuned || pi_base) of what would come next. */
      kl: z.number().nullable(),
    })
    .nullable(),
  /** The log-ratio of the word as it was fitted to the features. Null where the run has no such fit. */
  fitted: z
    .object({
      /** In nats. */
      value: z.number(),
      intercept: z.number(),
      /** Largest first by size; with `intercept` and `rest` they sum to `value`. */
      contributions: Parts,
      rest: Rest,
    })
    .nullable(),
  /** By the kind of probe. */
  trust: z.discriminatedUnion("kind", [
    z.object({
      kind: z.literal("regression"),
      /** How often the word occurs in the texts tuned on. Null where it was not counted. */
      seenInTuning: z.int().nullable(),
      /** Share of unseen words of this sign that the probe got right, of `words`, with its 95 % interval. */
      signAccuracy: z.object({ share: z.number(), low: z.number(), high: z.number(), words: z.int() }).nullable(),
      tau: z.object({ value: z.number(), p: z.number() }).nullable(),
    }),
  ]),
  /** Why what needs the base model is missing; null where it is not, or was not asked for. */
  missing: z.string().nullable(),
});
export type TokenDetail = z.infer<typeof TokenDetail>;

export const DescribeToken = defineRequest(
  "lfp/describeToken",
  z.object({
    uri: z.string(),
    version: z.int(),
    offset,
    /** Of punctuation by word the token is described. */
    unit: LensUnit.default("token"),
    ablation: AblationSet.nullable(),
    features: z.int().min(1).max(100),
  }),
  TokenDetail.nullable(),
);

/** Continues texts with the tuned model, before and after an ablation, from the same random numbers. */
export const CompareCompletions = defineRequest(
  "lfp/compareCompletions",
  z.object({
    prompts: z.array(z.string().max(20_000)).min(1).max(32),
    ablation: AblationSet,
    maxNewTokens: z.int().min(1).max(512),
    temperature: z.number().min(0).max(10),
    seed: z.int(),
  }),
  z.object({
    completions: z.array(
      z.object({
        prompt: z.string(),
        before: z.string(),
        after: z.string(),
        /** Null where the task has no reward to score with. */
        rewardBefore: z.number().nullable(),
        rewardAfter: z.number().nullable(),
      }),
    ),
  }),
);
