/** The pages about features: the table of all features, and the page of one. */
import * as z from "zod";
import { FeatureId } from "./ablation.ts";
import {
  DescribeStore,
  FeatureDetail,
  FeatureExample,
  FeatureQuery,
  FeatureRow,
  Neighbours,
  QueryFeatures,
} from "./features.ts";
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
    /** Opens a feature's page: as a preview, which the next one replaces, unless `keep`. */
    openFeature: ask(z.strictObject({ id: FeatureId, query: FeatureQuery, keep: z.boolean() }), done),
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
    open: ask(
      nothing,
      z.object({
        runName: z.string(),
        detail: FeatureDetail,
        ablatedBy: z.number().nullable(),
        /** Before and after it in the list that it was opened from. */
        neighbours: Neighbours,
        /** Whether the next feature that is opened takes the tab's place. */
        isPreview: z.boolean(),
      }),
    ),
    /** Shows another feature in this tab. */
    go: ask(z.strictObject({ id: FeatureId }), done),
    /** Keeps the tab of a preview. */
    keepOpen: ask(nothing, done),
    /** Opens the text that an example was cut from, and selects `text` in it. */
    openSource: ask(z.strictObject({ source: z.string().max(1000), text: z.string().max(20_000) }), done),
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
    /** The tab shows another feature. */
    moved: done,
    progress: z.object({ done: z.number(), total: z.number(), message: z.string() }).nullable(),
  },
  state: z.object({
    text: z.string().max(20_000).default(""),
    /** The feature whose page was scrolled. */
    id: z.string().default(""),
    /** Whether activations stand behind tokens as numbers. */
    numbers: z.boolean().default(false),
    scroll: z.number().default(0),
  }),
});
