import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { ChatTemplate, ChatTemplateRefusal } from "../models/chat-template.ts";
import { loadTokenizer } from "../models/tokenizer.ts";
import { pairTextsOf } from "../tasks/pairs/pair-texts.ts";
import { PairTokensError } from "./dpo-errors.ts";
import type { PairTokensConfig } from "./pair-tokens-config.ts";
import { type PairTokens, type PreferencePair, pairTokens } from "./preference-tokens.ts";

const root = new URL("../../", import.meta.url);
const ids = z.array(z.int());
const special = z
  .union([z.string(), z.object({ content: z.string() }).transform(({ content }) => content)])
  .nullish()
  .transform((text) => text ?? undefined);
const message = z.strictObject({ role: z.string(), content: z.string() });
const fixture = z
  .strictObject({
    maxChatTokens: z.int(),
    chats: z.array(
      z.strictObject({
        template: z.string(),
        row: z.strictObject({
          prompt: z.array(message),
          chosen: z.array(message),
          rejected: z.array(message),
          tools: z.array(z.unknown()).optional(),
          chat_template_kwargs: z.record(z.string(), z.unknown()).optional(),
        }),
      }),
    ),
    chatFamilies: z.record(z.string(), z.array(z.tuple([ids, ids, ids, z.int()]).nullable())),
    maxTokens: z.int(),
    maxPromptTokens: z.int(),
    pairs: z.array(z.strictObject({ prompt: z.string(), chosen: z.string(), rejected: z.string() })),
    families: z.record(
      z.string(),
      z.array(
        z.strictObject({ trl1: z.tuple([ids, ids, ids]).nullable(), trl077: z.tuple([ids, ids, ids, ids]).nullable() }),
      ),
    ),
  })
  .parse(JSON.parse(readFileSync(new URL("test/fixtures/dpo/pair-tokens.json", root), "utf8")));
const { maxTokens, maxPromptTokens } = fixture;
const first: PairTokensConfig = { rule: "trl-1", maxTokens };
const old: PairTokensConfig = { rule: "trl-0.7.7", maxTokens, maxPromptTokens };

const folders = {
  gpt2: "test/fixtures/tokenizers/gpt2",
  neox: "test/fixtures/tokenizers/neox",
  gemma: "test/fixtures/tokenizers/gemma",
  starter: "assets/starter",
};

describe.each(Object.entries(folders))(
  "hostile pairs have TRL's tokens with the tokenizer of %s",
  async (family, folder) => {
    const tokenizer = await loadTokenizer(fileURLToPath(new URL(folder, root)));
    const expected = fixture.families[family] ?? [];
    const rows = fixture.pairs.map((pair, at) => ({ pair, at, ...expected[at] }));

    it("by 1.16", () => {
      expect(rows).toHaveLength(80);
      for (const { pair, trl1, at } of rows) {
        const got = idsOf(pairTokens(pair, tokenizer, first));
        if (trl1 === null || trl1 === undefined) expect(got, `pair ${at}`).toMatchObject({ kind: "lost" });
        else compare(at, pair, got, [trl1[0], trl1[1], trl1[0], trl1[2]]);
      }
    });

    it("by 0.7.7", () => {
      for (const { pair, trl077, at } of rows) {
        const got = idsOf(pairTokens(pair, tokenizer, old));
        if (trl077 === null || trl077 === undefined) expect(got, `pair ${at}`).toMatchObject({ kind: "lost" });
        else compare(at, pair, got, trl077);
      }
    });
  },
);

describe.each(Object.entries(fixture.chatFamilies))(
  "hostile conversations have TRL's tokens with the tokenizer of %s",
  async (family, expected) => {
    const folder = fileURLToPath(new URL(folders[family as keyof typeof folders], root));
    const tokenizer = await loadTokenizer(folder);
    const config = z
      .object({ bos_token: special, eos_token: special })
      .parse(JSON.parse(readFileSync(`${folder}/tokenizer_config.json`, "utf8")));
    const templateOf = (name: string): ChatTemplate => {
      const file = new URL(`test/fixtures/chat-templates/templates/${name}.jinja`, root);
      const templates = new Map([["default", readFileSync(file, "utf8")]]);
      return new ChatTemplate({ templates, specialTokens: config, where: name });
    };
    const templates = new Map(fixture.chats.map(({ template }) => [template, templateOf(template)]));

    it("by 1.16, prompts that templates write otherwise alone among them", () => {
      let [same, unshared] = [0, 0];
      for (const [at, { template, row }] of fixture.chats.entries()) {
        const stored = expected[at] ?? null;
        const made = tokensOf(row, templates.get(template));
        if (stored === null) {
          expect(made, `conversation ${at}`).toMatchObject({ kind: "lost" });
          continue;
        }
        const [prompt, chosen, rejected, left] = stored;
        const pair = { prompt: JSON.stringify(row.prompt), chosen: template, rejected: "" };
        compare(at, pair, made === undefined ? [] : idsOf(made), [prompt, chosen, prompt, rejected]);
        if (made?.kind !== "pair") continue;
        expect(made.unshared, `conversation ${at}`).toHaveLength(left);
        same += 1;
        unshared += Number(left > 0);
      }
      expect(same).toBeGreaterThan(80);
      expect(unshared).toBeGreaterThan(15);
    });

    function tokensOf(row: (typeof fixture.chats)[number]["row"], template: ChatTemplate | undefined): PairTokens {
      const { chat_template_kwargs: templateArguments, ...others } = row;
      try {
        const texts = pairTextsOf({ kind: "messages", ...others, templateArguments }, template);
        return pairTokens(texts, tokenizer, { rule: "trl-1", maxTokens: fixture.maxChatTokens });
      } catch (error) {
        if (error instanceof ChatTemplateRefusal) return { kind: "lost", reason: "longPrompt" };
        throw error;
      }
    }
  },
);

it("says what was cut, and why a pair is left out", async () => {
  const tokenizer = await loadTokenizer(fileURLToPath(new URL("assets/starter", root)));
  const made = (prompt: string, chosen: string, rejected: string, config: PairTokensConfig): unknown => {
    const got = pairTokens({ prompt, chosen, rejected }, tokenizer, config);
    return got.kind === "pair" ? got.cut : got.reason;
  };
  const long = "word ".repeat(40);
  expect(made("a film", " is good", " is bad", first)).toEqual([]);
  expect(made("a film", long, " is bad", first)).toEqual(["chosen"]);
  expect(made(long, "good", "bad", first)).toBe("longPrompt");
  expect(made("a film", " is good", " is good", first)).toBe("equal");
  expect(made(long, "good", "bad", old)).toEqual(["prompt"]);
  expect(made(long, "good", long, old)).toEqual(["prompt", "rejected"]);
  expect(() =>
    pairTokens({ prompt: "a", chosen: "b", rejected: "c" }, { ...unnamed(tokenizer), eosId: undefined }, first),
  ).toThrow(PairTokensError);
});

/** A tokenizer's methods read private fields, so that they keep it as `this`. */
function unnamed(tokenizer: Awaited<ReturnType<typeof loadTokenizer>>) {
  return {
    encode: tokenizer.encode.bind(tokenizer),
    decode: tokenizer.decode.bind(tokenizer),
    bosId: tokenizer.bosId,
  };
}

function idsOf(made: PairTokens): PairTokens | number[][] {
  if (made.kind === "lost") return made;
  const { chosen, rejected } = made.pair;
  return [chosen.prompt, chosen.answer, rejected.prompt, rejected.answer].map((part) => [...part]);
}

/** What TRL keeps and cannot learn from is left out here. */
function compare(at: number, pair: PreferencePair, got: PairTokens | number[][], expected: number[][]): void {
  const [chosenPrompt = [], chosen = [], rejectedPrompt = [], rejected = []] = expected;
  const isScored = (prompt: number[], answer: number[]): boolean =>
    answer.length > 0 && prompt.length + answer.length > 1;
  const said = `pair ${at} ${JSON.stringify(pair)}`;
  if (!isScored(chosenPrompt, chosen) || !isScored(rejectedPrompt, rejected))
    expect(got, said).toEqual({ kind: "lost", reason: "noTokens" });
  else if (JSON.stringify([chosenPrompt, chosen]) === JSON.stringify([rejectedPrompt, rejected]))
    expect(got, said).toEqual({ kind: "lost", reason: "equal" });
  else expect(got, said).toEqual(expected);
}
