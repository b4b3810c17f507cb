import { z } from "zod";
import { SPACE_MARK, type TokenizerFamily } from "./bytes.ts";
import { UnsupportedTokenizerError } from "./errors.ts";
import type { WordRule } from "./words.ts";

/** The effect of tokenizer.json's steps. */
export interface Pipeline {
  readonly family: TokenizerFamily;
  /** Whether text is brought to NFC first. */
  readonly nfc: boolean;
  /** How a byte-level BPE splits text into words. */
  readonly words: WordRule;
  /** Whether a whole word that is in the vocabulary is its token, whatever the merges make of it. */
  readonly ignoreMerges: boolean;
  /** Ids that the post-processor puts before and after a text, such as BOS. */
  readonly before: readonly number[];
  readonly after: readonly number[];
}

/** The part of tokenizer.json that says how text is processed; vocabulary and merges are checked apart. */
export const pipelineSchema = z.object({
  added_tokens: z
    .array(
      z.object({
        id: z.number(),
        content: z.string().min(1),
        special: z.boolean().default(false),
        normalized: z.boolean().default(false),
        single_word: z.boolean().default(false),
        lstrip: z.boolean().default(false),
        rstrip: z.boolean().default(false),
      }),
    )
    .nullish()
    .transform((tokens) => tokens ?? []),
  normalizer: z.unknown().optional(),
  pre_tokenizer: z.unknown().optional(),
  post_processor: z.unknown().optional(),
  decoder: z.unknown().optional(),
  model: z.looseObject({
    // Files from before 2022 leave the type of a BPE model out.
    type: z.string().default("BPE"),
    dropout: z.number().nullish(),
    continuing_subword_prefix: z.string().nullish(),
    end_of_word_suffix: z.string().nullish(),
    byte_fallback: z.boolean().default(false),
    ignore_merges: z.boolean().default(false),
    merges: z.unknown().optional(),
  }),
});

export type PipelineJson = z.infer<typeof pipelineSchema>;

/**
 * Recognises the pipelines for which ids equal Hugging Face's and offsets are exact. Throws `UnsupportedTokenizerError`
 * naming the step for every other. It ignores only settings that cannot change ids or offsets.
 */
export function recognisePipeline(path: string, json: PipelineJson): Pipeline {
  const unsupported = (got: string) => new UnsupportedTokenizerError(path, got);
  const problem = modelProblem(json) ?? addedTokenProblem(json);
  if (problem) throw unsupported(problem);
  const steps = {
    normalizer: flattened(json.normalizer),
    pre_tokenizer: flattened(json.pre_tokenizer),
    decoder: flattened(json.decoder),
  };
  const family = json.model.byte_fallback ? "byte-fallback" : "byte-level";
  const words = wordRules.find((rule) => matchesAll(wordSteps[rule], steps.pre_tokenizer));
  for (const name of ["normalizer", "pre_tokenizer", "decoder"] as const) {
    const got = steps[name];
    const isSplit = name === "pre_tokenizer" && family === "byte-level" && words !== undefined;
    if (!isSplit && !SUPPORTED[family][name].some((pattern) => matchesAll(pattern, got))) {
      throw unsupported(`${name} ${got.length === 0 ? "none" : JSON.stringify(got)} with a ${family} BPE`);
    }
  }
  const nfc = steps.normalizer.some((step) => step["type"] === "NFC");
  const { ignore_merges: ignoreMerges } = json.model;
  return {
    family,
    nfc,
    words: words ?? "gpt2",
    ignoreMerges,
    ...template(flattened(json.post_processor), unsupported),
  };
}

type Step = Readonly<Record<string, unknown>>;
type StepName = "normalizer" | "pre_tokenizer" | "decoder";

const REPLACE_SPACES = { type: "Replace", pattern: { String: " " }, content: SPACE_MARK };

/** Sequences of steps that are supported; a step matches when it has the fields given here, whatever else it has. */
const SUPPORTED: Record<TokenizerFamily, Record<StepName, readonly (readonly Step[])[]>> = {
  "byte-level": {
    normalizer: [[], [{ type: "NFC" }]],
    // By `wordSteps`.
    pre_tokenizer: [],
    decoder: [[{ type: "ByteLevel" }]],
  },
  "byte-fallback": {
    normalizer: [[REPLACE_SPACES]],
    // Splitting at spaces never happens: the normaliser has replaced them.
    pre_tokenizer: [[], [{ type: "Split", pattern: { String: " " } }]],
    decoder: [
      [{ type: "Replace", pattern: { String: SPACE_MARK }, content: " " }, { type: "ByteFallback" }, { type: "Fuse" }],
    ],
  },
};

const byteLevel = { type: "ByteLevel", add_prefix_space: false } as const;
const gpt2Split = { ...byteLevel, use_regex: [true, undefined] };

/** The pattern of Llama 3, with the number characters that it takes at once. */
function gpt4Split(numbers: string): Step[] {
  const pattern =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" +
    `${numbers}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;
  const split = { type: "Split", pattern: { Regex: pattern }, behavior: "Isolated", invert: [false, undefined] };
  return [split, { ...byteLevel, use_regex: false }];
}

/** The steps of each rule of splitting, as files write them. */
const wordSteps: Readonly<Record<WordRule, readonly Step[]>> = {
  gpt2: [gpt2Split],
  digits: [{ type: "Digits", individual_digits: true }, gpt2Split],
  gpt4: gpt4Split("\\p{N}{1,3}"),
  gpt4OneDigit: gpt4Split("\\p{N}"),
};
const wordRules = Object.keys(wordSteps) as WordRule[];

function modelProblem({ model }: PipelineJson): string | undefined {
  if (model.type !== "BPE") return `a ${model.type} model`;
  if (model.merges === undefined) return "a model without merges";
  if (model.dropout) return `BPE dropout ${model.dropout}`;
  if (model.continuing_subword_prefix) return `continuing_subword_prefix "${model.continuing_subword_prefix}"`;
  if (model.end_of_word_suffix) return `end_of_word_suffix "${model.end_of_word_suffix}"`;
  return model.ignore_merges && model.byte_fallback ? "ignore_merges with byte fallback" : undefined;
}

function addedTokenProblem(json: PipelineJson): string | undefined {
  for (const token of json.added_tokens) {
    for (const rule of ["single_word", "lstrip", "rstrip"] as const) {
      if (token[rule]) return `added token ${JSON.stringify(token.content)} with ${rule}`;
    }
  }
  return undefined;
}

const stepSchema = z.looseObject({ type: z.string() });
const sequenceSchema = z.looseObject({
  type: z.literal("Sequence"),
  normalizers: z.array(z.unknown()).optional(),
  pretokenizers: z.array(z.unknown()).optional(),
  decoders: z.array(z.unknown()).optional(),
  processors: z.array(z.unknown()).optional(),
});

/** A step as a list: none for null, the members of a Sequence. */
function flattened(step: unknown): Step[] {
  if (step === null || step === undefined) return [];
  const sequence = sequenceSchema.safeParse(step);
  if (sequence.success) {
    const { normalizers, pretokenizers, decoders, processors } = sequence.data;
    return (normalizers ?? pretokenizers ?? decoders ?? processors ?? []).flatMap(flattened);
  }
  const single = stepSchema.safeParse(step);
  return [single.success ? single.data : { type: JSON.stringify(step) }];
}

function matchesAll(patterns: readonly Step[], steps: readonly Step[]): boolean {
  return patterns.length === steps.length && patterns.every((pattern, i) => matches(pattern, steps[i] ?? {}));
}

function matches(pattern: Step, step: Step): boolean {
  return Object.entries(pattern).every(([key, expected]) => {
    const got = step[key];
    if (Array.isArray(expected)) return expected.includes(got);
    return JSON.stringify(expected) === JSON.stringify(got);
  });
}

const templateSchema = z.object({
  type: z.literal("TemplateProcessing"),
  single: z.array(
    z.union([
      z.object({ SpecialToken: z.object({ id: z.string() }) }),
      z.object({ Sequence: z.object({ id: z.literal("A") }) }),
    ]),
  ),
  special_tokens: z.record(z.string(), z.object({ ids: z.array(z.int().nonnegative()) })),
});

/** The ids around a text. ByteLevel as a post-processor only trims offsets, which `trimmedRange` does here. */
function template(
  steps: readonly Step[],
  unsupported: (got: string) => Error,
): { before: readonly number[]; after: readonly number[] } {
  const [step, ...more] = steps.filter(({ type }) => type !== "ByteLevel");
  if (!step) return { before: [], after: [] };
  const parsed = templateSchema.safeParse(step);
  if (!parsed.success || more.length > 0) throw unsupported(`post_processor ${JSON.stringify(steps)}`);
  const { single, special_tokens } = parsed.data;
  const text = single.findIndex((item) => "Sequence" in item);
  if (text === -1) throw unsupported("a post_processor template without the text");
  const idsOf = (items: typeof single) =>
    items.flatMap((item) => {
      const ids = "SpecialToken" in item ? special_tokens[item.SpecialToken.id]?.ids : undefined;
      if (!ids) throw unsupported(`post_processor item ${JSON.stringify(item)}`);
      return ids;
    });
  return { before: idsOf(single.slice(0, text)), after: idsOf(single.slice(text + 1)) };
}
