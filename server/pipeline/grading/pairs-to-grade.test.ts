import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readPairsToGrade } from "./pairs-to-grade.ts";

const user = (content: string) => ({ role: "user", content });
const assistant = (content: string) => ({ role: "assistant", content });
const rows = [
  { prompt: "Q1: ", chosen: "yes", rejected: "no" },
  { prompt: [user("hi")], chosen: [assistant("hello")], rejected: [assistant("go away")] },
  { prompt: [user("hi")], chosen: [assistant("hello"), user("?"), assistant("!")], rejected: [assistant("go away")] },
  { prompt: [user("BANNED")], chosen: [assistant("hello")], rejected: [assistant("go away")] },
  { prompt: " Q1:\n", chosen: "yes!", rejected: "no!" },
  { prompt: "Q1: ", chosen: "" },
];
const template =
  "{% for m in messages %}{% if m.content == 'BANNED' %}{{ raise_exception('no') }}{% endif %}" +
  "<{{ m.role }}>{{ m.content }}<end>\n{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";

let folder: string;
let file: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lfp-to-grade-"));
  file = join(folder, "pairs.jsonl");
  await writeFile(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  await writeFile(join(folder, "tokenizer_config.json"), JSON.stringify({ chat_template: template }));
});
afterAll(() => rm(folder, { recursive: true }));
const { signal } = new AbortController();

describe("pairs to grade", () => {
  it("are texts as they are, grouped by prompt, with the ids of their rows", async () => {
    const { pairs, faults } = await readPairsToGrade({ file, signal });
    const [first, , , again] = pairs;
    expect(first).toMatchObject({ id: "pairs.jsonl/0", prompt: "Q1: ", chosen: "yes", rejected: "no" });
    expect(first?.place("maybe")).toEqual({ prompt: "Q1: ", answer: "maybe" });
    expect([again?.id, again?.group]).toEqual(["pairs.jsonl/4", "pairs.jsonl/0"]);
    expect(faults).toEqual({ fields: 1 });
  });

  it("are messages that the judge sees bare and the model as its template writes them", async () => {
    const { pairs, leftOut } = await readPairsToGrade({ file, modelFolder: folder, signal });
    const [, messages] = pairs;
    expect(messages).toMatchObject({ prompt: "\n\nHuman: hi\n\nAssistant:", chosen: "hello", rejected: "go away" });
    expect(messages?.place("bye")).toEqual({ prompt: "<user>hi<end>\n<assistant>", answer: "bye<end>\n" });
    expect(leftOut).toEqual({ severalMessages: 1, refused: 1 });
    expect(pairs).toHaveLength(3);
  });

  it("are transcripts without a template", async () => {
    const { pairs, leftOut } = await readPairsToGrade({ file, limit: 3, signal });
    expect(pairs[1]?.place("bye")).toEqual({ prompt: "\n\nHuman: hi\n\nAssistant:", answer: " bye" });
    expect(leftOut).toEqual({ severalMessages: 1, refused: 0 });
    expect(pairs).toHaveLength(2);
  });
});
