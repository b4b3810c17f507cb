/** Tokens of pairs against those of TRL itself (test/fixtures/dpo/make_pair_tokens.py). */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { loadTokenizer } from "../../models/tokenizer.ts";
import { prefixOfTokenizer } from "../../pipeline/finished/lens-preferences.ts";
import { type AnswerRule, type AnswerTokens, answerTokens, endOfText } from "./answer-tokens.ts";

const root = new URL("../../../", import.meta.url);
const ids = z.array(z.int());
const fixture = z
  .object({
    maxTokens: z.int(),
    maxPromptTokens: z.int(),
    pairs: z.array(z.object({ prompt: z.string(), chosen: z.string(), rejected: z.string() })),
    families: z.record(
      z.string(),
      z.array(
        z.object({ trl1: z.tuple([ids, ids, ids]).nullable(), trl077: z.tuple([ids, ids, ids, ids]).nullable() }),
      ),
    ),
  })
  .parse(JSON.parse(readFileSync(new URL("test/fixtures/dpo/pair-tokens.json", root), "utf8")));
const { maxTokens, maxPromptTokens, pairs } = fixture;
const folders = {
  gpt2: "test/fixtures/tokenizers/gpt2",
  gemma: "test/fixtures/tokenizers/gemma",
  starter: "assets/starter",
};
const parts = ({ ids: all, first }: AnswerTokens): number[][] => [
  [...all.subarray(0, first)],
  [...all.subarray(first)],
];

describe.each(Object.entries(folders))(
  "the answers of hostile pairs, with the tokenizer of %s",
  async (family, folder) => {
    const tokenizer = await loadTokenizer(fileURLToPath(new URL(folder, root)));
    const expected = fixture.families[family] ?? [];

    it.each(["tokenizer", prefixOfTokenizer(tokenizer)] as const)("have the tokens of TRL 1.16 after %j", (before) => {
      const rule: AnswerRule = { kind: "trl-1", before, end: endOfText(tokenizer), maxTokens };
      let compared = 0;
      for (const [at, pair] of pairs.entries()) {
        const stored = expected[at]?.trl1;
        const got = answerTokens({ form: "texts", ...pair }, tokenizer, rule);
        if (stored === null || stored === undefined || got.kind === "lost") continue;
        const [prompt, chosen, rejected] = stored;
        expect([...parts(got.chosen), ...parts(got.rejected)], `pair ${at}`).toEqual([
          prompt,
          chosen,
          prompt,
          rejected,
        ]);
        compared += 1;
      }
      expect(compared).toBeGreaterThan(pairs.length / 2);
    });

    it("have the tokens of TRL 0.7.7", () => {
      const { bosId = 0, eosId = 0 } = tokenizer;
      const rule: AnswerRule = { kind: "trl-0.7.7", bosId, eosId, maxTokens, maxPromptTokens };
      let compared = 0;
      for (const [at, pair] of pairs.entries()) {
        const stored = expected[at]?.trl077;
        const got = answerTokens({ form: "texts", ...pair }, tokenizer, rule);
        if (stored === null || stored === undefined || got.kind === "lost") continue;
        expect([...parts(got.chosen), ...parts(got.rejected)], `pair ${at}`).toEqual(stored);
        compared += 1;
      }
      expect(compared).toBeGreaterThan(pairs.length / 2);
    });

    const lengths = { maxTokens: 100_000, maxPromptTokens: 100_000 };
    it.each<AnswerRule>([
      { kind: "trl-1", before: [], end: endOfText(tokenizer), maxTokens: 100_000 },
      { kind: "trl-1", before: "tokenizer", end: endOfText(tokenizer), maxTokens: 100_000 },
      { kind: "trl-0.7.7", bosId: 1, eosId: 2, ...lengths },
    ])("have ranges that tile the answer's text in order: $kind", (rule) => {
      for (const pair of pairs) {
        const got = answerTokens({ form: "texts", ...pair }, tokenizer, rule);
        if (got.kind === "lost") continue;
        for (const side of ["chosen", "rejected"] as const) {
          const { ranges } = got[side];
          expect(ranges.at(-1)?.end).toBe(pair[side].length);
          let end = 0;
          for (const range of ranges) {
            expect(range.start).toBeLessThanOrEqual(end);
            expect(range.end).toBeGreaterThanOrEqual(range.start);
            end = Math.max(end, range.end);
          }
        }
      }
    });
  },
);
