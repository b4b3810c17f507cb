/**
 * The lines of a text, without their `\n` or `\r\n`. `node:readline` also breaks at U+2028 and U+2029, which JSON may have inside a
 * string. What comes after the last line break is a line unless it is empty.
 */
export async function* linesOf(chunks: AsyncIterable<string>): AsyncGenerator<string> {
  let parts: string[] = [];
  for await (const chunk of chunks) {
    const [first = "", ...rest] = chunk.split("\n");
    parts.push(first);
    for (const next of rest) {
      yield parts.join("").replace(/\r$/, "");
      parts = [next];
    }
  }
  const last = parts.join("");
  if (last !== "") yield last;
}
