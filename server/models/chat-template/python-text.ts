/** Python's operations on values, where JavaScript's or the library's differ. */

/** What Python's `str.strip` removes: unlike JavaScript, also U+001C to U+001F and U+0085, but not U+FEFF. */
const space: ReadonlySet<string> = new Set(
  "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000",
);

/** The ends that Python's methods of these names strip. */
export const stripEnds = {
  strip: { start: true, end: true },
  lstrip: { start: true, end: false },
  rstrip: { start: false, end: true },
} as const;
export type Strip = keyof typeof stripEnds;

/** `text.strip(characters)`, `lstrip` or `rstrip`; strips white space if no characters are given. */
export function stripped(text: string, which: Strip, characters?: string): string {
  const ends = stripEnds[which];
  const removed = characters === undefined ? space : new Set(characters);
  let start = 0;
  let end = text.length;
  while (ends.start && start < end) {
    const first = String.fromCodePoint(text.codePointAt(start) ?? 0);
    if (!removed.has(first)) break;
    start += first.length;
  }
  while (ends.end && end > start) {
    const pair = /[\ud800-\udbff][\udc00-\udfff]$/.exec(text.slice(Math.max(start, end - 2), end));
    const last = pair?.[0] ?? text.slice(end - 1, end);
    if (!removed.has(last)) break;
    end -= last.length;
  }
  return text.slice(start, end);
}

/** `len(text)`: its code points. */
export function pythonLength(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

/** `a == b` for values of a template: a text never equals a number or false, lists and mappings equal by content. */
export function pythonEquals(a: TemplateValue, b: TemplateValue): boolean {
  if (isNumber(a.value) && isNumber(b.value)) return Number(a.value) === Number(b.value);
  if (Array.isArray(a.value) && Array.isArray(b.value)) return areEqualLists(a.value, b.value);
  if (a.value instanceof Map && b.value instanceof Map) return areEqualMaps(a.value, b.value);
  return a.value === undefined || b.value === undefined ? a.type === b.type : a.value === b.value;
}

export interface TemplateValue {
  /** Its class in the library: NullValue and UndefinedValue have the same value. */
  readonly type: string;
  readonly value: unknown;
}

function isNumber(value: unknown): boolean {
  return typeof value === "number" || typeof value === "boolean";
}

function areEqualLists(a: readonly TemplateValue[], b: readonly TemplateValue[]): boolean {
  return a.length === b.length && a.every((value, at) => isEqualTo(value, b[at]));
}

function areEqualMaps(a: ReadonlyMap<unknown, TemplateValue>, b: ReadonlyMap<unknown, TemplateValue>): boolean {
  return a.size === b.size && [...a].every(([key, value]) => isEqualTo(value, b.get(key)));
}

function isEqualTo(a: TemplateValue, b: TemplateValue | undefined): boolean {
  return b !== undefined && pythonEquals(a, b);
}

/** `a + b` where one of them is a text: then the other must be one. Undefined where none is. */
export function concatenated(a: TemplateValue, b: TemplateValue): string | undefined {
  if (typeof a.value !== "string" && typeof b.value !== "string") return undefined;
  if (typeof a.value === "string" && typeof b.value === "string") return a.value + b.value;
  throw new Error("a text can only be joined with a text");
}

/** `str(value)`, for `~`. Lists and mappings have forms of Python's own: throws for them. */
export function pythonText({ type, value }: TemplateValue): string {
  if (typeof value === "boolean") return value ? "True" : "False";
  if (value === undefined) return type === "NullValue" ? "None" : "";
  if (typeof value === "string" || typeof value === "number") return String(value);
  throw new Error("~ joins texts and numbers only");
}
