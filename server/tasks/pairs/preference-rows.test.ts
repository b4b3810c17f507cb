import { describe, expect, it } from "vitest";
import { type Preference, preferenceOf } from "./preference-rows.ts";

const texts = (prompt: string, chosen: string, rejected: string): Preference => ({
  kind: "texts",
  prompt,
  chosen,
  rejected,
});
const user = (content: string) => ({ role: "user", content });
const assistant = (content: string) => ({ role: "assistant", content });

describe("a row of preference data", () => {
  it.each([
    [
      "a prompt and two texts",
      { prompt: "How?", chosen: " So.", rejected: " No." },
      "given",
      texts("How?", " So.", " No."),
    ],
    [
      "two transcripts of several turns",
      {
        chosen: "\n\nHuman: Hi\n\nAssistant: Yes?\n\nHuman: How?\n\nAssistant: So.",
        rejected: "\n\nHuman: Hi\n\nAssistant: Yes?\n\nHuman: How?\n\nAssistant: No.",
      },
      "transcript",
      texts("\n\nHuman: Hi\n\nAssistant: Yes?\n\nHuman: How?\n\nAssistant:", " So.", " No."),
    ],
    [
      "two texts that begin alike, whose shared first words fall to the prompt",
      { chosen: "Q: How? A: The best.", rejected: "Q: How? A: The worst." },
      "sharedText",
      texts("Q: How? A: The", " best.", " worst."),
    ],
    [
      "two texts that part within a character of two units",
      { chosen: "a film 🎬", rejected: "a film 🎭" },
      "sharedText",
      texts("a film", " 🎬", " 🎭"),
    ],
  ])("%s", (_name, row, rule, preference) => {
    expect(preferenceOf(row)).toEqual({ kind: "pair", rule, preference });
  });

  it("messages, with a prompt of messages, with a text beside whole conversations, and without a prompt", () => {
    const [prompt, chosen, rejected] = [[user("How?")], [assistant("So.")], [assistant("No.")]];
    const preference = { kind: "messages", prompt, chosen, rejected };
    expect(preferenceOf({ prompt, chosen, rejected })).toEqual({ kind: "pair", rule: "given", preference });
    const whole = { chosen: [...prompt, ...chosen], rejected: [...prompt, ...rejected] };
    for (const row of [whole, { ...whole, prompt: "How?" }, { ...whole, prompt: null, score_chosen: 1 }])
      expect(preferenceOf(row)).toEqual({ kind: "pair", rule: "sharedMessages", preference });
  });

  it("what chat templates read beside the messages, and further fields of messages but no empty ones", () => {
    const fields = { tools: '[{"name": "t"}]', chat_template_kwargs: { enable_thinking: false } };
    const [prompt, rejected] = [[user("How?")], [assistant("No.")]];
    const chosen = [{ ...assistant("So."), reasoning_content: "because", name: null }];
    expect(preferenceOf({ prompt, chosen, rejected, ...fields })).toEqual({
      kind: "pair",
      rule: "given",
      preference: {
        kind: "messages",
        prompt,
        chosen: [{ ...assistant("So."), reasoning_content: "because" }],
        rejected,
        tools: [{ name: "t" }],
        templateArguments: { enable_thinking: false },
      },
    });
    for (const wrong of [{ tools: "no list" }, { tools: 3 }, { chat_template_kwargs: [1] }])
      expect(preferenceOf({ prompt, chosen, rejected, ...wrong })).toEqual({ kind: "fault", fault: "templateFields" });
    expect(preferenceOf({ prompt, chosen, rejected, tools: null, chat_template_kwargs: null })).toMatchObject({
      kind: "pair",
    });
  });

  it("the text of messages in parts, and no part that is no text", () => {
    const parts = (text: string) => [{ role: "assistant", content: [{ type: "text", text }] }];
    expect(preferenceOf({ prompt: [user("a")], chosen: parts("b"), rejected: parts("c") })).toMatchObject({
      preference: { chosen: [assistant("b")] },
    });
    const image = [{ role: "assistant", content: [{ type: "image", url: "x" }] }];
    expect(preferenceOf({ prompt: [user("a")], chosen: image, rejected: parts("c") })).toMatchObject({
      fault: "fields",
    });
  });

  it.each([
    ["fields", "no row"],
    ["fields", { prompt: "a", chosen: "b" }],
    ["fields", { prompt: "a", chosen: "b", rejected: [assistant("c")] }],
    ["fields", { prompt: [user("a")], chosen: "b", rejected: "c" }],
    ["promptKind", { prompt: 3, chosen: "b", rejected: "c" }],
    ["promptKind", { prompt: {}, chosen: [assistant("b")], rejected: [assistant("c")] }],
    ["moreAnswers", { prompt: "a", chosen: "b", rejected: "c", rejected_2: "d" }],
    ["otherPrompt", { chosen: "\n\nHuman: a\n\nAssistant: b", rejected: "\n\nHuman: z\n\nAssistant: c" }],
    ["noPrompt", { chosen: "b", rejected: "c" }],
    ["noPrompt", { chosen: [assistant("b")], rejected: [assistant("c")] }],
    ["emptyAnswer", { prompt: "a", chosen: " \n", rejected: "c" }],
    ["emptyAnswer", { prompt: [user("a")], chosen: [assistant("")], rejected: [assistant("c")] }],
    ["equalAnswers", { prompt: "a", chosen: "b", rejected: "b" }],
    ["equalAnswers", { chosen: "same", rejected: "same" }],
    ["equalAnswers", { chosen: [user("a"), assistant("b")], rejected: [user("a"), assistant("b")] }],
    ["lastTurn", { prompt: [user("a")], chosen: [assistant("b"), user("c")], rejected: [assistant("d")] }],
  ])("is left out for its fault: %s", (fault, row) => {
    expect(preferenceOf(row)).toEqual({ kind: "fault", fault });
  });
});
