import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Random } from "../common/random.ts";
import { createCpuDevice } from "../engine/cpu/device.ts";
import type { Device, ProgramSpec } from "../engine/device.ts";
import { createModel, type LoadedModel } from "../models/checkpoint.ts";
import { LensPrograms, type WindowRequest } from "./programs.ts";

const configJson = {
  model_type: "gpt_neox",
  vocab_size: 50,
  hidden_size: 16,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  intermediate_size: 32,
  max_position_embeddings: 256,
};
/** Weights of its matrix products: 3 D² + D² for attention, 2 · 2 D² for the MLP. */
const bytes = 4 * (4 * 16 ** 2 + 4 * 16 ** 2);

describe("programs by length", () => {
  let device: Device;
  let model: LoadedModel;
  beforeAll(async () => {
    device = await createCpuDevice({ threads: 1 });
    model = await createModel(device, configJson, Random.fromSeed(1));
  });
  afterAll(() => device.close());

  /** A request to read the MLP's output itself as 16 features. */
  const request = (tokens: number): Omit<WindowRequest, "name"> => {
    const dictionary = {
      layer: 0,
      site: "mlp-output" as const,
      features: 16,
      store: model.store,
      encode: <N>(x: N): N => x,
      get decoder(): never {
        throw new Error("nothing is ablated");
      },
    };
    return { model, read: new Map([[0, dictionary]]), edit: undefined, ids: new Int32Array(tokens).fill(7) };
  };

  it.each([
    [10, [16, 24, 32, 64, 96, 128, 192, 256]],
    [5, [16, 32, 64, 128, 256]],
    [1, [16, 64, 256]],
  ])("of which %d fit into memory, have the lengths %j, and room for what stands before a text", (fit, lengths) => {
    const programs = new LensPrograms(
      { device },
      { window: 257, before: 1, maxBytes: fit * bytes, copiesWeights: true },
    );
    for (const length of lengths) expect(programs.bucketOf(1 + length, model)).toBe(1 + length);
    for (const [at, length] of lengths.entries())
      expect(programs.bucketOf(2 + (lengths[at - 1] ?? 0), model)).toBeLessThanOrEqual(1 + length);
    expect(
      new LensPrograms({ device }, { window: 200, before: 1, maxBytes: fit * bytes, copiesWeights: true }).bucketOf(
        200,
        model,
      ),
    ).toBe(200);
  });

  it("copy no weights unless that is wanted, and then every length may have its program", async () => {
    const frozen: number[] = [];
    const watched = watching(device, ({ frozen: stores = [] }) =>
      frozen.push(stores.flatMap(({ names }) => names).length),
    );
    const results: Float32Array[] = [];
    for (const copiesWeights of [false, true]) {
      const programs = new LensPrograms(
        { device: watched },
        { window: 257, before: 0, maxBytes: bytes, copiesWeights },
      );
      expect(programs.bucketOf(20, model)).toBe(copiesWeights ? 64 : 24);
      const read = await programs.run({ ...request(16), name: "plain" });
      results.push(read.get(0) ?? new Float32Array());
      await programs.dispose();
    }
    expect(frozen).toEqual([0, model.parameters.filter(({ role }) => role !== "embedding").length]);
    const [plain = new Float32Array(), copied = new Float32Array()] = results;
    expect(plain.length).toBe(16 * 16);
    for (const [at, value] of plain.entries()) expect(value).toBeCloseTo(copied[at] ?? Number.NaN, 5);
  });

  it("are forgotten when they hold too much, and compiled again when they are needed", async () => {
    let compiled = 0;
    const counting = watching(device, () => {
      compiled += 1;
    });
    // With room for five: their weights, and 16 features of 16 tokens each.
    const maxBytes = 5 * (bytes + 4 * 16 * 16);
    const programs = new LensPrograms({ device: counting }, { window: 257, before: 0, maxBytes, copiesWeights: true });
    const read = async (tokens: number, name = "plain"): Promise<Float32Array | undefined> =>
      (await programs.run({ ...request(tokens), name })).get(0);
    const first = await read(16);
    expect(await read(16)).toEqual(first);
    expect(compiled).toBe(1);
    for (const name of ["a", "b", "c", "d", "e"]) await read(16, name);
    expect(compiled).toBe(6);
    await read(16, "b");
    expect(compiled).toBe(6);
    expect(await read(16)).toEqual(first);
    expect(compiled).toBe(7);
    // All at once: none is freed under a run that was begun.
    const together = await Promise.all(["f", "g", "h", "i", "j", "k", "l"].map((name) => read(16, name)));
    for (const result of together) expect(result).toEqual(first);
    await programs.dispose();
  });
});

/** The device, which tells of each program that it compiles. */
function watching(device: Device, onCompile: (spec: ProgramSpec) => void): Device {
  return {
    ...device,
    kind: device.kind,
    description: device.description,
    createState: (entries) => device.createState(entries),
    compile: (spec) => {
      onCompile(spec);
      return device.compile(spec);
    },
    close: async () => undefined,
  };
}
