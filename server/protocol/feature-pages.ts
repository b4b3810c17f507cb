/** The pages about features: the table of all features, and the page of one. */
import * as z from "zod";
import { FeatureId } from "./ablation.ts";
import { DescribeStore, FeatureDetail, FeatureExample, FeatureQuery, FeatureRow, QueryFeatures } from "./features.ts";
import { ask, definePage } from "./pages.ts";

const nothing = z.strictObject({});
const done = z.object({});

/** What people write beside a feature; absent fields stay as they are. */
const Annotation = z.strictObject({
  id: FeatureId,
  note: z.string().max(10_000).optional(),
  labels: z.array(z.string().min(1).max(100)).max(50).optional(),
  pinned: z.boolean().optional(),
});

export const FeatureColumn = z.enum([
  "pinned",
  "id",
  "explanation",
  "score",
  "relevant",
  "probeWeight",
  "contribution",
  "attribution",
  "density",
  "maxActivation",
  "histogram",
  "twin",
  "ablation",
  "labels",
]);
export type FeatureColumn = z.infer<typeof FeatureColumn>;

export const FeaturesPage = definePage({
  name: "features",
  asks: {
    open: ask(nothing, z.object({ runName: z.string(), store: DescribeStore.result })),
    query: ask(
      z.strictObject({ query: FeatureQuery, offset: z.int().min(0), count: z.int().min(1).max(500) }),
      QueryFeatures.result,
    ),
    annotate: ask(Annotation, FeatureRow),
    openFeature: ask(z.strictObject({ id: FeatureId }), done),
    /**
     * Explains these features, or with null those that the method selects. The host shows the cost and asks for consent
     * first.
     */
    explain: ask(z.strictObject({ ids: z.array(FeatureId).max(500).nullable() }), done),
    /** Saves all rows of the query, in its order. */
    save: ask(
      z.strictObject({ format: z.enum(["csv", "json"]), query: FeatureQuery }),
      z.object({ saved: z.boolean() }),
    ),
  },
  tells: {
    /** The store changed; the page requests its rows again. */
    changed: done,
  },
  state: z.object({
    query: FeatureQuery.optional(),
    columns: z.array(FeatureColumn).optional(),
    scroll: z.number().default(0),
  }),
});

export const FeaturePage = definePage({
  name: "feature",
  asks: {
    open: ask(nothing, z.object({ runName: z.string(), detail: FeatureDetail, ablatedBy: z.number().nullable() })),
    openFeature: ask(z.strictObject({ id: FeatureId }), done),
    annotate: ask(Annotation, FeatureRow),
    tryText: ask(z.strictObject({ text: z.string().max(20_000) }), FeatureExample),
    explain: ask(nothing, done),
    /** Adds the feature to the active ablation set with this factor; null removes it. */
    ablate: ask(z.strictObject({ factor: z.number().min(-100).max(100).nullable() }), done),
    /** Measures the effect of removing (0) or scaling the feature on the task's reward. Takes minutes. */
    measure: ask(z.strictObject({ factor: z.number().min(-100).max(100) }), done),
    /** Opens completions before and after in the diff editor. */
    compare: ask(z.strictObject({ factor: z.number().min(-100).max(100) }), done),
  },
  tells: {
    changed: done,
    progress: z.object({ done: z.number(), total: z.number(), message: z.string() }).nullable(),
  },
  state: z.object({
    text: z.string().max(20_000).default(""),
    /** Whether activations stand behind tokens as numbers. */
    numbers: z.boolean().default(false),
    scroll: z.number().default(0),
  }),
});
