import { expect, test } from "vitest";
import type { MessageWriter } from "./messages.ts";
import { pairTextsOf } from "./pair-texts.ts";

const user = (content: string) => ({ role: "user", content });
const assistant = (content: string) => ({ role: "assistant", content });
const messages = {
  kind: "messages",
  prompt: [user("How?")],
  chosen: [assistant("So.")],
  rejected: [assistant("No.")],
} as const;

test("texts are what the row says", () => {
  const texts = { prompt: "How?", chosen: " So.", rejected: " No." };
  expect(pairTextsOf({ kind: "texts", ...texts }, undefined)).toEqual({ form: "texts", ...texts });
});

test("messages are a transcript where the model has no template", () => {
  const turns = { ...messages, prompt: [{ role: "system", content: "Be brief." }, ...messages.prompt] };
  expect(pairTextsOf(turns, undefined)).toEqual({
    form: "plain",
    prompt: "Be brief.\n\nHuman: How?\n\nAssistant:",
    chosen: " So.",
    rejected: " No.",
  });
});

test("a template gets what the row says for it, and a prompt that it writes otherwise alone is kept too", () => {
  const asked: unknown[] = [];
  const numbered: MessageWriter = {
    render(turns, { addGenerationPrompt = false, ...fields }) {
      asked.push([addGenerationPrompt, fields]);
      return `${turns.length}:${turns.map(({ content }) => content).join("|")}${addGenerationPrompt ? "|" : ""}`;
    },
  };
  const fields = { tools: [{ name: "t" }], templateArguments: { enable_thinking: false } };
  expect(pairTextsOf({ ...messages, ...fields }, numbered)).toEqual({
    form: "template",
    prompt: "",
    chosen: "2:How?|So.",
    rejected: "2:How?|No.",
    promptAlone: "1:How?|",
  });
  expect(asked).toEqual([
    [false, fields],
    [false, fields],
    [true, fields],
  ]);
});
