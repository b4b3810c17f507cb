import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { plantedTriples } from "../../test/support/planted-triples.ts";
import { writeSafetensors } from "../models/safetensors.ts";
import { rowMatrix } from "../statistics/linear-algebra.ts";
import { evaluateClassification } from "./classification.ts";
import { defaultClassificationSettings } from "./classification-types.ts";
import { loadProbe, loadRegression, ProbeFileError, type SavedProbe, saveFamiliarity, saveProbe } from "./format.ts";
import { evaluateProbe } from "./regression.ts";
import { defaultProbeSettings } from "./report-types.ts";

let folder: string;
let saved: SavedProbe;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lfp-probe-"));
  const planted = plantedTriples({ triples: 60, words: 6, columns: 5, signal: 1, identity: 0.1, noise: 0.1, seed: 1 });
  const settings = { ...defaultProbeSettings, resamples: 20, permutations: 19, xavierSeeds: 3, labelShuffles: 2 };
  saved = { ...(await evaluateProbe(planted, settings)), about: { model: "starter", lexicon: "nltk2016" } };
});
afterAll(() => rm(folder, { recursive: true }));

test("what is saved is what is loaded, bit for bit, and saved again gives the same bytes", async () => {
  await saveProbe(join(folder, "a"), saved);
  const loaded = await loadProbe(join(folder, "a"));
  expect(loaded).toEqual(saved);
  await saveProbe(join(folder, "b"), loaded);
  for (const name of ["weights.safetensors", "folds.safetensors", "familiarity.safetensors", "probe.json"])
    expect(await readFile(join(folder, "b", name))).toEqual(await readFile(join(folder, "a", name)));
});

test("a report of a regression names no kind in its file, and one of an unknown kind is refused", async () => {
  await saveProbe(join(folder, "kind"), saved);
  const path = join(folder, "kind", "probe.json");
  const description = JSON.parse(await readFile(path, "utf8"));
  expect(Object.keys(description.report)[0]).toBe("settings");
  expect((await loadProbe(join(folder, "kind"))).report.kind).toBe("regression");
  await writeFile(path, JSON.stringify({ ...description, report: { ...description.report, kind: "oracle" } }));
  await expect(loadProbe(join(folder, "kind"))).rejects.toThrow(/is no probe[\s\S]*report\.kind/);
});

test("a probe that an earlier version fitted is loaded without familiarity, and one of other features is refused", async () => {
  const { familiarity, wordFolds, ...older } = saved;
  await saveProbe(join(folder, "older"), older);
  expect(await loadProbe(join(folder, "older"))).toMatchObject({ familiarity: undefined, wordFolds: undefined });
  expect([wordFolds?.probes.length, wordFolds?.foldOf.size]).toEqual([5, 12]);
  const other = { means: Float32Array.of(1, 2), inverse: Float32Array.of(1, 0, 1), limit: 1 };
  await saveFamiliarity(join(folder, "older"), other);
  await expect(loadProbe(join(folder, "older"))).rejects.toThrow(
    /holds 2 numbers as 'means', but probe.json beside it speaks of 5/,
  );
  expect(familiarity?.inverse).toHaveLength(15);
});

test("refuses a folder that holds no probe, or another's weights", async () => {
  await expect(loadProbe(join(folder, "none"))).rejects.toThrow(ProbeFileError);
  await saveProbe(join(folder, "c"), saved);
  const wrong = { ...saved, probe: { ...saved.probe, layers: [{ layer: 0, start: 0, end: 9 }] } };
  await saveProbe(join(folder, "d"), wrong);
  await expect(loadProbe(join(folder, "d"))).rejects.toThrow(
    /holds 5 numbers as 'weight', but probe.json beside it speaks of 9/,
  );
  const path = join(folder, "c", "probe.json");
  await writeFile(path, (await readFile(path, "utf8")).replace('"lfp-probe/1"', '"lfp-probe/9"'));
  await expect(loadProbe(join(folder, "c"))).rejects.toThrow(/is no probe/);
  await writeFile(path, "{");
  await expect(loadProbe(join(folder, "c"))).rejects.toThrow(/cannot be read/);
});

test("spans that overlap, leave columns out, run backwards or come in another order are refused", async () => {
  await saveProbe(join(folder, "spans"), saved);
  const path = join(folder, "spans", "probe.json");
  const description: object = JSON.parse(await readFile(path, "utf8"));
  const span = (layer: number, start: number, end: number) => ({ layer, start, end });
  const wrong = [
    [span(0, 0, 3), span(1, 2, 5)],
    [span(0, 0, 5), span(1, 0, 5)],
    [span(0, 0, 2), span(1, 3, 5)],
    [span(0, 1, 5)],
    [span(0, 0, 0), span(1, 0, 5)],
    [span(1, 0, 2), span(0, 2, 5)],
    [span(1, 0, 2), span(1, 2, 5)],
    [span(0, 3, 5), span(1, 0, 3)],
  ];
  for (const layers of wrong) {
    await writeFile(path, JSON.stringify({ ...description, layers }));
    await expect(loadProbe(join(folder, "spans")), JSON.stringify(layers)).rejects.toThrow(
      /expected layers in ascending/,
    );
  }
  await writeFile(path, JSON.stringify({ ...description, layers: [span(3, 0, 2), span(7, 2, 5)] }));
  expect((await loadProbe(join(folder, "spans"))).probe.layers).toHaveLength(2);
  const many = Array.from({ length: 300_000 }, (_, at) => span(at, at, at + 1));
  await writeFile(path, JSON.stringify({ ...description, layers: many }));
  await expect(loadProbe(join(folder, "spans"))).rejects.toThrow(ProbeFileError);
});

test("refuses folds that are another probe's, saying which weights or which word", async () => {
  await saveProbe(join(folder, "f"), saved);
  const path = join(folder, "f", "probe.json");
  const text = await readFile(path, "utf8");
  await writeFile(path, text.replace('"good0": ', '"good0": 9'));
  const refused = loadProbe(join(folder, "f"));
  await expect(refused).rejects.toThrow(
    /probe\.json: the word 'good0' is read by fold 9\d; expected one of 0 to 4, for there are 5 folds/,
  );
  await expect(refused).rejects.toBeInstanceOf(ProbeFileError);
  await writeFile(path, text);
  const folds = join(folder, "f", "folds.safetensors");
  const tensor = (name: string, length: number) =>
    ({ name, dtype: "F32", shape: [length], data: new Float32Array(length).fill(Number.NaN) }) as const;
  await writeSafetensors(folds, [tensor("weight", 24), tensor("bias", 5)]);
  await expect(loadProbe(join(folder, "f"))).rejects.toThrow(
    /folds\.safetensors holds 24 numbers as 'weight', but probe\.json beside it speaks of 25/,
  );
  await writeSafetensors(folds, [tensor("weight", 25), tensor("bias", 4)]);
  await expect(loadProbe(join(folder, "f"))).rejects.toThrow(/holds 4 numbers as 'bias', .* speaks of 5/);
});

test("never writes a report with a number that is none", async () => {
  const broken = { ...saved, report: { ...saved.report, deltas: { low: Number.NaN, high: 1 } } };
  await expect(saveProbe(join(folder, "e"), broken)).rejects.toThrow();
});

test("a classification is saved and loaded as it is, and is refused where ratings of words are meant", async () => {
  const groups = Array.from({ length: 12 }, (_, at) => `prompt ${at % 6}`);
  const answer = { text: "so it is", start: 0, end: 8 };
  const contrasts = groups.map((group, at) => ({
    id: `${at}`,
    source: "",
    group,
    positive: answer,
    negative: answer,
  }));
  const rows = rowMatrix(
    Float32Array.from({ length: 48 }, (_, at) => (at * 7) % 5),
    24,
    2,
  );
  const features = { layers: [{ layer: 1, start: 0, end: 2 }], rows };
  const settings = { ...defaultClassificationSettings, resamples: 5, labelShuffles: 1 };
  const found = await evaluateClassification({ contrasts, features, tokens: new Int32Array(24).fill(3) }, settings);
  const classification: SavedProbe = { ...found, testTriples: [], about: { task: "pairs" } };
  await saveProbe(join(folder, "classification"), classification);
  expect(await loadProbe(join(folder, "classification"))).toEqual(classification);
  await expect(loadRegression(join(folder, "classification"))).rejects.toThrow(/is of a classification; expected/);
  expect((await loadRegression(join(folder, "a"))).report.kind).toBe("regression");
});
