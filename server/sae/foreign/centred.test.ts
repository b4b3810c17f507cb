/** Dictionaries trained on a model whose writing weights TransformerLens centred, read on the model as it is. */
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { z } from "zod";
import { expectClose } from "../../../test/conformance/close-to.ts";
import { fixturePath, modelFolder } from "../../../test/conformance/fixtures.ts";
import { Random } from "../../common/random.ts";
import { createCpuDevice } from "../../engine/cpu/device.ts";
import type { Device } from "../../engine/device.ts";
import type { Values } from "../../engine/graph.ts";
import * as ops from "../../engine/ops.ts";
import { type LoadedModel, loadModel, readFloats } from "../../models/checkpoint.ts";
import { forward, parametersOf } from "../../models/model.ts";
import { hookOf, type LayerSite, siteNames } from "../../models/sites.ts";
import { encodeNode } from "../graph.ts";
import { placeSae } from "../inference.ts";
import type { Sae } from "../sae.ts";
import { openDictionary } from "./dictionary.ts";
import { saeFor } from "./fit.ts";
import type { ForeignDictionary } from "./origin.ts";

let device: Device;
let folder = "";
beforeAll(async () => {
  device = await createCpuDevice({ threads: 1 });
  folder = await mkdtemp(join(tmpdir(), "lfp-centred-"));
});
afterAll(async () => {
  await device.close();
  await rm(folder, { recursive: true });
});

/** Takes from what each weight writes its mean over the width, as TransformerLens's `center_writing_weights` does. */
async function centreWritingWeights({ config, store }: LoadedModel): Promise<void> {
  const D = config.width;
  for (const { name, shape } of parametersOf(config)) {
    const isTable = name === "gpt_neox.embed_in.weight";
    if (!isTable && !/(attention\.dense|dense_4h_to_h)\.(weight|bias)$/.test(name)) continue;
    const values = await readFloats(store, name);
    const others = values.length / D;
    // A table's rows are written; of a matrix [D, inputs], its columns.
    const at = (d: number, other: number): number => (isTable ? other * D + d : d * others + other);
    expect(shape[isTable ? 1 : 0]).toBe(D);
    for (let other = 0; other < others; other++) {
      let mean = 0;
      for (let d = 0; d < D; d++) mean += (values[at(d, other)] ?? 0) / D;
      for (let d = 0; d < D; d++) values[at(d, other)] = (values[at(d, other)] ?? 0) - mean;
    }
    await store.write(name, values);
  }
}

async function featuresOf(model: LoadedModel, sae: Sae, place: LayerSite): Promise<Values> {
  const { store, nodes } = await placeSae(device, "sae", sae);
  const shape = [1, 9] as const;
  let features = ops.input("unread", [1]);
  forward(model, {
    shape,
    editActivations: (site, activations) => {
      if (hookOf(site) === hookOf(place)) features = encodeNode(ops.reshape(activations, [9, sae.D]), nodes);
      return activations;
    },
  });
  const program = await device.compile({ stores: [model.store, store], outputs: { features } });
  const ids = Int32Array.from({ length: 9 }, (_, at) => 3 * at + 1);
  const { features: found = new Float32Array() } = await program.run({
    ids,
    positions: Int32Array.from(ids, (_, at) => at),
  });
  await program.dispose();
  await store.dispose();
  return found;
}

it.each(siteNames)("gives the features that it has in the centred model: %s", async (site) => {
  const [model, centred] = [
    await loadModel(device, modelFolder("gpt-neox")),
    await loadModel(device, modelFolder("gpt-neox")),
  ];
  await centreWritingWeights(centred);
  const { width: D } = model.config;
  const random = Random.fromSeed(7);
  const normals = (length: number): Float32Array => Float32Array.from({ length }, () => random.normal());
  const sae: Sae = {
    D,
    F: 24,
    activation: { kind: "relu" },
    encoder: normals(24 * D).map((value) => value + 0.5),
    encoderBias: normals(24),
    decoder: normals(24 * D),
    decoderBias: normals(D),
  };
  const origin = { format: "SAELens", modelName: undefined, site: undefined, l0: undefined };
  const read = (isCentred: boolean): Sae => saeFor({ sae, origin: { ...origin, isCentred } }, model.config);
  const place = { layer: 1, site };
  const expected = await featuresOf(centred, read(false), place);
  expectClose("features", await featuresOf(model, read(true), place), expected, { absolute: 2e-5, relative: 2e-5 });
  const plain = await featuresOf(model, read(false), place);
  expect(Math.max(...Array.from(expected, (value, at) => Math.abs(value - (plain[at] ?? 0))))).toBeGreaterThan(1e-2);
});

it.each(siteNames)(
  "gives the features that SAELens finds in the model that TransformerLens centred: %s",
  async (site) => {
    const values: unknown = JSON.parse(await readFile(fixturePath("sae/centred/expected.json"), "utf8"));
    const expected = z.object({ [site]: z.array(z.number()) }).parse(values)[site] ?? [];
    const dictionary = await openDictionary(fixturePath(`sae/centred/${site}`));
    expect(dictionary.origin.isCentred).toBe(true);
    const model = await loadModel(device, modelFolder("gpt-neox"));
    const place = { layer: 1, site };
    const found = await featuresOf(model, saeFor(dictionary, model.config), place);
    expectClose("features", found, expected, { absolute: 2e-5, relative: 2e-5 });
    const uncentred = { ...dictionary, origin: { ...dictionary.origin, isCentred: false } };
    const wrong = await featuresOf(model, saeFor(uncentred, model.config), place);
    expect(Math.max(...Array.from(expected, (value, at) => Math.abs(value - (wrong[at] ?? 0))))).toBeGreaterThan(1e-2);
  },
);

it("is one whose SAELens file says so, and stays as it is on a model whose norms do not centre", async () => {
  const read = async (kwargs: unknown): Promise<ForeignDictionary> => {
    await cp(fixturePath("sae/saelens/standard"), folder, { recursive: true });
    const path = join(folder, "cfg.json");
    const config = JSON.parse(await readFile(path, "utf8"));
    config.metadata.model_from_pretrained_kwargs = kwargs;
    await writeFile(path, JSON.stringify(config));
    return await openDictionary(folder);
  };
  const centred = await read({ center_writing_weights: true });
  expect(centred.origin.isCentred).toBe(true);
  for (const kwargs of [{ center_writing_weights: false }, {}, undefined])
    expect((await read(kwargs)).origin.isCentred).toBe(false);
  const [layerNorm, rmsNorm] = [
    await loadModel(device, modelFolder("gpt-neox")),
    await loadModel(device, modelFolder("gemma")),
  ];
  const { D, F } = centred.sae;
  const { encoder } = saeFor(centred, layerNorm.config);
  for (let f = 0; f < F; f++)
    expect(encoder.subarray(f * D, (f + 1) * D).reduce((sum, value) => sum + value, 0)).toBeCloseTo(0, 5);
  const uncentred = { ...centred, origin: { ...centred.origin, isCentred: false } };
  expect(saeFor(centred, rmsNorm.config).encoder).toEqual(saeFor(uncentred, layerNorm.config).encoder);
});
