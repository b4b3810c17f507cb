/**
 * Readings of a document: the numbers of its words or tokens. Offsets are in UTF-16 units of the document at the given
 * version.
 */
import * as z from "zod";
import { AblationSet, FeatureId } from "./ablation.ts";
import { WireFailure } from "./failure.ts";
import { LensUnit } from "./lens-unit.ts";
import { defineRequest } from "./message.ts";
import { ReadPairRecord } from "./pairs.ts";

const offset = z.int().min(0);

/** The quantity that an overlay shows. A task that rates no words has no true reward, and so no disagreement. */
export const LensMode = z.discriminatedUnion("kind", [
  /** The probe's output on the tuned model's features. */
  z.object({ kind: z.literal("implicit") }),
  /** The feedback's own rating of the word that the token belongs to. */
  z.object({ kind: z.literal("true") }),
  /** Implicit minus true, where the two differ in sign. */
  z.object({ kind: z.literal("disagreement") }),
  /**
   * Implicit reward read in the tuned model, minus that read in the base model with the same dictionaries and probe.
   */
  z.object({ kind: z.literal("tunedMinusBase") }),
  /** One feature's activation. */
  z.object({ kind: z.literal("feature"), id: FeatureId }),
  /** Implicit reward with the request's ablation, minus that without. */
  z.object({ kind: z.literal("ablatedMinusNot") }),
  /**
   * The learned reward, log pi_tuned(token | before) - log pi_base(token | before) in nats: above zero, tuning made the
   * token likelier.
   */
  z.object({ kind: z.literal("learned") }),
  /** The part of the learned reward that a ridge regression on the tuned model's features explains, in nats. */
  z.object({ kind: z.literal("fitted") }),
  /** KL(pi_tuned || pi_base) of the next-token distributions after the token, in nats. */
  z.object({ kind: z.literal("kl") }),
]);
export type LensMode = z.infer<typeof LensMode>;

/** Consecutive words or tokens, as parallel arrays of equal length. */
export const TokenValues = z.object({
  starts: z.array(offset),
  ends: z.array(offset),
  /** Null: the mode has no value here. */
  values: z.array(z.number().nullable()),
  /**
   * Indices of words or tokens where the probe extrapolates: their features lie far from those that it was fitted on.
   * Empty if unknown.
   */
  unfamiliar: z.array(z.int().min(0)),
});
export type TokenValues = z.infer<typeof TokenValues>;

/** A part of the document that the lens reads independently: a paragraph, or a field of a JSONL record. */
export const ReadPassage = z.object({ start: offset, end: offset, tokens: TokenValues });
export type ReadPassage = z.infer<typeof ReadPassage>;

/** Reads the passages that touch one of the ranges, in document order; earlier readings come from the cache. */
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
    /** Maximum number of tokens in the answer; passages beyond it are left out and `complete` is false. */
    maxTokens: z.int().min(1).max(100_000),
  }),
  z.object({
    version: z.int(),
    passages: z.array(ReadPassage),
    /**
     * Passages in the ranges that could not be read, such as quarantined ones, and why. If no passage can be read, the
     * request fails.
     */
    unread: z.array(z.object({ start: offset, end: offset, failure: WireFailure })),
    complete: z.boolean(),
    /** The preferences among the records in the ranges; empty where the models cannot be compared. */
    pairs: z.array(ReadPairRecord).default([]),
    /** Values are shown on a scale from -limit to +limit, or from 0 for a feature. */
    limit: z.number().positive(),
  }),
);

/**
 * Lists where implicit and true reward differ most, or where the value is strongest, for screen readers and keyboard
 * navigation.
 */
export const StrongestTokens = defineRequest(
  "lfp/strongestTokens",
  z.object({
    uri: z.string(),
    version: z.int(),
    mode: LensMode,
    unit: LensUnit.default("token"),
    ablation: AblationSet.nullable(),
    /** Only words or tokens within these parts count; empty: all of the document. */
    parts: z
      .array(z.object({ start: offset, end: offset }))
      .max(1000)
      .default([]),
    limit: z.int().min(1).max(1000),
    /** Leaves out words or tokens at which the probe is known to extrapolate. */
    familiarOnly: z.boolean().default(false),
    /** Name for the notifications of its progress, in characters of the document; null: none. */
    job: z.string().max(100).nullable().default(null),
  }),
  z.object({
    version: z.int(),
    tokens: z.array(z.object({ start: offset, end: offset, text: z.string(), value: z.number() })),
    /** Mean over all words or tokens with a value. */
    mean: z.number().nullable(),
    count: z.int(),
    /** Number of words or tokens with a value that were left out as unfamiliar. */
    unfamiliar: z.int(),
    /** False if the document has more tokens than one request reads; the rest was left out. */
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

/** The sum of the active features that are not listed, and their number. */
const Rest = z.object({ count: z.int(), contribution: z.number() });

/** Everything behind the number of one word or token. Hovers are built from it, and pages may request it too. */
export const TokenDetail = z.object({
  start: offset,
  end: offset,
  text: z.string(),
  /** The model's tokens that make up the word or token. */
  tokens: z.array(z.string()),
  implicit: z.number(),
  /** Null where the feedback rates no word here. */
  trueReward: z.number().nullable(),
  /**
   * Leverage of the token's features divided by its threshold: above 1, the probe extrapolates in `implicit`. Null if
   * the run has no threshold.
   */
  familiarity: z.number().nullable(),
  base: z.number().nullable(),
  /** The probe's intercept. */
  intercept: z.number(),
  /** Largest magnitude first; each is weight times activation. */
  contributions: Parts,
  /** `intercept`, `contributions` and `rest` sum to `implicit`. */
  rest: Rest,
  /**
   * How tuning changed the prediction of this word or token, in nats. Null if base and tuned model cannot be compared.
   */
  learned: z
    .object({
      /**
       * log pi_tuned - log pi_base, summed over a word's tokens; null if nothing precedes it, or if only one model has
       * the token.
       */
      logRatio: z.number().nullable(),
      /** The same for the word that a token belongs to. */
      word: z.object({ start: offset, end: offset, text: z.string(), sum: z.number().nullable() }).nullable(),
      /** KL(pi_tuned || pi_base) of the next-token distributions. */
      kl: z.number().nullable(),
    })
    .nullable(),
  /** The word's log-ratio as predicted by the fit to features. Null if the run has no such fit. */
  fitted: z
    .object({
      /** In nats. */
      value: z.number(),
      intercept: z.number(),
      /** Largest magnitude first; with `intercept` and `rest` they sum to `value`. */
      contributions: Parts,
      rest: Rest,
    })
    .nullable(),
  /** How far to trust the probe, by its kind. */
  trust: z.discriminatedUnion("kind", [
    z.object({
      kind: z.literal("regression"),
      /** Number of occurrences of the word in the tuning texts. Null if it was not counted. */
      seenInTuning: z.int().nullable(),
      /** Share of `words` held-out words of this sign that the probe got right, with its 95 % interval. */
      signAccuracy: z.object({ share: z.number(), low: z.number(), high: z.number(), words: z.int() }).nullable(),
      tau: z.object({ value: z.number(), p: z.number() }).nullable(),
    }),
    z.object({
      kind: z.literal("classification"),
      /** Held-out answers that the probe puts on the right side, and on how many contrasts it was tested. */
      accuracy: z.object({ share: z.number(), low: z.number(), high: z.number() }).nullable(),
      /** The same by the length of the answers alone. */
      lengthAccuracy: z.number().nullable(),
      contrasts: z.int(),
    }),
  ]),
  /** Why the values that need the base model are missing; null if they are present or were not requested. */
  missing: z.string().nullable(),
});
export type TokenDetail = z.infer<typeof TokenDetail>;

export const DescribeToken = defineRequest(
  "lfp/describeToken",
  z.object({
    uri: z.string(),
    version: z.int(),
    offset,
    /** With `word`, punctuation is still described as a token. */
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
