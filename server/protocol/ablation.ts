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

/** An ablation set. Its file may also name its JSON schema, for editors: see `AblationFile`. */
export const AblationSet = z.strictObject({
  format: z.literal("lfp-ablation/1"),
  name: z.string().max(200).default("").describe("For people."),
  note: z.string().max(10_000).default("").describe("For people."),
  run: RunIdentity.describe(
    "The run whose features these are: its name, and a digest of its dictionaries. Without it the set is applied to no run before somebody says to which.",
  ).optional(),
  features: z
    .array(
      z.strictObject({
        id: FeatureId.describe(
          "A feature: L4/F43 is feature 43 of layer 4 in the tuned model's small dictionary, L4/F43@big in its big one, base:L4/F43 in the base model's.",
        ),
        factor: z
          .number()
          .min(-100)
          .max(100)
          .default(0)
          .describe("What the feature's activation is multiplied by: 0 removes it, 1 leaves it, 2 doubles it."),
      }),
    )
    .max(10_000),
});
export type AblationSet = z.infer<typeof AblationSet>;

/** Whether a set was made for a run: the same dictionaries, or where one side does not know them, the same name. */
export function belongsTo({ run: owner }: AblationSet, run: RunIdentity): boolean {
  if (owner === undefined) return false;
  if (owner.dictionaries !== null && run.dictionaries !== null) return owner.dictionaries === run.dictionaries;
  return owner.name === run.name;
}

/** Parses the content of a `.lfp-ablation.json` file into a set, dropping `$schema`. Each feature may occur once. */
export const AblationFile = AblationSet.extend({ $schema: z.string().optional() })
  .refine(({ features }) => new Set(features.map(({ id }) => id)).size === features.length, {
    error: "names a feature twice",
    path: ["features"],
  })
  .transform(({ $schema: _, ...set }): AblationSet => set);
