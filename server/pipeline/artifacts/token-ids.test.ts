import { expect, test } from "vitest";
import { starterFolder } from "../../common/package-root.ts";
import { loadTokenizer } from "../../models/tokenizer.ts";
import { windowTexts } from "../features/windows.ts";
import { encodingOf, tokenIdsOf } from "./token-ids.ts";

const tokenizer = await loadTokenizer(starterFolder());
const end = "<|endoftext|>";
const film = [...tokenizer.encode("A film", { addSpecialTokens: false }).ids];
const options = { prependBos: true, bosId: 0 };

test("special tokens in a text are text, unless a chat template wrote it", () => {
  const [plain = [], templated = []] = tokenIdsOf(
    tokenizer,
    [
      { id: "a", text: `A film${end}` },
      { id: "b", text: `A film${end}`, templated: true },
    ],
    options,
  );
  expect([...templated]).toEqual([0, ...film, 0]);
  expect([...plain].slice(1)).not.toContain(0);
});

test("a begin of text that the template wrote is read once, and only that of a template is taken for it", () => {
  const written = { id: "a", text: `${end}A film`, templated: true } as const;
  expect(tokenIdsOf(tokenizer, [written], options).map((ids) => [...ids])).toEqual([[0, ...film]]);
  expect([...encodingOf(tokenizer, written, []).ids]).toEqual([0, ...film]);
  const { ids, ranges } = encodingOf(tokenizer, written, [0]);
  expect([ids.length, ranges.length, ranges[0]?.start]).toEqual([film.length, film.length, end.length]);
  expect(encodingOf(tokenizer, { id: "a", text: `${end}A film` }, [0]).ids.length).toBeGreaterThan(film.length + 1);
});

test("windows of features are cut from the same tokens", () => {
  const texts = [{ id: "a", text: `${end}A film${end}`, templated: true as const }];
  const windows = { tokenizer, contextTokens: 10, windowTokens: 10, maxTokens: 100, prefixIds: [0] };
  const { ids, tokens } = windowTexts(texts, windows);
  expect(ids.map((own) => [...own])).toEqual([[...film, 0]]);
  expect(tokens).toBe(film.length + 1);
});
