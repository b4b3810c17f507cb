/**
 * Feedback from a language model that grades completions by a rubric. Every answer is in a journal in the state folder
 * before anything is done with it: a stopped run, and every later one, asks for none again.
 */
import { createHash } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { LfpError } from "../common/errors.ts";
import { Random } from "../common/random.ts";
import { stateFolder } from "../common/state-folder.ts";
import { checkAddress, type Endpoint } from "../endpoint/address.ts";
import type { Chat, Question } from "../endpoint/chat.ts";
import { dataNotice } from "../endpoint/data-notice.ts";
import { usualPatience } from "../endpoint/endpoint-settings.ts";
import { CapReachedError, EndpointError } from "../endpoint/errors.ts";
import { inTurns } from "../endpoint/in-turns.ts";
import type { PatienceOptions } from "../endpoint/patience.ts";
import { inert } from "../endpoint/plain-text.ts";
import { costOf, Spend } from "../endpoint/spend.ts";
import { AnswerJournal } from "../grading/answer-journal.ts";
import { Lock } from "../runs/run-lock.ts";
import { type GraderSettings, graderEndpoint } from "./grader-access.ts";
import { RememberedRewards } from "./remembered.ts";
import { type Completion, type JudgedText, judgedText, type Reward } from "./reward.ts";

/** The cap of the settings is reached; the answers so far are kept. */
export class GraderCapError extends LfpError {
  readonly code = "resource";

  constructor(cause: CapReachedError) {
    super(
      `the grader stopped: ${cause.message} (reward.maxTokens, reward.maxUsd); what is graded is asked for no more`,
      {
        cause,
      },
    );
  }
}

/** Most completions get no grade, so that tuning would learn nothing. */
export class NoGradesError extends LfpError {
  readonly code = "input";

  constructor(model: string, none: number, asked: number, reason: string) {
    super(
      `${model} graded ${asked - none} of ${asked} completions only (the last without a grade: ${reason}). ` +
        "Change reward.rubric, or take a model that answers as JSON; the same command then goes on",
    );
  }
}

export interface GraderOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Time without a question after which the journal is left to other processes. */
  readonly idleMs?: number;
  /** For tests. */
  readonly sleep?: PatienceOptions["sleep"];
}

/** Opens the feedback; sends nothing yet. Throws `EndpointError` for an endpoint that may not be asked. */
export function graderReward(settings: GraderSettings, text: JudgedText, options: GraderOptions = {}): Reward {
  return new GraderReward(settings, text, options);
}

/** What asking for the grades of some completions of tuning may cost, before anything is sent. */
export function graderCost(settings: GraderSettings, completions: number): string {
  const question = questionOf(settings.rubric, JSON.stringify({ prompt: "", completion: "x".repeat(usualCharacters) }));
  const inputTokens = completions * Math.ceil((question.system.length + question.user.length) / 4);
  const outputTokens = completions * usualAnswerTokens;
  const usd = costOf({ inputTokens, outputTokens }, settings.prices);
  const cost = usd === null ? "" : `, about $${usd.toFixed(2)}`;
  const cap =
    settings.maxUsd === null ? `${settings.maxTokens} tokens` : `${settings.maxTokens} tokens or $${settings.maxUsd}`;
  return (
    `the grader ${settings.model} at ${checkAddress({ baseUrl: settings.endpoint, apiKey: "" })} will be asked for up to ${completions} grades in tuning and evaluation, ` +
    `about ${inputTokens} input and ${outputTokens} output tokens${cost}, and for more by what is measured afterwards; it stops at ${cap}`
  );
}

const usualCharacters = 400;
const usualAnswerTokens = 40;
/** Questions after which more than half without a grade are too many. */
const fewestAsked = 16;

/** A grader that is being asked: it holds its journal, which one process at a time may write. */
interface Session {
  readonly chat: Chat;
  readonly stop: AbortController;
  close(): Promise<void>;
}

class GraderReward implements Reward {
  readonly name: string;
  readonly #settings: GraderSettings;
  readonly #text: JudgedText;
  readonly #options: GraderOptions;
  readonly #endpoint: Endpoint;
  readonly #remembered = new RememberedRewards((questions, signal) => this.#graded(questions, signal));
  #session: Promise<Session> | undefined;
  #idle: NodeJS.Timeout | undefined;
  /** Batches that are being graded. */
  #active = 0;
  #asked = 0;
  #none = 0;

  constructor(settings: GraderSettings, text: JudgedText, options: GraderOptions) {
    this.#endpoint = graderEndpoint(settings, options.env ?? process.env);
    this.#settings = settings;
    this.#text = text;
    this.#options = options;
    this.name = `grader/${settings.model}`;
  }

  async score(batch: readonly Completion[], signal?: AbortSignal): Promise<Float64Array> {
    signal?.throwIfAborted();
    const questions = batch.map((one) => {
      const { prompt, completion } = one;
      const shown = this.#text === "full" ? { prompt, completion } : { completion: judgedText(one, this.#text) };
      return JSON.stringify(shown);
    });
    return await this.#remembered.rewards(questions, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#leave();
  }

  async #graded(questions: readonly string[], signal: AbortSignal | undefined): Promise<readonly number[]> {
    clearTimeout(this.#idle);
    this.#active += 1;
    this.#session ??= openSession(this.#settings, this.#endpoint, this.#options);
    const opening = this.#session;
    const stop = (): void => {
      opening.then(
        (session) => session.stop.abort(signal?.reason),
        () => undefined,
      );
    };
    signal?.addEventListener("abort", stop, { once: true });
    try {
      const { chat } = await opening;
      const rewards = new Map<string, number>();
      const options = { concurrency: this.#settings.concurrency, ...(signal && { signal }) };
      await inTurns(questions, options, async (question) => {
        rewards.set(question, await this.#rewardOf(chat, question));
      });
      return questions.map((question) => rewards.get(question) ?? 0);
    } catch (error) {
      // A session that could not be opened, or was stopped, serves no other batch.
      await this.#leave();
      throw error;
    } finally {
      signal?.removeEventListener("abort", stop);
      this.#active -= 1;
      if (this.#active === 0)
        this.#idle = setTimeout(() => this.#leave().catch(() => undefined), this.#options.idleMs ?? IDLE_MS).unref();
    }
  }

  async #leave(): Promise<void> {
    clearTimeout(this.#idle);
    const session = this.#session;
    this.#session = undefined;
    await session?.then(
      (open) => open.close(),
      // Whoever asked has been told.
      () => undefined,
    );
  }

  async #rewardOf(chat: Chat, user: string): Promise<number> {
    const { rubric, scale, model } = this.#settings;
    const asked = await chat.ask(questionOf(rubric, user)).catch((error: unknown) => {
      // Not as the cap itself, which would only end this batch.
      throw error instanceof CapReachedError ? new GraderCapError(error) : error;
    });
    this.#asked += 1;
    if (asked.kind === "answer") return (scale * (asked.value.grade - middle)) / (highest - middle);
    // The server may answer another time, so that the run must not go on as if it had no grade.
    if (asked.cause === "unreachable") throw new EndpointError(`${model}: ${asked.reason}`);
    this.#none += 1;
    if (this.#asked >= fewestAsked && 2 * this.#none > this.#asked)
      throw new NoGradesError(model, this.#none, this.#asked, asked.reason);
    return 0;
  }
}

const IDLE_MS = 10_000;

/** Throws `LockedError` and `JournalError`. */
async function openSession(
  settings: GraderSettings,
  endpoint: Endpoint,
  { env = process.env, sleep }: GraderOptions,
): Promise<Session> {
  const { maxTokens, maxUsd, prices, timeoutS, thinkingTokens } = settings;
  const folder = join(stateFolder(env), "graders");
  await mkdir(folder, { recursive: true });
  const path = join(folder, `${graderKey(settings)}.jsonl`);
  const lock = await Lock.acquire(`${path}.lock`, `the answers of the grader ${endpoint.model}`, "grading completions");
  try {
    const journal = await AnswerJournal.open(path);
    const stop = new AbortController();
    // It takes long to load, and the language server and every command know all kinds of feedback.
    const { Chat } = await import("../endpoint/chat.ts");
    const chat = new Chat({
      endpoint,
      spend: new Spend({ maxTokens, maxUsd, prices, before: journal.before, ledger: journal }),
      cache: journal,
      patience: usualPatience(Random.fromSeed(0).fork("waits"), sleep),
      timeoutMs: timeoutS * 1000,
      thinkingTokens,
      isPrivate: true,
      finishesRequests: true,
      signal: AbortSignal.any([stop.signal, lock.lost]),
    });
    const close = async (): Promise<void> => {
      journal[Symbol.dispose]();
      await lock.release();
    };
    return { chat, stop, close };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

const [lowest, middle, highest] = [1, 3, 5];
const gradeSchema = z.strictObject({ grade: z.int().min(lowest).max(highest), why: z.string().max(1000) });

function questionOf(rubric: string, user: string): Question<z.infer<typeof gradeSchema>> {
  return {
    name: "grade",
    system:
      "You grade what a language model wrote, for research on what language models learn. You are given a completion, and the prompt that it follows if that matters. " +
      `Grade it from ${lowest} (lowest) to ${highest} (highest) by this rubric, and say why in at most 20 words that quote nothing of it.\n\nRubric: ${rubric}\n\n${dataNotice}`,
    user: inert(user),
    schema: gradeSchema,
    maxOutputTokens: 200,
  };
}

/** Graders with equal keys share their answers. */
function graderKey({ endpoint, model, rubric }: GraderSettings): string {
  return createHash("sha256")
    .update(JSON.stringify([endpoint, model, rubric]))
    .digest("hex")
    .slice(0, 32);
}
