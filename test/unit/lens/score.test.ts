import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "csv-parse/sync";
import * as ort from "onnxruntime-node";
import { beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { openLens } from "../../../server/pipeline/finished/open-lens.ts";
import { runLfp } from "../../support/run-lfp.ts";
import { makeTinyRun } from "../../support/tiny-run.ts";
import { scratchFolder } from "../runs/scratch.ts";

const token = z.object({
  start: z.number(),
  end: z.number(),
  text: z.string(),
  implicit: z.number(),
  trueReward: z.number().nullable(),
  value: z.number().nullable(),
});
const result = z.object({
  name: z.literal("score"),
  summary: z.object({
    tokens: z.number(),
    mean: z.number().nullable(),
    disagreements: z.number(),
    refused: z.number(),
  }),
  passages: z.array(z.object({ start: z.number(), end: z.number(), tokens: z.array(token) })),
});

let folder: string;
let run: string;
beforeAll(async () => {
  folder = await scratchFolder();
  run = (await makeTinyRun(folder)).folder;
}, 60_000);

const lfp = (...args: string[]) => runLfp(args);

async function file(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

describe("lfp score", { timeout: 60_000 }, () => {
  it("gives a record's tokens at their places in the file, with the lens's numbers", async () => {
    const source = '{"id":1}\n{"text":"A \\u0067ood\\nfilm, \\"truly\\" terrible."}\n';
    const path = await file("records.jsonl", source);
    const { code, stdout, stderr } = await lfp("score", path, "--run", run, "--json");
    expect(code, stderr).toBe(0);
    const { passages, summary } = result.parse(JSON.parse(stdout));
    const text = 'A good\nfilm, "truly" terrible.';
    const lens = await openLens(run, { threads: 1 });
    const reading = await lens.read(text);
    await lens.close();
    const tokens = passages.flatMap((passage) => passage.tokens);
    expect(tokens.map((one) => one.text).join("")).toBe(text);
    for (const one of tokens) expect(JSON.parse(`"${source.slice(one.start, one.end)}"`)).toBe(one.text);
    for (const [at, { implicit, value }] of tokens.entries()) {
      expect(value).toBe(implicit);
      expect(implicit).toBeCloseTo(reading.implicit[at] ?? Number.NaN, 4);
    }
    expect(summary).toMatchObject({ tokens: tokens.length, refused: 0 });
    expect(summary.mean).toBeCloseTo(tokens.reduce((sum, { implicit }) => sum + implicit, 0) / tokens.length, 9);
  });

  it("shows a table, or the text coloured, and says how to see more", async () => {
    const args = ["score", "--run", run, "--text", "A good film,\nand a long one \u001b[31mtoo.", "--mode", "true"];
    const table = await lfp(...args);
    expect(table.stdout).toMatch(
      /^ {2}offset {2}token +implicit +true +true +familiarity\n {7}0 {2}"A" +-?\d+\.\d{3} +\d+\.\d{3}\n/,
    );
    expect(table.stdout).toMatch(/"good" +-?\d+\.\d{3} +1\.900 +1\.900|" good" +-?\d+\.\d{3} +1\.900 +1\.900/);
    const coloured = await lfp(...args, "--color", "always");
    expect(coloured.stdout).toContain("\u001b[30;48;5;75m good\u001b[0m");
    expect(coloured.stdout).not.toContain("\u001b[31m");
    expect((await lfp(...args, "--rows", "2")).stdout).toMatch(/\n\.\.\. and \d+ tokens more: --rows N shows more/);
  });

  it("writes every token to JSON Lines and to CSV alike", async () => {
    const path = await file("page.md", '# A "good" page\r\n\r\nwith, a comma\r\nand =SUM(1)\r\n');
    const read = async (name: string): Promise<string> => {
      const { code, stdout, stderr } = await lfp("score", path, "--run", run, "--out", join(folder, name), "--json");
      expect(code, stderr).toBe(0);
      expect(JSON.parse(stdout)).not.toHaveProperty("passages");
      return await readFile(join(folder, name), "utf8");
    };
    const lines = (await read("out.jsonl"))
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    const rows = z.array(z.record(z.string(), z.string())).parse(parse(await read("out.csv"), { columns: true }));
    // What a spreadsheet would take for a formula is text there.
    const guarded = (text: string): string => (/^[=+\-@]/.test(text) ? `'${text}` : text);
    expect(rows.map(({ text }) => text)).toEqual(lines.map(({ text }) => guarded(text)));
    expect(rows.some(({ text }) => text?.startsWith("'="))).toBe(true);
    expect(rows.map(({ value }) => Number(value))).toEqual(lines.map(({ value }) => value));
    expect(lines.map(({ passage }) => passage)).toContain(1);
    expect(lines.map(({ text }) => text).join("")).toBe('A "good" pagewith, a comma\nand =SUM(1)');
  });

  it("shows what an ablation changes, and nothing where it changes nothing", async () => {
    const scored = async (factor: number) => {
      const set = await file(
        `${factor}.lfp-ablation.json`,
        JSON.stringify({ format: "lfp-ablation/1", features: [{ id: "L0/F2", factor }] }),
      );
      const { stdout } = await lfp(
        "score",
        "--run",
        run,
        "--text",
        "A good film.",
        "--mode",
        "ablated-minus-not",
        "--ablation",
        set,
        "--json",
      );
      return result.parse(JSON.parse(stdout)).passages.flatMap(({ tokens }) => tokens.map(({ value }) => value));
    };
    expect(new Set(await scored(1))).toEqual(new Set([0]));
    expect((await scored(0)).some((value) => value !== 0)).toBe(true);
  });

  it("reads a table by cell, of the columns that are named or hold texts", async () => {
    const path = await file("films.csv", 'id,text,note\n1,"A ""good"" film.",seen twice\n2,A bad one.,not at all\n');
    const textsOf = async (...args: string[]) => {
      const { code, stdout, stderr } = await lfp("score", path, "--run", run, "--json", ...args);
      expect(code, stderr).toBe(0);
      return result.parse(JSON.parse(stdout)).passages.map(({ tokens }) => tokens.map(({ text }) => text).join(""));
    };
    expect(await textsOf()).toEqual(['A "good" film.', "A bad one."]);
    expect(await textsOf("--columns", "Note")).toEqual(["seen twice", "not at all"]);
    const refused = await lfp("score", path, "--run", run, "--columns", "note,year");
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('"year"') });
    expect(refused.stderr).toContain("its columns are id, text, note");
    expect((await lfp("score", "--run", run, "--columns", "a", await file("a.txt", "A film."))).stderr).toContain(
      "goes with a table",
    );
  });

  it("reads an answer of a pair given its prompt, as the editor does", async () => {
    const pair = { prompt: "The film was", chosen: " good and truly fine.", rejected: " bad." };
    const path = await file("pairs.jsonl", `${JSON.stringify(pair)}\n`);
    const lens = await openLens(run, { threads: 1 });
    const whole = await lens.read(pair.prompt + pair.chosen);
    const alone = await lens.read(pair.chosen);
    const learned = await lens.readPreference({ form: "texts", ...pair });
    await lens.close();
    const tokensOf = async (mode: string) => {
      const { code, stdout, stderr } = await lfp("score", path, "--run", run, "--json", "--mode", mode);
      expect(code, stderr).toBe(0);
      const passage = result
        .parse(JSON.parse(stdout))
        .passages.find(({ tokens }) => tokens.some(({ text }) => text.includes("truly")));
      return passage?.tokens ?? [];
    };
    const implicit = (await tokensOf("implicit")).map((one) => one.implicit);
    expect(implicit).toHaveLength(alone.implicit.length);
    for (const [at, value] of implicit.entries())
      expect(value).toBeCloseTo(whole.implicit.at(at - implicit.length) ?? Number.NaN, 4);
    expect(Math.abs((implicit[0] ?? 0) - (alone.implicit[0] ?? 0))).toBeGreaterThan(1e-3);
    if (learned.kind === "refused") throw new Error(learned.why);
    for (const [at, { value }] of (await tokensOf("learned")).entries())
      expect(value).toBeCloseTo(learned.chosen.learned[at] ?? Number.NaN, 4);
  });

  it("exports the lens without reading anything", async () => {
    const path = join(folder, "lens.onnx");
    expect((await lfp("score", "--run", run, "--export", path)).code).toBe(0);
    const session = await ort.InferenceSession.create(path);
    expect(session.outputNames).toContain("rewards");
    await session.release();
  });

  it("leaves out a passage that cannot be read, and reads the rest", async () => {
    const path = await file("marks.txt", `A good film.\n\n${"e".padEnd(3000, "\u0301")}\n\nA bad one.`);
    const { stdout, stderr } = await lfp("score", path, "--run", run, "--json");
    expect(result.parse(JSON.parse(stdout)).summary.refused).toBe(1);
    expect(stderr).toMatch(/the passage at 14 to 3014 was left out: .*combining marks/);
  });

  it.each([
    [["--text", "x", "nofile.txt"], 2, /FILE and --text were both given/],
    [[], 2, /FILE \(or --text TEXT\) is missing/],
    [["nofile.txt"], 4, /nofile\.txt cannot be read/],
    [["--text", "x", "--mode", "feature"], 2, /--feature is "missing"/],
    [["--text", "x", "--feature", "L0/F0"], 2, /--feature goes with --mode feature/],
    [["--text", "x", "--columns", "text"], 2, /--columns goes with FILE, a table/],
    [["--text", "x", "--mode", "feature", "--feature", "L9/F0"], 4, /no feature L9\/F0/],
    [["--text", "x", "--mode", "ablated-minus-not"], 2, /needs --ablation/],
    [["--text", "x", "--ablation", "none.json"], 4, /none\.json is no ablation set/],
    [["--text", "x", "--out", "scores.txt"], 2, /ends in \.jsonl or \.csv/],
  ])("%j fails with its reason", async (args, code, message) => {
    const failed = await lfp("score", "--run", run, ...args);
    expect(failed.stderr).toMatch(message);
    expect(failed.code).toBe(code);
  });

  it("refuses a folder without a run", async () => {
    expect(await lfp("score", "--run", folder, "--text", "x")).toMatchObject({
      code: 4,
      stderr: expect.stringMatching(/holds no run/),
    });
  });
});
