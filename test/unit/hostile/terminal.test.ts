import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { exitCodes } from "../../../server/cli/exit-codes.ts";
import { main } from "../../../server/cli/main.ts";
import { runRecord } from "../../support/run-record.ts";
import { scratchFolder } from "../runs/scratch.ts";

const acts = "\u001b[2J\u001b]0;title\u0007\u009b31m\u202eevil\nlfp: all is well";

async function lfp(...args: readonly string[]): Promise<{ code: number; out: string }> {
  let out = "";
  const take = (text: string): void => {
    out += text;
  };
  const signal = new AbortController().signal;
  const code = await main(args, { signal, env: {}, stdout: take, stderr: take });
  return { code, out };
}

/** A run whose record, events and report hold text that acts. */
async function hostileRun(): Promise<string> {
  const folder = join(await scratchFolder(), "x");
  await mkdir(folder);
  const state = { kind: "failed", code: "input", message: acts, resumable: false } as const;
  const stage = { id: acts, stage: acts, codeVersion: 1, status: "done" } as const;
  const record = runRecord({ name: acts, state, deviceClass: acts, stages: [stage] });
  await writeFile(join(folder, "run.json"), JSON.stringify(record));
  const event = { seq: 1, time: "2026-01-01T00:00:00.000Z", kind: "message", level: "warning", text: acts };
  await writeFile(join(folder, "events.jsonl"), `${JSON.stringify(event)}\n`);
  return folder;
}

async function model(config: object): Promise<string> {
  const folder = await scratchFolder();
  await writeFile(join(folder, "config.json"), JSON.stringify(config));
  await writeFile(join(folder, "tokenizer.json"), JSON.stringify({ model: { type: acts, vocab: {}, merges: [] } }));
  return folder;
}

it.each<readonly [string, () => Promise<readonly string[]>]>([
  ["a command", async () => [acts]],
  ["an option", async () => ["generate", `--${acts}`]],
  ["a model's name", async () => ["generate", "--prompt", "x", "--model", acts]],
  ["a tokenizer", async () => ["generate", "--prompt", "x", "--model", await model({ model_type: "gpt_neox" })]],
  ["a run's state", async () => ["status", await hostileRun()]],
  ["a run's events", async () => ["status", await hostileRun(), "--follow"]],
  ["a missing report", async () => ["report", await hostileRun()]],
  ["an experiment's key", async () => ["run", await experiment({ preset: "quick", [acts]: 1 })]],
  ["an experiment's value", async () => ["run", await experiment({ preset: acts })]],
  [
    "a data file's name",
    async () => ["run", await experiment({ preset: "quick", data: { source: { file: `${acts}.jsonl` } } })],
  ],
])("%s reaches the terminal without what acts on it", async (_, args) => {
  for (const json of [[], ["--json"]]) {
    const { out } = await lfp(...(await args()), ...json);
    expect(out).toContain("\\u001b[2J");
    expect(out).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}]/u);
    expect(out.split("\n").filter((line) => line.startsWith("lfp: all"))).toEqual([]);
  }
});

it("is not given what is longer than anybody reads", async () => {
  const path = await experiment({
    preset: "quick",
    ...Object.fromEntries(Array.from({ length: 50_000 }, (_, at) => [`k${at}`, 1])),
  });
  for (const args of [["run", path], ["run", await experiment({ preset: "x".repeat(3e6) })], ["x".repeat(1e6)]]) {
    const { code, out } = await lfp(...args);
    expect(code).toBe(exitCodes.usage.code);
    expect(out.length).toBeLessThan(10_000);
  }
});

async function experiment(file: object): Promise<string> {
  const path = join(await scratchFolder(), "e.json");
  await writeFile(path, JSON.stringify(file));
  return path;
}
