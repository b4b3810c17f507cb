/**
 * The order in which tokens train autoencoders. It is a pure function of the texts' lengths, the settings and a
 * random root, so any place of it can be recomputed without what came before. Letters: B texts and T token places of
 * one forward pass, N tokens of one optimizer step; a row is one token place of a chunk.
 *
 * Each epoch shuffles the texts and cuts them into chunks of several forward passes. The activations of a chunk are
 * in memory together; its rows are shuffled and consumed N at a time, and a remainder of fewer than N is dropped.
 */
import { LfpError } from "../common/errors.ts";
import type { Random } from "../common/random.ts";
import type { SaeConfig } from "./config.ts";

/** The texts hold too few tokens for one step of training. */
export class TooFewTokensError extends LfpError {
  readonly code = "input";

  constructor(tokens: number, needed: number) {
    super(
      `the largest chunk of texts has ${tokens} tokens, and one step of training takes ${needed}: give more texts, a smaller batchTokens or a larger bufferTokens`,
    );
  }
}

/** The settings that the order depends on. */
export type StreamConfig = Pick<
  SaeConfig,
  "batchTokens" | "epochs" | "maxTokens" | "contextLength" | "maskPadding" | "shuffle" | "bufferTokens"
>;

/** Position of a step in the stream. */
export interface StreamPlace {
  readonly epoch: number;
  readonly chunk: number;
  /** The step's number within its chunk, from 0. */
  readonly offset: number;
}

/** The texts of each forward pass of a chunk, and the rows of each of its steps. */
export interface Chunk {
  /** At most B texts a pass. */
  readonly passes: readonly (readonly number[])[];
  /** N rows for each step in turn. Row (p B + b) T + t is token t of text b of pass p. */
  readonly rows: Int32Array;
}

export interface TokenStream {
  readonly B: number;
  readonly T: number;
  readonly N: number;
  /** Forward passes of the largest chunk. */
  readonly passesPerChunk: number;
  /** Steps of the whole training. */
  readonly steps: number;
  /** `step` counts from 0 to `steps` - 1. */
  placeOf(step: number): StreamPlace;
  chunk(place: Pick<StreamPlace, "epoch" | "chunk">): Chunk;
}

/**
 * Approximate number of token places a forward pass: enough to keep the matrix kernels busy, few enough to stay in
 * the cores' caches.
 */
const passTokens = 512;

/** `lengths` are the texts' numbers of tokens. Throws `TooFewTokensError`. */
export function tokenStream(lengths: readonly number[], config: StreamConfig, random: Random): TokenStream {
  const layout = layoutOf(lengths, config);
  const epochs = Array.from({ length: config.epochs }, (_, epoch) => epochChunks(layout, config, random, epoch));
  const counted = epochs.map((chunks) => chunks.map((passes) => countRows(passes, layout, config)));
  const stepsOf = counted.map((chunks) => chunks.map((rows) => Math.floor(rows / config.batchTokens)));
  const all = stepsOf.flat().reduce((total, steps) => total + steps, 0);
  if (all === 0) throw new TooFewTokensError(Math.max(0, ...counted.flat()), config.batchTokens);
  const steps = Math.min(all, config.maxTokens === null ? all : Math.ceil(config.maxTokens / config.batchTokens));
  return {
    ...layout,
    N: config.batchTokens,
    steps,
    placeOf: (step) => placeIn(stepsOf, step),
    chunk: ({ epoch, chunk }) => {
      const passes = epochs[epoch]?.[chunk] ?? [];
      const rows = rowsOf(passes, layout, config);
      const mixed = config.shuffle ? random.fork(`rows ${epoch} ${chunk}`).shuffled(rows) : rows;
      return { passes, rows: Int32Array.from(mixed.slice(0, rows.length - (rows.length % config.batchTokens))) };
    },
  };
}

interface Layout {
  readonly B: number;
  readonly T: number;
  readonly passesPerChunk: number;
  readonly passes: number;
  readonly chunks: number;
  /** Number of tokens read of each text. */
  readonly lengths: readonly number[];
}

type Passes = readonly (readonly number[])[];

function layoutOf(all: readonly number[], { contextLength, bufferTokens }: StreamConfig): Layout {
  const lengths = all.map((length) => Math.min(length, contextLength));
  const T = lengths.reduce((longest, length) => Math.max(longest, length), 1);
  const B = Math.max(1, Math.min(lengths.length, Math.floor(Math.min(passTokens, bufferTokens) / T)));
  const passes = Math.ceil(lengths.length / B);
  const chunks = Math.ceil(passes / Math.max(1, Math.floor(bufferTokens / (B * T))));
  return { B, T, passes, chunks, passesPerChunk: Math.ceil(passes / chunks), lengths };
}

/** Groups the forward passes of an epoch into chunks, whose sizes are as equal as possible. */
function epochChunks(layout: Layout, { shuffle }: StreamConfig, random: Random, epoch: number): Passes[] {
  const { B, passes, chunks, lengths } = layout;
  const inFile = [...lengths.keys()];
  const order = shuffle ? random.fork(`texts ${epoch}`).shuffled(inFile) : inFile;
  const all = Array.from({ length: passes }, (_, pass) => order.slice(pass * B, (pass + 1) * B));
  return Array.from({ length: chunks }, (_, chunk) =>
    all.slice(Math.floor((chunk * passes) / chunks), Math.floor(((chunk + 1) * passes) / chunks)),
  );
}

/** Rows to train on: real tokens, and with padding also the places up to the longest text of a pass. */
function rowsOf(passes: Passes, { B, T, lengths }: Layout, { maskPadding }: StreamConfig): number[] {
  return passes.flatMap((texts, pass) => {
    const own = texts.map((text) => lengths[text] ?? 0);
    const longest = Math.max(...own);
    return own.flatMap((length, b) =>
      Array.from({ length: maskPadding ? length : longest }, (_, t) => (pass * B + b) * T + t),
    );
  });
}

function countRows(passes: Passes, { lengths }: Layout, { maskPadding }: StreamConfig): number {
  return passes.reduce((total, texts) => {
    const own = texts.map((text) => lengths[text] ?? 0);
    return total + (maskPadding ? own.reduce((a, b) => a + b, 0) : own.length * Math.max(...own));
  }, 0);
}

function placeIn(stepsOf: readonly (readonly number[])[], step: number): StreamPlace {
  let before = 0;
  for (const [epoch, chunks] of stepsOf.entries()) {
    for (const [chunk, steps] of chunks.entries()) {
      if (step < before + steps) return { epoch, chunk, offset: step - before };
      before += steps;
    }
  }
  throw new RangeError(`step ${step} of ${before}`);
}
