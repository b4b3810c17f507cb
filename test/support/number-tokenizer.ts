import { numberTokenizer as numberTokenizerOf } from "../../server/bench/number-tokenizer.ts";

/** A tokenizer of a thousand ids whose texts are the ids themselves: "12 5 7" has three tokens. */
export const numberTokenizer = numberTokenizerOf(1000);
