import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as library from "@huggingface/tokenizers";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import {
  assertMatchesVocabulary,
  CombiningRunError,
  characterGroups,
  loadTokenizer,
  loadTokenizers,
  TokenIdError,
  type Tokenizer,
  TokenizerDriftError,
  TokenizerFileError,
  TokenizerNotFoundError,
  UnsupportedTokenizerError,
  VocabularyMismatchError,
} from "./tokenizer.ts";

const root = join(import.meta.dirname, "../..");
const folders = {
  starter: join(root, "assets/starter"),
  gpt2: join(root, "test/fixtures/tokenizers/gpt2"),
  neox: join(root, "test/fixtures/tokenizers/neox"),
  gemma: join(root, "test/fixtures/tokenizers/gemma"),
  llama3: join(root, "test/fixtures/tokenizers/llama3"),
  qwen3: join(root, "test/fixtures/tokenizers/qwen3"),
  smollm2: join(root, "test/fixtures/tokenizers/smollm2"),
};
type Family = keyof typeof folders;
const families: Family[] = ["starter", "gpt2", "neox", "gemma", "llama3", "qwen3", "smollm2"];
const tokenizers = new Map<Family, Tokenizer>();
let scratch = "";

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "lfp-tokenizer-"));
  for (const family of families) tokenizers.set(family, await loadTokenizer(folders[family]));
});
afterAll(() => rm(scratch, { recursive: true }));

function tokenizerOf(family: Family): Tokenizer {
  const tokenizer = tokenizers.get(family);
  if (!tokenizer) throw new Error(`${family} is not loaded`);
  return tokenizer;
}

const jsonSchema = z.record(z.string(), z.unknown());
type Json = z.infer<typeof jsonSchema>;

/** A folder with a fixture's tokenizer.json after top-level replacements, and merged into `model`. */
async function edited(family: Family, change: Json, model: Json = {}, config?: string): Promise<string> {
  const folder = await mkdtemp(join(scratch, "edited-"));
  const json = jsonSchema.parse(JSON.parse(await readFile(join(folders[family], "tokenizer.json"), "utf8")));
  const merged = { ...json, ...change, model: { ...jsonSchema.parse(json["model"]), ...model } };
  await writeFile(join(folder, "tokenizer.json"), JSON.stringify(merged));
  if (config !== undefined) await writeFile(join(folder, "tokenizer_config.json"), config);
  return folder;
}

const digitsFirst = {
  type: "Sequence",
  pretokenizers: [
    { type: "Digits", individual_digits: true },
    { type: "ByteLevel", add_prefix_space: false, use_regex: true },
  ],
};

describe("a loaded tokenizer", () => {
  it("knows its size and its special ids", () => {
    const facts = families.map((family) => {
      const { vocabSize, bosId, eosId, padId, specialIds } = tokenizerOf(family);
      return [family, vocabSize, bosId, eosId, padId, [...specialIds]];
    });
    expect(facts).toEqual([
      ["starter", 4096, 0, 0, 0, [0]],
      ["gpt2", 701, 700, 700, undefined, [700]],
      ["neox", 725, 0, 0, undefined, [0, 1]],
      ["gemma", 505, 2, 1, 0, [0, 1, 2, 3, 261, 262]],
      ["llama3", 707, 704, 706, undefined, [704, 705, 706]],
      ["qwen3", 705, undefined, 702, 700, [700, 701, 702]],
      ["smollm2", 703, 701, 702, undefined, [700, 701, 702]],
    ]);
  });

  it("has no special ids without tokenizer_config.json", async () => {
    const { bosId, eosId, padId } = await loadTokenizer(await edited("gpt2", {}));
    expect([bosId, eosId, padId]).toEqual([undefined, undefined, undefined]);
  });

  it("puts Gemma's BOS before the text, with an empty range, unless told not to", () => {
    const gemma = tokenizerOf("gemma");
    const { ids, ranges } = gemma.encode("a b");
    expect([...ids].slice(0, 1)).toEqual([2]);
    expect(ranges[0]).toEqual({ start: 0, end: 0 });
    const bare = gemma.encode("a b", { addSpecialTokens: false });
    expect([...bare.ids]).toEqual([...ids].slice(1));
    expect([...gemma.encode("").ids]).toEqual([2]);
    expect([...tokenizerOf("neox").encode("").ids]).toEqual([]);
  });

  it("puts ids of a template after the text at its end", async () => {
    const template = [{ Sequence: { id: "A", type_id: 0 } }, { SpecialToken: { id: "<|endoftext|>", type_id: 0 } }];
    const special_tokens = { "<|endoftext|>": { id: "<|endoftext|>", ids: [700], tokens: ["<|endoftext|>"] } };
    const post_processor = { type: "TemplateProcessing", single: template, pair: template, special_tokens };
    const { ids, ranges } = (await loadTokenizer(await edited("gpt2", { post_processor }))).encode("hi");
    expect(ids.at(-1)).toBe(700);
    expect(ranges.at(-1)).toEqual({ start: 2, end: 2 });
  });

  it("takes a word of Llama 3's vocabulary whole, whatever its merges make of it", async () => {
    const [whole] = tokenizerOf("llama3").encode(" wonderful", { addSpecialTokens: false }).ids;
    expect(tokenizerOf("llama3").tokenText(whole ?? 0)).toBe(" wonderful");
    const merged = await loadTokenizer(await edited("llama3", {}, { ignore_merges: false }));
    expect(merged.encode(" wonderful", { addSpecialTokens: false }).ids.length).toBeGreaterThan(1);
  });

  it("is another than one that splits words by another rule", async () => {
    const { difference } = await loadTokenizers(folders.gpt2, await edited("gpt2", { pre_tokenizer: digitsFirst }));
    expect(difference).toBe("cut texts by other rules");
    expect((await loadTokenizers(folders.qwen3, folders.qwen3)).difference).toBeUndefined();
  });

  it("reads special tokens in a text as text unless asked to parse them", () => {
    for (const [family, token] of [
      ["starter", "<|endoftext|>"],
      ["gpt2", "<|endoftext|>"],
      ["neox", "<|padding|>"],
      ["gemma", "<eos>"],
    ] as const) {
      const tokenizer = tokenizerOf(family);
      const text = `one ${token} two`;
      const isSpecial = (id: number) => tokenizer.specialIds.has(id);
      const plain = tokenizer.encode(text, { addSpecialTokens: false });
      expect(plain.ids.some(isSpecial)).toBe(false);
      expect(tokenizer.decode(plain.ids)).toBe(text);
      const parsed = tokenizer.encode(text, { addSpecialTokens: false, parseSpecialTokens: true });
      const at = parsed.ids.findIndex(isSpecial);
      expect(parsed.ranges[at]).toEqual({ start: 4, end: 4 + token.length });
      expect(tokenizer.decode(parsed.ids)).toBe(text);
      expect(tokenizer.decode(parsed.ids, { skipSpecialTokens: true })).toBe("one  two");
    }
  });

  it("normalises what is on either side of a parsed special token apart", () => {
    const text = "<|endoftext|>\u0338";
    const parsed = tokenizerOf("neox").encode(text, { parseSpecialTokens: true });
    expect(parsed.ids[0]).toBe(0);
    expect(parsed.ranges[1]).toEqual({ start: 13, end: 14 });
    expect(tokenizerOf("neox").encode(text).ids.includes(0)).toBe(false);
  });

  it("encodes lone surrogates as U+FFFD, each in its own place", () => {
    for (const family of families) {
      const tokenizer = tokenizerOf(family);
      for (const text of ["\ud800", "a\udc00b", "x\ud83d \ude00y", "\ude00\ud83d", "e\u0301\ud83d\u0301"]) {
        expect(tokenizer.encode(text)).toEqual(tokenizer.encode(text.replace(/\p{Cs}/gu, "\ufffd")));
      }
    }
  });

  it("decodes a stream character by character", () => {
    const starter = tokenizerOf("starter");
    const { ids } = starter.encode("a😀é");
    const stream = starter.decodeStream();
    const steps = [...ids].map((id) => stream.push(id));
    expect(steps.join("")).toBe("a😀é");
    expect(steps.filter((step) => step === "").length).toBeGreaterThan(1);
    expect(steps.join("")).not.toContain("\ufffd");
    expect(stream.end()).toBe("");
    const cut = starter.decodeStream();
    expect(cut.push(ids[1] ?? 0)).toBe("");
    expect(cut.end()).toBe("\ufffd");
    expect(starter.decode([])).toBe("");
  });

  it("keeps a byte order mark", () => {
    for (const family of families) {
      const tokenizer = tokenizerOf(family);
      const { ids } = tokenizer.encode("\ufeffa\ufeff", { addSpecialTokens: false });
      expect(tokenizer.decode(ids)).toBe("\ufeffa\ufeff");
    }
  });

  it("shows tokens as text and on one line", () => {
    const shown = (family: Family, text: string) => {
      const tokenizer = tokenizerOf(family);
      const { ids } = tokenizer.encode(text, { addSpecialTokens: false });
      return [...ids].map((id) => [tokenizer.tokenText(id), tokenizer.tokenLabel(id)]);
    };
    expect(shown("starter", " film")).toEqual([[" film", "·film"]]);
    expect(shown("gpt2", "\t")).toEqual([["\t", "⇥"]]);
    expect(shown("gpt2", "\u007f")).toEqual([["\u007f", "\\u{7f}"]]);
    expect(shown("gemma", " film\n")).toEqual([
      [" film", "·film"],
      ["\n", "↵"],
    ]);
    expect(shown("gemma", "\u4e2d").map(([, label]) => label)).toEqual(["\\xE4", "\\xB8", "\\xAD"]);
    expect(tokenizerOf("gemma").tokenText(1)).toBe("<eos>");
    expect(tokenizerOf("neox").tokenLabel(724)).toBe("··");
  });

  it("refuses ids that are no token", async () => {
    const { vocabSize } = tokenizerOf("gpt2");
    for (const id of [-1, vocabSize, 1.5, Number.NaN]) {
      expect(() => tokenizerOf("gpt2").decode([id]), String(id)).toThrow(TokenIdError);
      expect(() => tokenizerOf("gpt2").tokenLabel(id), String(id)).toThrow(/from 0 to 700/);
    }
    const gap = await loadTokenizer(await edited("gpt2", { added_tokens: [{ id: 900, content: "<extra>" }] }));
    expect(gap.vocabSize).toBe(901);
    expect(gap.unusedIds).toEqual(Array.from({ length: 199 }, (_, at) => 701 + at));
    expect(tokenizerOf("gpt2").unusedIds).toEqual([]);
    expect([gap.tokenText(800), gap.tokenLabel(800), gap.decode([800, 900])]).toEqual([
      "",
      "[no token 800]",
      "<extra>",
    ]);
    expect(() => gap.tokenText(901)).toThrow(TokenIdError);
    expect([...gap.encode("<extra>").ids]).toEqual([900]);
  });

  it("must fit the model's vocabulary", () => {
    const starter = tokenizerOf("starter");
    assertMatchesVocabulary(starter, 4096);
    assertMatchesVocabulary(starter, 50304);
    expect(() => assertMatchesVocabulary(starter, 4095)).toThrow(VocabularyMismatchError);
    expect(() => assertMatchesVocabulary(starter, 4095)).toThrow(/up to 4095, .* vocab_size is 4095/);
  });
});

describe("any text", () => {
  const awkward = fc.constantFrom(
    ..."a|e|the| |  |\n|\r\n|\t|'s|'|1|\u0301|\u0323|\u00e9|\u1100|\u1161|\u11a8|\uac00|😀|\u200d|日|\u2581|<|endoftext|>|<eos>|<table>|\u00a0|.|\ud83d|\ude00|of t".split(
      "|",
    ),
    "<|endoftext|>",
    "\u{16d67}",
    "\u0085",
    "\ufeff",
  );
  const texts = fc.oneof(
    fc.string({ unit: "binary", maxLength: 40 }),
    fc.string({ unit: "grapheme", maxLength: 30 }),
    fc.array(awkward, { maxLength: 20 }).map((parts) => parts.join("")),
    fc.array(fc.nat({ max: 0xffff }), { maxLength: 20 }).map((units) => String.fromCharCode(...units)),
  );

  it.each(families)("%s: is tiled by its ranges, and comes back from its ids", (family) => {
    const tokenizer = tokenizerOf(family);
    fc.assert(
      fc.property(texts, fc.boolean(), (text, parseSpecialTokens) => {
        const { ids, ranges } = tokenizer.encode(text, { addSpecialTokens: false, parseSpecialTokens });
        expect(ranges).toHaveLength(ids.length);
        expect(ranges.every(({ start, end }, i) => start < end && start >= (ranges[i - 1]?.start ?? 0))).toBe(true);
        const groups = characterGroups(ranges);
        expect(groups.map(({ start, end }) => text.slice(start, end)).join("")).toBe(text);
        expect(groups.at(-1)?.endToken ?? 0).toBe(ids.length);
        const spelt = (s: string) => (family === "gemma" ? s.replaceAll("\u2581", " ") : s);
        // Each group stands for its own stretch of the text, and for nothing else.
        for (const { start, end, firstToken, endToken } of groups) {
          const normal = (s: string) => (family === "gpt2" || family === "gemma" ? s : s.normalize("NFC"));
          const decoded = tokenizer.decode(ids.slice(firstToken, endToken));
          expect(normal(decoded)).toBe(normal(spelt(text.slice(start, end).toWellFormed())));
        }
      }),
      { numRuns: 300, seed: 1 },
    );
  });

  it.each(families)("%s: gets the ids that the library gives by itself", async (family) => {
    const read = async (name: string) =>
      jsonSchema.parse(JSON.parse(await readFile(join(folders[family], name), "utf8")));
    const json = await read("tokenizer.json");
    if (!("type" in jsonSchema.parse(json["model"])))
      json["model"] = { ...jsonSchema.parse(json["model"]), type: "BPE" };
    const oracle = new library.Tokenizer(json, await read("tokenizer_config.json"));
    fc.assert(
      fc.property(texts, (raw) => {
        // JavaScript's \s, which the library uses, takes U+FEFF and leaves out U+0085; Rust's is the other way round.
        const text = raw.toWellFormed().replaceAll(/[\u0085\ufeff]/g, "");
        const got = tokenizerOf(family).encode(text, { parseSpecialTokens: true });
        expect([...got.ids]).toEqual(oracle.encode(text).ids);
      }),
      { numRuns: 300, seed: 2 },
    );
  });

  it("may be megabytes long, with or without spaces", async () => {
    const reviews = (await readFile(join(folders.starter, "reviews.jsonl"), "utf8")).repeat(4).slice(0, 5_000_000);
    const starter = tokenizerOf("starter");
    const { ids, ranges } = starter.encode(reviews);
    expect(starter.decode(ids) === reviews.normalize("NFC")).toBe(true);
    expect(ranges.at(-1)?.end).toBe(reviews.length);
    const letters = reviews.replaceAll(/[^a-z]/g, "").slice(0, 100_000);
    for (const [family, unbroken] of [
      ["starter", letters],
      ["gemma", letters],
      ["gpt2", "😀".repeat(50_000)],
      ["neox", " ".repeat(100_000)],
    ] as const) {
      const tokenizer = tokenizerOf(family);
      const encoding = tokenizer.encode(unbroken, { addSpecialTokens: false });
      expect(tokenizer.decode(encoding.ids) === unbroken).toBe(true);
      expect(encoding.ranges.at(-1)?.end).toBe(100_000);
    }
  });

  it("does not hang on endless combining marks", () => {
    const starter = tokenizerOf("starter");
    const marks = (count: number) => `e${"\u0301\u0323".repeat(count / 2)}`;
    expect(starter.decode(starter.encode(marks(1024)).ids)).toBe(marks(1024).normalize("NFC"));
    expect(() => starter.encode(`x ${marks(100_000)}`)).toThrow(CombiningRunError);
  });
});

describe("a tokenizer that cannot be used", () => {
  it("is named where it is missing or broken", async () => {
    const folder = await mkdtemp(join(scratch, "empty-"));
    await expect(loadTokenizer(folder)).rejects.toThrow(TokenizerNotFoundError);
    await writeFile(join(folder, "tokenizer.json"), "{");
    await expect(loadTokenizer(folder)).rejects.toThrow(/tokenizer\.json: not JSON/);
    await writeFile(join(folder, "tokenizer.json"), "[]");
    await expect(loadTokenizer(folder)).rejects.toThrow(TokenizerFileError);
    await expect(loadTokenizer(join(folders.gpt2, "tokenizer.json"))).rejects.toThrow(TokenizerFileError);
  });

  const level = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
  it.each<[string, Family, Json, Json, RegExp]>([
    ["WordPiece", "gpt2", {}, { type: "WordPiece" }, /a WordPiece model/],
    ["Unigram", "gemma", {}, { type: "Unigram" }, /a Unigram model/],
    ["no merges", "gpt2", {}, { merges: undefined }, /a model without merges/],
    ["dropout", "gpt2", {}, { dropout: 0.1 }, /dropout 0.1/],
    ["a subword prefix", "gpt2", {}, { continuing_subword_prefix: "##" }, /continuing_subword_prefix "##"/],
    ["a word suffix", "gpt2", {}, { end_of_word_suffix: "</w>" }, /end_of_word_suffix/],
    ["ignore_merges with byte fallback", "gemma", {}, { ignore_merges: true }, /ignore_merges/],
    [
      "digits in groups",
      "gpt2",
      { pre_tokenizer: { type: "Sequence", pretokenizers: [{ type: "Digits", individual_digits: false }, level] } },
      {},
      /pre_tokenizer .*Digits/,
    ],
    [
      "Prepend",
      "gemma",
      { normalizer: { type: "Sequence", normalizers: [{ type: "Prepend", prepend: "\u2581" }] } },
      {},
      /normalizer .*Prepend.*byte-fallback/,
    ],
    ["NFKC", "neox", { normalizer: { type: "NFKC" } }, {}, /normalizer .*NFKC/],
    [
      "lower case",
      "neox",
      { normalizer: { type: "Sequence", normalizers: [{ type: "NFC" }, { type: "Lowercase" }] } },
      {},
      /Lowercase/,
    ],
    [
      "a prefix space",
      "gpt2",
      { pre_tokenizer: { ...level, add_prefix_space: true } },
      {},
      /pre_tokenizer .*add_prefix_space":true/,
    ],
    ["no regex", "gpt2", { pre_tokenizer: { ...level, use_regex: false } }, {}, /use_regex":false/],
    [
      "a regex split",
      "neox",
      { pre_tokenizer: { type: "Sequence", pretokenizers: [{ type: "Split", pattern: { Regex: "x" } }, level] } },
      {},
      /pre_tokenizer .*Split/,
    ],
    ["Metaspace", "gemma", { pre_tokenizer: { type: "Metaspace" } }, {}, /Metaspace/],
    ["no pre-tokenizer", "gpt2", { pre_tokenizer: null }, {}, /pre_tokenizer none with a byte-level BPE/],
    ["another decoder", "gemma", { decoder: { type: "Metaspace" } }, {}, /decoder .*Metaspace/],
    [
      "another post-processor",
      "gpt2",
      { post_processor: { type: "BertProcessing", sep: ["a", 1], cls: ["b", 2] } },
      {},
      /post_processor .*BertProcessing/,
    ],
    [
      "an unknown template token",
      "gpt2",
      {
        post_processor: {
          type: "TemplateProcessing",
          single: [{ SpecialToken: { id: "x" } }, { Sequence: { id: "A" } }],
          special_tokens: {},
        },
      },
      {},
      /post_processor item .*"x"/,
    ],
    [
      "a stripping added token",
      "gpt2",
      { added_tokens: [{ id: 701, content: "<mask>", lstrip: true }] },
      {},
      /"<mask>" with lstrip/,
    ],
  ])("is refused by name: %s", async (_, family, change, model, message) => {
    const folder = await edited(family, change, model);
    await expect(loadTokenizer(folder)).rejects.toThrow(UnsupportedTokenizerError);
    await expect(loadTokenizer(folder)).rejects.toThrow(message);
    await expect(loadTokenizer(folder)).rejects.toThrow(/Supported are byte-level BPE/);
  });

  it.each<[string, Json, Json, string | undefined, RegExp]>([
    ["an id that is none", {}, { vocab: { a: -1 } }, undefined, /"a" has the id -1/],
    ["an id past 32 bits", {}, { vocab: { a: 2 ** 31 } }, undefined, /"a" has the id 2147483648/],
    ["one id, two tokens", {}, { vocab: { a: 1, b: 1 } }, undefined, /id 1 has two tokens, "a" and "b"/],
    [
      "one token, two ids",
      { added_tokens: [{ id: 701, content: "a" }] },
      {},
      undefined,
      /"a" has two ids, \d+ and 701/,
    ],
    ["a vocabulary that is a list", {}, { vocab: ["a"] }, undefined, /an object from token to id/],
    ["a merge of three", {}, { merges: ["a b c"] }, undefined, /a list of "left right"/],
    ["merges of two kinds", {}, { merges: ["a b", ["a", "b"]] }, undefined, /a list of "left right"/],
    ["an end token that is not there", {}, {}, '{"eos_token":"</s>"}', /eos_token "<\/s>" is not in tokenizer\.json/],
    ["a broken configuration", {}, {}, "{", /tokenizer_config\.json: not JSON/],
  ])("is refused as contradicting itself: %s", async (_, change, model, config, message) => {
    const folder = await edited("gpt2", change, model, config);
    await expect(loadTokenizer(folder)).rejects.toThrow(TokenizerFileError);
    await expect(loadTokenizer(folder)).rejects.toThrow(message);
  });

  it("gives no offsets where its tokens do not spell the text", async () => {
    const noBytes = { vocab: { "<unk>": 0, a: 1, b: 2, ab: 3 }, merges: ["a b"] };
    const level = await loadTokenizer(await edited("gpt2", { added_tokens: [] }, noBytes));
    expect([...level.encode("ab").ids]).toEqual([3]);
    expect(() => level.encode("abc")).toThrow(TokenizerDriftError);
    const none = { added_tokens: [], post_processor: null };
    const fallback = await loadTokenizer(await edited("gemma", none, { ...noBytes, unk_token: "<unk>" }));
    expect([...fallback.encode("aba").ids]).toEqual([3, 1]);
    expect(() => fallback.encode("ab c")).toThrow(TokenizerDriftError);
  });
});
