/** `lfp score --pairs`: margins of a preference file as text, JSON and CSV. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "csv-parse/sync";
import { beforeAll, expect, it } from "vitest";
import { z } from "zod";
import { openPairLens } from "../../../server/pipeline/finished/open-pair.ts";
import { jsonOf, runLfp } from "../../support/run-lfp.ts";
import { makeTinyRun } from "../../support/tiny-run.ts";
import { scratchFolder } from "../runs/scratch.ts";

const rows = [
  { prompt: "The film was", chosen: " a wonderful surprise.", rejected: " awful and far too long." },
  { prompt: "The film was", chosen: " fine", rejected: " dull and slow" },
  { prompt: "p", chosen: "the same", rejected: "the same" },
  { prompt: "word ".repeat(80), chosen: "a", rejected: "b" },
];
const pair = z.object({
  row: z.int(),
  margin: z.number().nullable(),
  chosen: z.number().nullable(),
  unread: z.string().nullable(),
});
const result = z.object({
  beta: z.number(),
  betaFrom: z.string(),
  summary: z.object({
    agreement: z.object({ agreed: z.int(), share: z.number(), low: z.number(), high: z.number() }),
    meanMargin: z.number(),
  }),
  pairs: z.array(pair).optional(),
});

let folder: string;
let file: string;
let models: string[];
beforeAll(async () => {
  folder = await scratchFolder();
  const { folder: run } = await makeTinyRun(folder);
  models = ["--tuned", join(run, "tuned"), "--base", join(folder, "base"), "--threads", "1"];
  file = join(folder, "pairs.jsonl");
  await writeFile(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
}, 60_000);

const score = (...more: string[]) => runLfp(["score", file, "--pairs", ...models, ...more]);

it("gives each pair's margin, the agreement with its interval, and what was not read", async () => {
  const ran = await score("--json");
  const { summary, pairs = [], ...found } = result.parse(jsonOf(ran));
  expect(found).toEqual({ beta: 1, betaFrom: "unknown" });
  expect(jsonOf(ran)).toMatchObject({
    unit: "nats",
    summary: { rows: 4, pairs: 3, read: 2, unread: 1, faults: { equalAnswers: 1 }, cut: 0 },
  });
  const lens = await openPairLens({ tuned: models[1] ?? "", base: models[3] ?? "" }, { threads: 1 });
  try {
    for (const [at, row] of rows.slice(0, 2).entries()) {
      const read = await lens.readPreference({ form: "texts", ...row });
      if (read.kind === "refused") throw new Error(read.why);
      expect(pairs[at]).toMatchObject({
        row: at,
        margin: read.chosen.sum - read.rejected.sum,
        chosen: read.chosen.sum,
      });
    }
  } finally {
    await lens.close();
  }
  expect(pairs[2]).toMatchObject({ row: 3, margin: null, unread: expect.stringMatching(/64 are read/) });
  const margins = pairs.flatMap(({ margin }) => margin ?? []);
  const { agreed, share, low, high } = summary.agreement;
  expect(agreed).toBe(margins.filter((margin) => margin > 0).length);
  expect([low <= share, share <= high, share]).toEqual([true, true, agreed / 2]);
  expect(summary.meanMargin).toBeCloseTo(margins.reduce((sum, margin) => sum + margin, 0) / 2, 9);
  // No text of the data is in the result.
  expect(ran.stdout).not.toContain("wonderful");
});

it("multiplies by the beta that is given, and says which it is", async () => {
  const [plain, given] = [
    result.parse(jsonOf(await score("--json"))),
    result.parse(jsonOf(await score("--json", "--beta", "0.1"))),
  ];
  expect(given).toMatchObject({ beta: 0.1, betaFrom: "given" });
  expect(given.pairs?.[0]?.margin).toBeCloseTo(0.1 * (plain.pairs?.[0]?.margin ?? Number.NaN), 9);
  const { stdout } = await score("--beta", "0.1");
  expect(stdout).toContain("beta 0.1, as given");
  expect(stdout).toMatch(/learned preference agrees in \d of 2 pairs: \d+\.\d % \(95 % interval/);
  expect(stdout).toContain("pairs that the model was tuned on count too");
  expect(stdout).toContain("no pair in 1 row: both answers are the same");
});

it("writes every pair to a file, as CSV and as JSON Lines", async () => {
  const { pairs } = result.parse(jsonOf(await score("--json")));
  const [csv, lines] = [join(folder, "out.csv"), join(folder, "out.jsonl")];
  await score("--out", csv);
  await score("--out", lines);
  const records = parse(await readFile(csv, "utf8"), { columns: true });
  const written = z.array(z.object({ row: z.coerce.number(), margin: z.string() })).parse(records);
  expect(written.map(({ row, margin }) => [row, margin === "" ? null : Number(margin)])).toEqual(
    pairs?.map(({ row, margin }) => [row, margin]),
  );
  const objects = (await readFile(lines, "utf8"))
    .trimEnd()
    .split("\n")
    .map((line) => pair.parse(JSON.parse(line)));
  expect(objects).toEqual(pairs);
});

it("refuses what does not go together, with the reason", async () => {
  for (const [args, message] of [
    [["score", "--pairs"], /FILE is missing/],
    [["score", file, "--pairs", "--mode", "kl"], /--mode does not go with --pairs/],
    [["score", "--text", "a", "--beta", "1"], /--beta goes with --pairs/],
    [["score", file, "--pairs", "--beta", "0"], /--beta is "0"; expected a number above 0/],
  ] as const) {
    const ran = await runLfp(args);
    expect([ran.code, ran.stderr]).toEqual([2, expect.stringMatching(message)]);
  }
});
