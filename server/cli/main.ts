import { packageVersion } from "../common/package-root.ts";
import { inertJson, message, page } from "../common/untrusted-text.ts";
import type { CommandIo } from "./command.ts";
import { type CommandEntry, commands } from "./commands.ts";
import { UsageError } from "./errors.ts";
import { exitCodes, type Failure, failureOf } from "./exit-codes.ts";

/** The environment of a run of `lfp`: the process's own, or a test's. */
export interface Surroundings {
  readonly signal: AbortSignal;
  readonly env: CommandIo["env"];
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  /** The table of commands. */
  readonly commands?: Readonly<Record<string, CommandEntry>>;
}

/** Runs `lfp` with these arguments to its end and returns the exit code. Never throws. */
export async function main(args: readonly string[], surroundings: Surroundings): Promise<number> {
  const { signal, env, stdout, stderr } = surroundings;
  const json = asksFor(args, "--json");
  try {
    const answer = await answerTo(args, json, surroundings);
    if (answer.output !== undefined) stdout(`${answer.output}\n`);
    return answer.code;
  } catch (error) {
    const failure = failureOf(error, signal.aborted);
    const said = message(failure.message);
    if (json) stdout(`${inertJson(JSON.stringify({ error: { code: failure.code, message: said } }))}\n`);
    else stderr(`lfp: ${said}\n`);
    if (env["LFP_DEBUG"] === "1") stderr(`${message(failure.stack, { most: 100_000 })}\n`);
    return exitCodes[failure.code satisfies Failure["code"]].code;
  }
}

interface Answer {
  /** Undefined if nothing is printed. */
  readonly output: string | undefined;
  readonly code: number;
}

async function answerTo(args: readonly string[], json: boolean, surroundings: Surroundings): Promise<Answer> {
  const { commands: table = commands } = surroundings;
  const [first] = args;
  if (first === "help") return await answerTo([...args.slice(1), "--help"], json, surroundings);
  if (first === "--version" || first === "-V") return { output: packageVersion(), code: exitCodes.ok.code };
  if (first === "--help" || first === "-h") return { output: overview(table), code: exitCodes.ok.code };
  const { name, entry, rest } = find(args, table);
  if (entry === undefined) {
    if (asksFor(rest, "--help", "-h")) return { output: overview(table, name), code: exitCodes.ok.code };
    throw new UsageError(`lfp ${name} needs to know what: ${namesUnder(table, name).join(", ")}`);
  }
  const command = await entry.load();
  if (asksFor(rest, "--help", "-h")) return { output: command.help(name, entry.summary), code: exitCodes.ok.code };
  const result = await withAdvice(name, () => command.run(rest, ioOf(json, surroundings)));
  const { code } = exitCodes[result.status ?? "ok"];
  if (result.isSilent === true) return { output: undefined, code };
  const text = result.isSafe === true ? result.text : page(result.text);
  return { output: json ? inertJson(JSON.stringify(result.json)) : text, code };
}

function ioOf(json: boolean, { signal, env, stdout, stderr }: Surroundings): CommandIo {
  return {
    signal,
    env,
    say: (line) => {
      if (!json) stdout(`${message(line)}\n`);
    },
    note: (line) => stderr(`${message(line)}\n`),
  };
}

interface Found {
  /** The command's name, or the first word of a group of commands. */
  readonly name: string;
  /** Undefined when only a first word was given. */
  readonly entry: CommandEntry | undefined;
  readonly rest: readonly string[];
}

/** Finds the command that the arguments start with. Throws `UsageError` if there is none. */
function find(args: readonly string[], table: Readonly<Record<string, CommandEntry>>): Found {
  const [first, second] = args;
  if (first === undefined) throw new UsageError(`a command is missing. \`lfp --help\` lists them`);
  for (const words of [2, 1]) {
    const name = args.slice(0, words).join(" ");
    const entry = Object.hasOwn(table, name) ? table[name] : undefined;
    if (entry !== undefined) return { name, entry, rest: args.slice(words) };
  }
  const below = namesUnder(table, first);
  if (below.length > 0 && (second === undefined || second.startsWith("-")))
    return { name: first, entry: undefined, rest: args.slice(1) };
  const got = JSON.stringify((below.length > 0 ? `${first} ${second}` : first).slice(0, 100));
  const known = below.length > 0 ? below : Object.keys(table);
  throw new UsageError(`there is no command ${got}; there are ${known.join(", ")}. \`lfp --help\` says what they do`);
}

function namesUnder(table: Readonly<Record<string, CommandEntry>>, word: string): string[] {
  return Object.keys(table).filter((name) => name.startsWith(`${word} `));
}

/** Adds to a `UsageError` where the options are listed. */
async function withAdvice<T>(name: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw error instanceof UsageError
      ? new UsageError(`${error.message}. \`lfp ${name} --help\` lists the options`)
      : error;
  }
}

function overview(table: Readonly<Record<string, CommandEntry>>, under?: string): string {
  const names = under === undefined ? Object.keys(table) : namesUnder(table, under);
  const width = Math.max(...names.map((name) => name.length)) + 2;
  const list = names.map((name) => `  ${name.padEnd(width)}${table[name]?.summary ?? ""}`);
  const codes = Object.values(exitCodes)
    .toSorted((a, b) => a.code - b.code)
    .map(({ code, meaning }) => `  ${String(code).padEnd(5)}${meaning}`);
  return [
    "lfp: trains language models from feedback and shows what reward they have learned",
    "",
    `Usage: lfp ${under === undefined ? "COMMAND" : `${under} WHAT`} [options]`,
    "",
    "Commands:",
    ...list,
    "",
    "`lfp COMMAND --help` lists a command's options; `lfp --version` prints the version. Every command takes --json.",
    "",
    "Exit codes:",
    ...codes,
    "",
    "LFP_DEBUG=1 in the environment adds where an error came from.",
  ].join("\n");
}

/**
 * Whether one of these common options was given, even if other arguments are invalid. Arguments after `--` are not
 * options.
 */
function asksFor(args: readonly string[], ...names: readonly string[]): boolean {
  const end = args.indexOf("--");
  return (end < 0 ? args : args.slice(0, end)).some((arg) => names.includes(arg));
}
