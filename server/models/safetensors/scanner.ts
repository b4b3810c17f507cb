import { SafetensorsError, type SafetensorsRule, shown } from "./errors.ts";

/**
 * Streaming parser of JSON of a known shape. It builds no tree of values, so memory stays near the size of the input;
 * it refuses unexpected nesting at its first bracket; and it reports duplicate keys, fractions and counts such as
 * 2^60. `JSON.parse` can promise none of this.
 */
export class HeaderScanner {
  readonly #bytes: Buffer;
  readonly #path: string;
  #at = 0;

  /** `bytes` must be valid UTF-8. */
  constructor(bytes: Buffer, path: string) {
    this.#bytes = bytes;
    this.#path = path;
  }

  /** Reads an object; calls `onField` once per key, with the scanner before the key's value. */
  object(onField: (key: string) => void): void {
    this.#take(BRACE_OPEN, "an object");
    if (this.#takeIf(BRACE_CLOSE)) return;
    do {
      const key = this.string("a quoted key");
      this.#take(COLON, "a colon");
      onField(key);
    } while (this.#takeIf(COMMA));
    this.#take(BRACE_CLOSE, "a comma or }");
  }

  /** Reads an array of at most `limit` counts: integers from 0 to 2^53 - 1. */
  counts(limit: number): number[] {
    this.#take(BRACKET_OPEN, "an array of numbers");
    const counts: number[] = [];
    if (this.#takeIf(BRACKET_CLOSE)) return counts;
    do {
      if (counts.length === limit) this.fail("too-many-dimensions", `more than ${limit} numbers in a row`);
      counts.push(this.#count());
    } while (this.#takeIf(COMMA));
    this.#take(BRACKET_CLOSE, "a comma or ]");
    return counts;
  }

  /** Reads a string and unescapes it. `rule` is the one that anything else breaks. */
  string(expected: string, rule: SafetensorsRule = "json"): string {
    this.#take(QUOTE, expected, rule);
    const start = this.#at;
    let escaped = false;
    for (;;) {
      const byte = this.#bytes[this.#at];
      if (byte === undefined || byte < SPACE) this.fail("json", "a string is not ended");
      this.#at++;
      if (byte === QUOTE) break;
      if (byte === BACKSLASH) {
        escaped = true;
        this.#at++;
      }
    }
    if (!escaped) return this.#bytes.toString("utf8", start, this.#at - 1);
    return this.#unescaped(this.#bytes.toString("utf8", start - 1, this.#at));
  }

  /** Nothing but white space may follow. */
  end(): void {
    this.#skipSpace();
    if (this.#at < this.#bytes.length) this.fail("json", "something follows the closing }");
  }

  fail(rule: SafetensorsRule, detail: string): never {
    throw new SafetensorsError(this.#path, rule, `${detail} (byte ${this.#at} of the header)`);
  }

  #unescaped(literal: string): string {
    let text: unknown;
    try {
      text = JSON.parse(literal);
    } catch {
      this.fail("json", `${shown(literal)} is no JSON string`);
    }
    if (typeof text !== "string" || !text.isWellFormed()) this.fail("json", `${shown(literal)} is no Unicode text`);
    return text;
  }

  #count(): number {
    this.#skipSpace();
    const start = this.#at;
    let count = 0;
    for (let digit = this.#digit(); digit >= 0; digit = this.#digit()) {
      if (this.#at > start && count === 0) this.fail("not-a-count", "a number starts with 0");
      count = count * 10 + digit;
      if (count > Number.MAX_SAFE_INTEGER) this.fail("count-too-large", "a number is over 2^53 - 1");
      this.#at++;
    }
    const next = this.#bytes[this.#at];
    if (this.#at === start || next === DOT || next === LOWER_E || next === UPPER_E) {
      this.fail("not-a-count", "a length or offset must be an integer, written in digits, and not negative");
    }
    return count;
  }

  /** The digit at the current byte, or a negative number. */
  #digit(): number {
    const byte = this.#bytes[this.#at] ?? 0;
    return byte >= ZERO && byte <= NINE ? byte - ZERO : -1;
  }

  #take(byte: number, expected: string, rule: SafetensorsRule = "json"): void {
    if (!this.#takeIf(byte)) this.fail(rule, `expected ${expected}`);
  }

  #takeIf(byte: number): boolean {
    this.#skipSpace();
    if (this.#bytes[this.#at] !== byte) return false;
    this.#at++;
    return true;
  }

  #skipSpace(): void {
    for (;;) {
      const byte = this.#bytes[this.#at];
      if (byte !== SPACE && byte !== TAB && byte !== LINE_FEED && byte !== CARRIAGE_RETURN) return;
      this.#at++;
    }
  }
}

const TAB = 0x09;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const UPPER_E = 0x45;
const BRACKET_OPEN = 0x5b;
const BACKSLASH = 0x5c;
const BRACKET_CLOSE = 0x5d;
const LOWER_E = 0x65;
const BRACE_OPEN = 0x7b;
const BRACE_CLOSE = 0x7d;
