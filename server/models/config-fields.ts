/** Fields of config.json that architectures share, and how their variants are read. */
import { z } from "zod";
import type { Node } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import { ConfigError, MOST_CONTEXT } from "./errors.ts";

export const count = z
  .int()
  .positive()
  .max(2 ** 24);
/** Number of layers. The deepest models have a few hundred. */
export const layerCount = z.int().positive().max(4096);
/** A norm's epsilon. In F32 a smaller one added to any other number is lost. */
export const epsilon = z.number().min(1e-30).max(0.1);
const id = z
  .int()
  .nonnegative()
  .max(2 ** 31 - 1);
export const tokenId = id.nullish();
/** Token ids with a special meaning. Real models have a handful. */
export const tokenIds = z.union([id, z.array(id).max(256)]).nullish();
/**
 * Base of the rotary angles, 10^4 to 10^8 in real models. Beyond the bounds all frequencies are nearly equal or zero.
 */
export const ropeBase = z.number().min(1).max(1e12);

/**
 * The context length that this program uses: the model's own, capped at `MOST_CONTEXT`. Rotary tables span all of it,
 * and attention over more positions, T by T for every head, would exceed any memory.
 */
export function usableContext(positions: number): number {
  return Math.min(positions, MOST_CONTEXT);
}

/**
 * Ids of begin and end of text. Throws `ConfigError` for one without a row: it could never be sampled, or not be
 * read.
 */
export function specialIds({
  vocab_size,
  bos_token_id,
  eos_token_id,
}: {
  readonly vocab_size: number;
  readonly bos_token_id?: number | null | undefined;
  readonly eos_token_id?: z.infer<typeof tokenIds>;
}): { readonly bosId: number | undefined; readonly eosIds: readonly number[] } {
  const eosIds = listOfIds(eos_token_id);
  for (const [name, ids] of [
    ["bos_token_id", listOfIds(bos_token_id)],
    ["eos_token_id", eosIds],
  ] as const) {
    const beyond = ids.find((one) => one >= vocab_size);
    if (beyond !== undefined)
      throw new ConfigError(
        `${name} is ${beyond}, but vocab_size is ${vocab_size}: expected an id below it, or null where the model has none`,
      );
  }
  return { bosId: bos_token_id ?? undefined, eosIds };
}

/**
 * Rotary settings as transformers 5 groups them; earlier versions have separate fields. Strict: any other key belongs
 * to a scaled rotation.
 */
export const ropeParameters = z
  .strictObject({
    rope_type: z.string().nullish(),
    /** How transformers 4 spelled `rope_type` at first. */
    type: z.string().nullish(),
    rope_theta: ropeBase.optional(),
    partial_rotary_factor: z.number().positive().max(1).optional(),
  })
  .nullish();

/** The two places of the settings. */
export const ropeFields = { rope_parameters: ropeParameters, rope_scaling: ropeParameters };

type RopeParameters = z.infer<typeof ropeParameters>;

/** The effective settings: like transformers, `rope_scaling` replaces `rope_parameters` unless it is empty. */
export function ropeOf({
  rope_parameters,
  rope_scaling,
}: {
  readonly rope_parameters?: RopeParameters;
  readonly rope_scaling?: RopeParameters;
}): NonNullable<RopeParameters> {
  const scaling = rope_scaling ?? {};
  return Object.keys(scaling).length > 0 ? scaling : (rope_parameters ?? {});
}

/**
 * Rounds the number of rotated dimensions up to an even one and adjusts the base to match. For an odd number
 * transformers rotates one more dimension, at the frequencies base^(-2i / wanted): those of a larger base over the even
 * number. Throws `ConfigError` where the head has no further dimension.
 */
export function rotation(
  wanted: number,
  headDim: number,
  base: number,
): { readonly rotaryDims: number; readonly rotaryBase: number } {
  const rotaryDims = 2 * Math.ceil(wanted / 2);
  if (rotaryDims > headDim)
    throw new ConfigError(`all ${headDim} dimensions of a head should be rotated, which takes an even number`);
  return { rotaryDims, rotaryBase: rotaryDims === wanted ? base : base ** (rotaryDims / wanted) };
}

function listOfIds(value: z.infer<typeof tokenIds>): readonly number[] {
  if (value === undefined || value === null) return [];
  return typeof value === "number" ? [value] : value;
}

const ropeTypes = z.looseObject({ rope_type: z.unknown().optional(), type: z.unknown().optional() });

/**
 * Throws `ConfigError` for a scaled rotation that is not among the given types: the numbers would be silently wrong.
 * Called before the schema is checked, which would complain about the other keys of a scaled rotation first.
 */
export function requireRope(json: unknown, types: readonly string[] = ["default"]): void {
  const { rope_parameters, rope_scaling } = z.record(z.string(), z.unknown()).parse(json);
  for (const [field, given] of Object.entries({ rope_parameters, rope_scaling })) {
    const { rope_type, type } = ropeTypes.safeParse(given).data ?? {};
    const found = rope_type ?? type ?? "default";
    if (types.some((type) => type === found)) continue;
    const supported = types.map((type) => JSON.stringify(type)).join(" and ");
    throw new ConfigError(
      `${field} says rope_type ${JSON.stringify(found)}; only ${supported} ${types.length === 1 ? "is" : "are"} supported. Use a checkpoint whose rotation is not scaled${types.length === 1 ? "" : " otherwise"}`,
    );
  }
}

/** Keys that do not affect the forward pass, although their names contain one of the words below. */
const inertKeys = /dropout|_pdrop$|^summary_|^output_|^_?attn_implementation|_autoset$|^tokenizer_|^task_/;
const forwardWords =
  /rope|rotary|alibi|position|attention|attn|head|softcap|logit_|window|sliding|expert|moe|quant|scale|scaling|residual|multiplier|norm|bias|activation|act_fn|embed|layer|pruned|mlp|query|adapter/i;

/**
 * Throws `ConfigError` for a key that this program does not read and that, by its name, may change the forward pass:
 * to ignore it could make the numbers silently wrong. A key that is null, false or empty changes nothing.
 */
export function refuseUnread(json: unknown, schema: z.ZodObject): void {
  for (const [key, value] of Object.entries(z.record(z.string(), z.unknown()).parse(json))) {
    if (Object.hasOwn(schema.shape, key) || inertKeys.test(key) || !forwardWords.test(key) || isNothing(value))
      continue;
    throw new ConfigError(
      `${JSON.stringify(key)} is not known here and may change the forward pass. Where the model computes the same without it, remove it from the file`,
    );
  }
}

function isNothing(value: unknown): boolean {
  if (value === null || value === false) return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}

/** Throws `ConfigError` where a second name of a field has a different value. */
export function requireSame(name: string, got: number | null | undefined, expected: number, by: string): void {
  if (got !== null && got !== undefined && got !== expected)
    throw new ConfigError(`${name} is ${got}, but ${by} makes it ${expected}; only one of them can be meant`);
}

const activations: Readonly<Record<string, (x: Node) => Node>> = {
  gelu: ops.gelu,
  gelu_new: ops.geluTanh,
  gelu_fast: ops.geluTanh,
  gelu_pytorch_tanh: ops.geluTanh,
  relu: ops.relu,
  silu: ops.silu,
  swish: ops.silu,
};

/** The activation of that Hugging Face name. Throws `ConfigError` for one that is not implemented. */
export function activation(name: string): (x: Node) => Node {
  const found = Object.hasOwn(activations, name) ? activations[name] : undefined;
  if (found === undefined)
    throw new ConfigError(
      `activation '${name}' is not supported; supported are ${Object.keys(activations).join(", ")}`,
    );
  return found;
}

/** Heads must divide the width evenly. */
export function headDimension(width: number, heads: number): number {
  if (width % heads !== 0) throw new ConfigError(`a width of ${width} cannot be split over ${heads} heads`);
  return width / heads;
}
