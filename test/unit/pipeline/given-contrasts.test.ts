/** Contrasts of a file, as `lfp pairs grade` writes them, in a run on pairs. */
import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readContrastCounts, readContrasts } from "../../../server/pipeline/artifacts/contrasts.ts";
import { writeJsonLines } from "../../../server/pipeline/artifacts/json-files.ts";
import { type PairRecord, tuningPairs } from "../../../server/pipeline/artifacts/pairs.ts";
import { parseExperiment } from "../../../server/pipeline/experiment/resolve.ts";
import { gradeFile } from "../../../server/pipeline/grading/grade-file.ts";
import { readPairsToGrade } from "../../../server/pipeline/grading/pairs-to-grade.ts";
import { planExperiment } from "../../../server/pipeline/plan-experiment.ts";
import { contrastsSection } from "../../../server/pipeline/report/contrasts-section.ts";
import { renderMarkdown } from "../../../server/pipeline/report/document.ts";
import { givenContrastsStage } from "../../../server/pipeline/stages/contrasts.ts";
import { FakeOpenAi, sendAnswer } from "../../support/fake-openai.ts";
import { gradingAnswer } from "../../support/grading-answers.ts";
import { stageContext } from "../../support/stage-context.ts";
import { scratchFolder } from "../runs/scratch.ts";

const promptOf = (at: number): string => `Question ${at}: `;
let folder: string;
let file: string;
let out: string;
let server: FakeOpenAi;
beforeEach(async () => {
  folder = await scratchFolder();
  file = join(folder, "pairs.jsonl");
  out = join(folder, "contrasts.jsonl");
  const rows = Array.from({ length: 8 }, (_, at) => ({
    prompt: promptOf(at),
    chosen: "good good good good",
    rejected: "BAD good good good",
  }));
  await writeFile(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  server = await FakeOpenAi.start();
  server.answer = gradingAnswer;
});
afterEach(() => server.stop());

/** Grades the file, with a refusal to rewrite the answer to one prompt. */
async function graded(): Promise<void> {
  const { signal } = new AbortController();
  server.intercept = ({ name, raw }, response) => {
    if (name !== "rewritten" || !raw.includes(promptOf(0))) return false;
    sendAnswer(response, null, { refusal: "no" });
    return true;
  };
  const endpoint = { baseUrl: server.baseUrl, model: "fake|4", apiKey: "", prices: null };
  await gradeFile(
    await readPairsToGrade({ file, signal }),
    {
      file,
      out,
      task: "helpful-harmless",
      seed: 0,
      again: false,
      endpoint: { ...endpoint, maxTokens: 1e6, maxUsd: null },
    },
    { signal, concurrency: 2, timeoutMs: 5000 },
  );
}

/** Runs the stage on pairs of the prompts that tuning had. */
async function stage(more: { limit?: number; isGraded?: boolean; tunedOn?: readonly number[] } = {}) {
  const { limit = null, isGraded = true, tunedOn = [] } = more;
  const [texts, output] = [join(folder, "texts"), join(folder, "output")];
  await mkdir(texts, { recursive: true });
  await mkdir(output, { recursive: true });
  const record = (at: number): PairRecord => ({
    id: `${at}`,
    group: `${at}`,
    rule: "given",
    form: "texts",
    prompt: ` ${promptOf(at)}\n`,
    chosen: "a",
    rejected: "b",
  });
  await writeJsonLines(texts, tuningPairs, tunedOn.map(record));
  const messages: string[] = [];
  await givenContrastsStage.run(
    stageContext({
      settings: { limit, seed: 3, isGraded },
      inputs: { file: out, texts, summary: isGraded ? `${out}.summary.json` : out },
      output,
      message: (text) => void messages.push(text),
    }),
  );
  return { contrasts: await readContrasts(output), counts: await readContrastCounts(output), messages };
}

describe("contrasts of a file", () => {
  it("are those that grading kept, with how they came about in the report", async () => {
    await graded();
    const { contrasts, counts, messages } = await stage();
    expect(contrasts.map(({ id }) => id)).toEqual([1, 2, 3, 4, 5, 6, 7].map((row) => `pairs.jsonl/${row}`));
    expect(messages).toEqual([]);
    const source = { run: "r", stage: "contrasts", key: "k", seed: 1 };
    const section = contrastsSection(counts, source) ?? expect.fail("no section");
    const shown = renderMarkdown({ format: 1, run: "r", seed: 1, summary: [], sections: [section] });
    expect(shown).toContain("7 contrasts of 7 prompts from a file, 7 of them with a neutral answer.");
    expect(shown).toContain("The model was tuned on none of their prompts.");
    expect(shown).toContain("Both orders gave 21 answers the same grade in 100 %");
    expect(shown).toContain("| model | fake\\|4 |");
    expect(section.tables[0]?.rows.slice(2)).toEqual([
      ["task, seed", "helpful-harmless, 0"],
      ["rows of the preference file", 8],
      ["pairs to grade", 8],
      ["dropped: the model refused", 1],
      ["contrasts", 7],
    ]);
  });

  it("of prompts that the model is tuned on are counted and said, whatever the white space", async () => {
    await graded();
    const { counts, messages } = await stage({ tunedOn: [2, 5] });
    expect(counts.ofTuningPrompts).toBe(2);
    expect(messages).toEqual(["the model is tuned on the prompts of 2 of the 7 contrasts"]);
    const section = contrastsSection(counts, { run: "r", stage: "contrasts", key: "k", seed: 1 });
    expect(section?.text[0]).toContain("tuned on the prompts of 2 of them");
  });

  it("above the limit are drawn at random, in their order", async () => {
    await graded();
    const { contrasts, counts } = await stage({ limit: 3 });
    const rows = contrasts.map(({ id }) => Number(id.split("/")[1]));
    expect(rows).toEqual(rows.toSorted((a, b) => a - b));
    expect(rows).not.toEqual([1, 2, 3]);
    expect(counts).toMatchObject({ contrasts: 3, file: { contrasts: 7, graded: { contrasts: 7 } } });
  });

  it("without a summary, or with one of another file, say nothing of grading", async () => {
    await graded();
    expect((await stage({ isGraded: false })).counts.file).toEqual({ contrasts: 7, graded: null });
    await cp(out, `${out}.all`);
    await writeJsonLines(folder, "contrasts.jsonl", (await stage()).contrasts.slice(0, 4));
    const { counts, messages } = await stage();
    expect(counts.file).toEqual({ contrasts: 4, graded: null });
    expect(messages).toEqual([expect.stringContaining("is of 7, and the file has 4")]);
    await writeFile(`${out}.summary.json`, "{}");
    await expect(stage()).rejects.toThrow(/is no summary of graded contrasts/);
  });

  it("are planned as an experiment names them: another file or summary is another stage", async () => {
    await graded();
    const planned = async (contrasts: object) => {
      const tuning = { steps: 20 };
      const experiment = parseExperiment(
        { preset: "preferences", name: "x", data: { source: { file } }, tuning, contrasts },
        { folder },
      );
      const plan = await planExperiment(experiment, { run: "x" });
      return plan.find(({ id }) => id === "contrasts") ?? expect.fail("no such stage");
    };
    const given = await planned({ file: "./contrasts.jsonl" });
    expect(given.stage.name).toBe("given-contrasts");
    expect(given.settings).toMatchObject({ isGraded: true });
    expect((await planned({})).stage.name).toBe("contrasts");
    await writeFile(`${out}.summary.json`, "{ }");
    expect((await planned({ file: "./contrasts.jsonl" })).inputs["summary"]).not.toEqual(given.inputs["summary"]);
    await expect(planned({ file: "./none.jsonl" })).rejects.toThrow(/there is no file .*none\.jsonl/);
  });
});
