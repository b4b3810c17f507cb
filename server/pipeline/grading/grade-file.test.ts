import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FakeOpenAi, sendJson } from "../../../test/support/fake-openai.ts";
import { gradingAnswer } from "../../../test/support/grading-answers.ts";
import { type GradeFileOptions, gradeFile, previewGrading } from "./grade-file.ts";
import { readPairsToGrade } from "./pairs-to-grade.ts";

const secret = "unspeakable";
let folder: string;
let server: FakeOpenAi;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lfp-grade-file-"));
  server = await FakeOpenAi.start();
  server.answer = gradingAnswer;
  const rows = Array.from({ length: 6 }, (_, at) => ({
    prompt: `${secret} ${at}: `,
    chosen: "good good good fine",
    rejected: "BAD good good good",
  }));
  await writeFile(join(folder, "p.jsonl"), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
});
afterEach(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
});

const { signal } = new AbortController();
const options = (more: Partial<GradeFileOptions> = {}): GradeFileOptions => ({
  file: join(folder, "p.jsonl"),
  out: join(folder, "c.jsonl"),
  task: "helpful-harmless",
  endpoint: { baseUrl: server.baseUrl, model: "fake-4", apiKey: "", prices: null, maxTokens: 1_000_000, maxUsd: null },
  seed: 0,
  again: false,
  ...more,
});
const pairs = () => readPairsToGrade({ file: join(folder, "p.jsonl"), signal });
const hooks = (waits: number[] = []) => ({
  signal,
  concurrency: 1,
  timeoutMs: 5000,
  sleep: async (ms: number) => void waits.push(ms),
});

describe("grading a file", () => {
  it.each<[string, (raw: string) => unknown, string]>([
    ["errors with status 200", (raw) => ({ error: { message: raw } }), "it answered with an error, after 6 tries"],
    ["no completions", (raw) => raw, "its reply is no chat completion, after 2 tries"],
  ])("of a server that sends %s ends after five questions, without its words", async (_, bodyOf, says) => {
    server.intercept = ({ raw }, response) => {
      sendJson(response, 200, bodyOf(raw));
      return true;
    };
    const waits: number[] = [];
    const graded = gradeFile(await pairs(), options(), hooks(waits));
    await expect(graded).rejects.toThrow(`left 5 questions in a row without an answer: ${says}`);
    await expect(graded).rejects.not.toThrow(secret);
    expect(waits.length).toBeGreaterThan(0);
    // Nothing is lost: the server is back, and the same call goes on.
    server.intercept = () => false;
    expect(await gradeFile(await pairs(), options(), hooks())).toMatchObject({ left: 0, stopped: null });
  });

  it("counts pairs that got no answer apart, and asks them again", async () => {
    server.intercept = ({ raw }, response) => {
      if (!raw.includes(`${secret} 3`)) return false;
      sendJson(response, 500, { error: { message: raw } });
      return true;
    };
    const { contrasts, dropped } = await gradeFile(await pairs(), options(), hooks());
    expect(contrasts).toHaveLength(5);
    expect(dropped).toEqual([{ id: "p.jsonl/3", reason: "unreachable", step: "found" }]);
    server.intercept = () => false;
    const asked = server.seen.length;
    expect((await gradeFile(await pairs(), options(), hooks())).contrasts).toHaveLength(6);
    expect(server.seen).toHaveLength(asked + 5);
  });

  it("estimates only what is not answered yet, and asks a model or seed of another name anew", async () => {
    await gradeFile(await pairs(), options(), hooks());
    expect(await previewGrading(await pairs(), options(), signal)).toMatchObject({ pairs: 6, requests: 0 });
    const others = [options({ seed: 1 }), options({ endpoint: { ...options().endpoint, model: "fake-5" } })];
    for (const other of others)
      expect(await previewGrading(await pairs(), other, signal)).toMatchObject({ requests: 30 });
  });

  it("needs a bound, and prices for one in dollars", async () => {
    const { endpoint } = options();
    const without = options({ endpoint: { ...endpoint, maxTokens: null } });
    await expect(previewGrading(await pairs(), without, signal)).rejects.toThrow(/a bound .* is missing/);
    await expect(gradeFile(await pairs(), without, hooks())).rejects.toThrow(/a bound .* is missing/);
    const unpriced = options({ endpoint: { ...endpoint, maxUsd: 1 } });
    await expect(gradeFile(await pairs(), unpriced, hooks())).rejects.toThrow(/needs the prices/);
    expect(server.seen).toEqual([]);
  });
});
