import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { scratchFolder } from "../../../test/unit/runs/scratch.ts";
import { loadTextEncoder } from "./text-encoder.ts";

it("puts the special tokens around a text of a tokenizer that has none for a letter a", async () => {
  const special = (id: number, content: string) => ({
    id,
    content,
    special: true,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
  });
  const tokenizer = {
    version: "1.0",
    added_tokens: [special(0, "<s>"), special(3, "</s>")],
    normalizer: null,
    pre_tokenizer: null,
    post_processor: {
      type: "TemplateProcessing",
      single: [{ SpecialToken: { id: "<s>" } }, { Sequence: { id: "A" } }, { SpecialToken: { id: "</s>" } }],
      pair: [],
      special_tokens: {
        "<s>": { id: "<s>", ids: [0], tokens: ["<s>"] },
        "</s>": { id: "</s>", ids: [3], tokens: ["</s>"] },
      },
    },
    decoder: null,
    model: { type: "BPE", vocab: { "<s>": 0, q: 1, z: 2, "</s>": 3 }, merges: [] },
  };
  const folder = await scratchFolder();
  await writeFile(join(folder, "tokenizer.json"), JSON.stringify(tokenizer));
  const encoder = await loadTextEncoder(folder, "any");
  expect(encoder.encode("qzz", 9)).toEqual([0, 1, 2, 2, 3]);
  expect(encoder.encode("zzzz", 4)).toEqual([0, 2, 2, 3]);
  expect(encoder.encode("a", 9)).toEqual([0, 3]);
});
