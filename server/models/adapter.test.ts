import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { expectClose } from "../../test/conformance/close-to.ts";
import { starterFolder } from "../common/package-root.ts";
import { createCpuDevice } from "../engine/cpu/device.ts";
import type { Device } from "../engine/device.ts";
import { type LoadedModel, loadModel, notesOn, readFloats, saveModel } from "./checkpoint.ts";
import { readConfig } from "./config.ts";
import { forward, logitsOf, plainPositions } from "./model.ts";
import { openModel } from "./open.ts";
import { openPair } from "./pair.ts";
import { openSafetensors, type TensorToWrite, writeSafetensors } from "./safetensors.ts";

const adapters = fileURLToPath(new URL("../../test/fixtures/adapters", import.meta.url));
const models = fileURLToPath(new URL("../../test/fixtures/models", import.meta.url));

const fixture = z
  .strictObject({
    peft: z.string(),
    ids: z.array(z.array(z.int())),
    cases: z.array(
      z.strictObject({
        name: z.string(),
        base: z.string(),
        weights: z.int(),
        deltaNorm: z.number(),
        logits: z.array(z.number()),
      }),
    ),
  })
  .parse(JSON.parse(await readFile(join(adapters, "adapters.json"), "utf8")));

let device: Device;
let folder = "";
beforeAll(async () => {
  device = await createCpuDevice({ threads: 1 });
});
afterAll(() => device.close());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lfp-adapter-"));
});
afterEach(() => rm(folder, { recursive: true }));

describe("a folder of adapters", () => {
  it.each(fixture.cases)("gives the logits that PEFT gives: $name", async ({ name, base, ...expected }) => {
    const model = await loadModel(device, join(adapters, name));
    expectClose("logits", await logitsFor(model), expected.logits, { absolute: 1e-4, relative: 1e-4 });
    expect(model.adapted?.weights).toBe(expected.weights);
    expectClose("norm", [model.adapted?.deltaNorm ?? 0], [expected.deltaNorm], { absolute: 0, relative: 1e-5 });
    expect(notesOn(model)).toEqual([expect.stringContaining(`change ${expected.weights} weights, by `)]);
    const plain = await loadModel(device, join(models, base));
    expect(plain.adapted).toBeUndefined();
    expect(await logitsFor(plain)).not.toEqual(await logitsFor(model));
  });

  it("is saved as a checkpoint of its own, merged", async () => {
    const model = await loadModel(device, join(adapters, "plain"));
    await saveModel(model, folder);
    const saved = await loadModel(device, folder);
    expect(await logitsFor(saved)).toEqual(await logitsFor(model));
    expect(saved.adapted).toBeUndefined();
  });

  it("opens with its model's tokenizer, and stands against its model as a pair", async () => {
    await adapterOfStarter();
    const { tokenizer, resolved } = await openModel(device, folder);
    expect(tokenizer.encode("The film").ids.length).toBeGreaterThan(0);
    expect(resolved.folder).toBe(folder);
    const { pair, sharedTokens } = await openPair(device, { tuned: folder, base: starterFolder() });
    expect(pair.tuned.adapted?.weights).toBe(1);
    expect(sharedTokens).toBe(tokenizer.vocabSize);
  });
});

describe("refused is, with the reason,", () => {
  it("one that changes nothing", async () => {
    await copyOf("plain", async (tensors) =>
      tensors.map((one) => (one.name.includes("lora_B") ? { ...one, data: new Float32Array(one.data.length) } : one)),
    );
    await expect(loadModel(device, folder)).rejects.toThrow(/^.*adapters .* that change nothing: .* zero/);
  });

  it("one whose model is not here", async () => {
    await copyOf("plain");
    await change({ base_model_name_or_path: "nobody/nothing" });
    await expect(readConfig(folder)).rejects.toThrow(
      /of nobody\/nothing, which was not found: .*write its folder as base_model_name_or_path/s,
    );
    await change({ base_model_name_or_path: null });
    await expect(readConfig(folder)).rejects.toThrow(/do not name their model/);
  });

  it("one of adapters", async () => {
    await copyOf("plain");
    await change({ base_model_name_or_path: join(adapters, "plain") });
    await expect(loadModel(device, folder)).rejects.toThrow(/which holds adapters itself/);
  });

  it("one of another model", async () => {
    await copyOf("plain");
    await change({ base_model_name_or_path: join(models, "gpt-neo") });
    await expect(loadModel(device, folder)).rejects.toThrow(
      /tensor 'base_model\.model\.gpt_neox\..*fits no Linear weight/,
    );
    await change({ base_model_name_or_path: join(models, "gpt-neox-sequential") });
    await expect(loadModel(device, folder)).rejects.toThrow(/fits no Linear weight|its model asks for/);
  });

  it("one with half of an adapter, or with a tensor of another shape", async () => {
    await copyOf("plain", async (tensors) => tensors.filter((_, at) => at !== 0));
    await expect(loadModel(device, folder)).rejects.toThrow(
      /whose tensor 'base_model\..*\.lora_B\.weight' has no '.*\.lora_A\.weight' beside it, without which it is half an adapter/,
    );
    await copyOf("plain", async ([first, ...rest]) =>
      first === undefined ? rest : [{ ...first, shape: [...first.shape].reverse() }, ...rest],
    );
    await expect(loadModel(device, folder)).rejects.toThrow(/its model asks for/);
  });

  it.each([
    [{ peft_type: "IA3" }, /of kind IA3; lfp applies LORA/],
    [{ use_dora: true }, /that set use_dora, which lfp does not apply\. Merge them/],
    [{ bias: "lora_only" }, /whose bias is 'lora_only'; expected none/],
    [{ init_lora_weights: "pissa" }, /init_lora_weights is 'pissa', which changes the base model's weights/],
    [{ trainable_token_indices: [1, 2] }, /that set trainable_token_indices/],
    [{ target_parameters: ["experts"] }, /that set target_parameters/],
    [{ something_new: { on: true } }, /that set something_new/],
    [{ alpha_pattern: { "(a+)+": 2 } }, /alpha_pattern is by '\(a\+\)\+'; expected names of modules/],
    [{ r: 64 }, /lora_A\.weight' is of rank \d+; the file says 64 \(r, rank_pattern\)/],
    [{ rank_pattern: { dense: "4" } }, /that cannot be read: .*rank_pattern/s],
    [{ lora_alpha: 1e300 }, /whose change of the weights is not finite: lora_alpha/],
    [{ r: 0 }, /that cannot be read: .*r/s],
    [{ lora_alpha: "8" }, /that cannot be read: .*lora_alpha/s],
  ])("one that asks for what is not applied: %o", async (changes, message) => {
    await copyOf("plain");
    await change(changes);
    await expect(loadModel(device, folder)).rejects.toThrow(message);
  });

  it("one that holds a pickle", async () => {
    await copyOf("plain");
    await rm(join(folder, "adapter_model.safetensors"));
    await writeFile(join(folder, "adapter_model.bin"), "");
    await expect(loadModel(device, folder)).rejects.toThrow(/adapter_model\.bin.*pickle|pickle.*adapter_model\.bin/s);
  });
});

/** Copies an adapter of the fixtures, with other tensors where asked. */
async function copyOf(
  name: string,
  changed?: (tensors: readonly TensorToWrite[]) => Promise<readonly TensorToWrite[]>,
): Promise<void> {
  await cp(join(adapters, name), folder, { recursive: true });
  await change({ base_model_name_or_path: join(models, fixture.cases.find((one) => one.name === name)?.base ?? "") });
  if (changed === undefined) return;
  await using source = await openSafetensors(join(adapters, name, "adapter_model.safetensors"));
  const tensors: TensorToWrite[] = [];
  for (const [tensor, { shape }] of source.tensors)
    tensors.push({ name: tensor, dtype: "F32", shape, data: await source.readFloat32(tensor) });
  await writeSafetensors(join(folder, "adapter_model.safetensors"), await changed(tensors));
}

async function change(changes: object): Promise<void> {
  const path = join(folder, "adapter_config.json");
  const config: object = z.looseObject({}).parse(JSON.parse(await readFile(path, "utf8")));
  await writeFile(path, JSON.stringify({ ...config, ...changes }));
}

/** An adapter on one weight of the starter. */
async function adapterOfStarter(): Promise<void> {
  await cp(join(adapters, "plain", "adapter_config.json"), join(folder, "adapter_config.json"));
  await change({ base_model_name_or_path: starterFolder(), r: 1, lora_alpha: 1 });
  const starter = await loadModel(device, starterFolder());
  const spec = starter.parameters.find(({ role, name }) => role === "linear" && name.includes("attention"));
  const [out = 0, inputs = 0] = spec?.shape ?? [];
  expect((await readFloats(starter.store, spec?.name ?? "")).length).toBe(out * inputs);
  const module = `base_model.model.${spec?.name.replace(/\.weight$/, "")}`;
  const ones = (length: number): Float32Array => new Float32Array(length).fill(0.01);
  await writeSafetensors(join(folder, "adapter_model.safetensors"), [
    { name: `${module}.lora_A.weight`, dtype: "F32", shape: [1, inputs], data: ones(inputs) },
    { name: `${module}.lora_B.weight`, dtype: "F32", shape: [out, 1], data: ones(out) },
  ]);
}

async function logitsFor(model: LoadedModel): Promise<ArrayLike<number>> {
  const [first = []] = fixture.ids;
  const shape = [fixture.ids.length, first.length] as const;
  const logits = logitsOf(model, forward(model, { shape }).hidden);
  const program = await device.compile({ stores: [model.store], outputs: { logits } });
  const inputs = { ids: Int32Array.from(fixture.ids.flat()), positions: plainPositions(shape) };
  const results: Partial<Record<string, ArrayLike<number>>> = await program.run(inputs);
  await program.dispose();
  return results["logits"] ?? [];
}
