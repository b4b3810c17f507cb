import type { Tokenizer } from "../models/tokenizer.ts";

/** A tokenizer whose texts are the ids themselves, each with a space after it: "12 5 7 " has three tokens. */
export function numberTokenizer(vocabSize: number, eosId?: number): Tokenizer {
  const textOf = (id: number): string => `${id} `;
  return {
    vocabSize,
    unusedIds: [],
    bosId: undefined,
    eosId,
    padId: undefined,
    specialIds: new Set(eosId === undefined ? [] : [eosId]),
    encode: (text) => {
      const found = [...text.matchAll(/\d+/gu)];
      const ranges = found.map(({ 0: number, index }) => ({ start: index, end: index + number.length }));
      return { ids: Int32Array.from(found, ([number]) => Number(number)), ranges };
    },
    decode: (ids) => Array.from(ids, textOf).join(""),
    decodeStream: () => ({ push: textOf, end: () => "" }),
    tokenText: textOf,
    tokenLabel: String,
  };
}
