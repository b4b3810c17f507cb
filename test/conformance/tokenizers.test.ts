import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { characterGroups, loadTokenizer, type Tokenizer, trimmedRange } from "../../server/models/tokenizer.ts";

// Oracle: the Rust tokenizers, stored by test/fixtures/tokenizers/make_tokenizers.py.
const fixtures = join(import.meta.dirname, "../fixtures/tokenizers");
const folders = {
  starter: join(import.meta.dirname, "../../assets/starter"),
  gpt2: join(fixtures, "gpt2"),
  neox: join(fixtures, "neox"),
  gemma: join(fixtures, "gemma"),
};

const numbers = z.array(z.number());
const encodingSchema = z.tuple([numbers, numbers, numbers, numbers.nullable()]);
const casesSchema = z.array(z.tuple([z.string(), encodingSchema, encodingSchema.nullable()]));
type StoredEncoding = z.infer<typeof encodingSchema>;

function casesOf(family: string): z.infer<typeof casesSchema> {
  return casesSchema.parse(JSON.parse(readFileSync(join(fixtures, `${family}.cases.json`), "utf8")));
}

describe.each(Object.entries(folders))("%s: against the Rust tokenizers", (family, folder) => {
  const cases = casesOf(family);
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    tokenizer = await loadTokenizer(folder);
  });

  function check(text: string, stored: StoredEncoding, parseSpecialTokens: boolean): void {
    const [ids, starts, ends, trimmed] = stored;
    const got = tokenizer.encode(text, { addSpecialTokens: false, parseSpecialTokens });
    const label = JSON.stringify(text);
    expect([...got.ids], label).toEqual(ids);
    expect(
      got.ranges.map(({ start, end }) => [start, end]),
      label,
    ).toEqual(starts.map((start, i) => [start, ends[i]]));
    if (trimmed) {
      const shown = got.ranges.map((range) => trimmedRange(text, range));
      expect(
        shown.flatMap(({ start, end }) => [start, end]),
        `${label} trimmed`,
      ).toEqual(trimmed);
    }
  }

  it(`gives the same ids and ranges for ${cases.length} awkward strings`, () => {
    expect(cases.length).toBeGreaterThan(400);
    for (const [text, plain] of cases) check(text, plain, false);
  });

  it("gives the same ids and ranges when special tokens in the text are parsed", () => {
    expect(cases.some(([, , parsed]) => parsed !== null)).toBe(true);
    for (const [text, plain, parsed] of cases) check(text, parsed ?? plain, true);
  });

  it("gives ranges whose groups partition the text", () => {
    for (const [text] of cases) {
      const groups = characterGroups(tokenizer.encode(text).ranges);
      expect(groups.map(({ start, end }) => text.slice(start, end)).join("")).toBe(text);
    }
  });

  it("decodes to the text, normalised as the model does", () => {
    for (const [text] of cases) {
      const asModel = { gemma: text.replaceAll("\u2581", " "), gpt2: text }[family] ?? text.normalize("NFC");
      expect(tokenizer.decode(tokenizer.encode(text, { addSpecialTokens: false }).ids)).toBe(asModel);
      // Special tokens part the text before it is normalised.
      const parsed = tokenizer.decode(
        tokenizer.encode(text, { addSpecialTokens: false, parseSpecialTokens: true }).ids,
      );
      expect(parsed.normalize("NFC")).toBe(asModel.normalize("NFC"));
    }
  });
});
