/** What tuning, sampling and ablation take from a model, on a small checkpoint of every architecture. Letters: D width, F features. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Attributor } from "../../server/ablate/attribution.ts";
import { AblationEdit } from "../../server/ablate/edit.ts";
import { Random } from "../../server/common/random.ts";
import { createCpuDevice } from "../../server/engine/cpu/device.ts";
import type { Device } from "../../server/engine/device.ts";
import { sizeOf } from "../../server/engine/graph.ts";
import { saveAdapters } from "../../server/models/adapter-save.ts";
import { type LoadedModel, loadModel } from "../../server/models/checkpoint.ts";
import { defaultSampling, Generator } from "../../server/models/generate.ts";
import { addLora, linearTargets } from "../../server/models/lora.ts";
import { forward, logitsOf, plainPositions, storesOf } from "../../server/models/model.ts";
import { siteNames } from "../../server/models/sites.ts";
import { encodeNode } from "../../server/sae/graph.ts";
import { placeSae } from "../../server/sae/inference.ts";
import { layOut } from "../../server/tuning/completion-batch.ts";
import { expectClose } from "../conformance/close-to.ts";
import { modelFolder, ORACLE_MODELS } from "../conformance/fixtures.ts";

const temperature = 0.7;
const shape = { promptPlaces: 4, completionPlaces: 8 };
const episodes = [
  { prompt: Int32Array.of(5, 9, 17), completion: Int32Array.of(3, 22, 31, 8, 40, 41, 6) },
  { prompt: Int32Array.of(60), completion: Int32Array.of(12, 50, 4) },
];

describe.each(ORACLE_MODELS)("%s", (name) => {
  let device: Device;
  let model: LoadedModel;
  let scratch: string;
  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), "lfp-architecture-"));
    device = await createCpuDevice({ threads: 1 });
    model = await loadModel(device, modelFolder(name));
  });
  afterAll(async () => {
    await device.close();
    await rm(scratch, { recursive: true });
  });

  /** Probabilities of what follows each token of one text. */
  async function probabilities(
    ids: Int32Array,
    edit?: AblationEdit,
    subject: LoadedModel = model,
  ): Promise<readonly number[][]> {
    const options = edit === undefined ? {} : { editActivations: edit.activations };
    const program = await device.compile({
      stores: [...storesOf(subject), ...(edit?.frozenStores ?? []), ...(edit?.liveStores ?? [])],
      outputs: { logits: logitsOf(subject, forward(subject, { shape: [1, ids.length], ...options }).hidden) },
    });
    const { logits = [] } = await program.run({ ids, positions: plainPositions([1, ids.length]) });
    await program.dispose();
    const V = model.config.vocabSize;
    return Array.from(ids, (_, place) => {
      const powers = Array.from(logits.slice(place * V, (place + 1) * V), (logit) => Math.exp(logit / temperature));
      const total = powers.reduce((sum, power) => sum + power, 0);
      return powers.map((power) => power / total);
    });
  }

  it("samples from the softmax of the logits over the temperature", async () => {
    const prompts = Array.from({ length: 24 }, (_, at) => Int32Array.of(3 + at, 30, 44 + (at % 3)).slice(at % 2));
    const generator = await Generator.create(device, model, {
      batch: prompts.length,
      promptTokens: 3,
      maxNewTokens: 1,
    });
    const options = { ...defaultSampling, temperature, maxNewTokens: 1 };
    const drawn = await generator.generate(prompts, options, Random.fromSeed(4));
    await generator.dispose();
    const random = Random.fromSeed(4);
    for (const [row, prompt] of prompts.entries()) {
      const uniform = Math.fround(random.uniform());
      const last = (await probabilities(prompt)).at(-1) ?? [];
      const expected = last.findIndex((_, id) => last.slice(0, id + 1).reduce((sum, p) => sum + p, 0) > uniform);
      expect(drawn[row]?.endId ?? drawn[row]?.ids[0]).toBe(expected);
    }
  });

  it.each(siteNames)(
    "has what a feature's ablation changes at the site %s, to first order, in its attribution",
    async (site) => {
      const layer = model.config.layers - 2;
      const D = model.config.width;
      const F = 5;
      const random = Random.fromSeed(9);
      const normals = (length: number, size: number): Float32Array =>
        Float32Array.from({ length }, () => size * random.normal());
      const { store, nodes } = await placeSae(device, "some", {
        D,
        F,
        activation: { kind: "relu" },
        encoder: normals(F * D, 0.3),
        encoderBias: normals(F, 0.2),
        decoder: normals(F * D, 0.3),
        decoderBias: new Float32Array(D),
      });
      const own = { decoder: nodes.decoder, decoderBias: nodes.decoderBias };
      const dictionary = {
        name: "some",
        layer,
        site,
        features: F,
        store,
        encode: (x: Parameters<typeof encodeNode>[0]) => encodeNode(x, nodes),
        ...own,
      };
      const values = normals(model.config.vocabSize, 1);
      const batch = layOut(episodes, shape);
      const attributor = await Attributor.create({
        device,
        model,
        objective: { kind: "reward", values },
        dictionaries: [dictionary],
        shape,
        temperature,
      });
      await attributor.add(batch);
      const result = attributor.result();
      await attributor.dispose();
      const edit = await AblationEdit.create(device, [dictionary]);
      const objective = async (strength: Float32Array): Promise<number> => {
        await edit.set(new Map([["some", { strength, level: new Float32Array(F), reconstruct: false }]]));
        let sum = 0;
        for (const { prompt, completion } of episodes) {
          const rows = await probabilities(Int32Array.from([...prompt, ...completion]), edit);
          for (const place of completion.keys())
            for (const [id, p] of (rows[prompt.length - 1 + place] ?? []).entries()) sum += p * (values[id] ?? 0);
        }
        return sum / episodes.length;
      };
      expectClose("objective", [result.objective], [await objective(new Float32Array(F))], {
        absolute: 1e-4,
        relative: 0,
      });
      const eps = 0.02;
      for (let feature = 0; feature < F; feature++) {
        const only = (size: number) => Float32Array.from({ length: F }, (_, at) => (at === feature ? size : 0));
        const slope = ((await objective(only(-eps))) - (await objective(only(eps)))) / (2 * eps);
        const score = result.dictionaries.get("some")?.score[feature] ?? Number.NaN;
        expectClose(`feature ${feature}`, [score], [slope], { absolute: 1e-3, relative: 1e-2 });
      }
      await edit.dispose();
    },
  );

  it("reads adapters that it saved as its own with them merged, and says how its files hold matrices", async () => {
    const targets = linearTargets(model, "all-linear");
    const adapted = await addLora(device, model, { rank: 2, alpha: 3, targets }, Random.fromSeed(2));
    for (const { name, shape } of adapted.adapters.parameters)
      await adapted.adapters.store.write(
        name,
        Float32Array.from({ length: sizeOf(shape) }, (_, at) => Math.sin(at) / 9),
      );
    await saveAdapters(model, adapted.adapters, scratch);
    const config: unknown = JSON.parse(await readFile(join(scratch, "adapter_config.json"), "utf8"));
    expect(config).toMatchObject({ fan_in_fan_out: name === "gpt2" });
    const merged = await loadModel(device, scratch);
    expect(merged.adapted).toMatchObject({ weights: targets.length });
    const ids = Int32Array.of(5, 9, 17, 40);
    const [own, theirs] = [await probabilities(ids, undefined, adapted), await probabilities(ids, undefined, merged)];
    expectClose("probabilities", own.flat(), theirs.flat(), { absolute: 1e-5, relative: 0 });
    const plain = await probabilities(ids);
    expect(Math.max(...own.flat().map((p, at) => Math.abs(p - (plain.flat()[at] ?? 0))))).toBeGreaterThan(1e-3);
  });
});
