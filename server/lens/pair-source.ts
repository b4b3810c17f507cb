import type { ModelPair } from "../models/log-ratio.ts";
import type { Tokenizer } from "../models/tokenizer.ts";

/** Two models and their tokenizer. */
export interface PairSource {
  readonly pair: ModelPair;
  readonly tokenizer: Tokenizer;
  /** Token ids before every text. */
  readonly prefixIds: readonly number[];
  /** First id of the tokens that only one of the two tokenizers has. */
  readonly sharedTokens: number;
}

/** A text, and whether a chat template wrote it. */
export interface TextToRead {
  readonly text: string;
  readonly templated: boolean;
}
