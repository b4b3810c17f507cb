/** The files for Neuronpedia, imported as its importer does, into tables with its columns (test/fixtures/neuronpedia). */
import { readdirSync, readFileSync } from "node:fs";
import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { scratchFolder } from "../../../../test/unit/runs/scratch.ts";
import { starterRunFolder } from "../../../common/package-root.ts";
import { FeatureStore } from "../../../store/store.ts";
import { exportRun, usualExportOptions } from "./export-run.ts";
import { readFinishedRun } from "./finished-run.ts";
import { dictionaryThere, runThere } from "./neuronpedia-about.ts";

type Row = Readonly<Record<string, unknown>>;

const columns = z
  .record(z.string(), z.union([z.string(), z.record(z.string(), z.string())]))
  .parse(JSON.parse(readFileSync("test/fixtures/neuronpedia/columns.json", "utf8")));

const isText = (value: unknown): boolean => typeof value === "string" && value.isWellFormed() && !value.includes("\0");
const types: Readonly<Record<string, (value: unknown) => boolean>> = {
  text: isText,
  float: (value) => typeof value === "number",
  int: (value) => Number.isInteger(value),
  bool: (value) => typeof value === "boolean",
  json: (value) => typeof value === "object",
  timestamp: (value) => typeof value === "string" && !Number.isNaN(Date.parse(value)),
  visibility: (value) => value === "PUBLIC" || value === "UNLISTED" || value === "PRIVATE",
};

function fits(type: string, value: unknown): boolean {
  if (value === null) return type.endsWith("?");
  const plain = type.replace(/[?=]$/, "");
  const of = types[plain.replace("[]", "")] ?? (() => false);
  return plain.endsWith("[]") ? Array.isArray(value) && value.every(of) : of(value);
}

/** Inserts rows as `jsonb_to_recordset` does: the first row has the columns. Throws where the database would refuse. */
function insert(table: string, rows: readonly Row[]): readonly Row[] {
  const known = z.record(z.string(), z.string()).parse(columns[table]);
  const given = Object.keys(rows[0] ?? {});
  const unknown = given.filter((name) => !Object.hasOwn(known, name));
  const missing = Object.entries(known).filter(([name, type]) => !/[?=]$/.test(type) && !given.includes(name));
  if (unknown.length > 0 || missing.length > 0)
    throw new TypeError(`${table}: unknown columns ${unknown}, missing ones ${missing}`);
  for (const row of rows) {
    if (Object.keys(row).join() !== given.join())
      throw new TypeError(`${table}: a row has other columns than the first`);
    const bad = Object.entries(row).find(([name, value]) => !fits(known[name] ?? "", value));
    if (bad !== undefined) throw new TypeError(`${table}: ${bad[0]} is ${JSON.stringify(bad[1])}`);
  }
  return rows;
}

const linesOf = (text: string): Row[] =>
  text
    .trim()
    .split("\n")
    .map((line) => z.record(z.string(), z.unknown()).parse(JSON.parse(line)));

/** All rows of the batches of a table. */
function batches(source: string, folder: string, table: string): readonly Row[] {
  const found = readdirSync(source).includes(folder) ? readdirSync(join(source, folder)) : [];
  return found
    .filter((name) => name.endsWith(".jsonl.gz"))
    .flatMap((name) => insert(table, linesOf(gunzipSync(readFileSync(join(source, folder, name))).toString())));
}

function importSource(source: string) {
  const one = (file: string, table: string): Row => {
    const [row = {}, ...more] = insert(table, linesOf(readFileSync(join(source, file), "utf8")));
    if (more.length > 0) throw new TypeError(`${file} has several rows`);
    return row;
  };
  return {
    release: one("release.jsonl", "SourceRelease"),
    model: one("model.jsonl", "Model"),
    set: one("sourceset.jsonl", "SourceSet"),
    source: one("source.jsonl", "Source"),
    features: batches(source, "features", "Neuron"),
    explanations: batches(source, "explanations", "Explanation"),
    activations: batches(source, "activations", "Activation"),
  };
}

it("the base model is called by the hub id that is given", async () => {
  const run = await readFinishedRun(starterRunFolder());
  const dictionary = { model: "tuned", size: "small", layer: 1, F: 128, folder: "" } as const;
  const there = await runThere(run, { ...usualExportOptions, base: "me/pythia-14m" });
  expect([there.base, there.owner, dictionaryThere(there, dictionary).modelId]).toEqual([
    "pythia-14m",
    "me",
    "pythia-14m-quick",
  ]);
  const unnamed = await runThere(run, usualExportOptions);
  expect([unnamed.base, unnamed.owner]).toEqual(["starter", ""]);
});

describe("the starter run's features for Neuronpedia", () => {
  let folder = "";
  let sources: { readonly place: string; readonly found: ReturnType<typeof importSource> }[] = [];

  beforeAll(async () => {
    const run = join(await scratchFolder(), "quick");
    await cp(starterRunFolder(), run, { recursive: true });
    // Two layers of five.
    for (const model of ["tuned", "base"])
      for (const layer of [2, 4, 5]) await rm(join(run, "sae", model, `${layer}`), { recursive: true });
    folder = join(run, "..", "np");
    await exportRun(run, "neuronpedia", folder, { ...usualExportOptions, repository: "me/quick" });
    const models = readdirSync(folder).filter((name) => !name.endsWith(".json"));
    sources = models.flatMap((model) =>
      readdirSync(join(folder, model)).map((source) => ({
        place: `${model}/${source}`,
        found: importSource(join(folder, model, source)),
      })),
    );
  }, 60_000);

  it("are one source for each dictionary, of two models", () => {
    // The starter run has no large dictionaries of the base model.
    const kinds = [
      ["starter", 128],
      ["starter-quick", 128],
      ["starter-quick", 256],
    ];
    const expected = kinds.flatMap(([model, F]) => [1, 3].map((layer) => `${model}/${layer}-mlp-quick-${F}`));
    expect(sources.map(({ place }) => place).sort()).toEqual(expected.sort());
  });

  it("refer to rows that are there", () => {
    expect(sources.flatMap(({ found }) => found.activations).length).toBeGreaterThan(1000);
    for (const { place, found } of sources) {
      const [model, source] = place.split("/");
      const { release, features, activations, explanations } = found;
      expect(found.model["id"]).toBe(model);
      expect(found.set).toMatchObject({ modelId: model, releaseName: release["name"] });
      expect(found.source).toMatchObject({ id: source, modelId: model, setName: found.set["name"] });
      const F = Number(source?.split("-").at(-1));
      expect(features.map(({ index }) => index)).toEqual(Array.from({ length: F }, (_, at) => `${at}`));
      const indices = new Set(features.map(({ index }) => index));
      const strays = [...features, ...activations, ...explanations].filter(
        (row) => row["modelId"] !== model || row["layer"] !== source || !indices.has(row["index"]),
      );
      expect(strays).toEqual([]);
      expect(new Set(features.map(({ sourceSetName }) => sourceSetName))).toEqual(new Set([found.set["name"]]));
      for (const rows of [activations, explanations]) expect(new Set(rows.map(({ id }) => id)).size).toBe(rows.length);
    }
  });

  it("name the dictionary that the hub export has", () => {
    const found = sources.find(({ place }) => place === "starter-quick/3-mlp-quick-256")?.found;
    expect(found?.source).toMatchObject({
      hfRepoId: "me/quick",
      hfFolderId: "sae/tuned/3/256",
      saelensConfig: { d_sae: 256, metadata: { hook_name: "blocks.3.hook_mlp_out" } },
      dataset: "starter",
      num_tokens_in_prompt: 16,
    });
    expect(found?.release["urls"]).toEqual(["https://huggingface.co/me/quick"]);
  });

  it("have the numbers and texts of the store", () => {
    using store = FeatureStore.openOutput(join(starterRunFolder(), "features.sqlite"));
    const found = sources.find(({ place }) => place === "starter-quick/1-mlp-quick-128")?.found;
    for (const feature of [5, 77]) {
      const { row, examples, promotes } = store.need(`L1/F${feature}`);
      const own = found?.features.find(({ index }) => index === `${feature}`);
      expect(own).toMatchObject({ frac_nonzero: row.density, freq_hist_data_bar_heights: row.histogram });
      expect(own?.["maxActApprox"]).toBeCloseTo(row.maxActivation, 4);
      const pos = z.array(z.string()).parse(own?.["pos_str"]);
      expect(pos.map((token) => token.replaceAll(" ", "·"))).toEqual(promotes.map(({ token }) => token));
      const active = examples.filter(({ group }) => group !== "silent").flatMap((group) => group.examples);
      const rows = found?.activations.filter(({ index }) => index === `${feature}`) ?? [];
      expect(rows.map(({ tokens }) => tokens)).toEqual(active.map(({ tokens }) => tokens));
      for (const [at, { values, maxValue, maxValueTokenIndex, binMin, binMax }] of rows.entries()) {
        const { activations, peak } = active[at] ?? { activations: [] as number[], peak: 0 };
        const largest = Math.max(...activations);
        expect(maxValue).toBeCloseTo(largest, 4);
        expect(maxValueTokenIndex).toBe(activations.indexOf(largest));
        expect(z.array(z.number()).parse(values)[peak]).toBeCloseTo(activations[peak] ?? Number.NaN, 4);
        expect(Number(binMin) <= Number(binMax)).toBe(true);
      }
    }
  });

  it("have the explanations, with who wrote them and how well they predict", () => {
    using store = FeatureStore.openOutput(join(starterRunFolder(), "features.sqlite"));
    const all = sources.flatMap(({ found }) => found.explanations);
    const id = store.mostSimilar(1).find((one) => one.startsWith("L3/")) ?? "";
    const [layer = "", feature = ""] = id.slice(1).split("/F");
    const own = all.find(
      (row) =>
        row["layer"] === `${layer}-mlp-quick-128` && row["modelId"] === "starter-quick" && row["index"] === feature,
    );
    expect(own?.["description"]).toBe(store.explanationText(id));
    expect(own?.["notes"]).toMatch(
      /^Explained by LFP Lens, without a language model; (detection|fuzzing) score 0\.\d+ /,
    );
    expect(all.length).toBeGreaterThan(50);
  });
});
