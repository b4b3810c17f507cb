/**
 * Makes text that we did not write (from files, models, data sets, endpoints, the command line) safe for a terminal, a
 * log or Markdown: characters that move the cursor, act, hide or change the direction of their neighbours become
 * visible, and lengths are limited.
 */

/**
 * Every character that acts or hides, as `\u001b` or `\u{e0041}`. Line breaks and tabs stay; Windows' line breaks
 * become plain ones.
 */
export function visible(text: string): string {
  return replaceActing(text.toWellFormed().replaceAll("\r\n", "\n"), escapeOf);
}

/** Replaces every character that acts or hides; line breaks and tabs stay. */
export function replaceActing(text: string, by: (character: string) => string): string {
  return text.replace(acting, by);
}

/** The same on one line: line breaks and tabs are shown too. `most` is in UTF-16 units. */
export function visibleLine(text: string, most = 300): string {
  return shortened(text, most, (part) => visible(part).replace(/[\n\t]/g, escapeOf));
}

/** The first `most` units of a text, formatted by `show`, with its total length. */
function shortened(text: string, most: number, show: (part: string) => string): string {
  if (text.length <= most) return show(text);
  return `${show(withoutHalf(text.slice(0, most)))}… (${text.length} characters in all)`;
}

/**
 * A message of several lines for a terminal: each line has at most `mostALine` units and all of them at most `most`,
 * and every line but the first is indented, so that no text inside can pass for a message of its own.
 */
export function message(text: string, { most = 8000, mostALine = 2000 } = {}): string {
  const plain = (part: string): string => part;
  const [first = "", ...rest] = visible(text)
    .split("\n")
    .map((line) => shortened(line, mostALine, plain));
  const moved = rest.map((line) => (line === "" || line.startsWith("  ") ? line : `  ${line}`));
  return shortened([first, ...moved].join("\n"), most, plain);
}

/** A whole text for a terminal: lines stay as they are, up to `mostALine` units each. */
export function page(text: string, mostALine = 100_000): string {
  const shown = visible(text);
  if (shown.length <= mostALine) return shown;
  return shown
    .split("\n")
    .map((line) => shortened(line, mostALine, (part) => part))
    .join("\n");
}

/**
 * An equivalent JSON text with escapes in place of characters that act: JSON itself requires escapes only below U+0020.
 */
export function inertJson(json: string): string {
  return json.replace(acting, (character) =>
    character.replace(/[\s\S]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`),
  );
}

/**
 * Control characters except line breaks and tabs, invisible formatting, line separators and tags; excludes the joiners
 * of emoji and scripts.
 */
const acting = /(?![\n\t\u200c\u200d])[\p{Cc}\p{Cf}\u2028\u2029\u{e0000}-\u{e007f}]/gu;

function escapeOf(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code === 0x0a) return "\\n";
  if (code === 0x09) return "\\t";
  return code > 0xffff ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, "0")}`;
}

/** Drops half of a surrogate pair at the end of a truncated text. */
function withoutHalf(text: string): string {
  return /[\ud800-\udbff]$/.test(text) ? text.slice(0, -1) : text;
}
