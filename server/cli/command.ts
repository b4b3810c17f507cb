import { UsageError } from "./errors.ts";
import type { ExitStatus } from "./exit-codes.ts";
import { commonOptions, describeOptions, type Options, parseOptions, type ValuesOf, wrapped } from "./options.ts";

/** A command's definition, for `defineCommand`. */
export interface CommandDefinition<O extends Options> {
  /** The usage line's rest, after the command's name: `--model MODEL [options]`. */
  readonly usage: string;
  /**
   * A paragraph or two (with an empty line between) for `--help`, which wraps them: what it does, prints and leaves on
   * disk.
   */
  readonly about: string;
  readonly options: O;
  /** Positional arguments by name, in order; `[NAME]` is optional, `NAME...` takes the rest. None by default. */
  readonly positionals?: readonly string[];
  readonly run: (given: Given<O>) => Promise<CommandResult>;
}

/** The input of a command's run. */
export interface Given<O extends Options> {
  readonly options: ValuesOf<O>;
  readonly positionals: readonly string[];
  /**
   * Aborted when someone asks to stop. Long work ends soon after; any error that it then throws counts as cancellation.
   */
  readonly signal: AbortSignal;
  readonly env: Readonly<Record<string, string | undefined>>;
  /**
   * Prints a line for people on standard output at once, with every control character made visible, as in `note`;
   * dropped with --json. For long commands: most return `text` at the end.
   */
  readonly say: (line: string) => void;
  /** Prints a line for people on standard error, with --json too: progress and warnings. */
  readonly note: (line: string) => void;
}

export interface CommandResult {
  /** Printed on one line with --json. */
  readonly json: Readonly<Record<string, unknown>>;
  /** Printed without --json, with every character that a terminal acts on made visible. */
  readonly text: string;
  /** Whether the text is printed unchanged: it contains colours, and the command has escaped the rest. */
  readonly isSafe?: boolean;
  /** Whether nothing is printed: standard output carries messages of a protocol. */
  readonly isSilent?: boolean;
  /** Default `ok`. A failure without a result of its own is thrown instead. */
  readonly status?: ExitStatus;
}

/** A command without the types of its options, for the table. */
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
