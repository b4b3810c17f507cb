/** Declares and parses a command's options: `values["max-new-tokens"]` is a number because its option declares so. */
import { parseArgs } from "node:util";
import { messageOf } from "../common/errors.ts";
import { UsageError } from "./errors.ts";

/** One option, created by the functions of `option`. */
export interface Option<T> {
  /** Placeholder of the value in help; undefined for a switch. */
  readonly value: string | undefined;
  /** What it does, in one sentence without a full stop; defaults and bounds are appended automatically. */
  readonly help: string;
  readonly repeatable: boolean;
  /** Parses the given values, in order; empty if the option is absent. Throws `UsageError`. */
  readonly read: (given: readonly string[], flag: string) => T;
}

/** Options by their long name without dashes. */
export type Options = Readonly<Record<string, Option<unknown>>>;
export type ValuesOf<O extends Options> = { readonly [K in keyof O]: O[K] extends Option<infer T> ? T : never };

interface Bounds {
  readonly min?: number;
  readonly max?: number;
}

/** The kinds of option. Those with a default always have a value; the others may be undefined. */
export const option = {
  flag(help: string): Option<boolean> {
    return { value: undefined, help, repeatable: false, read: (given) => given.length > 0 };
  },
  text(value: string, help: string): Option<string | undefined> {
    return { value, help, repeatable: false, read: (given) => given.at(-1) };
  },
  required(value: string, help: string): Option<string> {
    const read = (given: readonly string[], flag: string): string => {
      const last = given.at(-1);
      if (last === undefined) throw new UsageError(`${flag} ${value} is missing`);
      return last;
    };
    return { value, help, repeatable: false, read };
  },
  texts(value: string, help: string): Option<readonly string[]> {
    return { value, help: `${help}; may be repeated`, repeatable: true, read: (given) => given };
  },
  choice<const C extends readonly string[]>(value: string, help: string, choices: C, byDefault: C[number]) {
    const read = (given: readonly string[], flag: string): C[number] =>
      chosen(given.at(-1) ?? byDefault, flag, choices);
    return { value, help: `${help}: ${choices.join(", ")} (default ${byDefault})`, repeatable: false, read };
  },
  /** A choice without a default value; `byDefault` describes what happens without it. */
  oneOf<const C extends readonly string[]>(value: string, help: string, choices: C, byDefault: string) {
    const read = (given: readonly string[], flag: string): C[number] | undefined => {
      const last = given.at(-1);
      return last === undefined ? undefined : chosen(last, flag, choices);
    };
    return { value, help: `${help}: ${choices.join(", ")} (default ${byDefault})`, repeatable: false, read };
  },
  integer(help: string, byDefault: number, bounds: Bounds = {}): Option<number> {
    return numeric("a whole number", "N", /^[+-]?\d+$/, help, byDefault, bounds);
  },
  number(help: string, byDefault: number, bounds: Bounds = {}): Option<number> {
    return numeric("a number", "X", /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i, help, byDefault, bounds);
  },
};

/** Options of every command. */
export const commonOptions = {
  json: option.flag("print the result as one line of JSON, last on standard output; errors too"),
  help: option.flag("show this help"),
} satisfies Options;

export interface Parsed<O extends Options> {
  readonly values: ValuesOf<O>;
  readonly positionals: readonly string[];
}

/** Parses arguments by their options. Throws `UsageError`. */
export function parseOptions<O extends Options>(args: readonly string[], options: O): Parsed<O> {
  const config = Object.fromEntries(
    Object.entries(options).map(([name, { value }]) => [
      name,
      value === undefined ? { type: "boolean" as const } : { type: "string" as const, multiple: true as const },
    ]),
  );
  const { values: given, positionals } = strictly(() =>
    parseArgs({ args: [...args], options: config, allowPositionals: true, strict: true }),
  );
  const values = Object.entries(options).map(([name, { read, repeatable }]) => {
    const got = given[name];
    const texts = Array.isArray(got) ? got.map(String) : got === undefined ? [] : [String(got)];
    if (texts.length > 1 && !repeatable) throw new UsageError(`--${name} was given ${texts.length} times`);
    return [name, read(texts, `--${name}`)] as const;
  });
  // The option of the same name has parsed each value, as `ValuesOf` states.
  return { values: Object.fromEntries(values) as ValuesOf<O>, positionals };
}

/** Two columns: `  --seed N          random seed (default 0)`. */
export function describeOptions(options: Options): string {
  const rows = Object.entries(options).map(([name, { value, help }]) => ({
    left: `  --${name}${value === undefined ? "" : ` ${value}`}`,
    help,
  }));
  const width = Math.max(...rows.map(({ left }) => left.length)) + 2;
  return rows.map(({ left, help }) => wrapped(left.padEnd(width), help)).join("\n");
}

const LINE = 110;

/** Wraps text into lines, all to the right of `left`. */
export function wrapped(left: string, text: string): string {
  const width = LINE - left.length;
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + 1 + word.length <= width) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return left + lines.join(`\n${" ".repeat(left.length)}`);
}

function numeric(
  kind: string,
  value: string,
  pattern: RegExp,
  help: string,
  byDefault: number,
  { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY }: Bounds,
): Option<number> {
  const range = rangeOf(min, max);
  const read = (given: readonly string[], flag: string): number => {
    const last = given.at(-1);
    if (last === undefined) return byDefault;
    const got = Number(last);
    if (pattern.test(last) && Number.isFinite(got) && got >= min && got <= max) return got;
    throw new UsageError(`${flag} is ${shown(last)}; expected ${kind}${range}`);
  };
  return { value, help: `${help} (default ${byDefault})`, repeatable: false, read };
}

function chosen<C extends readonly string[]>(given: string, flag: string, choices: C): C[number] {
  const found = choices.find((choice) => choice === given);
  if (found === undefined) throw new UsageError(`${flag} is ${shown(given)}; expected one of ${choices.join(", ")}`);
  return found;
}

function rangeOf(min: number, max: number): string {
  if (Number.isFinite(min) && Number.isFinite(max)) return ` from ${min} to ${max}`;
  if (Number.isFinite(min)) return ` of at least ${min}`;
  return Number.isFinite(max) ? ` of at most ${max}` : "";
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}

/**
 * Rethrows Node's argument errors as `UsageError`. The messages are good, but only the first sentence of some applies
 * here.
 */
function strictly<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    const isAboutArguments =
      error instanceof TypeError && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS");
    if (!isAboutArguments) throw error;
    const [message = ""] = messageOf(error).split(". To specify a positional");
    throw new UsageError(message.replaceAll("\n", " ").replace(/\.$/, ""));
  }
}
