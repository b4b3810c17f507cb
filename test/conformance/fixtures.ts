/**
 * The stored PyTorch values under test/fixtures, checked on reading. The scripts beside the files made them.
 * Shape letters: B sequences, T tokens, D hidden size, V vocabulary.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { z } from "zod";

export const ORACLE_MODELS = [
  "gpt-neox",
  "gpt-neox-sequential",
  "gpt-neo",
  "gpt2",
  "gemma",
  "gemma2",
  "gemma3",
  "llama",
  "mistral",
  "olmo2",
  "qwen2",
  "qwen3",
] as const;
export type OracleModel = (typeof ORACLE_MODELS)[number];

/** Folder of a small checkpoint; `oracle.safetensors` lies in it too (test/fixtures/models/README.md names its tensors). */
export function modelFolder(model: OracleModel): string {
  return fixturePath(`models/${model}`);
}

/** Ids, losses and continuations of a small checkpoint. Throws `ZodError` when the file does not hold what is expected. */
export function readModelOracle(model: OracleModel): ModelOracle {
  return modelOracle.parse(readJson(`models/${model}/oracle.json`));
}

/**
 * The residual stream after each layer of a small checkpoint at its oracle's ids, [B * T] products with cos(0), cos(1), ..., by
 * the layer's module. Throws `ZodError` when the file does not hold what is expected.
 */
export function residualsOf(model: OracleModel): Readonly<Record<string, number[]>> {
  const { models } = z
    .object({ models: z.record(z.string(), z.record(z.string(), numbers)) })
    .parse(readJson("models/residuals.json"));
  return models[model] ?? {};
}

/** Every operator case, in the order of the file. Throws `ZodError` when the file does not hold what is expected. */
export function readOperatorCases(): OperatorCase[] {
  return z.array(operatorCase).parse(readJson("operators/operators.json"));
}

const ids = z.array(z.int().nonnegative());
const idsBT = z.array(ids);
const numbers = z.array(z.number());

const trajectory = z.strictObject({
  learningRate: z.number(),
  betas: z.tuple([z.number(), z.number()]),
  eps: z.number(),
  weightDecay: z.number(),
  clipNorm: z.number(),
  /** [steps, B, T]. */
  batches: z.array(idsBT),
  /** Before each step. */
  losses: numbers,
  /** Over all gradients, before clipping. */
  gradNorms: numbers,
  /** Flat indices of the final parameters that rounding alone decides, by tensor: compare the others. */
  undetermined: z.record(z.string(), ids),
});

const modelOracle = z.strictObject({
  name: z.enum(ORACLE_MODELS),
  madeWith: z.strictObject({ torch: z.string(), transformers: z.string(), seed: z.int(), batchSeed: z.int() }),
  /** Names as in model.safetensors; a tied head has none of its own. */
  parameters: z.array(z.string()),
  layers: z.int(),
  vocabSize: z.int(),
  hiddenSize: z.int(),
  /** [B, T]. */
  ids: idsBT,
  /** Mean next-token cross-entropy over B x (T - 1) predictions, nats. */
  loss: z.number(),
  /** Greedy. `smallestMargin`: the least difference of the two largest logits on the way. */
  continuations: z.array(z.strictObject({ prompt: ids, tokens: ids, smallestMargin: z.number() })),
  adamW: trajectory,
  /** W + (alpha / rank) B A in place of each target weight W. */
  lora: z.strictObject({ rank: z.int(), alpha: z.number(), targets: z.array(z.string()), loss: z.number() }),
  /** Largest distance of the stored float32 values from float64 ones; `final` without the undetermined. */
  noise: z.strictObject({
    loss: z.number(),
    logits: z.number(),
    gradientRelative: z.number(),
    losses: z.number(),
    gradNorms: z.number(),
    final: z.number(),
    /** The trajectory against runs with noise of 1e-6 of the largest gradient on every gradient. */
    shakenLosses: z.number(),
    shakenGradNorms: z.number(),
    shakenFinal: z.number(),
  }),
});
export type ModelOracle = z.infer<typeof modelOracle>;

const shape = z.array(z.int().nonnegative());

const caseFields = {
  name: z.string(),
  inputs: z.array(z.strictObject({ shape, data: numbers, dtype: z.enum(["f32", "i32"]) })),
  output: z.strictObject({ shape, data: numbers }),
  /** The w of sum(output * w), whose gradients are stored. */
  outputGradient: numbers,
  /** One for each input; null for ids, conditions and comparisons. */
  inputGradients: z.array(numbers.nullable()),
};

const reduction = z.strictObject({ axes: z.array(z.int()), keepDims: z.boolean() });
const top = z.strictObject({ k: z.int() });

const operatorCase = z.discriminatedUnion("op", [
  z.strictObject({
    ...caseFields,
    op: z.literal([
      "embedding",
      "embeddingBag",
      "logSoftmax",
      "gatherLogProbs",
      "gelu",
      "geluTanh",
      "relu",
      "silu",
      "sigmoid",
      "softplus",
      "tanh",
      "exp",
      "log",
      "sqrt",
      "square",
      "reciprocal",
      "negate",
      "abs",
      "stopGradient",
      "add",
      "sub",
      "mul",
      "div",
      "minimum",
      "maximum",
      "greater",
      "where",
      "gatherRow",
    ]),
    attrs: z.strictObject({}),
  }),
  caseOf("matmul", z.strictObject({ transA: z.boolean(), transB: z.boolean(), alpha: z.number() })),
  caseOf("layerNorm", z.strictObject({ eps: z.number() })),
  caseOf("rmsNorm", z.strictObject({ eps: z.number() })),
  caseOf("softmax", z.strictObject({ mask: z.enum(["none", "causal", "local"]), window: z.int().optional() })),
  caseOf("rotary", z.strictObject({ rotaryDims: z.int(), base: z.number() })),
  caseOf("affine", z.strictObject({ mul: z.number(), add: z.number() })),
  caseOf("clip", z.strictObject({ low: z.number(), high: z.number() })),
  caseOf("sum", reduction),
  caseOf("mean", reduction),
  caseOf("max", reduction),
  caseOf("reshape", z.strictObject({ shape })),
  caseOf("broadcastTo", z.strictObject({ shape })),
  caseOf("transpose", z.strictObject({ perm: z.array(z.int()) })),
  caseOf("slice", z.strictObject({ axis: z.int(), start: z.int(), end: z.int() })),
  caseOf("concat", z.strictObject({ axis: z.int() })),
  caseOf("keepTopK", top),
  caseOf("topKValues", top),
]);
export type OperatorCase = z.infer<typeof operatorCase>;

function caseOf<Op extends string, Attrs extends z.ZodType>(op: Op, attrs: Attrs) {
  return z.strictObject({ ...caseFields, op: z.literal(op), attrs });
}

function readJson(relative: string): unknown {
  return JSON.parse(readFileSync(fixturePath(relative), "utf8"));
}

/** A file or folder under test/fixtures. */
export function fixturePath(relative: string): string {
  return fileURLToPath(new URL(`../fixtures/${relative}`, import.meta.url));
}
