/** Low-rank adapters as a setting of every kind of tuning. */
import { z } from "zod";

/** Settings of adapters; null: all weights are trained. */
export const LoraConfig = z
  .strictObject({
    rank: z.int().min(1).max(4096).describe("Rank of every adapter."),
    alpha: z.number().positive().max(100_000).describe("Adapters are scaled by alpha over rank, as in PEFT."),
    targets: z
      .union([z.literal("all-linear"), z.array(z.string().min(1).max(200)).min(1).max(1000)])
      .describe(
        'Weights that get an adapter, as in PEFT\'s target_modules: ends of module names, such as "query_key_value", or "all-linear": every ' +
          "Linear weight but the head's.",
      ),
  })
  .readonly()
  .nullable()
  .default(null)
  .describe(
    "Low-rank adapters (LoRA), which are trained in place of the weights: moments and gradients for them alone, one copy of the model for " +
      "policy and reference. null: all weights are trained.",
  );
export type LoraConfig = z.infer<typeof LoraConfig>;

/** The setting in words, to follow a tuning's other settings. */
export function loraInWords(lora: LoraConfig): string {
  if (lora === null) return "";
  const targets = lora.targets === "all-linear" ? "all Linear weights" : lora.targets.join(", ");
  return `, adapters of rank ${lora.rank} (alpha ${lora.alpha}) on ${targets}`;
}

/** Settings as part of cache keys: without `lora` where it is null, as in runs that are older than the setting. */
export function withoutNullLora<C extends { readonly lora: LoraConfig }>({
  lora,
  ...settings
}: C): Readonly<Record<string, unknown>> {
  return lora === null ? settings : { ...settings, lora };
}
