import { expect, test } from "vitest";
import { modelFolder } from "../../test/conformance/fixtures.ts";
import { numberTokenizer } from "../../test/support/number-tokenizer.ts";
import { openSafetensors } from "../models/safetensors.ts";
import { readTokenEmbeddings } from "../models/token-embeddings.ts";
import type { Triple } from "../tasks/task.ts";
import { staticEmbeddings } from "./static-embedding.ts";

const side = (word: string) => ({ text: word, word, start: 0, end: word.length });
const triple = (id: string, positive: string, negative: string, neutral: string): Triple => ({
  id,
  source: id,
  original: "positive",
  positive: side(positive),
  negative: side(negative),
  neutral: side(neutral),
});

test("a word has the mean of its tokens' rows, wherever it stands", () => {
  const table = { width: 2, rows: Float32Array.of(0, 0, 1, 10, 2, 20, 3, 30) };
  const found = staticEmbeddings([triple("a", "1", "2 3", "3"), triple("b", "3", "1", "2")], table, numberTokenizer);
  expect(found.layers).toEqual([{ layer: 0, start: 0, end: 2 }]);
  expect([...found.rows.data]).toEqual([1, 10, 3, 30, 2.5, 25, 1, 10, 3, 30, 2, 20]);
});

test.each([
  ["gpt-neox", "gpt_neox.embed_in.weight"],
  ["gpt-neo", "transformer.wte.weight"],
  ["gemma", "model.embed_tokens.weight"],
] as const)("the table of %s is read from its checkpoint", async (name, tensor) => {
  const { width, rows } = await readTokenEmbeddings(modelFolder(name));
  await using source = await openSafetensors(`${modelFolder(name)}/model.safetensors`);
  expect(rows).toEqual(await source.readFloat32(tensor));
  expect(source.tensors.get(tensor)?.shape[1]).toBe(width);
});
