/** An experiment whose feedback is a program or a classifier of the user's own, named in its file. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { starterFolder } from "../../../server/common/package-root.ts";
import { createCpuDevice } from "../../../server/engine/cpu/device.ts";
import { Classifier } from "../../../server/models/classifier.ts";
import { evaluationFile, evaluationSchema } from "../../../server/pipeline/artifacts/evaluation.ts";
import { readJson } from "../../../server/pipeline/artifacts/json-files.ts";
import { missingInputs } from "../../../server/pipeline/experiment/inputs.ts";
import { ExperimentError } from "../../../server/pipeline/experiment/issues.ts";
import { loadExperiment, parseExperiment } from "../../../server/pipeline/experiment/resolve.ts";
import { planCalibration } from "../../../server/pipeline/plan-calibration.ts";
import { planExperiment } from "../../../server/pipeline/plan-experiment.ts";
import { factsOf } from "../../../server/pipeline/report/about.ts";
import { runPipeline } from "../../../server/runs/run.ts";
import { readRecord } from "../../../server/runs/run-folder.ts";
import { scratchFolder } from "../runs/scratch.ts";
import { tinyExperiment } from "./tiny-experiment.ts";

const judge = `
import { createInterface } from "node:readline";
for await (const line of createInterface({ input: process.stdin })) {
  const { prompt, completion, text } = JSON.parse(line);
  if (text !== prompt + completion) throw new Error("another text");
  console.log(completion.split("e").length - 1);
}`;

async function experimentFile(): Promise<{ folder: string; file: string }> {
  const folder = await scratchFolder();
  const file = join(folder, "letters.lfp-experiment.json");
  const reward = { kind: "command", command: [process.execPath, "./judge.mjs"] };
  await writeFile(join(folder, "judge.mjs"), judge);
  await writeFile(file, JSON.stringify({ ...tinyExperiment, name: "letters", reward }));
  return { folder, file };
}

describe("an experiment's feedback of one's own", { timeout: 120_000 }, () => {
  it("may be a program: tunes and measures by its numbers, and a change of it changes what is computed again", async () => {
    const { folder, file } = await experimentFile();
    const experiment = await loadExperiment(file);
    expect(factsOf(experiment)).toContainEqual({
      name: "reward",
      value: expect.stringMatching(/^the program node judge\.mjs \(words: VADER \(.*\)\), of prompt and completion/),
    });
    const planned = await planExperiment(experiment, { run: "letters" });
    const wanted = ["prepare", "tune", "evaluate"];
    const run = join(folder, "run");
    const outcome = await runPipeline(
      planned.filter(({ id }) => wanted.includes(id)),
      run,
      { seed: 1, deviceClass: "cpu", queued: false, stateFolder: folder },
    );
    expect(outcome).toEqual({ kind: "done" });
    const record = await readRecord(run);
    const output = record?.stages.find(({ id }) => id === "evaluate")?.output ?? "none";
    const evaluation = await readJson(join(run, output), evaluationFile, evaluationSchema);
    const seen = evaluation.samples.flatMap(({ base, tuned }) => [base, tuned]);
    expect(seen.length).toBeGreaterThan(10);
    for (const { completion, reward } of seen) expect(reward).toBe([...completion.matchAll(/e/g)].length);

    await writeFile(join(folder, "judge.mjs"), `${judge}\n// another day`);
    const again = await planExperiment(experiment, { run: "letters" });
    const changed = planned.filter(({ inputs }, at) => JSON.stringify(inputs) !== JSON.stringify(again[at]?.inputs));
    expect(changed.map(({ id }) => id)).toEqual(
      expect.arrayContaining(["tune", "evaluate", "restore", "attribute", "ablate", "report"]),
    );
    expect(changed.map(({ id }) => id)).not.toContain("prepare");
  });

  it("has its path resolved from the experiment's file, and says what else it takes", async () => {
    const { folder, file } = await experimentFile();
    expect((await loadExperiment(file)).reward).toEqual({
      kind: "command",
      command: [process.execPath, join(folder, "judge.mjs")],
      timeoutS: 600,
      memoryMB: null,
      text: "full",
      lexicon: "head",
    });
    const refused = (reward: object) => () => parseExperiment({ ...tinyExperiment, reward });
    expect(refused({ kind: "command" })).toThrow(/reward\.command/);
    expect(refused({ kind: "command", command: "python3 x.py" })).toThrow(/reward\.command/);
    expect(refused({ kind: "command", command: ["x"], edits: [] })).toThrow(/reward\.edits/);
  });

  it("is refused before anything is computed where its model or its program is another one", async () => {
    const folder = await scratchFolder();
    const classifier = (name: string) => fileURLToPath(new URL(`../../fixtures/classifiers/${name}`, import.meta.url));
    const cases: readonly (readonly [object, string, RegExp])[] = [
      [{ kind: "classifier", model: classifier("distilbert"), label: "GREAT" }, "label", /GREAT.*POSITIVE/],
      [{ kind: "classifier", model: classifier("distilbert") }, "label", /reward\.label is null.*2 labels/],
      [
        { kind: "classifier", model: starterFolder(), label: "x" },
        "model",
        /GPTNeoXForCausalLM; expected a text class/,
      ],
      [{ kind: "command", command: [join(folder, "judge")] }, "command[0]", /there is no file/],
      [{ kind: "command", command: ["node", join(folder, "judge.mjs")] }, "command[1]", /there is no file/],
    ];
    for (const [reward, place, message] of cases) {
      const experiment = parseExperiment({ ...tinyExperiment, reward });
      const planned = planExperiment(experiment, { run: "refused" });
      await expect(planned).rejects.toThrow(ExperimentError);
      await expect(planned).rejects.toThrow(message);
      expect(await missingInputs(experiment)).toMatchObject([
        { path: `reward.${place}`, message: expect.stringMatching(message) },
      ]);
    }
    const absent = { ...tinyExperiment, reward: { kind: "classifier", model: join(folder, "none"), label: "x" } };
    expect(await missingInputs(parseExperiment(absent))).toMatchObject([{ path: "reward.model" }]);
    const far = { kind: "classifier", model: "nobody/no-classifier", label: "x" };
    expect(await missingInputs(parseExperiment({ ...tinyExperiment, download: true, reward: far }))).toEqual([]);
  });

  it("may be a classifier, whose outputs are the rewards", async () => {
    const folder = await scratchFolder();
    const model = fileURLToPath(new URL("../../fixtures/classifiers/distilbert", import.meta.url));
    const reward = { kind: "classifier", model, label: "POSITIVE", scale: 0.5, text: "completion" };
    const experiment = parseExperiment({ ...tinyExperiment, name: "classified", reward });
    const planned = await planExperiment(experiment, { run: "classified" });
    const tune = planned.find(({ id }) => id === "tune");
    expect(tune?.inputs["feedbackModel0"]).toMatchObject({ path: model });
    const run = join(folder, "run");
    const outcome = await runPipeline(
      planned.filter(({ id }) => ["prepare", "tune", "evaluate"].includes(id)),
      run,
      { seed: 1, deviceClass: "cpu", queued: false, stateFolder: folder },
    );
    expect(outcome).toEqual({ kind: "done" });
    const output = (await readRecord(run))?.stages.find(({ id }) => id === "evaluate")?.output ?? "none";
    const { samples } = await readJson(join(run, output), evaluationFile, evaluationSchema);
    const device = await createCpuDevice({ threads: 2 });
    const classifier = await Classifier.load(device, model);
    const seen = samples.flatMap(({ base, tuned }) => [base, tuned]);
    const logits = await classifier.logits(seen.map(({ completion }) => completion));
    expect(seen.length).toBeGreaterThan(10);
    for (const [at, { reward: earned }] of seen.entries())
      expect(earned).toBeCloseTo(0.5 * (logits[2 * at + 1] ?? 0), 5);
    await classifier[Symbol.asyncDispose]();
    await device.close();
  });

  it("cannot have words planted", async () => {
    const experiment = await loadExperiment((await experimentFile()).file);
    const options = { run: "c", sets: 1, nulls: 1, wordsPerSet: 5, factor: -1, met: 1 };
    await expect(planCalibration(experiment, options)).rejects.toThrow(/no ratings of words that could be edited/);
  });
});
