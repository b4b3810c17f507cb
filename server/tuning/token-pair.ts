/** A prompt and an answer to it as token ids: at least two in all, at least one of them in the answer. */
export interface TokenizedAnswer {
  readonly prompt: Int32Array;
  readonly answer: Int32Array;
}

/** Two answers to one prompt. The prompt's ids may differ between them if tokens merge across its end. */
export interface TokenPair {
  readonly chosen: TokenizedAnswer;
  readonly rejected: TokenizedAnswer;
}
