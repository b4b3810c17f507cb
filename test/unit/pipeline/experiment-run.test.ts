import { readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { reportSchema } from "../../../server/pipeline/report/document.ts";
import { loadProbe, loadRegression } from "../../../server/probe/format.ts";
import { AblationSet } from "../../../server/protocol/ablation.ts";
import { MeasureAblation, QueryFeatures } from "../../../server/protocol/features.ts";
import { readRecord } from "../../../server/runs/run-folder.ts";
import { loadSae } from "../../../server/sae/format.ts";
import { LspClient } from "../../support/lsp-client.ts";
import { runLfp } from "../../support/run-lfp.ts";
import { useStateFolder } from "../../support/state-folder.ts";
import { lastingFiles } from "../runs/lasting-files.ts";
import { tinyExperiment as tiny } from "./tiny-experiment.ts";

const stateFolder = useStateFolder("run");
let folder: string;
beforeAll(async () => {
  folder = stateFolder();
});

const lfp = (args: readonly string[], signal = new AbortController().signal) =>
  runLfp(args, { signal, env: process.env });

async function experimentFile(name: string, experiment: object): Promise<string> {
  const path = join(folder, `${name}.json`);
  await writeFile(path, JSON.stringify(experiment));
  return path;
}

/** The features can be listed, looked at and annotated, and what was written outlives the next run of the pipeline. */
async function checkFeatures(run: string): Promise<void> {
  const listed = JSON.parse((await lfp(["features", run, "--sort", "probeWeight", "--count", "3", "--json"])).stdout);
  expect(listed).toMatchObject({ total: 128, rows: [{}, {}, {}] });
  const [{ id }] = listed.rows;
  const noted = await lfp(["feature", run, id, "--note", "A peculiar one", "--add-label", "odd", "--pin"]);
  expect(noted.stdout).toMatch(/A peculiar one[\s\S]*Strongest/);
  expect((await lfp(["features", run, "--search", "pecul", "--pinned"])).stdout).toContain(`*${id}`);
  const examples = JSON.parse((await lfp(["feature", run, id, "--json"])).stdout).examples;
  expect(examples[0].examples.length).toBeGreaterThan(3);
  const scored = JSON.parse((await lfp(["features", run, "--sort", "score", "--count", "3", "--json"])).stdout).rows;
  for (const { explanation } of scored)
    expect(explanation).toMatchObject({ explainer: "offline", score: { method: "detection" } });
  expect((await lfp(["feature", run, "L99/F1"])).code).toBe(4);
  expect((await lfp(["feature", run, "../x"])).stderr).toContain("has no feature ../x");
}

/** A set with factor 1 changes no completion; one that is saved can be used again, and a single feature's effect stands on its page. */
async function checkAblation(run: string): Promise<void> {
  const file = join(folder, "set.lfp-ablation.json");
  const { rows } = JSON.parse((await lfp(["features", run, "--count", "2", "--json"])).stdout);
  const [first, second] = rows.map(({ id }: { id: string }) => id);
  const few = ["--prompts", "16", "--draws", "1", "--json"];
  const kept = await lfp(["ablate", run, first, second, "--factor", "1", "--save", file, ...few]);
  expect(kept.code, kept.stderr).toBe(0);
  const { conditions } = JSON.parse(kept.stdout);
  const unchanged = conditions.find(({ kind }: { kind: string }) => kind === "this");
  for (const what of ["reward", "loss", "probe"]) expect(unchanged[what].change).toEqual({ mean: 0, low: 0, high: 0 });
  const single = JSON.parse((await lfp(["features", run, "--sort", "ablation", "--count", "1", "--json"])).stdout)
    .rows[0];
  expect(single.ablation.low).toBeLessThanOrEqual(single.ablation.high);
  const set = AblationSet.parse(JSON.parse(await readFile(file, "utf8")));
  expect(set.features).toEqual([first, second].map((id) => ({ id, factor: 1 })));
  await writeFile(file, JSON.stringify({ ...set, features: [...set.features, ...set.features] }));
  expect((await lfp(["ablate", run, "--set", file])).stderr).toContain("names a feature twice");
  expect((await lfp(["ablate", run, "base:L1/F1"])).stderr).toMatch(/has no feature|base model/);
  expect((await lfp(["ablate", run])).stderr).toContain("FEATURE is missing, or --set FILE");
  expect((await lfp(["ablate", run, first, "--choose", "weight"])).stderr).toContain("FEATURE and --choose were both");
  const byAttribution = JSON.parse((await lfp(["features", run, "--sort", "attribution", "--json"])).stdout).rows;
  const ways = ["--choose", "attribution", "--features", "3", "--completions", "2"];
  const chosen = await lfp(["ablate", run, ...ways, ...few.slice(0, 4)]);
  expect(chosen.stdout, chosen.stderr).toContain(byAttribution.slice(0, 3).map(({ id }: { id: string }) => id)[2]);
  expect(chosen.stdout).toMatch(
    /16 prompts, 2 completions each[\s\S]*gain of the tuned over the base model[\s\S]*the one draw[\s\S]*random sets/,
  );
}

/** The editor asks the same through the server. */
async function checkAblationThroughServer(run: string): Promise<void> {
  const options = { runsRoots: [dirname(run)], trusted: true };
  const client = await LspClient.start({ options, env: { LFP_STATE_DIR: join(folder, "state") } });
  try {
    const { rows } = await client.ask(QueryFeatures, { runFolder: run, query: {}, offset: 0, count: 1 });
    const features = rows.map(({ id }) => ({ id, factor: 1 }));
    const question = { runFolder: run, features, prompts: 16, seed: 1, job: "j" };
    const { ablations } = await client.ask(MeasureAblation, question);
    expect(ablations.map(({ what }) => what).sort()).toEqual(["mean", "random", "reconstruction", "this"]);
    expect(ablations).toContainEqual({ what: "this", factor: 1, prompts: 16, change: 0, low: 0, high: 0 });
    const unknown = client.ask(MeasureAblation, { ...question, features: [{ id: "L99/F1", factor: 0 }] });
    await expect(unknown).rejects.toThrow(/L99\/F1/);
  } finally {
    await client.stop();
  }
}

describe("lfp run", { timeout: 360_000 }, () => {
  it("goes from feedback to a report; the second time nothing is done again; a cut run ends with the same bytes", async () => {
    const path = await experimentFile("tiny", tiny);
    const whole = join(folder, "a", "tiny");
    const first = await lfp(["run", path, "--out", whole, "--json"]);
    expect(first.code, first.stderr).toBe(0);
    const report = reportSchema.parse(JSON.parse(await readFile(join(whole, "report.json"), "utf8")));
    expect(report.sections.flatMap((section) => section.tables.map((table) => table.id))).toEqual(
      expect.arrayContaining([
        "reward",
        "divergence",
        "restore",
        "similarity",
        "sae-quality",
        "table-4",
        "table-5",
        "table-9",
        "table-10",
        "differences",
        "refits",
        "fitted",
        "fitted-words",
        "learned",
        "learned-words",
        "learned-contrary",
        "figure-4",
        "tables-11-12",
        "table-1",
        "table-8",
        "relevance",
        "explanation-scores",
        "table-6",
        "table-7",
      ]),
    );
    for (const table of report.sections.flatMap((section) => section.tables)) {
      expect(table.source).toMatchObject({ run: "tiny", seed: 1 });
      expect(table.source.key).toMatch(/^[0-9a-f]{16}$/);
      for (const row of table.rows) expect(row).toHaveLength(table.columns.length);
    }
    const [layer = ""] = await readdir(join(whole, "sae", "tuned"));
    expect((await loadSae(join(whole, "sae", "tuned", layer, "128"))).sae.F).toBe(128);
    expect((await loadProbe(join(whole, "probe"))).probe.weights).toHaveLength(128);
    const fitted = await loadRegression(join(whole, "fitted"));
    expect(fitted.probe.weights).toHaveLength(128);
    expect(fitted.report.settings.target).toBe("logRatio");
    const { lexicon } = (await loadRegression(join(whole, "probe"))).report.byWord;
    expect(fitted.report.byWord.lexicon.map(({ word }) => word)).toEqual(lexicon.map(({ word }) => word));

    await checkFeatures(whole);
    await checkAblation(whole);
    await checkAblationThroughServer(whole);
    const again = await lfp(["run", path, "--out", whole, "--json"]);
    expect(again.code).toBe(0);
    expect((await readRecord(whole))?.stages.map(({ status }) => status)).toEqual(expect.not.arrayContaining(["done"]));
    expect((await lfp(["features", whole, "--label", "odd"])).stdout).toContain("1 to 1 of 1 features");

    const cut = join(folder, "b", "tiny");
    const stopping = new AbortController();
    const stopped = lfp(["stage", path, "tune", "--out", cut], stopping.signal);
    stopping.abort();
    expect([75, 130]).toContain((await stopped).code);
    expect((await lfp(["stage", path, "divergence", "--out", cut])).code).toBe(0);
    expect((await lfp(["run", path, "--out", cut])).code).toBe(0);
    expect(await lastingFiles(cut)).toEqual(await lastingFiles(whole));

    const shown = await lfp(["report", whole]);
    expect(shown.stdout).toContain("# Run tiny");
    expect((await lfp(["status", whole])).stdout).toMatch(/done\n {2}prepare/);
    const followed = await lfp(["status", whole, "--follow"]);
    expect(followed.stderr).toMatch(/^prepare: started\n[\s\S]*\nreport: done in \d+ s\ndone\n/);
    expect(followed.stdout).toBe((await lfp(["status", whole])).stdout);
    expect((await lfp(["cancel", whole])).stdout).toContain("nothing works on it");
  });

  it("looks for a tuned checkpoint of one's own before anything is computed", async () => {
    const { tuning: _, ...rest } = tiny;
    const own = { ...rest, name: "pair", tuning: { kind: "given", model: "./starter-copy" }, model: "starter" };
    const result = await lfp(["run", await experimentFile("pair", own), "--out", join(folder, "pair")]);
    expect(result.code).not.toBe(0);
    expect(result.stderr).toMatch(/starter-copy/);
  });

  it.each([
    [["run", "nowhere.json"], 4, /nowhere\.json cannot be read/],
    [["run", "quick", "--seed=-1"], 2, /--seed is "-1"/],
    [["status", "nowhere"], 4, /holds no run/],
    [["status", "--follow"], 2, /RUN is missing/],
    [["report", "nowhere"], 4, /holds no run/],
    [["cancel", "nowhere"], 4, /holds no run/],
    [["stage", "quick"], 2, /STAGE is missing/],
  ] as const)("%j fails with its reason", async (args, code, message) => {
    const result = await lfp(args);
    expect(result.stderr).toMatch(message);
    expect(result.code).toBe(code);
  });

  it("names every wrong place of an experiment file and makes no run of it", async () => {
    const path = await experimentFile("wrong", {
      preset: "quick",
      name: "wrong",
      tuning: { stepz: 3, batchSize: "x" },
    });
    const result = await lfp(["run", path, "--out", join(folder, "wrong")]);
    expect(result.code).toBe(2);
    expect(result.stderr).toMatch(/stepz/);
    expect(result.stderr).toMatch(/batchSize/);
    await expect(readdir(join(folder, "wrong"))).rejects.toThrow();
  });
});
