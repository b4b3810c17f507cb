import { InternalError } from "../common/errors.ts";
import { parseJson } from "../common/json.ts";
import { byCodeUnit } from "../common/order.ts";
import { sha256Of } from "./files.ts";

/**
 * The canonical JSON of a plain value: members sorted by UTF-16 code unit, no white space, `undefined` members omitted,
 * numbers and strings as ECMAScript writes them. RFC 8785 (JSON Canonicalization Scheme), except that -0 stays -0,
 * because a checkpoint must restore exactly the numbers that were saved. Throws `InternalError`, with the path, for
 * values that JSON cannot hold: NaN, infinities, functions, class instances, typed arrays.
 */
export function canonicalJson(value: unknown, path = "value"): string {
  if (value === null || typeof value === "boolean" || typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number") return numberText(value, path);
  if (Array.isArray(value)) return `[${value.map((item, i) => canonicalJson(item, `${path}[${i}]`)).join(",")}]`;
  if (typeof value === "object" && isPlain(value)) {
    const members = Object.entries(value).filter(([, member]) => member !== undefined);
    members.sort(([a], [b]) => byCodeUnit(a, b));
    return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member, `${path}.${name}`)}`).join(",")}}`;
  }
  throw new InternalError(`${path} cannot be written as JSON: got ${typeof value}, expected plain finite data.`);
}

/** SHA-256 of `canonicalJson(value)`, hexadecimal. */
export function canonicalDigest(value: unknown): string {
  return sha256Of(canonicalJson(value));
}

/**
 * Readable JSON of `body` with one more member, `seal`: the digest of all the others. `unseal` undoes and checks it.
 */
export function seal(body: object): string {
  return `${indent(canonicalJson({ ...body, seal: canonicalDigest(body) }))}\n`;
}

/** The body of a sealed text, or `undefined` when the text is cut, changed or not JSON at all. */
export function unseal(text: string): object | undefined {
  const parsed = parseObject(text);
  if (parsed === undefined || !("seal" in parsed)) return undefined;
  const { seal: digest, ...body } = parsed;
  return digest === canonicalDigest(body) ? body : undefined;
}

function parseObject(text: string): object | undefined {
  try {
    const parsed = parseJson(text);
    return typeof parsed === "object" && parsed !== null && !Array.isArray(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}

/** Indents JSON text token by token; parsing it and calling `JSON.stringify` would write -0 as 0. */
function indent(json: string): string {
  let depth = 0;
  return json.replace(/"(?:[^"\\]|\\.)*"|\{\}|\[\]|[[{\]},:]/g, (token) => {
    if (token === "{" || token === "[") return `${token}\n${"  ".repeat(++depth)}`;
    if (token === "}" || token === "]") return `\n${"  ".repeat(--depth)}${token}`;
    if (token === ",") return `,\n${"  ".repeat(depth)}`;
    return token === ":" ? ": " : token;
  });
}

function numberText(value: number, path: string): string {
  if (!Number.isFinite(value)) throw new InternalError(`${path} cannot be written as JSON: got ${value}.`);
  return Object.is(value, -0) ? "-0" : JSON.stringify(value);
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
