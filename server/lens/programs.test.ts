import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Random } from "../common/random.ts";
import { createCpuDevice } from "../engine/cpu/device.ts";
import type { Device } from "../engine/device.ts";
import { createModel, type LoadedModel } from "../models/checkpoint.ts";
import { LensPrograms } from "./programs.ts";

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

  it.each([
    [10, [16, 24, 32, 64, 96, 128, 192, 256]],
    [5, [16, 32, 64, 128, 256]],
    [1, [16, 64, 256]],
  ])("of which %d fit into memory, have the lengths %j, and room for what stands before a text", (fit, lengths) => {
    const programs = new LensPrograms({ device }, { window: 257, before: 1, maxBytes: fit * bytes });
    for (const length of lengths) expect(programs.bucketOf(1 + length, model)).toBe(1 + length);
    for (const [at, length] of lengths.entries())
      expect(programs.bucketOf(2 + (lengths[at - 1] ?? 0), model)).toBeLessThanOrEqual(1 + length);
    expect(new LensPrograms({ device }, { window: 200, before: 1, maxBytes: fit * bytes }).bucketOf(200, model)).toBe(
      200,
    );
  });

  it("are forgotten when they hold too much, and compiled again when they are needed", async () => {
    let compiled = 0;
    const counting: Device = {
      ...device,
      kind: device.kind,
      description: device.description,
      createState: (entries) => device.createState(entries),
      compile: (spec) => {
        compiled += 1;
        return device.compile(spec);
      },
      close: async () => undefined,
    };
    const programs = new LensPrograms({ device: counting }, { window: 257, before: 0, maxBytes: 5 * bytes });
    const raw = { layer: 0, site: "mlp-output" as const, features: 16, store: model.store, encode: <N>(x: N): N => x };
    const read = async (tokens: number, name = "plain"): Promise<Float32Array | undefined> => {
      const dictionary = {
        ...raw,
        get decoder(): never {
          throw new Error("nothing is ablated");
        },
      };
      return (
        await programs.run({
          name,
          model,
          read: new Map([[0, dictionary]]),
          edit: undefined,
          ids: new Int32Array(tokens).fill(7),
        })
      ).get(0);
    };
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
