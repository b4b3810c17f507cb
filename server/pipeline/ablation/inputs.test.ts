import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { starterRunFolder } from "../../common/package-root.ts";
import { readTriples } from "../artifacts/triples.ts";
import { loadExperiment, parseExperiment } from "../experiment/resolve.ts";
import { ablationPaths, TextsChangedError, UnfinishedRunError } from "./inputs.ts";

let state: string;
beforeAll(async () => {
  state = await mkdtemp(join(tmpdir(), "lfp-inputs-"));
  vi.stubEnv("LFP_STATE_DIR", state);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await rm(state, { recursive: true });
});

it("the run that comes with the program gets its texts and triples back, as they were, and keeps them", async () => {
  const folder = starterRunFolder();
  const experiment = await loadExperiment(join(folder, "experiment.json"));
  const paths = await ablationPaths(folder, experiment);
  expect(paths).toMatchObject({
    tuned: join(folder, "tuned"),
    saes: join(folder, "sae"),
    probe: join(folder, "probe"),
  });
  expect(paths.texts.startsWith(state)).toBe(true);
  const heldOut = (await readFile(join(paths.texts, "held-out.jsonl"), "utf8")).trimEnd().split("\n");
  expect(heldOut).toHaveLength(512);
  expect((await readTriples(paths.triples)).length).toBeGreaterThan(100);
  expect(await ablationPaths(folder, experiment)).toEqual(paths);
});

it("other texts than the run's are refused", async () => {
  const folder = starterRunFolder();
  const { data, ...experiment } = await loadExperiment(join(folder, "experiment.json"));
  const other = parseExperiment({ ...experiment, data: { ...data, heldOut: 500 } });
  await expect(ablationPaths(folder, other)).rejects.toThrow(TextsChangedError);
});

it("a folder without a run is told to be finished", async () => {
  const experiment = parseExperiment({ preset: "quick" });
  await expect(ablationPaths(state, experiment)).rejects.toThrow(UnfinishedRunError);
});
