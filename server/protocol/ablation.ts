/**
 * Ablation sets: which features are scaled by how much. People keep, compare and share them as files
 * (`*.lfp-ablation.json`).
 */
import * as z from "zod";

/**
 * Names a feature: `L4/F43` is feature 43 of layer 4 in the tuned model's small dictionary; `L4/F43@big` in its big
 * one; `base:L4/F43` in the base model's.
 */
export const FeatureId = z
  .string()
  .regex(/^(base:)?L\d{1,3}\/F\d{1,6}(@big)?$/, "expected a feature such as L4/F43, L4/F43@big or base:L4/F43");
export type FeatureId = z.infer<typeof FeatureId>;

/** Matches a feature id in running text, unless it is part of a longer word, path or address. */
export const featureMention = /(?<![\w/:@.-])(?:base:)?L\d{1,3}\/F\d{1,6}(?:@big)?(?![\w/@])/;

/** The parts of a feature id. */
export interface FeaturePlace {
  readonly model: "tuned" | "base";
  readonly size: "small" | "big";
  readonly layer: number;
  readonly feature: number;
}

/** Parses a feature id; undefined if the text is not one. */
export function parseFeatureId(id: string): FeaturePlace | undefined {
  const found = /^(base:)?L(\d{1,3})\/F(\d{1,6})(@big)?$/.exec(id);
  if (found === null) return undefined;
  return {
    model: found[1] === undefined ? "tuned" : "base",
    size: found[4] === undefined ? "small" : "big",
    layer: Number(found[2]),
    feature: Number(found[3]),
  };
}

/** Formats a feature id: `L4/F43`, `L4/F43@big`, `base:L4/F43`. `parseFeatureId` is its inverse. */
export function featureId({ model, size, layer, feature }: FeaturePlace): FeatureId {
  return `${model === "base" ? "base:" : ""}L${layer}/F${feature}${size === "big" ? "@big" : ""}`;
}

/**
 * What makes a run the same run for an ablation set: its dictionaries, whose features a set names. `dictionaries` is a
 * digest of them; null if the run does not record one.
 */
export const RunIdentity = z.strictObject({
  name: z.string().max(300),
  dictionaries: z.string().max(100).nullable().default(null),
});
export type RunIdentity = z.infer<typeof RunIdentity>;

const ScaledFeature = z.strictObject({
  id: FeatureId.describe(
    "A feature: L4/F43 is feature 43 of layer 4 in the tuned model's small dictionary, L4/F43@big in its big one, base:L4/F43 in the base model's.",
  ),
  factor: z
    .number()
    .min(-100)
    .max(100)
    .default(0)
    .describe("What the feature's activation is multiplied by: 0 removes it, 1 leaves it, 2 doubles it."),
});

const MOST_FEATURES = 10_000;

/** An ablation set as it is applied. Its file may hold more: see `WrittenAblation`. */
export const AblationSet = z.strictObject({
  format: z.literal("lfp-ablation/1"),
  name: z.string().max(200).default("").describe("For people."),
  note: z.string().max(10_000).default("").describe("For people."),
  run: RunIdentity.describe(
    "The run whose features these are: its name, and a digest of its dictionaries. Without it the set is applied to no run before somebody says to which.",
  ).optional(),
  features: z.array(ScaledFeature).max(MOST_FEATURES),
});
export type AblationSet = z.infer<typeof AblationSet>;

/** A feature of a set's file, which may be switched off. */
export const WrittenFeature = ScaledFeature.extend({
  on: z
    .boolean()
    .optional()
    .describe("false: the feature is left as it is, and its factor is kept for when it is switched on again."),
});
export type WrittenFeature = z.infer<typeof WrittenFeature>;

/** An ablation set as its file has it: some of its features may be switched off. */
export const WrittenAblation = AblationSet.extend({ features: z.array(WrittenFeature).max(MOST_FEATURES) });
export type WrittenAblation = z.infer<typeof WrittenAblation>;

/** What of a file's set is applied: the features that are not switched off. */
export function switchedOn({ features, ...set }: WrittenAblation): AblationSet {
  const on = features.filter((feature) => feature.on !== false);
  return { ...set, features: on.map(({ id, factor }) => ({ id, factor })) };
}

/**
 * `2 features ablated`, or `1 feature ablated, 1 scaled`; undefined where nothing is ablated or every factor leaves its
 * feature as it is.
 */
export function ablationInWords(set: AblationSet | null): string | undefined {
  const factors = (set?.features ?? []).map(({ factor }) => factor).filter((factor) => factor !== 1);
  const ablated = factors.filter((factor) => factor === 0).length;
  const scaled = factors.length - ablated;
  const features = (count: number): string => `${count} ${count === 1 ? "feature" : "features"}`;
  if (ablated === 0) return scaled === 0 ? undefined : `${features(scaled)} scaled`;
  return `${features(ablated)} ablated${scaled === 0 ? "" : `, ${scaled} scaled`}`;
}

/** Whether a set was made for a run: the same dictionaries, or where one side does not know them, the same name. */
export function belongsTo({ run: owner }: Pick<AblationSet, "run">, run: RunIdentity): boolean {
  if (owner === undefined) return false;
  if (owner.dictionaries !== null && run.dictionaries !== null) return owner.dictionaries === run.dictionaries;
  return owner.name === run.name;
}

/** Parses the content of a `.lfp-ablation.json` file into a set, dropping `$schema`. Each feature may occur once. */
export const AblationFile = WrittenAblation.extend({ $schema: z.string().optional() })
  .refine(({ features }) => new Set(features.map(({ id }) => id)).size === features.length, {
    error: "names a feature twice",
    path: ["features"],
  })
  .transform(({ $schema: _, ...set }): WrittenAblation => set);
