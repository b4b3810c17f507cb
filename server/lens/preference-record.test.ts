import { describe, expect, it } from "vitest";
import { cpuMs } from "../../test/support/cpu-time.ts";
import { documentPassages } from "./document-passages.ts";
import { fromDocument, toDocument } from "./passages.ts";
import { preferenceLine } from "./preference-record.ts";

const user = (content: unknown) => ({ role: "user", content });
const assistant = (content: unknown) => ({ role: "assistant", content });
const turn = (question: string) => `\n\nHuman: ${question}\n\nAssistant:`;

/** Rows of every layout, and the texts that their two answers have in the line: as read, and as JSON writes them. */
const rows: Readonly<Record<string, readonly [row: object, prompt: string, chosen: string[], rejected: string[]]>> = {
  "a prompt of its own": [{ prompt: "How?", chosen: " So.", rejected: " Not." }, "How?", [" So."], [" Not."]],
  "no prompt": [{ chosen: "How? So 😀.", rejected: "How? Not." }, "How?", [" So 😀."], [" Not."]],
  "Anthropic's transcripts": [
    { chosen: `${turn("Hi")} Yes.${turn("How?")} "So".\n`, rejected: `${turn("Hi")} Yes.${turn("How?")} Not.` },
    `${turn("Hi")} Yes.${turn("How?")}`,
    [' "So".\n'],
    [" Not."],
  ],
  "the rejected answer first": [{ rejected: "b\tb", score: 3, prompt: "p", chosen: "c\\c" }, "p", ["c\\c"], ["b\tb"]],
  "messages with their prompt": [
    { prompt: [user("How?")], chosen: [assistant("So.")], rejected: [assistant("Not.")] },
    "\n\nHuman: How?\n\nAssistant:",
    ["So."],
    ["Not."],
  ],
  "whole conversations": [
    { chosen: [user("How?"), assistant("So\né.")], rejected: [user("How?"), assistant("Not.")] },
    "\n\nHuman: How?\n\nAssistant:",
    ["So\né."],
    ["Not."],
  ],
  "messages in parts, and several of them": [
    {
      prompt: [user("a")],
      chosen: [
        assistant([{ type: "text", text: "b" }]),
        user("b"),
        assistant([
          { type: "text", text: "c" },
          { type: "text", text: "d" },
        ]),
      ],
      rejected: [assistant(" e ")],
    },
    "\n\nHuman: a\n\nAssistant:",
    ["b", "b", "c", "d"],
    ["e"],
  ],
};

describe("a line of a preference file", () => {
  it.each(Object.entries(rows))("has its answers where they are written: %s", (_, [row, prompt, chosen, rejected]) => {
    for (const written of [(json: string) => json, (json: string) => json.replace(/[^ -~]/g, escaped)]) {
      const line = written(JSON.stringify(row));
      const document = `\n${line}`;
      const read = preferenceLine(line, 1, undefined);
      if (read?.kind !== "pair") throw new Error("no pair");
      expect(read.texts.prompt).toBe(prompt);
      const found = { chosen: [] as string[], rejected: [] as string[] };
      for (const passage of read.passages) {
        const { start, end, text, answer } = passage;
        if (answer === undefined) throw new Error("no answer");
        expect(JSON.parse(`"${document.slice(start, end)}"`)).toBe(text);
        expect(answer.texts[answer.side].slice(answer.at, answer.at + text.length)).toBe(text);
        for (let at = 0; at < text.length; at++) expect(fromDocument(passage, toDocument(passage, at))).toBe(at);
        found[answer.side].push(text);
      }
      expect(found).toEqual({ chosen, rejected });
      const starts = read.passages.map(({ start }) => start);
      expect(starts).toEqual(starts.toSorted((a, b) => a - b));
    }
  });

  it("finds a template's answers, also where it trims them and writes the prompt otherwise alone", () => {
    const template = {
      render: (messages: readonly { readonly content: string }[], { addGenerationPrompt = false }) =>
        `${messages.length}<${messages.map(({ content }) => content.trim()).join("><")}>${addGenerationPrompt ? "<" : ""}`,
    };
    const line = JSON.stringify({ prompt: [user("x")], chosen: [assistant("  x and x ")], rejected: [assistant("y")] });
    const read = preferenceLine(line, 0, template);
    expect(read).toMatchObject({ kind: "pair", texts: { form: "template", prompt: "", promptAlone: "1<x><" } });
    const passages = read?.kind === "pair" ? read.passages : [];
    expect(passages.map(({ text, answer }) => [text, answer?.at])).toEqual([
      ["x and x", 5],
      ["y", 5],
    ]);
  });

  it("says why it gives no pair, and is no preference where it has no answers", () => {
    expect(preferenceLine(JSON.stringify({ prompt: "p", chosen: "a", rejected: "a" }), 0, undefined)).toEqual({
      kind: "fault",
      why: "both answers are the same",
    });
    const refuses = {
      render: () => {
        throw new Error("roles must alternate");
      },
    };
    const messages = JSON.stringify({ prompt: [user("a")], chosen: [assistant("b")], rejected: [assistant("c")] });
    expect(preferenceLine(messages, 0, refuses)).toEqual({
      kind: "fault",
      why: expect.stringContaining("roles must alternate"),
    });
    expect(
      preferenceLine(JSON.stringify({ prompt: "p", chosen: "a".repeat(500_000), rejected: "b" }), 0, undefined),
    ).toEqual({
      kind: "fault",
      why: expect.stringContaining("longer than"),
    });
    for (const other of [
      '{"text":"chosen and rejected"}',
      "chosen rejected",
      '["chosen","rejected"]',
      "",
      '{"chosen":1}',
    ])
      expect(preferenceLine(other, 0, undefined)).toBeUndefined();
  });
});

describe("the passages of a document of records", () => {
  const preference = JSON.stringify({ prompt: "A question of two words", chosen: " so", rejected: " not" });
  const text = [preference, '{"text":"two words"}', "no json", preference].join("\r\n");
  const passages = documentPassages(text, { languageId: "jsonl" });

  it("are both answers of a preference, and each text of another record", () => {
    expect([...passages].map(({ text: own }) => own)).toEqual([" so", " not", "two words", " so", " not"]);
    expect(passages.records?.count).toBe(4);
    expect(documentPassages("a\n\nb", { languageId: "plaintext" }).records).toBeUndefined();
  });

  it("are found by place and by range, line by line", () => {
    for (const passage of passages)
      for (let at = passage.start; at < passage.end; at++) expect(passages.at(at)?.start).toBe(passage.start);
    expect(passages.at(text.indexOf("question"))).toBeUndefined();
    const last = text.lastIndexOf(" not");
    expect([...passages.touching([{ start: last, end: text.length }])].map(({ start }) => start)).toEqual([last]);
    const lines =
      passages.records?.linesTouching([
        { start: 0, end: 1 },
        { start: last, end: last + 1 },
      ]) ?? [];
    expect([...lines].map(({ line, start, end }) => [line, text.slice(start, end)])).toEqual([
      [0, preference],
      [3, preference],
    ]);
  });

  it("of 50,000 pairs are cut only where they are asked for", () => {
    const big = `${preference}\n`.repeat(50_000);
    const startMs = cpuMs();
    const found = [
      ...documentPassages(big, { languageId: "jsonl" }).touching([{ start: big.length - 300, end: big.length }]),
    ];
    expect(found.map(({ text: own }) => own).slice(-2)).toEqual([" so", " not"]);
    expect(cpuMs() - startMs).toBeLessThan(1000);
  });

  it("of a document of line breaks alone are none, and take neither long nor much", () => {
    const empty = "\n".repeat(16 * 2 ** 20);
    const startMs = cpuMs();
    const found = documentPassages(empty, { languageId: "jsonl" });
    expect(found.records?.count).toBe(empty.length + 1);
    expect([...found, ...found.touching([{ start: 0, end: empty.length }])]).toEqual([]);
    expect(cpuMs() - startMs).toBeLessThan(5000);
  });
});

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
