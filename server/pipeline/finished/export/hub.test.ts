import { cp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { describe, expect, it } from "vitest";
import { scratchFolder } from "../../../../test/unit/runs/scratch.ts";
import { starterFolder, starterRunFolder } from "../../../common/package-root.ts";
import { Random } from "../../../common/random.ts";
import { createCpuDevice } from "../../../engine/cpu/device.ts";
import { saveAdapters } from "../../../models/adapter-save.ts";
import { loadModel, readFloats } from "../../../models/checkpoint.ts";
import { addLora } from "../../../models/lora.ts";
import { openDictionary } from "../../../sae/foreign/dictionary.ts";
import { loadSae } from "../../../sae/format.ts";
import { EXPORT_FILE } from "./export-folder.ts";
import { exportRun, usualExportOptions } from "./export-run.ts";
import { RunNotExportableError } from "./finished-run.ts";

/** A copy of the starter run, whose files may be changed. */
async function copyOfRun(): Promise<string> {
  const folder = join(await scratchFolder(), "quick");
  await cp(starterRunFolder(), folder, { recursive: true });
  return folder;
}

async function changeJson(path: string, change: (json: Record<string, unknown>) => object): Promise<void> {
  await writeFile(path, JSON.stringify(change(JSON.parse(await readFile(path, "utf8")))));
}

function sameFloats(a: Float32Array, b: Float32Array): boolean {
  return (
    a.length > 0 &&
    Buffer.compare(
      Buffer.from(a.buffer, a.byteOffset, a.byteLength),
      Buffer.from(b.buffer, b.byteOffset, b.byteLength),
    ) === 0
  );
}

const frontMatterOf = async (folder: string): Promise<string[]> => {
  const [, matter = ""] = (await readFile(join(folder, "README.md"), "utf8")).split(/^---$/m);
  return matter.trim().split("\n");
};

describe("a run for the hub", () => {
  it("has the model at the top, and dictionaries that are read as those of others", async () => {
    const folder = join(await scratchFolder(), "hub");
    const { notes } = await exportRun(starterRunFolder(), "hub", folder);
    expect((await readdir(folder)).sort()).toEqual(
      [
        ...["README.md", "config.json", "experiment.json", EXPORT_FILE, "model.safetensors"],
        ...["report.html", "report.json", "report.md", "sae", "tokenizer.json", "tokenizer_config.json"],
      ].sort(),
    );
    expect(notes[0]).toContain("states no licence");
    const device = await createCpuDevice({ threads: 1 });
    try {
      const own = await loadModel(device, join(starterRunFolder(), "tuned"));
      const again = await loadModel(device, folder, { prefix: "b." });
      for (const { name } of own.parameters)
        expect([
          name,
          sameFloats(await readFloats(again.store, `b.${name}`), await readFloats(own.store, name)),
        ]).toEqual([name, true]);
    } finally {
      await device.close();
    }
    for (const place of ["sae/tuned/3/256", "sae/base/1/128"]) {
      const { sae, origin } = await openDictionary(join(folder, place));
      expect(origin).toMatchObject({ format: "SAELens", site: `blocks.${place.split("/")[2]}.hook_mlp_out` });
      const { sae: own } = await loadSae(join(starterRunFolder(), place));
      expect(sameFloats(sae.encoder, own.encoder) && sameFloats(sae.decoder, own.decoder)).toBe(true);
      expect(sameFloats(sae.encoderBias, own.encoderBias) && sameFloats(sae.decoderBias, own.decoderBias)).toBe(true);
    }
  });

  it("has a card whose first lines the hub indexes, without a licence", async () => {
    const run = await copyOfRun();
    await changeJson(join(run, "experiment.json"), (json) => ({
      ...json,
      model: "EleutherAI/pythia-70m@step3000",
      data: { ...(json["data"] as object), source: { hub: "stanfordnlp/imdb", split: "train" } },
      analysis: { source: { file: "/home/me/own.jsonl" } },
    }));
    const folder = join(run, "..", "hub");
    const { notes } = await exportRun(run, "hub", folder, { ...usualExportOptions, repository: "me/quick" });
    expect(await frontMatterOf(folder)).toEqual([
      "# license: name one here, see https://huggingface.co/docs/hub/repositories-licenses",
      "library_name: transformers",
      "pipeline_tag: text-generation",
      'base_model: "EleutherAI/pythia-70m"',
      "base_model_relation: finetune",
      "datasets:",
      '  - "stanfordnlp/imdb"',
      "tags:",
      ...["lfp-lens", "interpretability", "sparse-autoencoder", "ppo"].map((tag) => `  - "${tag}"`),
    ]);
    expect(await readFile(join(folder, "README.md"), "utf8")).toContain(
      'from_pretrained("me/quick", "sae/tuned/1/128")',
    );
    expect(notes.at(-1)).toBe("experiment.json names places of this machine or network: /home/me/own.jsonl");
  });

  it("says so if the run was given its tuned model, and holds no weights", async () => {
    const run = await copyOfRun();
    await changeJson(join(run, "experiment.json"), ({ tuned: _, ppo: __, ...json }) => ({
      ...json,
      tuned: "lvwerra/gpt2-imdb-pos",
    }));
    const folder = join(run, "..", "hub");
    const { notes } = await exportRun(run, "hub", folder);
    expect(await readdir(folder)).not.toContain("model.safetensors");
    expect(notes).toContain("the run did not make its tuned model, so the folder holds none");
    const matter = await frontMatterOf(folder);
    expect(matter).toEqual(expect.arrayContaining(["library_name: saelens", 'base_model: "lvwerra/gpt2-imdb-pos"']));
  });
});

/** A run whose tuned folder has an adapter in a folder of its own, or of a large model, the adapter alone. */
async function adapterRun(isLarge = false): Promise<string> {
  const run = await copyOfRun();
  const tuned = join(run, "tuned");
  if (isLarge) await rm(tuned, { recursive: true });
  const device = await createCpuDevice({ threads: 1 });
  try {
    const base = await loadModel(device, starterFolder());
    const options = { rank: 2, alpha: 4, targets: ["gpt_neox.layers.0.mlp.dense_h_to_4h.weight"] };
    const policy = await addLora(device, base, options, Random.fromSeed(1));
    if (policy.adapters === undefined) throw new TypeError("the policy has adapters");
    await saveAdapters(base, policy.adapters, isLarge ? tuned : join(tuned, "adapter"));
    if (isLarge) await writeFile(join(tuned, "extra.safetensors"), "a value head");
  } finally {
    await device.close();
  }
  return run;
}

describe("a run with an adapter", () => {
  it("is the adapter alone, on the base that is named", async () => {
    const run = await adapterRun();
    const folder = join(run, "..", "hub");
    await exportRun(run, "hub", folder, { ...usualExportOptions, base: "me/starter" });
    expect(await readdir(folder)).toEqual(expect.arrayContaining(["adapter_config.json", "adapter_model.safetensors"]));
    expect((await readdir(folder)).filter((name) => /^(model|config)/.test(name))).toEqual([]);
    const config = JSON.parse(await readFile(join(folder, "adapter_config.json"), "utf8"));
    expect(config).toMatchObject({ base_model_name_or_path: "me/starter", revision: null, r: 2, lora_alpha: 4 });
    expect(await frontMatterOf(folder)).toEqual(
      expect.arrayContaining(["library_name: peft", 'base_model: "me/starter"', "base_model_relation: adapter"]),
    );
    expect(await readFile(join(folder, "adapter_model.safetensors"))).toEqual(
      await readFile(join(run, "tuned", "adapter", "adapter_model.safetensors")),
    );
  });

  it("is merged where the base has no hub id, or where that is asked for", async () => {
    const run = await adapterRun();
    const [folder, merged] = [join(run, "..", "hub"), join(run, "..", "merged")];
    const { notes } = await exportRun(run, "hub", folder);
    expect(notes.some((note) => note.includes("--base OWNER/NAME exports it alone"))).toBe(true);
    await exportRun(run, "hub", merged, { ...usualExportOptions, base: "me/starter", merged: true });
    for (const place of [folder, merged]) {
      expect(await readdir(place)).toContain("model.safetensors");
      expect(await readdir(place)).not.toContain("adapter_config.json");
    }
  });
});

describe("a run on a large model, whose tuned folder is the adapter", () => {
  it("is that adapter on the base that is named, with the base model's tokenizer", async () => {
    const run = await adapterRun(true);
    const folder = join(run, "..", "hub");
    await exportRun(run, "hub", folder, { ...usualExportOptions, base: "me/starter" });
    expect((await readdir(folder)).filter((name) => !/^(sae|report|README|experiment)/.test(name)).sort()).toEqual(
      [
        "adapter_config.json",
        "adapter_model.safetensors",
        EXPORT_FILE,
        "tokenizer.json",
        "tokenizer_config.json",
      ].sort(),
    );
    expect(await readFile(join(folder, "adapter_config.json"), "utf8")).toContain('"me/starter"');
    expect(await frontMatterOf(folder)).toEqual(expect.arrayContaining(["library_name: peft"]));
  });

  it.each([
    ["merged", { base: "me/starter", merged: true }, "leave --merged out"],
    ["on a base without a hub id", {}, "--base OWNER/NAME"],
  ])("is refused %s, with what to do instead", async (_, options, advice) => {
    const run = await adapterRun(true);
    const work = exportRun(run, "hub", join(run, "..", "hub"), { ...usualExportOptions, ...options });
    await expect(work).rejects.toThrow(advice);
    await expect(work).rejects.toBeInstanceOf(RunNotExportableError);
  });
});

describe("a run that cannot be exported", () => {
  const state = async (run: string, kind: object): Promise<void> =>
    await changeJson(join(run, "run.json"), (json) => ({ ...json, state: kind }));

  it.each([
    [{ kind: "cancelled", stage: "tune" }, "this one is cancelled"],
    [
      { kind: "failed", stage: "sae", code: "resource", message: "No space", resumable: true },
      "this one is failed in stage sae: No space.",
    ],
  ])("is one that is not done: %j", async (kind, problem) => {
    const run = await copyOfRun();
    await state(run, kind);
    const work = exportRun(run, "hub", join(run, "..", "hub"));
    await expect(work).rejects.toThrow(problem);
    await expect(work).rejects.toBeInstanceOf(RunNotExportableError);
    expect(await readdir(join(run, ".."))).toEqual([basename(run)]);
  });

  it("is one whose report was removed", async () => {
    const run = await copyOfRun();
    await rm(join(run, "report.json"));
    await expect(exportRun(run, "neuronpedia", join(run, "..", "np"))).rejects.toThrow("it has no report.json");
  });
});
