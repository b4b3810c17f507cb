import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { loadTokenizer } from "../models/tokenizer.ts";
import { PairTokensError } from "./dpo-errors.ts";
import type { PairTokensConfig } from "./pair-tokens-config.ts";
import { type PairTokens, type PreferencePair, pairTokens } from "./preference-tokens.ts";

const root = new URL("../../", import.meta.url);
const ids = z.array(z.int());
const fixture = z
  .strictObject({
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
