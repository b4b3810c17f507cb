/** Text of other documents beside our own, in lines that read from left to right. Independent of VS Code. */

/** Letters of scripts that are written from right to left. */
const rightToLeft = /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u;

/**
 * A word of a text for a line of ours: one that is written from right to left stands between Unicode's isolates, so that
 * it does not turn the number beside it round.
 */
export function isolated(text: string): string {
  return rightToLeft.test(text) ? `\u2068${text}\u2069` : text;
}
