import type { Tokenizer } from "../../server/models/tokenizer.ts";

/** A tokenizer whose texts are the ids themselves: "12 5 7" has three tokens, each with the range of its number. */
export const numberTokenizer: Tokenizer = {
  vocabSize: 1000,
  unusedIds: [],
  bosId: undefined,
  eosId: undefined,
  padId: undefined,
  specialIds: new Set(),
  encode: (text) => {
    const found = [...text.matchAll(/\d+/gu)];
    const ranges = found.map(({ 0: number, index }) => ({ start: index, end: index + number.length }));
    return { ids: Int32Array.from(found, ([number]) => Number(number)), ranges };
  },
  decode: (ids) => [...ids].join(" "),
  decodeStream: () => ({ push: String, end: () => "" }),
  tokenText: String,
  tokenLabel: String,
};
