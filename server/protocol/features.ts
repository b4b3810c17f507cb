/** Requests to a run's feature store (`features.sqlite`). Each names its run by absolute folder path. */
import * as z from "zod";
import { FeatureId } from "./ablation.ts";
import { EditorModel } from "./complete.ts";
import { defineRequest } from "./message.ts";

const run = { runFolder: z.string() };

export const FeatureRelevance = z.object({
  relevant: z.boolean(),
  polarity: z.enum(["positive", "negative", "mixed", "none"]),
});

/** An explanation, its author, and how well it predicts where the feature is active. */
export const FeatureExplanation = z.object({
  text: z.string(),
  /** `offline`, or the name of the language model. */
  explainer: z.string(),
  /** Balanced accuracy on held-out windows, with its 95 % interval; null until scored. */
  score: z
    .object({
      method: z.enum(["detection", "fuzzing"]),
      value: z.number(),
      low: z.number(),
      high: z.number(),
      windows: z.int(),
    })
    .nullable(),
  relevance: FeatureRelevance.nullable(),
});
export type FeatureExplanation = z.infer<typeof FeatureExplanation>;

/** Where a feature has the words of a search. */
export const FeatureMatch = z.enum(["id", "explanation", "labels", "note", "examples"]);
export type FeatureMatch = z.infer<typeof FeatureMatch>;

/** A row of the table. */
export const FeatureRow = z.object({
  id: FeatureId,
  layer: z.int(),
  feature: z.int(),
  explanation: FeatureExplanation.nullable(),
  /** Share of tokens on which it is active. */
  density: z.number(),
  maxActivation: z.number(),
  /** Null for a dictionary that the probe does not read. */
  probeWeight: z.number().nullable(),
  /** Mean over active tokens of weight times activation. */
  contribution: z.number().nullable(),
  /**
   * The feature's share in what tuning raised, per completion; negative if the feature counteracts it. Null if unknown.
   */
  attribution: z.number().nullable().default(null),
  /** The most similar feature of the other size. */
  twin: z.object({ id: FeatureId, cosine: z.number() }).nullable(),
  /** Change of the task's mean reward when the feature is removed, with its 95 % interval. */
  ablation: z.object({ change: z.number(), low: z.number(), high: z.number() }).nullable(),
  /** Counts of activations above zero in equal bins up to `maxActivation`. */
  histogram: z.array(z.int()),
  labels: z.array(z.string()),
  pinned: z.boolean(),
  hasNote: z.boolean(),
  /** Where the words of the search are; empty without words. */
  matches: z.array(FeatureMatch).default([]),
});
export type FeatureRow = z.infer<typeof FeatureRow>;

export const FeatureSort = z.enum([
  /** Where and how well the search matches; without words as `contribution`. */
  "match",
  "id",
  "density",
  "maxActivation",
  "probeWeight",
  "contribution",
  "attribution",
  "twin",
  "score",
  "ablation",
]);

export const FeatureQuery = z.object({
  /**
   * Words of explanations, examples, labels and notes (the last as a beginning), an id or a part of one (`F11`, `L4`),
   * and conditions on numbers (`density<1%`, `contribution>0.5`); empty: all features.
   */
  search: z.string().max(500).default(""),
  dictionary: z
    .object({ model: z.enum(["tuned", "base"]), size: z.enum(["small", "big"]) })
    .default({ model: "tuned", size: "small" }),
  layers: z.array(z.int()).max(1000).default([]),
  /** Only features with this relevance; null: all. */
  relevant: z.boolean().nullable().default(null),
  pinned: z.boolean().default(false),
  label: z.string().nullable().default(null),
  /** Only features that somebody gave a label, a note or a pin. */
  annotated: z.boolean().default(false),
  /** Whether to include dead features. */
  includeDead: z.boolean().default(false),
  sort: FeatureSort.default("contribution"),
  /** Signed numbers sort by magnitude, attributions by value. */
  descending: z.boolean().default(true),
});
export type FeatureQuery = z.infer<typeof FeatureQuery>;

export const QueryFeatures = defineRequest(
  "lfp/queryFeatures",
  z.object({ ...run, query: FeatureQuery, offset: z.int().min(0), count: z.int().min(1).max(500) }),
  z.object({ total: z.int(), rows: z.array(FeatureRow) }),
);

/** The features before and after one in a list, and its place in it, from 0. */
export const Neighbours = z.object({
  /** Null if the list does not have the feature. */
  at: z.int().nullable(),
  total: z.int(),
  previous: FeatureId.nullable(),
  next: FeatureId.nullable(),
});
export type Neighbours = z.infer<typeof Neighbours>;

/** The neighbours of a feature among all that a query matches, in its order. */
export const FeatureNeighbours = defineRequest(
  "lfp/featureNeighbours",
  z.object({ ...run, query: FeatureQuery, id: FeatureId }),
  Neighbours,
);

/** The store of another version of the bundled run, with people's notes on features that this version lacks. */
export const EarlierStore = z.object({
  path: z.string(),
  /** Counts by kind: notes, labels, pins, explanations, ablations. */
  left: z.record(z.string(), z.int()),
  /** Why the store could not be read, or null. */
  problem: z.string().nullable(),
});
export type EarlierStore = z.infer<typeof EarlierStore>;

/** One sentence on what people left in the earlier store and where that store is. */
export function earlierInWords({ path, left, problem }: EarlierStore): string {
  if (problem !== null)
    return `What people wrote on another version of this run is in ${path}, which cannot be read as a whole: ${problem}`;
  const counts = Object.entries(left).filter(([, count]) => count > 0);
  const list = counts.map(([kind, count]) => `${count} ${count === 1 ? kind.replace(/s$/, "") : kind}`).join(", ");
  return `Kept from another version of this run, about features that this one does not have: ${list}, in ${path}`;
}

/** Describes a run's store: its dictionaries, and the labels that people gave. */
export const DescribeStore = defineRequest(
  "lfp/describeStore",
  z.object({ ...run }),
  z.object({
    dictionaries: z.array(
      z.object({
        model: z.enum(["tuned", "base"]),
        size: z.enum(["small", "big"]),
        layers: z.array(z.int()),
        features: z.int(),
        /** Number of features active somewhere in the texts that were read. */
        alive: z.int(),
      }),
    ),
    /** Labels in use, the most frequent first. */
    labels: z.array(z.string()),
    earlier: z.array(EarlierStore),
  }),
);

/** A stretch of text with an activation for each of its tokens. */
export const FeatureExample = z.object({
  /** Texts of the tokens; joined, they give the stretch. */
  tokens: z.array(z.string()),
  activations: z.array(z.number()),
  /** The token with the largest activation, or the one that a silent example was chosen for. */
  peak: z.int().min(0),
  source: z.string(),
});
export type FeatureExample = z.infer<typeof FeatureExample>;

/** Effect of a feature's ablation, or of a control, on the task's reward: the mean change with its 95 % interval. */
export const MeasuredEffect = z.object({
  what: z.enum(["this", "random", "reconstruction", "mean"]),
  /** What changed; absent for the reward. */
  measure: z.enum(["margin"]).optional(),
  factor: z.number(),
  prompts: z.int(),
  change: z.number(),
  low: z.number(),
  high: z.number(),
});
export type MeasuredEffect = z.infer<typeof MeasuredEffect>;

/** What an effect is a change of: a mean over prompts. */
export function effectInWords(effect: Pick<MeasuredEffect, "measure"> | undefined): string {
  return effect?.measure === "margin" ? "mean margin in nats" : "mean reward";
}

export const FeatureDetail = z.object({
  row: FeatureRow,
  explanations: z.array(FeatureExplanation),
  examples: z.array(
    z.object({
      /** `top`, `q1` (weakest) to `q4` (strongest), `silent` (the same words, not active). */
      group: z.enum(["top", "q1", "q2", "q3", "q4", "silent"]),
      examples: z.array(FeatureExample),
    }),
  ),
  activeTokens: z.int(),
  tokens: z.int(),
  promotes: z.array(z.object({ token: z.string(), logit: z.number() })),
  suppresses: z.array(z.object({ token: z.string(), logit: z.number() })),
  /** The most similar feature of the base model's dictionary of the same size. */
  baseTwin: z.object({ id: FeatureId, cosine: z.number() }).nullable(),
  ablations: z.array(MeasuredEffect),
  note: z.string(),
  /** True if labels, note or pin were written about an earlier dictionary, before the run was recomputed. */
  annotatedEarlier: z.boolean(),
});
export type FeatureDetail = z.infer<typeof FeatureDetail>;

export const DescribeFeature = defineRequest(
  "lfp/describeFeature",
  z.object({ ...run, id: FeatureId }),
  /** Null if the store has no such feature. */
  FeatureDetail.nullable(),
);

/** Computes a feature's activations on a text that the user types. */
export const TryFeature = defineRequest(
  "lfp/tryFeature",
  z.object({ ...run, id: FeatureId, text: z.string().max(20_000) }),
  FeatureExample,
);

/** Finds the text that an example was cut from, in the data files of the run's experiment on this machine. */
export const LocateSource = defineRequest(
  "lfp/locateSource",
  z.object({ ...run, source: z.string().max(1000) }),
  z.object({
    path: z.string(),
    /** Line of its row in the file, from 0; null in a file that has no lines. */
    line: z.int().nullable(),
  }),
);

/** Saves people's labels, note and pin; absent fields stay unchanged. */
export const AnnotateFeature = defineRequest(
  "lfp/annotateFeature",
  z.object({
    ...run,
    id: FeatureId,
    note: z.string().max(10_000).optional(),
    labels: z.array(z.string().min(1).max(100)).max(50).optional(),
    pinned: z.boolean().optional(),
  }),
  FeatureRow,
);

/** A language-model service that explains features; the API key is not part of it. */
const ExplainService = z.object({
  baseUrl: z.url(),
  model: z.string(),
  /** Dollars per million tokens. Without them the cost is unknown and a cap in dollars cannot be enforced. */
  prices: z.object({ inputUsd: z.number().min(0), outputUsd: z.number().min(0) }).nullable(),
});

/**
 * Estimates the cost of explaining without sending anything, by the endpoint, by the editor's model, or if both are
 * null, offline.
 */
export const PreviewExplain = defineRequest(
  "lfp/previewExplain",
  z.object({
    ...run,
    ids: z.array(FeatureId).max(100_000).nullable(),
    endpoint: ExplainService.nullable(),
    editorModel: EditorModel.nullable().default(null),
  }),
  z.object({
    features: z.int(),
    /** Number of cached answers, which cost nothing. */
    cached: z.int(),
    requests: z.int(),
    inputTokens: z.int(),
    outputTokens: z.int(),
    /** Null if prices are unknown; 0 for the offline explainer. */
    costUsd: z.number().nullable(),
    /** Origin that would receive text; null if no text leaves the machine. */
    origin: z.string().nullable(),
  }),
);

/**
 * Explains features and scores the explanations; `ids` null: those that the method selects. Who explains: the endpoint,
 * the editor's model (which the server asks by `Complete`), or if both are null, the offline explainer.
 * The server uses the key for this call only and stores it nowhere. It sends a service nothing without a cap that it
 * can enforce.
 */
export const ExplainFeatures = defineRequest(
  "lfp/explainFeatures",
  z.object({
    ...run,
    ids: z.array(FeatureId).max(100_000).nullable(),
    endpoint: ExplainService.extend({ apiKey: z.string() }).nullable(),
    editorModel: EditorModel.nullable().default(null),
    capUsd: z.number().min(0).nullable(),
    /** Identifies this job in `JobProgress` notifications. */
    job: z.string(),
  }),
  z.object({
    explained: z.int(),
    failed: z.int(),
    /** Distinct reasons why features failed, or why judgements of explained ones are missing; the first three. */
    reasons: z.array(z.string()).max(3),
    stoppedAtCap: z.boolean(),
    spentUsd: z.number().nullable(),
  }),
);

/** Measures the effect of removing or scaling features on the task's reward, with controls. Takes minutes. */
export const MeasureAblation = defineRequest(
  "lfp/measureAblation",
  z.object({
    ...run,
    features: z
      .array(z.object({ id: FeatureId, factor: z.number() }))
      .min(1)
      .max(10_000),
    prompts: z.int().min(16).max(10_000),
    seed: z.int(),
    job: z.string(),
  }),
  z.object({ ablations: FeatureDetail.shape.ablations }),
);
