/** Fields of config.json that architectures share, and how their variants are read. */
import { z } from "zod";
import type { Node } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import { ConfigError } from "./errors.ts";

export const count = z
  .int()
  .positive()
  .max(2 ** 24);
export const epsilon = z.number().positive().max(0.1);
export const tokenId = z.int().nonnegative().nullish();
export const tokenIds = z.union([z.int().nonnegative(), z.array(z.int().nonnegative())]).nullish();

/** transformers 5 gathers rotary settings here; before, they were fields of their own. */
export const ropeParameters = z
  .object({
    rope_type: z.string().optional(),
    rope_theta: z.number().positive().optional(),
    partial_rotary_factor: z.number().positive().max(1).optional(),
  })
  .nullish();

export function listOfIds(value: z.infer<typeof tokenIds>): readonly number[] {
  if (value === undefined || value === null) return [];
  return typeof value === "number" ? [value] : value;
}

/** Only the plain rotation is built; scaled ones would be silently wrong. */
export function requirePlainRope(ropeType: string | undefined): void {
  if (ropeType !== undefined && ropeType !== "default")
    throw new ConfigError(`rope_type is '${ropeType}'; only 'default' is supported`);
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

/** The activation of that Hugging Face name. Throws `ConfigError` when it has none here. */
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
