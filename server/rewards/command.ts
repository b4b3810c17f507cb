/**
 * Feedback from a program of the user's own: a line of JSON in for each completion, a line with a number or null out,
 * as TRL's reward functions return numbers or None (https://huggingface.co/docs/trl/rewards).
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { isAbsolute } from "node:path";
import { z } from "zod";
import { type ErrorCode, LfpError, messageOf } from "../common/errors.ts";
import { exists } from "../common/exists.ts";
import { tryJson } from "../common/json.ts";
import { visible } from "../common/untrusted-text.ts";
import { CommandAnswers } from "./command-answers.ts";
import type { CommandConfig } from "./command-config.ts";
import { killTree, residentMB } from "./command-process.ts";
import { RememberedRewards } from "./remembered.ts";
import { type Completion, type JudgedText, judgedText, type Reward } from "./reward.ts";
import type { RewardIssue } from "./reward-issues.ts";

export type CommandSettings = Pick<CommandConfig, "command" | "timeoutS" | "memoryMB">;

/** The user's program could not be started, ended, took too long or too much, or did not answer with numbers. */
export class CommandRewardError extends LfpError {
  readonly code: ErrorCode = "input";

  constructor(settings: CommandSettings, what: string, stderr = "") {
    const said = stderr.trim() === "" ? "" : ` It wrote: ${visible(stderr.trim().slice(-MOST_SHOWN))}`;
    super(`the reward's program (${visible(settings.command.join(" ").slice(0, MOST_SHOWN))}) ${what}.${said}`);
  }
}

/** Files among the program and its arguments, whose contents decide the rewards too. */
export function commandFiles({ command }: CommandSettings): readonly string[] {
  return command.filter((part) => isAbsolute(part));
}

/**
 * The program, or a script among its arguments, that is not there. The system looks bare names up when it starts them,
 * and other arguments may name what the program is to write.
 */
export async function commandIssues({ command }: CommandSettings): Promise<readonly RewardIssue[]> {
  const missing: RewardIssue[] = [];
  for (const [at, part] of command.entries())
    if ((at === 0 || script.test(part)) && isAbsolute(part) && !(await exists(part)))
      missing.push({ path: ["command", at], message: `there is no file ${visible(part)}` });
  return missing;
}

const script = /\.(?:py|[mc]?[jt]s|sh|rb|pl|r|jl|jar)$/i;

/** Opens the feedback; the program starts with the first batch. */
export function commandReward(settings: CommandSettings, text: JudgedText): Reward {
  return new CommandReward(settings, text);
}

/** Characters of a command, or of the program's standard error, that a message shows. */
const MOST_SHOWN = 400;
const MEMORY_CHECK_MS = 500;
/** Time for the program to end by itself after its input has ended. */
const FAREWELL_MS = 2000;

class CommandReward implements Reward {
  readonly name: string;
  readonly #settings: CommandSettings;
  readonly #text: JudgedText;
  readonly #remembered = new RememberedRewards((lines, signal) => {
    this.#program ??= new Program(this.#settings);
    return this.#program.ask(lines, signal);
  });
  #program: Program | undefined;
  /** The batch before: one is sent at a time. */
  #before: Promise<unknown> = Promise.resolve();

  constructor(settings: CommandSettings, text: JudgedText) {
    this.#settings = settings;
    this.#text = text;
    this.name = `command/${settings.command.join(" ")}`;
  }

  async score(batch: readonly Completion[], signal?: AbortSignal): Promise<Float64Array> {
    const scored = this.#before.then(() => this.#scoreNow(batch, signal));
    this.#before = scored.catch(() => undefined);
    return await scored;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#before;
    await this.#program?.end();
  }

  async #scoreNow(batch: readonly Completion[], signal: AbortSignal | undefined): Promise<Float64Array> {
    signal?.throwIfAborted();
    const lines = batch.map((one) => JSON.stringify({ ...one, text: judgedText(one, this.#text) }));
    return await this.#remembered.rewards(lines, signal);
  }
}

/** The running program. After an error it is gone, and every later batch fails with the same error. */
class Program {
  readonly #settings: CommandSettings;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #answers = new CommandAnswers();
  readonly #closed: Promise<void>;
  #stderr = "";
  #failure: unknown;

  constructor(settings: CommandSettings) {
    this.#settings = settings;
    const [program = "", ...args] = settings.command;
    this.#child = spawn(program, args, { stdio: "pipe", windowsHide: true, detached: process.platform !== "win32" });
    const { stdin, stdout, stderr } = this.#child;
    stdout.setEncoding("utf8").on("data", (chunk: string) => this.#answers.take(chunk));
    stderr.setEncoding("utf8").on("data", (chunk: string) => {
      this.#stderr = (this.#stderr + chunk).slice(-2 * MOST_SHOWN);
    });
    // A program that ended closes its input; its exit says more.
    stdin.on("error", () => undefined);
    this.#closed = new Promise((resolve) => {
      this.#child.on("error", (cause) => {
        this.#fail(`cannot be started: ${messageOf(cause)}`);
        resolve();
      });
      this.#child.on("close", (status, signal) => {
        this.#fail(`ended ${signal === null ? `with status ${status}` : `by ${signal}`} before it had answered`);
        resolve();
      });
    });
  }

  /** The answers to some lines, null as 0. Rejects with `CommandRewardError`, and with the signal's reason. */
  async ask(lines: readonly string[], signal: AbortSignal | undefined): Promise<readonly number[]> {
    const { timeoutS, memoryMB } = this.#settings;
    if (this.#failure !== undefined) throw this.#failure;
    const answered = this.#answers.next(lines.length);
    const stop = (): void => this.#stop(signal?.reason);
    const timer = setTimeout(
      () => this.#fail(`did not answer ${lines.length} completions within ${timeoutS} s (it must flush every answer)`),
      timeoutS * 1000,
    );
    const watch = memoryMB === null ? undefined : setInterval(() => void this.#checkMemory(memoryMB), MEMORY_CHECK_MS);
    signal?.addEventListener("abort", stop, { once: true });
    try {
      this.#child.stdin.write(lines.map((line) => `${line}\n`).join(""));
      return (await answered).map((line, at) => this.#numberIn(line, at));
    } finally {
      clearTimeout(timer);
      clearInterval(watch);
      signal?.removeEventListener("abort", stop);
    }
  }

  /** Ends the program's input and waits until it is gone; stops it where it does not go. */
  async end(): Promise<void> {
    this.#child.stdin.end();
    const timer = setTimeout(() => killTree(this.#child), FAREWELL_MS);
    await this.#closed;
    clearTimeout(timer);
  }

  /** The number in the answer to completion number `at`, from 0. */
  #numberIn(line: string, at: number): number {
    const value = answerIn(line);
    if (value !== undefined) return value;
    const error = new CommandRewardError(
      this.#settings,
      `answered ${visible(JSON.stringify(line.slice(0, 80)))} to completion ${at + 1} of a batch; expected a finite number or null on a line of its own`,
      this.#stderr,
    );
    this.#stop(error);
    throw error;
  }

  async #checkMemory(memoryMB: number): Promise<void> {
    const heldMB = await residentMB(this.#child.pid);
    if (heldMB !== undefined && heldMB > memoryMB)
      this.#fail(`holds ${Math.round(heldMB)} MB of memory, more than the ${memoryMB} MB of reward.memoryMB`);
  }

  #fail(what: string): void {
    this.#stop(new CommandRewardError(this.#settings, what, this.#stderr));
  }

  /** The first reason counts; the program goes whatever it is. */
  #stop(reason: unknown): void {
    this.#failure ??= reason;
    this.#answers.fail(this.#failure);
    killTree(this.#child);
  }
}

/** A finite number, or 0 for null; undefined for anything else. */
function answerIn(line: string): number | undefined {
  const answer = z.number().nullable().safeParse(tryJson(line));
  return answer.success ? (answer.data ?? 0) : undefined;
}
