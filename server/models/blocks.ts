/** Building blocks of architectures: parameter specs and the steps that layers share. Letters as in architecture.ts. */
import type { Node } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import type { ActivationEdit, ForwardContext, LayerResult, ModelParameter, ModelPart } from "./architecture.ts";

/** Where a parameter belongs: its part of the model, and its layer, if any. */
export type Place = Readonly<Pick<ModelParameter, "part" | "layer">>;

/** `NAME.weight` of a Linear, [out, inputs]. */
export function linearWeight(
  name: string,
  shape: readonly [out: number, inputs: number],
  place: Place,
): ModelParameter {
  return { name: `${name}.weight`, shape, role: "linear", ...place };
}

/** `NAME.bias` of a Linear. */
export function linearBias(name: string, out: number, place: Place): ModelParameter {
  return { name: `${name}.bias`, shape: [out], role: "bias", ...place };
}

/** `NAME.weight`, the scale of a norm. */
export function normScale(name: string, D: number, layer?: number): ModelParameter {
  return { name: `${name}.weight`, shape: [D], role: "norm", part: "norm", layer };
}

/** Scale and bias of a LayerNorm. */
export function layerNormParameters(name: string, D: number, layer?: number): ModelParameter[] {
  return [normScale(name, D, layer), linearBias(name, D, { part: "norm", layer })];
}

/** A table that is looked up, [rows, D]. */
export function embeddingTable(name: string, shape: readonly [rows: number, D: number]): ModelParameter {
  return { name, shape, role: "embedding", part: "embedding", layer: undefined };
}

/** The head's matrix [V, D], where it is not the embedding. */
export function ownHead(name: string, shape: readonly [V: number, D: number], isTied: boolean): ModelParameter[] {
  const part: ModelPart = "head";
  return isTied ? [] : [{ name, shape, role: "linear", part, layer: undefined }];
}

/** Passes the residual stream through the layers. */
export function throughLayers(
  count: number,
  embedded: Node,
  block: (layer: number, x: Node) => LayerResult,
): { readonly residual: Node; readonly layers: readonly LayerResult[] } {
  let residual = embedded;
  const layers = Array.from({ length: count }, (_, layer) => {
    const result = block(layer, residual);
    residual = result.activations.residual;
    return result;
  });
  return { residual, layers };
}

/** A layer's end: its MLP's output joins the residual stream after attention, both edited where the context says so. */
export function joinMlp(
  { editActivations: edit = unedited }: Pick<ForwardContext, "editActivations">,
  layer: number,
  { middle, plain, attended }: { readonly middle: Node; readonly plain: Node; readonly attended: Attended },
): LayerResult {
  const mlpOutput = edit({ layer, site: "mlp-output" }, plain);
  const residual = edit({ layer, site: "residual" }, ops.add(middle, mlpOutput));
  return { activations: { "mlp-output": mlpOutput, residual }, keys: attended.keys, values: attended.values };
}

const unedited: ActivationEdit = (_, activations) => activations;

/** What attention adds to the residual stream, and the keys and values to keep. */
export interface Attended {
  readonly output: Node;
  readonly keys: Node;
  readonly values: Node;
}

/** LayerNorm with the scale and bias of that name. */
export function layerNorm({ weights }: Pick<ForwardContext, "weights">, name: string, x: Node, eps: number): Node {
  return ops.layerNorm(x, weights.get(`${name}.weight`), weights.get(`${name}.bias`), eps);
}
