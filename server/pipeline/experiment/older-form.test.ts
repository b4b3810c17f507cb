import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { ExperimentError } from "./issues.ts";
import { loadExperiment, parseExperiment } from "./resolve.ts";

const older = fileURLToPath(new URL("../../../test/fixtures/older-experiments", import.meta.url));
const starterRun = fileURLToPath(new URL("../../../assets/starter-run/experiment.json", import.meta.url));

function issuesOf(source: object): Record<string, string> {
  try {
    parseExperiment(source);
  } catch (error) {
    if (error instanceof ExperimentError)
      return Object.fromEntries(error.issues.map(({ path, message }) => [path, message]));
    throw error;
  }
  throw new Error("it was accepted");
}

const quick = (more: object) => parseExperiment({ preset: "quick", ...more });

describe("a file of the older form says the same as one of today's", () => {
  it("complete, as it stands in the folder of a run", async () => {
    for (const path of [join(older, "quick.json"), starterRun])
      expect(await loadExperiment(path)).toEqual(parseExperiment({ preset: "quick" }));
  });

  it("in part: batch sizes say how many prompts are compared at once too", async () => {
    expect(await loadExperiment(join(older, "edited.json"))).toEqual(
      quick({
        name: "edited",
        seed: 7,
        reward: { text: "completion", edits: [{ word: "bad", flip: true }] },
        tuning: {
          steps: 20,
          batchSize: 48,
          miniBatchSize: 16,
          warmupSteps: 2,
          kl: { mode: "adaptive", coefficient: 0.5, target: 6, horizon: 1000 },
        },
        sampling: { promptTokens: { min: 3 }, minTextCharacters: 100, rows: 48, scoredRows: 16 },
      }),
    );
  });

  it("with a tuned model", async () => {
    const { tuning, sampling, text } = await loadExperiment(join(older, "pair.json"));
    expect(tuning).toEqual({ kind: "given", model: resolve(older, "../../../assets/starter-run/tuned") });
    expect(sampling).toMatchObject({ rows: 32, scoredRows: 16, newTokens: { min: 8, max: 12 }, temperature: 0.7 });
    expect(text).toEqual({ prependBos: true });
    const { ppo } = JSON.parse(await readFile(join(older, "quick.json"), "utf8"));
    expect(quick({ tuned: "/t", ppo }).tuning).toEqual({ kind: "given", model: "/t" });
    expect(quick({ tuned: null })).toEqual(quick({}));
  });
});

describe("what is wrong with it is named", () => {
  it.each<[string, object, Record<string, RegExp>]>([
    [
      "by the field of today",
      { ppo: { epochs: 0, prependBos: 3 } },
      { "tuning.epochs": /got 0/, "text.prependBos": /got 3/ },
    ],
    [
      "by the field of today, of both batch sizes",
      { ppo: { batchSize: 0 } },
      { "tuning.batchSize": /got 0/, "sampling.rows": /got 0/ },
    ],
    ["an unknown field", { ppo: { lr: 1 } }, { "tuning.lr": /unknown key/ }],
    ["no section", { ppo: [] }, { tuning: /got \[\]; expected an object/ }],
    ["no name of a model", { tuned: 5 }, { "tuning.model": /got 5; expected a string/ }],
    [
      "both forms",
      { ppo: { steps: 3 }, sampling: { rows: 4 } },
      { ppo: /older form of tuning, sampling, text, and the file also has sampling: leave ppo out/ },
    ],
    [
      "two tuned models",
      { tuned: "./a", tuning: { kind: "given", model: "./b" } },
      { tuned: /the file also has tuning/ },
    ],
    [
      "settings of a tuning that does not take place",
      { tuned: "./t", ppo: { steps: 3, kl: { coefficient: 1 }, temperature: 0.7 } },
      { "ppo.steps": /has no effect/, "ppo.kl": /has no effect/ },
    ],
  ])("%s", (_, file, expected) => {
    const issues = issuesOf({ preset: "quick", ...file });
    expect(new Set(Object.keys(issues))).toEqual(new Set(Object.keys(expected)));
    for (const [path, message] of Object.entries(expected)) expect(issues[path]).toMatch(message);
  });
});
