import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { assembled, wasmModules } from "../../scripts/build-wasm.ts";
import {
  readStageRecord,
  recordCommand,
  type StageRecord,
  stageCodeOf,
  staleness,
} from "../../scripts/record-stage-code.ts";
import { countTests, withUnexpectedSkips } from "../../scripts/test.ts";
import { oldestNode } from "../../server/cli/node-version.ts";
import { type Import, readImportGraph, type SourceFile, typeImports } from "../support/import-graph.ts";
import { rules } from "../support/invariants.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

describe("the project's import graph", () => {
  let files: SourceFile[];
  beforeAll(async () => {
    files = await readImportGraph(root, ["server", "extension", "webviews", "kernels", "drawing", "scripts"]);
  });

  it("was read: the files and the edges that everyone knows are there", () => {
    const device = files.find(({ path }) => path === "server/engine/cpu/device.ts");
    expect(device?.imports).toContainEqual({ target: "server/engine/cpu/planner.ts", kind: "value" });
    expect(device?.imports).toContainEqual({ target: "node:worker_threads", kind: "value" });
    expect(device?.imports).toContainEqual({ target: "server/engine/device.ts", kind: "type" });
    const client = files.find(({ path }) => path === "server/models/hub/client.ts");
    expect(client?.imports).toContainEqual({ target: "@huggingface/hub", kind: "value" });
  });

  it.each(rules)("$name", ({ violations }) => {
    expect(violations(files)).toEqual([]);
  });

  it("a stage's codeVersion stands for the code that it computes with", async () => {
    expect(staleness(await readStageRecord(), stageCodeOf(files))).toBe("");
  });
});

describe("the record of what stages compute with", () => {
  const file = (path: string, source: string, ...values: string[]): SourceFile => ({
    path,
    source,
    imports: values.map((target) => ({ target, kind: "value" })),
  });
  const project = (stage: string, loss: string, error = ""): SourceFile[] => [
    file("server/pipeline/stages/sae.ts", stage, "server/sae/loss.ts", "server/sae/errors.ts"),
    file("server/sae/loss.ts", loss, "server/engine/ops.ts"),
    file("server/sae/errors.ts", error),
    file("server/engine/ops.ts", "export const add = 1;"),
  ];
  const stage = (version: number): string => `export const stage = { name: "sae", codeVersion: ${version}, run };`;
  const written = 'import { add } from "../engine/ops.ts";\nexport const loss = (x: number): number => 2 * x;';
  const recorded: StageRecord = stageCodeOf(project(stage(1), written));
  const said = (files: SourceFile[]): string => staleness(recorded, stageCodeOf(files));

  it("holds stages and what they load, without the engine and errors", () => {
    expect(recorded.stages).toEqual({ "sae (sae.ts)": 1 });
    expect(Object.keys(recorded.files)).toEqual(["server/pipeline/stages/sae.ts", "server/sae/loss.ts"]);
  });

  it("does not mind comments, types, formatting, other places of imports, or words of errors", () => {
    const reworded = `/** Twice. */\nimport { add } from "../engine/sums.ts";\nexport const loss = (x: any) =>\n  2 * x;`;
    expect(said(project(stage(1), reworded, 'throw new Error("no")'))).toBe("");
  });

  it("names the file and the stage where the code has changed at the same codeVersion, and what to do", () => {
    const message = said(project(stage(1), written.replace("2 *", "3 *")));
    expect(message).toContain("server/sae/loss.ts: sae (sae.ts)");
    expect(message).toContain("raise codeVersion");
    expect(message).toContain(recordCommand);
  });

  it("asks for no more than a record where codeVersion was raised", () => {
    const message = said(project(stage(2), written.replace("2 *", "3 *")));
    expect(message).not.toContain("has not");
    expect(message).toContain(recordCommand);
  });
});

/** For each rule, graphs that break it and what the rule must say. */
const offences: Readonly<Record<string, readonly [files: Readonly<Record<string, string[] | string>>, says: string]>> =
  {
    "engine knows no model, no run, no language server": [
      { "server/engine/graph.ts": ["type server/models/model.ts"], "server/models/model.ts": [] },
      "server/engine/graph.ts imports server/models/model.ts",
    ],
    "engine does no file or network IO, nor does anything that it loads": [
      { "server/engine/graph.ts": ["server/common/disk.ts"], "server/common/disk.ts": ["node:fs/promises"] },
      "server/common/disk.ts imports node:fs/promises",
    ],
    "only engine/webgpu imports webgpu": [
      { "server/engine/device.ts": ["webgpu"] },
      "server/engine/device.ts imports webgpu",
    ],
    "only engine/onnx and engine/cpu import an ONNX runtime": [
      { "server/lens/lens.ts": ["onnxruntime-node"] },
      "server/lens/lens.ts imports onnxruntime-node",
    ],
    "only engine/cpu imports koffi": [{ "server/lens/lens.ts": ["type koffi"] }, "server/lens/lens.ts imports koffi"],
    "nothing under server imports vscode": [
      { "server/lsp/hover.ts": ["type vscode"] },
      "server/lsp/hover.ts imports vscode",
    ],
    "extension and webviews import from server/protocol only": [
      { "webviews/table.ts": ["server/protocol/features.ts", "type server/store/store.ts"] },
      "webviews/table.ts imports server/store/store.ts",
    ],
    "drawing imports only protocol": [
      { "drawing/figure.ts": ["type server/protocol/report.ts", "drawing/scale.ts", "lit"] },
      "drawing/figure.ts imports lit",
    ],
    "protocol imports nothing of ours": [
      { "server/protocol/hover.ts": ["zod", "server/lens/lens.ts"] },
      "server/protocol/hover.ts imports server/lens/lens.ts",
    ],
    "only rewards and benches know VADER": [
      {
        "server/rewards/rewards.ts": ["server/rewards/vader.ts"],
        "server/probe/deltas.ts": ["type server/rewards/vader.ts"],
      },
      "server/probe/deltas.ts imports server/rewards/vader.ts",
    ],
    "runs knows no model, no experiment and no stage": [
      { "server/runs/run.ts": ["server/common/errors.ts", "type server/models/model.ts"] },
      "server/runs/run.ts imports server/models/model.ts",
    ],
    "only plans of runs know stages": [
      {
        "server/pipeline/plan-seeds.ts": ["server/pipeline/stages/seeds.ts"],
        "server/pipeline/report/figures.ts": ["type server/pipeline/stages/tune.ts"],
      },
      "server/pipeline/report/figures.ts imports server/pipeline/stages/tune.ts",
    ],
    "what stages write is read without knowing who writes or reads it": [
      { "server/pipeline/artifacts/texts.ts": ["server/pipeline/report/document.ts"] },
      "server/pipeline/artifacts/texts.ts imports server/pipeline/report/document.ts",
    ],
    "what is done with finished runs is known to nothing that makes them": [
      { "server/pipeline/stages/tune.ts": ["server/pipeline/finished/summaries.ts"] },
      "server/pipeline/stages/tune.ts imports server/pipeline/finished/summaries.ts",
    ],
    "only tuning, its benches and the presets know one way of tuning from another": [
      { "server/pipeline/stages/tune.ts": ["type server/tuning/ppo.ts"] },
      "server/pipeline/stages/tune.ts imports server/tuning/ppo.ts",
    ],
    "tuning imports none of sae, learned, calibration, probe, explain, grading, ablate, lens": [
      { "server/tuning/ppo.ts": ["server/sae/sae.ts"] },
      "server/tuning/ppo.ts imports server/sae/sae.ts",
    ],
    "sae imports none of tuning, learned, calibration, probe, explain, grading, ablate, lens": [
      { "server/sae/sae.ts": ["server/probe/ridge.ts"] },
      "server/sae/sae.ts imports server/probe/ridge.ts",
    ],
    "learned imports none of tuning, sae, calibration, probe, explain, grading, ablate, lens": [
      { "server/learned/lexicon.ts": ["server/probe/word-scores.ts"] },
      "server/learned/lexicon.ts imports server/probe/word-scores.ts",
    ],
    "calibration imports none of tuning, sae, learned, probe, explain, grading, ablate, lens": [
      { "server/calibration/power.ts": ["type server/learned/report-types.ts"] },
      "server/calibration/power.ts imports server/learned/report-types.ts",
    ],
    "probe imports none of tuning, sae, learned, calibration, explain, grading, ablate, lens": [
      { "server/probe/ridge.ts": ["type server/sae/sae.ts"] },
      "server/probe/ridge.ts imports server/sae/sae.ts",
    ],
    "explain imports none of tuning, sae, learned, calibration, probe, grading, ablate, lens": [
      { "server/explain/scorer.ts": ["server/lens/lens.ts"] },
      "server/explain/scorer.ts imports server/lens/lens.ts",
    ],
    "grading imports none of tuning, sae, learned, calibration, probe, explain, ablate, lens": [
      { "server/grading/questions.ts": ["type server/explain/types.ts"] },
      "server/grading/questions.ts imports server/explain/types.ts",
    ],
    "ablate imports none of tuning, sae, learned, calibration, probe, explain, grading, lens": [
      { "server/ablate/edit.ts": ["type server/sae/sae.ts"] },
      "server/ablate/edit.ts imports server/sae/sae.ts",
    ],
    "lens imports none of tuning, sae, learned, calibration, probe, explain, grading, ablate": [
      { "server/lens/lens.ts": ["server/explain/scorer.ts"] },
      "server/lens/lens.ts imports server/explain/scorer.ts",
    ],
    "only models/hub, endpoint and runs/ray open connections": [
      { "server/models/hub/client.ts": ["node:https"], "server/rewards/vader.ts": "const page = await fetch(url);" },
      "server/rewards/vader.ts calls fetch or opens a socket",
    ],
    "only explain, grading and the grader ask an endpoint, and pipeline and cli have them ask": [
      { "server/tasks/pairs/contrasts.ts": ["type server/endpoint/chat.ts"] },
      "server/tasks/pairs/contrasts.ts imports server/endpoint/chat.ts",
    ],
    "endpoint knows no feature, no data set and no run": [
      { "server/endpoint/chat.ts": ["type server/explain/types.ts"] },
      "server/endpoint/chat.ts imports server/explain/types.ts",
    ],
    "only models compares names of architectures": [
      { "server/pipeline/logits.ts": 'const centres = config.modelType !== "gemma";' },
      "server/pipeline/logits.ts compares a model type with a name",
    ],
    "there is no import cycle, of types neither": [
      { "server/a.ts": ["server/b.ts"], "server/b.ts": ["server/c.ts"], "server/c.ts": ["type server/b.ts"] },
      "server/b.ts -> server/c.ts -> server/b.ts",
    ],
    "no file is longer than 450 lines": [{ "server/a.ts": "\n".repeat(451) }, "server/a.ts has 451 lines"],
    "no file of the pipeline is longer than 300 lines": [
      { "server/a.ts": "\n".repeat(400), "server/pipeline/stages/a.ts": "\n".repeat(301) },
      "server/pipeline/stages/a.ts has 301 lines",
    ],
  };

describe("each rule can fail", () => {
  it.each(rules)("$name", ({ name, violations }) => {
    const [graph, says] = offences[name] ?? [{}, "no offence is given for this rule"];
    expect(violations(madeUp(graph))).toEqual([says]);
  });

  it("and type imports are found in all their forms", () => {
    const source =
      'import type { A } from "./a.ts";\nexport type { B,\n C } from "../b.ts";\nimport { type D } from "./d.ts";\nimport type E from "vscode";';
    expect(typeImports("server/x/y.ts", source).map(({ target }) => target)).toEqual([
      "server/x/a.ts",
      "server/b.ts",
      "vscode",
    ]);
  });
});

/** A graph from imports by file (`type ` before those of types), or from a file's source. */
function madeUp(graph: Readonly<Record<string, string[] | string>>): SourceFile[] {
  return Object.entries(graph).map(([path, given]) => {
    const imports = typeof given === "string" ? [] : given;
    return { path, source: typeof given === "string" ? given : "", imports: imports.map(importOf) };
  });
}

function importOf(text: string): Import {
  return text.startsWith("type ") ? { target: text.slice(5), kind: "type" } : { target: text, kind: "value" };
}

describe("what is kept in two places agrees", () => {
  it.each(wasmModules)("$name.wasm.ts is what $name.wat assembles to", async (module) => {
    const stored = await readFile(`${root}/${module.folder}${module.name}.wasm.ts`, "utf8");
    expect(stored).toBe(await assembled(module));
  });

  it("package.json's engines and the command's own check name the same Node", async () => {
    const manifest = JSON.parse(await readFile(`${root}/package.json`, "utf8"));
    expect(manifest).toMatchObject({ engines: { node: `>=${oldestNode.replace(/\.0$/, "")}` } });
  });
});

describe("the sum of a test run", () => {
  const file = (status: string, ...tests: string[]) => ({
    name: `${root}/test/some.test.ts`,
    status,
    message: "no such module",
    assertionResults: tests.map((test, at) => ({
      status: test,
      fullName: `test ${at}`,
      failureMessages: test === "failed" ? ["expected 1 to be 2"] : [],
    })),
  });
  const report = {
    testResults: [file("passed", "passed", "pending", "todo"), file("failed", "failed", "passed"), file("failed")],
  };
  const failures = [
    "test/some.test.ts > test 0\n    expected 1 to be 2",
    "test/some.test.ts, before any test\n    no such module",
  ];
  const skips = ["test/some.test.ts > test 1", "test/some.test.ts > test 2"];

  it("counts passed, failed and skipped tests, and a file that failed before its tests as one failure, with what failed", () => {
    expect(countTests(report)).toEqual({ passed: 2, failed: 2, skipped: 2, failures, skips });
  });

  it("counts a skipped test as failed that the list of expected ones does not name", () => {
    const found = countTests(report);
    const counted = (expected: string[]) => {
      const { passed, failed, skipped, failures } = withUnexpectedSkips(found, expected);
      return { passed, failed, skipped, said: failures.length };
    };
    expect(counted(["test/some.test.ts > test 1"])).toEqual({ passed: 2, failed: 3, skipped: 1, said: 3 });
    expect(counted(["test/some.test.ts > *"])).toEqual({ passed: 2, failed: 2, skipped: 2, said: 2 });
    expect(counted([])).toEqual({ passed: 2, failed: 4, skipped: 0, said: 4 });
    expect(withUnexpectedSkips(found, []).failures.at(-1)).toContain("test/some.test.ts > test 2");
  });

  it("refuses a report that it does not know", () => {
    expect(() => countTests({ tests: 3 })).toThrow();
  });
});
