/**
 * The four rules by which spaCy's English tokenizer cuts a run of non-space characters: prefixes, suffixes, infixes and
 * whole-token URLs. Re-expressed from spaCy 3.7 and 3.8, which agree on them (MIT, Copyright ExplosionAI GmbH and
 * others; see THIRD-PARTY.md; sources: `spacy/lang/punctuation.py`, `spacy/lang/en/punctuation.py` and
 * `spacy/lang/tokenizer_exceptions.py`, whose URL pattern is after Diego Perini's, MIT).
 *
 * Lengths and places are in UTF-16 units. Python searches code points, so every pattern carries the `v` flag.
 */
import { once } from "../../common/once.ts";
import {
  alpha,
  alphaLower,
  alphaUpper,
  classOf,
  currencies,
  hyphens,
  icons,
  punctuation,
  quotes,
  units,
} from "./character-classes.ts";

/** Length of the prefix to split off the front of `text`; 0 if there is none. */
export function prefixLength(text: string): number {
  return prefixPattern().exec(text)?.[0].length ?? 0;
}

/**
 * Length of the suffix to split off the end of `text`; 0 if there is none. Only a run of full stops can be longer than
 * `suffixWindow`, so the pattern looks at no more than that: a search from the start would make long chunks quadratic.
 */
export function suffixLength(text: string): number {
  const isWhole = text.length <= suffixWindow;
  const match = suffixPattern().exec(isWhole ? text : text.slice(-suffixWindow));
  if (match === null) return 0;
  if (isWhole || match.index > 0) return match[0].length;
  let start = text.length - suffixWindow;
  while (text[start - 1] === ".") start--;
  return text.length - start;
}

/**
 * The infixes of `text`, in order. None is at the very start of a text without a prefix: an infix that needs nothing
 * before it is a prefix, too.
 */
export function infixesOf(text: string): { start: number; end: number }[] {
  if (plainWord.test(text)) return [];
  const found: { start: number; end: number }[] = [];
  // `matchAll` would rebuild the pattern each time. A finished search leaves `lastIndex` at 0.
  const infixes = infixPattern();
  for (let match = infixes.exec(text); match !== null; match = infixes.exec(text))
    found.push({ start: match.index, end: infixes.lastIndex });
  return found;
}

/** Whether the rules split `text` anywhere. */
export function hasAffix(text: string): boolean {
  return prefixPattern().test(text) || suffixPattern().test(text) || text.search(infixPattern()) >= 0;
}

/** Whether all of `text` is a URL, an e-mail address or a host name, and so one token. */
export function isUrl(text: string): boolean {
  return text.includes(".") && urlPattern().test(text);
}

/** Longest suffix but for full stops (5 units, a surrogate pair counted as 2) and what its look-behind sees, with room. */
const suffixWindow = 24;

const plainWord = /^[A-Za-z0-9]+$/;

const ellipses = ["\\.\\.+", "…"];
const quoteClass = classOf(quotes);

/** Tried in this order; the first that fits wins, so "……" comes off as two. */
const prefixPattern = once(() =>
  pattern(
    [
      ...literals(["§", "%", "=", "—", "–"]),
      "\\+(?![0-9])",
      ...literals(punctuation),
      ...ellipses,
      ...literals(quotes),
      ...literals(currencies),
      `[${icons}]`,
    ].map((rule) => `^${rule}`),
  ),
);

/** All end at the end, so that the leftmost, which is the longest, wins. */
const suffixPattern = once(() =>
  pattern(
    [
      ...literals(punctuation),
      ...ellipses,
      ...literals(quotes),
      `[${icons}]`,
      ...literals(["'s", "'S", "’s", "’S", "—", "–"]),
      "(?<=[0-9])\\+",
      "(?<=°[FfCcKk])\\.",
      `(?<=[0-9])(?:${literals([...currencies, ...units]).join("|")})`,
      `(?<=[0-9${alphaLower}%²\\-+${classOf([...punctuation, "|"])}${quoteClass}])\\.`,
      `(?<=[${alphaUpper}][${alphaUpper}])\\.`,
    ].map((rule) => `${rule}$`),
  ),
);

const infixPattern = once(() =>
  pattern(
    [
      ...ellipses,
      `[${icons}]`,
      "(?<=[0-9])[+\\-*\\^](?=[0-9\\-])",
      `(?<=[${alphaLower}${quoteClass}])\\.(?=[${alphaUpper}${quoteClass}])`,
      `(?<=[${alpha}]),(?=[${alpha}])`,
      `(?<=[${alpha}0-9])(?:${literals(hyphens).join("|")})(?=[${alpha}])`,
      `(?<=[${alpha}0-9])[\\:\\<\\>\\=\\/](?=[${alpha}])`,
    ],
    "g",
  ),
);

const urlPattern = once(() =>
  pattern([
    [
      "^",
      "(?:[\\p{L}\\p{N}_+\\-.]{2,}://)?",
      // User and password: anything before an @.
      "(?:[^]+@)?",
      `(?:${publicIpv4()}|${hostName()})`,
      "(?::\\p{Nd}{2,5})?",
      "(?:[\\/?#][^]*)?",
      "$",
    ].join(""),
  ]),
);

/** Dotted address outside the private, loopback, multicast and broadcast ranges. */
function publicIpv4(): string {
  const octets = (count: number): string => `(?:\\.\\p{Nd}{1,3}){${count}}`;
  const excluded = [
    `(?:10|127)${octets(3)}`,
    `(?:169\\.254|192\\.168)${octets(2)}`,
    `172\\.(?:1[6-9]|2\\p{Nd}|3[0-1])${octets(2)}`,
  ];
  const first = "(?:[1-9]\\p{Nd}?|1\\p{Nd}\\p{Nd}|2[01]\\p{Nd}|22[0-3])";
  const middle = "(?:\\.(?:1?\\p{Nd}{1,2}|2[0-4]\\p{Nd}|25[0-5])){2}";
  const last = "(?:\\.(?:[1-9]\\p{Nd}?|1\\p{Nd}\\p{Nd}|2[0-4]\\p{Nd}|25[0-4]))";
  return `${excluded.map((range) => `(?!${range})`).join("")}${first}${middle}${last}`;
}

/** Labels of at most 64 characters that do not end in "-" or "_", then a lower-case top-level domain. */
function hostName(): string {
  const letter = "A-Za-z0-9\\u00a1-\\uffff";
  return `(?:(?:[${letter}][${letter}_\\-]{0,62})?[${letter}]\\.)+[${alphaLower}]{2,63}`;
}

function literals(strings: readonly string[]): string[] {
  return strings.map((string) => string.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"));
}

function pattern(alternatives: readonly string[], flags = ""): RegExp {
  return new RegExp(alternatives.join("|"), `${flags}v`);
}
