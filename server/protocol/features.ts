/** What the editor asks of a run's feature store (`features.sqlite`). Every request names its run by folder, absolute. */
import * as z from "zod";
import { FeatureId } from "./ablation.ts";
import { defineRequest } from "./message.ts";

const run = { runFolder: z.string() };

export const FeatureRelevance = z.object({
  relevant: z.boolean(),
  polarity: z.enum(["positive", "negative", "mixed", "none"]),
});

/** An explanation with who made it and how well it predicts where the feature fires. */
export const FeatureExplanation = z.object({
  text: z.string(),
  /** `offline`, or the model's name. */
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
  /** How much of what tuning raised it carries, per completion: below zero, it holds that down. Null where that is not known. */
  attribution: z.number().nullable().default(null),
  /** The most similar feature of the other size. */
  twin: z.object({ id: FeatureId, cosine: z.number() }).nullable(),
  /** Change of the task's mean reward when it is removed, with its 95 % interval. */
  ablation: z.object({ change: z.number(), low: z.number(), high: z.number() }).nullable(),
  /** Counts of activations above zero in equal bins up to `maxActivation`. */
  histogram: z.array(z.int()),
  labels: z.array(z.string()),
  pinned: z.boolean(),
  hasNote: z.boolean(),
});
export type FeatureRow = z.infer<typeof FeatureRow>;

export const FeatureSort = z.enum([
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
  /** Full text over explanations, examples, labels and notes; empty: all. */
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
  /** Dead features are left out unless asked for. */
  includeDead: z.boolean().default(false),
  sort: FeatureSort.default("contribution"),
  /** By size for signed numbers; attributions by value. */
  descending: z.boolean().default(true),
});
export type FeatureQuery = z.infer<typeof FeatureQuery>;

export const QueryFeatures = defineRequest(
  "lfp/queryFeatures",
  z.object({ ...run, query: FeatureQuery, offset: z.int().min(0), count: z.int().min(1).max(500) }),
  z.object({ total: z.int(), rows: z.array(FeatureRow) }),
);

/** The store of another version of the run that comes with the program, with what people left there about features that this one does not have. */
export const EarlierStore = z.object({
  path: z.string(),
  /** Numbers by kind: notes, labels, pins, explanations, ablations. */
  left: z.record(z.string(), z.int()),
  /** Why it could not be read, if so. */
  problem: z.string().nullable(),
});
export type EarlierStore = z.infer<typeof EarlierStore>;

/** Where what people left is, in a sentence. */
export function earlierInWords({ path, left, problem }: EarlierStore): string {
  if (problem !== null)
    return `What people wrote on another version of this run is in ${path}, which cannot be read as a whole: ${problem}`;
  const counts = Object.entries(left).filter(([, count]) => count > 0);
  const list = counts.map(([kind, count]) => `${count} ${count === 1 ? kind.replace(/s$/, "") : kind}`).join(", ");
  return `Kept from another version of this run, about features that this one does not have: ${list}, in ${path}`;
}

/** What a run's store holds: its dictionaries, and the labels that people gave. */
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
        /** Active somewhere in the texts that were read. */
        alive: z.int(),
      }),
    ),
    /** In use, the most frequent first. */
    labels: z.array(z.string()),
    earlier: z.array(EarlierStore),
  }),
);

/** A stretch of text with an activation for each of its tokens. */
export const FeatureExample = z.object({
  /** The tokens' texts, which joined are the stretch. */
  tokens: z.array(z.string()),
  activations: z.array(z.number()),
  /** The token with the largest activation, or the one that a silent example was chosen for. */
  peak: z.int().min(0),
  source: z.string(),
});
export type FeatureExample = z.infer<typeof FeatureExample>;

/** What a feature's ablation, or a control beside it, did to the task's reward: the mean change with its 95 % interval. */
export const MeasuredEffect = z.object({
  what: z.enum(["this", "random", "reconstruction", "mean"]),
  factor: z.number(),
  prompts: z.int(),
  change: z.number(),
  low: z.number(),
  high: z.number(),
});
export type MeasuredEffect = z.infer<typeof MeasuredEffect>;

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
  /** Labels, note or pin were written about an earlier dictionary: the run has been made again since. */
  annotatedEarlier: z.boolean(),
});
export type FeatureDetail = z.infer<typeof FeatureDetail>;

export const DescribeFeature = defineRequest(
  "lfp/describeFeature",
  z.object({ ...run, id: FeatureId }),
  /** Null: the store has no such feature. */
  FeatureDetail.nullable(),
);

/** Activations of a feature on a text of one's own. */
export const TryFeature = defineRequest(
  "lfp/tryFeature",
  z.object({ ...run, id: FeatureId, text: z.string().max(20_000) }),
  FeatureExample,
);

/** What people write: absent fields stay as they are. */
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

/** A service that explains, without the key. */
const ExplainService = z.object({
  baseUrl: z.url(),
  model: z.string(),
  /** Dollars for a million tokens. Only with them is a cost known, and a cap in dollars kept. */
  prices: z.object({ inputUsd: z.number().min(0), outputUsd: z.number().min(0) }).nullable(),
});

/** What explaining would cost; nothing is sent. `endpoint` null: the offline explainer. */
export const PreviewExplain = defineRequest(
  "lfp/previewExplain",
  z.object({ ...run, ids: z.array(FeatureId).max(100_000).nullable(), endpoint: ExplainService.nullable() }),
  z.object({
    features: z.int(),
    /** Already there, and so free. */
    cached: z.int(),
    requests: z.int(),
    inputTokens: z.int(),
    outputTokens: z.int(),
    /** Null when prices are unknown, and for the offline explainer 0. */
    costUsd: z.number().nullable(),
    /** Where text would go; null: nowhere. */
    origin: z.string().nullable(),
  }),
);

/**
 * Explains and scores; `ids` null: those that the method picks, `endpoint` null: offline. The key is given for this call only and kept nowhere. A
 * service is not asked without a cap that can be kept.
 */
export const ExplainFeatures = defineRequest(
  "lfp/explainFeatures",
  z.object({
    ...run,
    ids: z.array(FeatureId).max(100_000).nullable(),
    endpoint: ExplainService.extend({ apiKey: z.string() }).nullable(),
    capUsd: z.number().min(0).nullable(),
    /** Names the progress that is told meanwhile. */
    job: z.string(),
  }),
  z.object({
    explained: z.int(),
    failed: z.int(),
    /** Why the first ones failed, or why judgements of explained ones are missing, each reason once. */
    reasons: z.array(z.string()).max(3),
    stoppedAtCap: z.boolean(),
    spentUsd: z.number().nullable(),
  }),
);

/** Measures the effect of removing or scaling features on the task's reward, with its controls; minutes. */
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
