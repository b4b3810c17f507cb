import type { Values } from "../engine/graph.ts";
import { hiddenKeyBias } from "./architecture.ts";

export interface Continuation {
  /** New tokens, up to but without an end-of-text token. */
  readonly ids: Int32Array;
  readonly stoppedAtEos: boolean;
  /** The end-of-text token that stopped it; a model may have several. */
  readonly endId: number | undefined;
}

export interface RowsShape {
  /** Rows */
  readonly B: number;
  /** Prompt slots */
  readonly T: number;
  /** Cache slots */
  readonly S: number;
  readonly localWindow: number | undefined;
  readonly eosIds: readonly number[];
}

/**
 * The growing rows of one batch. A prompt of n tokens occupies slots T - n .. T - 1, so its k-th new token is at slot
 * T + k in every row and at position n + k in its own text.
 */
export class GenerationRows {
  readonly #shape: RowsShape;
  readonly #prompts: readonly Int32Array[];
  readonly #new: number[][];
  readonly #endIds: (number | undefined)[];
  #last: Int32Array;
  #newTokens = 0;

  constructor(prompts: readonly Int32Array[], shape: RowsShape) {
    this.#shape = shape;
    this.#prompts = prompts;
    this.#new = prompts.map(() => []);
    this.#endIds = prompts.map(() => undefined);
    this.#last = new Int32Array(shape.B);
  }

  /** Number of tokens sampled for every row so far, including end-of-text tokens. */
  get newTokens(): number {
    return this.#newTokens;
  }

  get allStopped(): boolean {
    return this.#endIds.every((id) => id !== undefined);
  }

  prefillInputs(): Record<string, Values> {
    const { B, T } = this.#shape;
    const ids = new Int32Array(B * T);
    const positions = new Int32Array(B * T);
    const keyBias = new Float32Array(B * T).fill(hiddenKeyBias);
    for (let row = 0; row < B; row++) {
      const prompt = this.#prompts[row] ?? placeholder;
      const pad = T - prompt.length;
      ids.set(prompt, row * T + pad);
      for (let at = 0; at < prompt.length; at++) positions[row * T + pad + at] = at;
      keyBias.fill(0, row * T + pad, (row + 1) * T);
    }
    return { ids, positions, keyBias, cacheStart: Int32Array.of(0) };
  }

  /** The inputs of the next step: the last token of every row is at slot T + newTokens - 1. */
  decodeInputs(): Record<string, Values> {
    const { B, T, S, localWindow } = this.#shape;
    const place = T + this.#newTokens - 1;
    const positions = new Int32Array(B);
    const cacheBias = new Float32Array(B * S).fill(hiddenKeyBias);
    const cacheLocalBias = new Float32Array(B * S).fill(hiddenKeyBias);
    for (let row = 0; row < B; row++) {
      const pad = T - (this.#prompts[row] ?? placeholder).length;
      positions[row] = place - pad;
      const localStart = localWindow === undefined ? pad : Math.max(pad, place - localWindow + 1);
      cacheBias.fill(0, row * S + pad, row * S + place);
      cacheLocalBias.fill(0, row * S + Math.min(localStart, place), row * S + place);
    }
    return { ids: this.#last, positions, cacheBias, cacheLocalBias, cacheStart: Int32Array.of(place) };
  }

  /** Appends one sampled token to every row that has not stopped. */
  take(ids: Int32Array): void {
    this.#newTokens += 1;
    this.#last = ids;
    for (const [row, tokens] of this.#new.entries()) {
      if (this.#endIds[row] !== undefined) continue;
      const id = ids[row] ?? 0;
      if (this.#shape.eosIds.includes(id)) this.#endIds[row] = id;
      else tokens.push(id);
    }
  }

  continuations(): Continuation[] {
    return this.#new.map((tokens, row) => ({
      ids: Int32Array.from(tokens),
      stoppedAtEos: this.#endIds[row] !== undefined,
      endId: this.#endIds[row],
    }));
  }
}

/** The prompt of an unused row of the batch. */
const placeholder = Int32Array.of(0);
