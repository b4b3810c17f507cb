import { join } from "node:path";
import { z } from "zod";
import { messageOf } from "../../common/errors.ts";
import { parseJson as parseJsonText } from "../../common/json.ts";
import { schemaProblems } from "../../common/schema-problems.ts";
import { type FileKind, LfsPointerError, readTextFile } from "../../common/text-file.ts";
import { visibleLine } from "../../common/untrusted-text.ts";
import type { AddedToken } from "./added-tokens.ts";
import { TokenizerFileError, TokenizerNotFoundError } from "./errors.ts";
import type { BpeModel } from "./pieces.ts";
import { type Pipeline, pipelineSchema, recognisePipeline } from "./pipeline.ts";

/** A tokenizer's data, read from its folder and checked. */
export interface TokenizerSpec extends Pipeline {
  readonly model: BpeModel;
  readonly addedTokens: readonly AddedToken[];
  /** Vocabulary and added tokens by id, as tokenizer.json spells them. */
  readonly tokenOf: ReadonlyMap<number, string>;
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  readonly padId: number | undefined;
}

/**
 * Reads tokenizer.json and, where there is one, tokenizer_config.json. Throws `TokenizerNotFoundError`,
 * `TokenizerFileError` or `UnsupportedTokenizerError`. Ignores `truncation` and `padding` in tokenizer.json: texts are
 * encoded whole, and callers truncate explicitly.
 */
export async function readTokenizer(folder: string): Promise<TokenizerSpec> {
  const path = join(folder, "tokenizer.json");
  const value = await readTokenizerJson(path);
  const json = parse(path, pipelineSchema, value);
  const pipeline = recognisePipeline(path, json);
  const { model } = parse(path, bpeSchema, value);
  const { idOf, tokenOf } = indexVocabulary(path, model.vocab, json.added_tokens);

  const configPath = join(folder, "tokenizer_config.json");
  const config = parse(configPath, configSchema, await readTokenizerConfigJson(configPath));
  const idFor = (role: keyof typeof config): number | undefined => {
    const content = config[role];
    if (content === undefined) return undefined;
    const id = idOf.get(content);
    if (id === undefined) throw new TokenizerFileError(configPath, `${role} ${show(content)} is not in tokenizer.json`);
    return id;
  };
  return {
    ...pipeline,
    model: { ...model, type: "BPE", byte_fallback: json.model.byte_fallback, ignore_merges: false },
    addedTokens: json.added_tokens,
    tokenOf,
    bosId: idFor("bos_token"),
    eosId: idFor("eos_token"),
    padId: idFor("pad_token"),
  };
}

/**
 * The value of a tokenizer.json, of which only the sizes are checked. Throws `TokenizerNotFoundError` or
 * `TokenizerFileError`.
 */
export async function readTokenizerJson(path: string): Promise<unknown> {
  const file = await readIfThere(path, "tokenizer");
  if ("missing" in file) throw new TokenizerNotFoundError(path, file.missing);
  const value = parseJson(path, file.text);
  checkSizes(path, value);
  return value;
}

/** The value of a tokenizer_config.json, unchecked; an empty object where there is none. Throws `TokenizerFileError`. */
export async function readTokenizerConfigJson(path: string): Promise<unknown> {
  const file = await readIfThere(path, "config");
  return "text" in file ? parseJson(path, file.text) : {};
}

/** Maximum number of tokens, above the largest vocabularies: 262,144 (Gemma 3), 901,629 (XLM-V). */
const MOST_TOKENS = 2 ** 20;
const mostEntries = { "model.vocab": MOST_TOKENS, "model.merges": 2 * MOST_TOKENS, added_tokens: 2 ** 16 } as const;
const sizesSchema = z.object({
  model: z.object({ vocab: z.unknown().optional(), merges: z.unknown().optional() }),
  added_tokens: z.unknown().optional(),
});

/** Checks sizes before anything is allocated per entry, which for tens of millions takes minutes and gigabytes. */
function checkSizes(path: string, value: unknown): void {
  const { model, added_tokens } = sizesSchema.safeParse(value).data ?? {};
  const lists = { "model.vocab": model?.vocab, "model.merges": model?.merges, added_tokens };
  for (const name of ["model.vocab", "model.merges", "added_tokens"] as const) {
    const list = lists[name];
    const entries = typeof list === "object" && list !== null ? Object.keys(list).length : 0;
    if (entries > mostEntries[name])
      throw new TokenizerFileError(path, `${name} has ${entries} entries, and at most ${mostEntries[name]} are read`);
  }
}

// Vocabulary and merges have hundreds of thousands of entries, so they are checked in place, not copied.
const bpeSchema = z.object({
  model: z.object({
    unk_token: z.string().nullish(),
    vocab: z.custom<Record<string, number>>(isObject, "expected an object from token to id"),
    merges: z.custom<string[] | [string, string][]>(areMerges, 'expected a list of "left right" or of [left, right]'),
  }),
});

/** A special token's content, as a string or inside an object. */
const contentSchema = z
  .union([z.string(), z.object({ content: z.string() }).transform((token) => token.content)])
  .nullish()
  .transform((content) => content ?? undefined);

const configSchema = z.object({ bos_token: contentSchema, eos_token: contentSchema, pad_token: contentSchema });

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether all merges have one format: the library infers it from the first merge only. */
function areMerges(value: unknown): boolean {
  if (!Array.isArray(value)) return false;
  return value.every(typeof value[0] === "string" ? isSpacedPair : isPair);
}

function isSpacedPair(value: unknown): boolean {
  return typeof value === "string" && isPair(value.split(" "));
}

function isPair(value: unknown): boolean {
  return Array.isArray(value) && value.length === 2 && value.every((side) => typeof side === "string" && side !== "");
}

/** Ids are kept in 32-bit integers. */
const LARGEST_ID = 0x7fffffff;

/**
 * Both directions of the vocabulary, in one pass; throws for an invalid id, an id with two tokens or a token with two
 * ids.
 */
function indexVocabulary(
  path: string,
  vocab: Readonly<Record<string, number>>,
  addedTokens: readonly AddedToken[],
): { idOf: Map<string, number>; tokenOf: Map<number, string> } {
  const idOf = new Map<string, number>();
  const tokenOf = new Map<number, string>();
  const add = (token: string, id: number) => {
    const otherId = idOf.get(token) ?? id;
    const otherToken = tokenOf.get(id) ?? token;
    if (!Number.isInteger(id) || id < 0 || id > LARGEST_ID)
      throw new TokenizerFileError(path, `${show(token)} has the id ${show(id)}`);
    if (otherId !== id) throw new TokenizerFileError(path, `${show(token)} has two ids, ${otherId} and ${id}`);
    if (otherToken !== token) {
      throw new TokenizerFileError(path, `id ${id} has two tokens, ${show(otherToken)} and ${show(token)}`);
    }
    idOf.set(token, id);
    tokenOf.set(id, token);
  };
  for (const [token, id] of Object.entries(vocab)) add(token, id);
  for (const { content, id } of addedTokens) add(content, id);
  return { idOf, tokenOf };
}

function show(value: unknown): string {
  return visibleLine(JSON.stringify(value), 200);
}

async function readIfThere(path: string, kind: FileKind): Promise<{ text: string } | { missing: unknown }> {
  try {
    return { text: await readTextFile(path, kind) };
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return { missing: error };
    if (error instanceof LfsPointerError) throw error;
    throw new TokenizerFileError(path, messageOf(error), { cause: error });
  }
}

function parseJson(path: string, text: string): unknown {
  try {
    return parseJsonText(text);
  } catch (error) {
    throw new TokenizerFileError(path, `not JSON (${messageOf(error)})`, { cause: error });
  }
}

function parse<T extends z.ZodType>(path: string, schema: T, value: unknown): z.output<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new TokenizerFileError(path, schemaProblems(parsed.error));
}
