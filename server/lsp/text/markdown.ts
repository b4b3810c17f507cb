import { replaceActing } from "../../common/untrusted-text.ts";

/**
 * Markdown that says what it was meant to say. Whatever comes from a model, a data set or a person is text: none of it can become a link, a
 * command, an image, markup or a table's cell, nor turn the direction of what stands beside it.
 */

/** The longest text that is shown of one thing. */
const MOST_UNITS = 300;

/** A text as Markdown that shows it, on one line, cut short where it is long. */
export function plain(text: string, most = MOST_UNITS): string {
  return escaped(shortened(visible(text), most));
}

/** A text in a code span's look without a code span's rules: quoted, with its white space to be seen. */
export function quoted(text: string, most = 80): string {
  const [, before = "", inner = "", after = ""] = /^(\s*)(.*?)(\s*)$/su.exec(text) ?? [];
  const shown = `${before.replaceAll(" ", "␣")}${inner}${after.replaceAll(" ", "␣")}`;
  return `“${plain(shown, most)}”`;
}

/** The same for places that show plain text, such as a problem's message. */
export function oneLine(text: string, most = MOST_UNITS): string {
  return shortened(visible(text), most);
}

/** A number with its sign, and a real minus. */
export function signed(value: number): string {
  const rounded = Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(2);
  if (Number(rounded) === 0) return "0.00";
  return value > 0 ? `+${rounded}` : `−${rounded.replace("-", "")}`;
}

export function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

/** A small probability. */
export function probability(p: number): string {
  return p >= 0.001
    ? p.toFixed(3)
    : p
        .toExponential(0)
        .replace("e-", " × 10⁻")
        .replace(/⁻(\d+)$/, (_, digits: string) => `⁻${raised(digits)}`);
}

function raised(digits: string): string {
  return [...digits].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(digit)] ?? digit).join("");
}

/** Every mark that CommonMark or its extensions could read as one; an address needs `:` or `.`, a mention `@`. */
function escaped(text: string): string {
  return text.replace(/[!-/:-@[-`{-~]/g, "\\$&");
}

/** On one line; what is not to be seen, or changes how its neighbours are, becomes something that is. */
function visible(text: string): string {
  const oneLine = text.replace(/\r\n?|\n/g, "⏎").replaceAll("\t", "⇥");
  // A half of a pair cannot be sent as UTF-8.
  return replaceActing(oneLine, () => "␦").toWellFormed();
}

function shortened(text: string, most: number): string {
  if (text.length <= most) return text;
  return `${text
    .slice(0, most - 1)
    .toWellFormed()
    .replace(/\ufffd$/, "")}…`;
}
