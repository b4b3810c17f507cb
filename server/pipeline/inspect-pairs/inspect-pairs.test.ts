import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { starterFolder } from "../../common/package-root.ts";
import { inspectionDocument } from "./document.ts";
import { inspectFile, NoSuchRowError, openPairReader } from "./inspect-file.ts";
import { type InspectedRow, type InspectedToken, inspectRow, type PairReader } from "./inspect-row.ts";

const root = new URL("../../../", import.meta.url);
const trl1 = { rule: "trl-1", maxTokens: 1024 } as const;
const user = (content: string) => ({ role: "user", content });
const assistant = (content: string) => ({ role: "assistant", content });
const messages = { prompt: [user("How?")], chosen: [assistant("So.")], rejected: [assistant("No.")] };

let folder: string;
let starter: PairReader;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lfp-inspect-"));
  starter = await openPairReader(starterFolder());
});
afterAll(() => rm(folder, { recursive: true }));

/** The tokenizer of a fixture with a chat template. */
async function readerWith(family: string, template: string): Promise<PairReader> {
  const model = join(folder, `${family}-${template}`);
  await mkdir(model, { recursive: true });
  const from = (path: string): string => fileURLToPath(new URL(path, root));
  for (const name of ["tokenizer.json", "tokenizer_config.json"])
    await copyFile(from(`test/fixtures/tokenizers/${family}/${name}`), join(model, name));
  await copyFile(from(`test/fixtures/chat-templates/templates/${template}.jinja`), join(model, "chat_template.jinja"));
  return await openPairReader(model);
}

const idsOf = (tokens: readonly InspectedToken[], part: InspectedToken["part"]): number[] =>
  tokens.filter((token) => token.part === part).map(({ id }) => id);

function pairOf(row: InspectedRow): Extract<InspectedRow, { kind: "pair" }> {
  if (row.kind === "none") return expect.fail(row.loss.said);
  return row;
}

describe("a row", () => {
  it("has the tokens that TRL 1.16 gives its conversation, and says what of the prompt is left out", async () => {
    const stored = z
      .object({
        maxChatTokens: z.int(),
        chats: z.array(z.object({ template: z.string(), row: z.record(z.string(), z.unknown()) })),
        chatFamilies: z.object({
          gemma: z.array(z.tuple([z.array(z.int()), z.array(z.int()), z.array(z.int()), z.int()]).nullable()),
        }),
      })
      .parse(JSON.parse(await readFile(new URL("test/fixtures/dpo/pair-tokens.json", root), "utf8")));
    const readers = new Map<string, PairReader>();
    let compared = 0;
    for (const [at, { template, row }] of stored.chats.entries()) {
      const reader = readers.get(template) ?? (await readerWith("gemma", template));
      readers.set(template, reader);
      const inspected = inspectRow(at, row, reader, { rule: "trl-1", maxTokens: stored.maxChatTokens });
      const expected = stored.chatFamilies.gemma[at] ?? null;
      // Rows with faults, such as empty answers, are dropped before they are tokenised; TRL keeps them.
      if (inspected.kind === "none") continue;
      if (expected === null) expect.fail(`TRL drops conversation ${at}`);
      const [prompt, chosen, rejected, unshared] = expected;
      expect(idsOf(inspected.chosen, "prompt")).toEqual(prompt);
      expect(idsOf(inspected.chosen, "answer")).toEqual(chosen);
      expect(idsOf(inspected.rejected, "answer")).toEqual(rejected);
      expect(inspected.unshared).toHaveLength(unshared);
      compared += 1;
    }
    expect(compared).toBeGreaterThan(70);
  });

  it("marks begin and end of text, and counts answers only where something stands before", () => {
    const row = { prompt: "", chosen: "a film", rejected: "b" };
    const { chosen } = pairOf(inspectRow(0, row, starter, trl1));
    expect(chosen.map(({ counts }) => counts)).toEqual([false, ...chosen.slice(1).map(() => true)]);
    expect(chosen.at(-1)).toMatchObject({ special: "end of text", part: "answer", counts: true });
    const old = inspectRow(0, row, starter, { rule: "trl-0.7.7", maxTokens: 256, maxPromptTokens: 128 });
    expect(pairOf(old).chosen[0]).toMatchObject({ special: "begin of text", part: "prompt", counts: false });
  });

  it("shows what each rule cuts: TRL 1.x the end, 0.7.7 the beginning of the prompt and the end of an answer", () => {
    const row = { prompt: "one two three four five six", chosen: " seven eight nine ten", rejected: " no" };
    const whole = pairOf(inspectRow(0, row, starter, trl1));
    const prompt = idsOf(whole.chosen, "prompt");
    const answer = idsOf(whole.chosen, "answer");
    const first = pairOf(inspectRow(0, row, starter, { rule: "trl-1", maxTokens: prompt.length + 2 })).chosen;
    expect(idsOf(first, "answer")).toEqual(answer.slice(0, 2));
    expect(idsOf(first, "cut answer")).toEqual(answer.slice(2));
    const config = { rule: "trl-0.7.7", maxTokens: 5, maxPromptTokens: 3 } as const;
    const old = pairOf(inspectRow(0, row, starter, config)).chosen;
    expect(idsOf(old, "cut prompt")).toEqual([starter.tokenizer.bosId, ...prompt.slice(0, -3)]);
    expect(idsOf(old, "prompt")).toEqual(prompt.slice(-3));
    expect(idsOf(old, "answer")).toEqual(answer.slice(0, 2));
  });

  it("says why it gives no tokens", async () => {
    const gemma = await readerWith("gemma", "gemma");
    const said = (row: unknown, reader = starter, maxTokens = 1024) => {
      const inspected = inspectRow(0, row, reader, { rule: "trl-1", maxTokens });
      return inspected.kind === "none" ? inspected.loss : undefined;
    };
    expect(said({ text: "x" })).toMatchObject({ kind: "fault", reason: "fields" });
    expect(said({ prompt: "a b c", chosen: "d", rejected: "e" }, starter, 2)).toMatchObject({
      kind: "lost",
      reason: "longPrompt",
    });
    const two = { ...messages, prompt: [user("a"), user("b")] };
    expect(said(two, gemma)).toMatchObject({ kind: "refused", said: expect.stringContaining("must alternate") });
    expect(said(two)).toBeUndefined();
    const marks = { prompt: "a", chosen: `e${"\u0301".repeat(100_000)}`, rejected: "b" };
    expect(said(marks)).toMatchObject({ kind: "unreadable" });
    expect(said({ ...messages, chat_template_kwargs: { messages: [] } }, gemma)).toMatchObject({ kind: "refused" });
  });
});

const rows: readonly unknown[] = [
  { prompt: "The film", chosen: " is good", rejected: " is bad" },
  { chosen: "\n\nHuman: Hi\n\nAssistant: Yes", rejected: "\n\nHuman: Hi\n\nAssistant: No" },
  messages,
  { prompt: "a", chosen: "same", rejected: "same" },
  { text: "no pair" },
  { prompt: "The film", chosen: " is good and very long indeed", rejected: " is bad" },
];

describe("a file", () => {
  let path: string;
  beforeAll(async () => {
    path = join(folder, "pairs.jsonl");
    await writeFile(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  });

  it("is counted as a whole without its rows, or by a range with them", async () => {
    const all = await inspectFile(path, starter, { rule: "trl-1", maxTokens: 6 });
    expect(all.rows).toEqual([]);
    expect(all.totals).toMatchObject({
      rows: 6,
      pairs: 2,
      rules: { given: 2, transcript: 0 },
      forms: { texts: 2, plain: 0 },
      faults: { equalAnswers: 1, fields: 1 },
      lost: { longPrompt: 2 },
      cut: { prompt: 0, chosen: 1, rejected: 0 },
      withoutEnd: { chosen: 1, rejected: 0 },
      unshared: 0,
    });
    const some = await inspectFile(path, starter, trl1, { range: { first: 1, last: 2 } });
    expect(some.rows.map(({ row, kind }) => [row, kind])).toEqual([
      [1, "pair"],
      [2, "pair"],
    ]);
    expect(some.totals).toMatchObject({ rows: 2, rules: { transcript: 1, given: 1 }, forms: { texts: 1, plain: 1 } });
  });

  it("counts prompts that a template writes otherwise alone", async () => {
    const numbered = await readerWith("gpt2", "numbered");
    const { totals } = await inspectFile(path, numbered, trl1);
    expect(totals).toMatchObject({ forms: { template: 1 }, unshared: 1 });
  });

  it("has no row beyond its end", async () => {
    const range = { first: 9, last: 9 };
    await expect(inspectFile(path, starter, trl1, { range })).rejects.toThrow(NoSuchRowError);
    await expect(inspectFile(path, starter, trl1, { range })).rejects.toThrow("6 rows, from 0 to 5; row 9");
  });
});

describe("the document", () => {
  const source = { data: "pairs.jsonl", model: "starter", hasTemplate: false, tokens: trl1 };

  it("has one token a line, and nothing of the data outside of code blocks", async () => {
    const hostile = {
      prompt: "[x](command:evil)\n```\n# Title\u202e",
      chosen: "\n```\n<b>",
      rejected: "~~~\n- [ ] \u001b[31m",
    };
    const row = inspectRow(3, hostile, starter, trl1);
    const text = inspectionDocument(source, { totals: undefined, rows: [row] }, "markdown");
    const parts = text.split(/^ {0,3}(?:`{3,}|~{3,}).*$/m);
    expect(parts.length % 2).toBe(1);
    const outside = parts.filter((_, at) => at % 2 === 0).join("");
    expect(outside.split("\n").filter((line) => line !== "")).toEqual([
      "# Tokens of preference pairs",
      "## Row 3",
      "### Prompt and chosen answer",
      "### Prompt and rejected answer",
    ]);
    for (const character of ["\u001b", "\u202e"]) expect(text).not.toContain(character);
    expect(pairOf(row).chosen.length).toBe(text.split("Prompt and rejected")[0]?.match(/^ *\d+ +\d+ /gm)?.length);
  });

  it("is the same as plain text, with totals in words", async () => {
    const path = join(folder, "pairs.jsonl");
    const found = await inspectFile(path, starter, { rule: "trl-1", maxTokens: 6 });
    const text = inspectionDocument(source, found, "text");
    expect(text).toContain("6 rows, 2 pairs");
    expect(text).toMatch(/1 {2}the end of the chosen answer was cut/);
    expect(text).toMatch(/Left out\n\n {2}1 {2}no fields chosen/);
    expect(text).toMatch(/2 {2}the prompt alone is as long as the limit/);
    expect(text).not.toContain("`");
    expect(text).not.toContain("film");
  });
});
