/** A whole architecture in one file, as small as one can be: a head of width D for attention, an MLP of one linear, RMSNorm. Letters: D width, V vocabulary. */
import { z } from "zod";
import * as ops from "../../server/engine/ops.ts";
import {
  type Architecture,
  attention,
  type BaseConfig,
  type ModelParameter,
} from "../../server/models/architecture.ts";

export interface ToyConfig extends BaseConfig {
  readonly modelType: "toy";
}

const schema = z.object({ vocab_size: z.int(), width: z.int(), layers: z.int(), eos_token_id: z.int() });
const parts = ["query", "key", "value"] as const;
const nameOf = (layer: number, part: string): string => `body.${layer}.${part}.weight`;

export const toyArchitecture: Architecture<ToyConfig> = {
  parseConfig: (json) => {
    const { vocab_size, width, layers, eos_token_id } = schema.parse(json);
    const heads = { heads: 1, kvHeads: 1, headDim: width };
    const sizes = { vocabSize: vocab_size, width, layers, ...heads, contextLength: 16 };
    return { modelType: "toy", ...sizes, localWindow: undefined, bosId: undefined, eosIds: [eos_token_id] };
  },
  parameters: ({ vocabSize: V, width: D, layers }) => {
    const own = (name: string, part: ModelParameter["part"], layer?: number): ModelParameter => ({
      name,
      shape: part === "norm" ? [D] : part === "embedding" || part === "head" ? [V, D] : [D, D],
      role: part === "norm" ? "norm" : part === "embedding" ? "embedding" : "linear",
      part,
      layer,
    });
    return [
      own("body.embedding", "embedding"),
      ...Array.from({ length: layers }, (_, layer) => [
        ...parts.map((part) => own(nameOf(layer, part), "attention", layer)),
        own(nameOf(layer, "mlp"), "mlp", layer),
      ]).flat(),
      own("body.norm", "norm"),
      own("head", "head"),
    ];
  },
  ignorable: /^$/,
  bodyPrefixes: ["body."],
  headNames: ["head"],
  headName: () => "head",
  embeddingName: () => "body.embedding",
  siteModules: (_, layer) => ({ "mlp-output": `body.${layer}.mlp`, residual: `body.${layer}` }),
  finalNorm: { scale: "body.norm", offset: 0, centres: false },
  initialNorm: 1,
  forward: ({ width: D, layers }, context) => {
    const { weights, ids, editActivations: edit = (_, activations) => activations } = context;
    const [B = 0, T = 0] = ids.shape;
    let residual = ops.embedding(weights.get("body.embedding"), ids);
    const results = Array.from({ length: layers }, (_, layer) => {
      const [queries, keys, values] = parts.map((part) =>
        ops.reshape(weights.linear(residual, nameOf(layer, part)), [B, T, 1, D]),
      );
      if (queries === undefined || keys === undefined || values === undefined) throw new Error("three parts");
      const attended = attention({ queries, keys, values, layer, scale: 1 / Math.sqrt(D), window: undefined }, context);
      const output = weights.linear(ops.add(residual, attended.output), nameOf(layer, "mlp"));
      const mlpOutput = edit({ layer, site: "mlp-output" }, output);
      residual = edit({ layer, site: "residual" }, ops.add(ops.add(residual, attended.output), mlpOutput));
      return { activations: { "mlp-output": mlpOutput, residual }, keys: attended.keys, values: attended.values };
    });
    return { hidden: ops.rmsNorm(residual, weights.get("body.norm"), 1e-5), layers: results };
  },
};
