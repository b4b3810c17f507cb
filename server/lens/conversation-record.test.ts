import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { ChatTemplate, loadChatTemplate } from "../models/chat-template.ts";
import { conversationPassages, MAX_CONVERSATION_UNITS } from "./conversation-record.ts";
import { documentPassages } from "./document-passages.ts";
import { endInDocument, fromDocument, toDocument } from "./passages.ts";

const templates = new URL("../../test/fixtures/chat-templates/templates/", import.meta.url);
const templateOf = async (name: string): Promise<ChatTemplate> => {
  const text = await readFile(new URL(`${name}.jinja`, templates), "utf8");
  const specialTokens = { bos_token: "<s>", eos_token: "</s>" };
  return new ChatTemplate({ templates: new Map([["default", text]]), specialTokens, where: name });
};
const own = (text: string) =>
  new ChatTemplate({ templates: new Map([["default", text]]), specialTokens: {}, where: "own" });
const user = (content: unknown) => ({ role: "user", content });
const assistant = (content: unknown, more: object = {}) => ({ role: "assistant", content, ...more });
const system = (content: unknown) => ({ role: "system", content });

/** Rows with the texts of their contents that are read, as they stand in the file. */
const rows: Readonly<Record<string, readonly [row: unknown, contents: readonly string[]]>> = {
  "one turn": [{ messages: [user("How was it?")] }, ["How was it?"]],
  "several turns": [
    { messages: [user("How?"), assistant("So."), user("And then?"), assistant("Not so.")], id: 3 },
    ["How?", "So.", "And then?", "Not so."],
  ],
  "a list alone": [
    [user("How?"), assistant("So.")],
    ["How?", "So."],
  ],
  "emoji and escapes": [
    { messages: [user('A "film" 👩‍👩‍👧 \\ with\n\ttabs'), assistant("é 🎬 日本\u2028 end")] },
    ['A "film" 👩‍👩‍👧 \\ with\n\ttabs', "é 🎬 日本\u2028 end"],
  ],
  "words that templates write too": [
    { messages: [user("user"), assistant("assistant"), user("<|im_end|>"), assistant("model")] },
    ["user", "assistant", "<|im_end|>", "model"],
  ],
  "the same content twice": [
    { messages: [user("a"), assistant("a"), user("a"), assistant("a b")] },
    ["a", "a", "a", "a b"],
  ],
  "white space around": [{ messages: [user("  How? \n"), assistant("\n\nSo.  ")], tools: null }, ["How?", "So."]],
  "an empty content": [{ messages: [user(""), assistant("So.")] }, ["So."]],
  parts: [
    {
      messages: [
        user([
          { type: "text", text: "How was " },
          { type: "text", text: "it?" },
        ]),
        assistant("So."),
      ],
    },
    ["How was ", "it?", "So."],
  ],
};

describe("a line that is a conversation", () => {
  const names = ["smollm2", "gemma", "gemma3", "llama3", "llama3_2", "qwen2_5", "qwen3", "phi3", "gptoss"];
  it.each(names)("has its contents where the template of %s writes them", async (name) => {
    const template = await templateOf(name);
    for (const [label, [row, contents]] of Object.entries(rows))
      for (const written of [(json: string) => json, (json: string) => json.replace(/[^ -~]/g, escaped)]) {
        const line = written(JSON.stringify(row));
        const document = `\n${line}`;
        const passages = conversationPassages(line, 1, template) ?? [];
        expect(
          passages.map(({ text }) => text),
          `${name}: ${label}`,
        ).toEqual(contents);
        let end = 0;
        for (const passage of passages) {
          const { text, start, conversation } = passage;
          expect(JSON.parse(`"${document.slice(start, passage.end)}"`)).toBe(text);
          expect(start).toBeGreaterThanOrEqual(end);
          ({ end } = passage);
          const { text: whole = "", at = 0 } = conversation ?? {};
          expect(whole.slice(at, at + text.length)).toBe(text);
          for (let unit = 0; unit < text.length; unit++)
            expect(fromDocument(passage, toDocument(passage, unit))).toBe(unit);
          expect(endInDocument(passage, text.length)).toBe(passage.end);
        }
        const [conversation] = passages.map((one) => one.conversation?.text);
        expect(passages.every((one) => one.conversation?.text === conversation)).toBe(true);
        expect(conversation).toBe(rendered(template, row));
      }
  });

  it("has each content after the template's own words for its turn, whatever the content is", async () => {
    const template = await templateOf("smollm2");
    const line = JSON.stringify({ messages: [system("user"), user("system"), assistant("user")] });
    const passages = conversationPassages(line, 0, template) ?? [];
    for (const { text, conversation } of passages) {
      const { text: whole = "", at = 0 } = conversation ?? {};
      expect(whole.slice(0, at)).toMatch(/<\|im_start\|>\w+\n$/);
      expect(whole.slice(at + text.length)).toMatch(/^<\|im_end\|>/);
    }
    expect(passages.map(({ text }) => text)).toEqual(["user", "system", "user"]);
  });

  it("has the lines that a template keeps of reasoning, and none of what it leaves out", async () => {
    const template = await templateOf("qwen3");
    const thought = "<think>\nHmm, so.\n</think>\n\nYes, it is.";
    const line = JSON.stringify({ messages: [user("How?"), assistant(thought), user("Really?"), assistant(thought)] });
    const passages = conversationPassages(line, 0, template) ?? [];
    expect(passages.map(({ text }) => text)).toEqual([
      ...["How?", "Yes, it is.", "Really?"],
      ...["<think>", "Hmm, so.", "</think>", "Yes, it is."],
    ]);
    for (const { text, conversation } of passages) {
      const { text: whole = "", at = 0 } = conversation ?? {};
      expect(whole.slice(at, at + text.length)).toBe(text);
    }
  });

  it("has nothing of a content that the template changes", () => {
    const template = own(
      "{% for m in messages %}[{{ m.content | upper if m.role == 'user' else m.content }}]{% endfor %}",
    );
    const passages = conversationPassages(JSON.stringify([user("how"), assistant("so"), user("IS")]), 0, template);
    expect(passages?.map(({ text, conversation }) => [text, conversation?.at])).toEqual([
      ["so", 6],
      ["IS", 10],
    ]);
  });

  it("gets its tools and the template's arguments", () => {
    const template = own("{{ tools | length }} {{ mood }} {{ messages[0].content }}");
    const row = { messages: [user("x y")], tools: [{}, {}], chat_template_kwargs: { mood: "calm" } };
    const [passage] = conversationPassages(JSON.stringify(row), 0, template) ?? [];
    expect(passage?.conversation).toEqual({ text: "2 calm x y", at: 7 });
  });

  it("says why it is not read, at each of its contents", () => {
    const refusing = own("{{ raise_exception('no system here') }}");
    const line = JSON.stringify({ messages: [system("Be kind."), user("")] });
    const unread = conversationPassages(line, 0, refusing) ?? [];
    expect(unread).toMatchObject([{ text: "Be kind.", unread: expect.stringContaining("no system here") }]);
    const long = JSON.stringify({ messages: [user("a ".repeat(MAX_CONVERSATION_UNITS))] });
    expect(conversationPassages(long, 0, own("{{ messages[0].content }}"))).toMatchObject([
      { unread: expect.stringContaining("longer than") },
    ]);
  });

  it.each([
    '{"messages": []}',
    '{"messages": [{"role": "user"}], "content": "a b"}',
    '{"messages": "role content"}',
    '{"role": "a b", "content": "c d"}',
    '{"messages": [{"role": "user", "content": [{"type": "image"}]}]}',
    '[{"role": "user", "content": "a b"}',
    "role content",
  ])("is none: %s", (line) => {
    expect(conversationPassages(line, 0, own("x"))).toBeUndefined();
  });

  it("is read text by text where the model has no template", async () => {
    expect(await loadChatTemplate(new URL("../../assets/starter", import.meta.url).pathname)).toBeUndefined();
    const line = JSON.stringify({ messages: [user("How was it?"), assistant("So so.")] });
    expect(
      [...documentPassages(line, { languageId: "jsonl" })].map(({ text, conversation }) => [text, conversation]),
    ).toEqual([
      ["How was it?", undefined],
      ["So so.", undefined],
    ]);
  });

  it("stands among other records, and beside pairs", () => {
    const template = own("{% for m in messages %}<{{ m.content }}>{% endfor %}");
    const lines = [{ text: "a film" }, { messages: [user("one")] }, { chosen: "a", rejected: "b", prompt: "c" }];
    const document = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
    const passages = [...documentPassages(document, { languageId: "jsonl", template })];
    expect(passages.map(({ text, conversation, answer }) => [text, conversation?.text, answer?.side])).toEqual([
      ["a film", undefined, undefined],
      ["one", "<one>", undefined],
      ["a", undefined, "chosen"],
      ["b", undefined, "rejected"],
    ]);
    expect(passages.map(({ start, end }) => document.slice(start, end))).toEqual(["a film", "one", "a", "b"]);
  });
});

function escaped(character: string): string {
  return [...Array(character.length).keys()]
    .map((at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`)
    .join("");
}

/** As the model reads a row that is a conversation of texts. */
function rendered(template: ChatTemplate, row: unknown): string {
  const list: { role: string; content: string | { text: string }[] }[] = Array.isArray(row)
    ? row
    : (row as { messages: [] }).messages;
  const messages = list.map(({ role, content }) => ({
    role,
    content: typeof content === "string" ? content : content.map(({ text }) => text).join(""),
  }));
  return template.render(messages);
}
