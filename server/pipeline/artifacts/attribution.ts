import { z } from "zod";
import { featureId } from "../../protocol/ablation.ts";
import type { Attributed } from "../ablation/choose.ts";
import type { DictionaryPlace } from "../ablation/dictionaries.ts";

/** File of the `attribute` stage. */
export const attributionFile = "attribution.json";

const perFeature = z.array(z.number());
export const attributionSchema = z.object({
  objective: z.enum(["reward", "logRatio", "margin"]),
  completions: z.int(),
  tokens: z.int(),
  /** J, mean over completions; of `margin` over answers. */
  mean: z.number(),
  dictionaries: z.array(
    z.object({
      layer: z.int(),
      size: z.enum(["small", "big"]),
      score: perFeature,
      error: perFeature,
      energy: perFeature,
      density: perFeature,
    }),
  ),
});
export type RunAttribution = z.infer<typeof attributionSchema>;

/** The features of the dictionaries of these sizes, with their attributions. */
export function attributedFeatures(
  { dictionaries }: RunAttribution,
  sizes: readonly DictionaryPlace["size"][] = ["small", "big"],
): Attributed[] {
  return dictionaries
    .filter(({ size }) => sizes.includes(size))
    .flatMap(({ layer, size, score: scores }) =>
      scores.map((score, feature) => ({ id: featureId({ model: "tuned", size, layer, feature }), score })),
    );
}
