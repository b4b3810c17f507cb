import { describe, expect, it } from "vitest";
import { chooseLayers, divergenceOf, layerDivergences, type ParameterSource, parameterChanges } from "./divergence.ts";

function source(path: string, tensors: Record<string, number[]>): ParameterSource {
  return {
    path,
    tensors: new Map(Object.entries(tensors).map(([name, values]) => [name, { shape: [values.length] }])),
    readFloat32: (name) => Promise.resolve(Float32Array.from(tensors[name] ?? [])),
  };
}

const attention = (layer: number) => `gpt_neox.layers.${layer}.attention.dense.weight`;
const mlp = (layer: number) => `gpt_neox.layers.${layer}.mlp.dense_4h_to_h.weight`;
const parameters = [
  { name: attention(0), part: "attention", layer: 0 },
  { name: mlp(0), part: "mlp", layer: 0 },
  { name: attention(1), part: "attention", layer: 1 },
  { name: mlp(1), part: "mlp", layer: 1 },
  { name: "embed_out.weight", part: "head", layer: undefined },
] as const;
const base = source("base", {
  [attention(0)]: [3, 4],
  [mlp(0)]: [0, 0, 0],
  [attention(1)]: [1, 0],
  [mlp(1)]: [0, 1, 0],
  "embed_out.weight": [9],
});
const tuned = source("tuned", {
  [attention(0)]: [6, 8],
  [mlp(0)]: [0, 12, 0],
  [attention(1)]: [1, 0],
  [mlp(1)]: [0, 1, 2],
  "embed_out.weight": [0],
});

describe("layer divergence", () => {
  it("equals its closed forms and leaves out what is in no layer", async () => {
    const [first, second] = await layerDivergences(base, tuned, parameters);
    expect(first).toEqual({ layer: 0, sumOfNorms: 5 + 12, jointL2: 13, mlpOnly: 12, relative: 13 / 5 });
    expect(second).toEqual({ layer: 1, sumOfNorms: 2, jointL2: 2, mlpOnly: 2, relative: Math.SQRT2 });
  });

  it("sums the parameters of any part", async () => {
    const changes = await parameterChanges(base, tuned, parameters);
    const of = (part: string) => divergenceOf(changes.filter((change) => change.part === part));
    expect(of("attention")).toEqual({ sumOfNorms: 5, jointL2: 5, relative: 5 / Math.sqrt(26) });
    expect(of("mlp")).toEqual({ sumOfNorms: 14, jointL2: Math.sqrt(148), relative: Math.sqrt(148) });
    expect(of("head")).toEqual({ sumOfNorms: 9, jointL2: 9, relative: 1 });
    expect(of("norm")).toEqual({ sumOfNorms: 0, jointL2: 0, relative: 0 });
  });

  it("chooses the layers that moved most or least, ties to the lower layer", () => {
    const of = (layer: number, jointL2: number) => ({ layer, jointL2, sumOfNorms: -jointL2, mlpOnly: 1, relative: 0 });
    const rows = [of(0, 1), of(1, 5), of(2, 3), of(3, 5)];
    expect(chooseLayers(rows, "jointL2", 2)).toEqual([1, 3]);
    expect(chooseLayers(rows, "jointL2", 2, "lowest")).toEqual([0, 2]);
    expect(chooseLayers(rows, "sumOfNorms", 1)).toEqual([0]);
    expect(chooseLayers(rows, "mlpOnly", 3)).toEqual([0, 1, 2]);
  });

  it("refuses checkpoints of different architectures, naming the tensor", async () => {
    const { [attention(1)]: _, ...rest } = { [attention(0)]: [3, 4], [mlp(0)]: [0, 0, 0], [attention(1)]: [1, 0] };
    await expect(layerDivergences(base, source("other", rest), parameters)).rejects.toThrow(
      /layers\.1\.attention\.dense\.weight' is missing in other/,
    );
    const wide = source("wide", { [attention(0)]: [1, 2, 3] });
    await expect(layerDivergences(base, wide, parameters)).rejects.toThrow(/\[2\] in base but \[3\] in wide/);
  });
});
