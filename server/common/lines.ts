import { LfpError } from "./errors.ts";

/** Maximum length of a line, in UTF-16 units, longer than any that a person writes. */
export const MOST_LINE_UNITS = 2 ** 24;

/** A line exceeds the maximum length. */
export class LongLineError extends LfpError {
  readonly code = "input";

  constructor(line: number) {
    super(`line ${line} has more than ${MOST_LINE_UNITS} characters; expected one value a line`);
  }
}

/**
 * The lines of a text, without their `\n` or `\r\n`. Unlike this, `node:readline` also breaks at U+2028 and U+2029,
 * which JSON allows inside a string. Text after the last line break is a line unless it is empty. Throws
 * `LongLineError`.
 */
export async function* linesOf(chunks: AsyncIterable<string>): AsyncGenerator<string> {
  let parts: string[] = [];
  let [units, number] = [0, 1];
  for await (const chunk of chunks) {
    const [first = "", ...rest] = chunk.split("\n");
    parts.push(first);
    units += first.length;
    if (units > MOST_LINE_UNITS) throw new LongLineError(number);
    for (const next of rest) {
      yield parts.join("").replace(/\r$/, "");
      parts = [next];
      units = next.length;
      number += 1;
    }
  }
  const last = parts.join("");
  if (last !== "") yield last;
}
