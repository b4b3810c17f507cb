/** Makes text of data sets and models inert, so that it can only be read. */

/**
 * Removes characters that act or hide: controls, direction overrides, zero-width characters, tags and other
 * invisible formatting. Keeps line breaks and tabs.
 */
export function inert(text: string): string {
  return text.toWellFormed().replace(/(?![\n\t])[\p{Cc}\p{Cf}\p{Co}\u2028\u2029\u{e0000}-\u{e007f}]/gu, "");
}

/** The text as one inert line of at most `length` characters. */
export function inertLine(text: string, length: number): string {
  const line = inert(text).replace(/\s+/g, " ").trim();
  const characters = [...line];
  return characters.length <= length ? line : `${characters.slice(0, length - 1).join("")}…`;
}
