import { UsageError } from "./errors.ts";
import type { ExitStatus } from "./exit-codes.ts";
import { commonOptions, describeOptions, type Options, parseOptions, type ValuesOf, wrapped } from "./options.ts";

/** What a command is, as its file says it with `defineCommand`. */
export interface CommandDefinition<O extends Options> {
  /** The usage line's rest, after the command's name: `--model MODEL [options]`. */
  readonly usage: string;
  /** A paragraph or two (with an empty line between) for `--help`: what it does, what it prints, what it leaves on disk. Broken into lines there. */
  readonly about: string;
  readonly options: O;
  /** What is given without an option, by name, in order; `[NAME]` may be left out, `NAME...` takes the rest. None by default. */
  readonly positionals?: readonly string[];
  readonly run: (given: Given<O>) => Promise<CommandResult>;
}

/** What a run of a command is given. */
export interface Given<O extends Options> {
  readonly options: ValuesOf<O>;
  readonly positionals: readonly string[];
  /** Aborted when someone asks to stop. Long work ends soon after; whatever it throws then counts as cancelled. */
  readonly signal: AbortSignal;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A line for people on standard output at once, with every character that acts made visible, as in `note`; dropped with --json. For long commands: most give `text` at the end. */
  readonly say: (line: string) => void;
  /** A line for people on standard error, with --json too: progress and warnings. */
  readonly note: (line: string) => void;
}

export interface CommandResult {
  /** Printed on one line with --json. */
  readonly json: Readonly<Record<string, unknown>>;
  /** Printed without --json, with every character that acts on a terminal made visible. */
  readonly text: string;
  /** Whether the text is printed as it is: it holds colours, and the command has seen to what stands between them. */
  readonly isSafe?: boolean;
  /** `ok` unless said otherwise. A failure without a result of its own is thrown instead. */
  readonly status?: ExitStatus;
}

/** A command without the types of its options, as the table holds it. */
export interface Command {
  readonly help: (name: string, summary: string) => string;
  /** Throws `UsageError` for wrong arguments, and what the command throws. */
  readonly run: (args: readonly string[], io: CommandIo) => Promise<CommandResult>;
}

export type CommandIo = Pick<Given<Options>, "signal" | "env" | "say" | "note">;

/** Makes a command from its definition; options are typed in `run` as they are declared. */
export function defineCommand<const O extends Options>(definition: CommandDefinition<O>): Command {
  const { usage, about, options, positionals: names = [], run } = definition;
  return {
    help: (name, summary) =>
      [
        `lfp ${name}: ${summary}`,
        `Usage: lfp ${name}${usage === "" ? "" : ` ${usage}`}`,
        ...about.split(/\n\n+/).map((paragraph) => wrapped("", paragraph.replaceAll("\n", " "))),
        `Options:\n${describeOptions({ ...options, ...commonOptions })}`,
      ].join("\n\n"),
    run: async (args, io) => {
      const { values, positionals } = parseOptions(args, { ...options, ...commonOptions });
      checkPositionals(positionals, names);
      return await run({ ...io, options: values, positionals });
    },
  };
}

function checkPositionals(given: readonly string[], names: readonly string[]): void {
  const missing = names[given.length];
  if (missing !== undefined && !missing.startsWith("["))
    throw new UsageError(`${missing.replace("...", "")} is missing`);
  const surplus = given[names.length];
  if (surplus !== undefined && !names.at(-1)?.includes("..."))
    throw new UsageError(
      `${JSON.stringify(surplus.slice(0, 100))} is unexpected${names.length === 0 ? "" : ` after ${names.join(" ")}`}`,
    );
}
