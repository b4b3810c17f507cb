/** The lens as a file that any ONNX Runtime can run, without this program. */
import { LfpError } from "../common/errors.ts";
import type { StateStore } from "../engine/device.ts";
import { type Node, topologicalOrder, type Values } from "../engine/graph.ts";
import { exportOnnx } from "../engine/onnx/export.ts";
import * as ops from "../engine/ops.ts";
import { plainPositions } from "../models/model.ts";
import { scaledProbe } from "./columns.ts";
import { featuresGraph } from "./graph.ts";
import type { LensSubject } from "./subject.ts";

/** A model with its dictionaries exceeds the size limit of an ONNX file. */
export class LensTooLargeError extends LfpError {
  readonly code = "resource";

  constructor(bytes: number) {
    super(`the lens has ${(bytes / 1e9).toFixed(1)} GB of weights; one ONNX file holds 2 GB at most`);
  }
}

const mostBytes = 2 ** 31 - 2 ** 24;

/**
 * Token ids -> features -> token rewards, as the bytes of one ONNX file. Input `ids`, i32 [1, T], begins with the
 * prefix of every text (`prefixIds`) and may be padded after its end with any ids. Outputs: `rewards`, f32 [T], and
 * `features.L<layer>`, f32 [T, F]. The probe itself reads every word, not a fold: a graph that sees only ids does
 * not know which words the probe was fitted on. Throws `LensTooLargeError`.
 */
export async function lensModel(subject: LensSubject, T: number): Promise<Uint8Array> {
  const { tuned, probe } = subject;
  const dictionaries = await subject.dictionaries({ model: "tuned", size: "small" });
  const features = featuresGraph(tuned, T, dictionaries);
  const outputs = {
    rewards: rewardsOf(features, subject),
    ...Object.fromEntries(probe.layers.map(({ layer }) => [`features.L${layer}`, layerOf(features, layer)])),
  };
  const stores = [tuned.store, ...[...dictionaries.values()].map(({ store }) => store)];
  const state = await readState(stores, namesIn(Object.values(outputs)));
  return exportOnnx({ outputs, state, fixed: { positions: plainPositions([1, T]) } });
}

function rewardsOf(features: ReadonlyMap<number, Node>, { probe }: LensSubject): Node {
  const { weights, intercept } = scaledProbe(probe);
  const parts = probe.layers.map(({ layer, start, end }) =>
    ops.matmul(
      layerOf(features, layer),
      ops.constant([end - start, 1], Float32Array.from(weights.subarray(start, end))),
    ),
  );
  const [first, ...rest] = parts;
  if (first === undefined) throw new TypeError("a probe without layers");
  const sum = ops.affine(
    ops.reshape(
      rest.reduce((total, part) => ops.add(total, part), first),
      [-1],
    ),
    1,
    intercept,
  );
  return probe.outputScale === null ? sum : ops.clip(sum, probe.outputScale.to.low, probe.outputScale.to.high);
}

function layerOf(features: ReadonlyMap<number, Node>, layer: number): Node {
  const found = features.get(layer);
  if (found === undefined) throw new TypeError(`there are no features of layer ${layer}`);
  return found;
}

/**
 * Names of the state that a graph reads: leaves layers above the last dictionary and the model's head out of the
 * file.
 */
function namesIn(outputs: readonly Node[]): Set<string> {
  const names = topologicalOrder(outputs).flatMap((node) => (node.op === "state" ? [node.attrs.name] : []));
  return new Set(names);
}

async function readState(stores: readonly StateStore[], wanted: ReadonlySet<string>): Promise<Map<string, Values>> {
  const values = new Map<string, Values>();
  let bytes = 0;
  for (const store of stores) {
    for (const name of store.names) {
      if (!wanted.has(name)) continue;
      const read = await store.read(name);
      values.set(name, read);
      bytes += read.byteLength;
      if (bytes > mostBytes) throw new LensTooLargeError(bytes);
    }
  }
  return values;
}
