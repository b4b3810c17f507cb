import { replaceActing } from "../../common/untrusted-text.ts";
import { isolated } from "../../protocol/isolated.ts";

/**
 * Safe Markdown. Whatever comes from a model, a data set or a person is rendered as text: it cannot become a link, a
 * command, an image, markup or a table cell, nor change the direction of the text beside it.
 */

/** Default maximum length of a shown text, in UTF-16 units. */
const MOST_UNITS = 300;

/** Escapes a text for Markdown, on one line, truncated to `most` units. */
export function plain(text: string, most = MOST_UNITS): string {
  return escaped(shortened(visible(text), most));
}

/** Quotes a text with visible white space, without the parsing rules of a code span. */
export function quoted(text: string, most = 80): string {
  const [, before = "", inner = "", after = ""] = /^(\s*)(.*?)(\s*)$/su.exec(text) ?? [];
  const shown = `${before.replaceAll(" ", "␣")}${inner}${after.replaceAll(" ", "␣")}`;
  return `“${isolated(plain(shown, most))}”`;
}

/** Like `plain`, but for places that show plain text, such as a problem's message. */
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

/**
 * Escapes every character that CommonMark or its extensions could read as markup; an address needs `:` or `.`, a
 * mention `@`.
 */
function escaped(text: string): string {
  return text.replace(/[!-/:-@[-`{-~]/g, "\\$&");
}

/** Puts a text on one line, with visible substitutes for characters that are invisible or affect their neighbours. */
function visible(text: string): string {
  const oneLine = text.replace(/\r\n?|\n/g, "⏎").replaceAll("\t", "⇥");
  // Half a surrogate pair cannot be encoded as UTF-8.
  return replaceActing(oneLine, () => "␦").toWellFormed();
}

function shortened(text: string, most: number): string {
  if (text.length <= most) return text;
  return `${text
    .slice(0, most - 1)
    .toWellFormed()
    .replace(/\ufffd$/, "")}…`;
}
