/** What classifies batches of ids, however it is stored. Letters: B texts, T tokens, L labels. */

/** A classifier that is loaded. Dispose it after use. */
export interface LogitSource extends AsyncDisposable {
  /** Maximum number of tokens. */
  readonly contextLength: number;
  /** The ids of a text, at most `contextLength`. */
  encode(text: string): readonly number[];
  /** Logits [B, L] of at most B texts of at most T ids; rows beyond the texts are anything. */
  logits(rows: readonly (readonly number[])[], shape: readonly [B: number, T: number]): Promise<Float32Array>;
}
