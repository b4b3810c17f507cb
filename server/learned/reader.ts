/**
 * Runs two models over texts of one shape: log-ratios of every token with divergences, or, much faster, of the
 * pieces of rated words alone.
 */
import type { Device } from "../engine/device.ts";
import { LogRatioScorer, type LogRatios, type ModelPair } from "../models/log-ratio.ts";
import { NextTokenLogRatios } from "../models/target-log-ratio.ts";
import type { WordPlace } from "./places.ts";

/** A text as both models read it. */
export interface LearnedText {
  /** Ids including the prefix; no longer than the models' context. */
  readonly ids: Int32Array;
  readonly places: readonly WordPlace[];
}

/** B texts of T tokens, with an upper bound on the pieces of words between them. */
export interface ReaderShape {
  readonly shape: readonly [B: number, T: number];
  readonly pieces: number;
}

export interface TextReader {
  readonly of: ReaderShape;
  /** Log-ratios that were not requested are NaN. */
  read(texts: readonly LearnedText[]): Promise<LogRatios[]>;
  dispose(): Promise<void>;
}

/** Throws what `LogRatioScorer.create` throws. */
export async function openReader(device: Device, pair: ModelPair, of: ReaderShape, kl: boolean): Promise<TextReader> {
  if (!kl) return openPieceReader(device, pair, of);
  const scorer = await LogRatioScorer.create(device, pair, { shape: of.shape, kl });
  return {
    of,
    read: (texts) => scorer.score(texts.map(({ ids }) => ids)),
    dispose: () => scorer.dispose(),
  };
}

async function openPieceReader(device: Device, pair: ModelPair, of: ReaderShape): Promise<TextReader> {
  const scorer = await NextTokenLogRatios.create(device, pair, { shape: of.shape, most: Math.max(1, of.pieces) });
  const read = async (texts: readonly LearnedText[]): Promise<LogRatios[]> => {
    const asked = texts.flatMap(({ ids, places }, text) =>
      piecesOf(places).map((piece) => ({ text, place: piece - 1, id: ids[piece] ?? 0 })),
    );
    const found = await scorer.score(
      texts.map(({ ids }) => ids),
      asked,
    );
    const ratios = texts.map(({ ids }) => new Float32Array(ids.length).fill(Number.NaN));
    for (const [at, { text, place }] of asked.entries()) {
      const own = ratios[text];
      if (own !== undefined) own[place + 1] = found[at] ?? Number.NaN;
    }
    return ratios.map((logRatio) => ({ logRatio, kl: undefined }));
  };
  return { of, read, dispose: () => scorer.dispose() };
}

/** Places of all pieces of words in a text. */
export function piecesOf(places: readonly WordPlace[]): number[] {
  return places.flatMap(({ from, to }) => Array.from({ length: to - from }, (_, at) => from + at));
}
