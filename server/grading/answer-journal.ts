/**
 * Answers of a language model in a file beside what is made of them: a line an answer, appended before anything is done
 * with it, so that a killed command loses none and asks for none again. What was spent stands there too.
 */
import { z } from "zod";
import { LfpError } from "../common/errors.ts";
import { tryJson } from "../common/json.ts";
import { linesOf } from "../common/lines.ts";
import { openRegular } from "../common/text-file.ts";
import type { AnswerCache, CachedAnswer } from "../endpoint/chat.ts";
import type { NoAnswer } from "../endpoint/outcome.ts";
import { type Ledger, nothing, sumOf, type Usage } from "../endpoint/spend.ts";
import { disk, unlessMissing } from "../runs/files.ts";
import { JsonLinesFile } from "../runs/json-lines.ts";

/** The file is no journal, or is damaged before its last line. */
export class JournalError extends LfpError {
  readonly code = "input";
}

const tokens = { inputTokens: z.int().min(0), outputTokens: z.int().min(0) };
const text = z.string().nullable();
const source = z
  .object({ id: text, model: text, provider: text, fingerprint: text, temperature: z.literal(0).nullable() })
  .nullable();
const lineSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("journal"), version: z.literal(1) }),
  z.object({ kind: z.literal("answer"), key: z.string(), answer: z.string(), ...tokens, source }),
  z.object({ kind: z.literal("unanswered"), key: z.string(), cause: z.enum(["refused", "unusable"]) }),
  z.object({ kind: z.literal("sent"), request: z.int(), ...tokens }),
  z.object({ kind: z.literal("used"), request: z.int(), ...tokens }),
]);
type Line = z.infer<typeof lineSchema>;

/** What a journal holds. */
export interface JournalContents {
  readonly answers: Map<string, CachedAnswer>;
  readonly unanswered: Map<string, NoAnswer>;
  /** Used by all commands before; requests that a kill cut off count as the most that they can have cost. */
  readonly before: Usage;
  /** Number of requests that were ever sent. */
  readonly requests: number;
}

/** Reads a journal; empty where there is no file. Changes nothing. Throws `JournalError`. */
export async function readJournal(path: string): Promise<JournalContents & { readonly exists: boolean }> {
  const answers = new Map<string, CachedAnswer>();
  const unanswered = new Map<string, NoAnswer>();
  const sent = new Map<number, Usage>();
  let before = nothing;
  let requests = 0;
  const add = (line: Line): void => {
    if (line.kind === "answer") answers.set(line.key, line);
    else if (line.kind === "unanswered") unanswered.set(line.key, line.cause);
    else if (line.kind === "sent") {
      sent.set(line.request, line);
      requests = Math.max(requests, line.request + 1);
    } else if (line.kind === "used" && sent.delete(line.request)) before = sumOf(before, line);
  };
  const lines = await linesIfThere(path);
  for (const line of lines ?? []) add(line);
  return {
    answers,
    unanswered,
    before: [before, ...sent.values()].reduce(sumOf),
    requests,
    exists: lines !== undefined,
  };
}

async function linesIfThere(path: string): Promise<Line[] | undefined> {
  const handle = await unlessMissing(openRegular(path));
  if (handle === undefined) return undefined;
  const lines: Line[] = [];
  let number = 0;
  let torn: number | undefined;
  for await (const line of linesOf(handle.createReadStream({ encoding: "utf8" }))) {
    number += 1;
    if (torn !== undefined) throw damaged(path, torn);
    const read = lineSchema.safeParse(tryJson(line)).data;
    if (number === 1 && read?.kind !== "journal") throw damaged(path, 1);
    // A kill can cut the last line short.
    if (read === undefined) torn = number;
    else lines.push(read);
  }
  return lines;
}

function damaged(path: string, line: number): JournalError {
  return new JournalError(
    `${path}: line ${line} is none that grading wrote. Name another file with --out, or restore this one`,
  );
}

/** A journal's answers as a cache that is only read; without the questions that are to be asked again. */
export function cacheOf({ answers, unanswered }: JournalContents, again: boolean): AnswerCache {
  return {
    get: (key) => answers.get(key),
    set: () => undefined,
    unanswered: { get: (key) => (again ? undefined : unanswered.get(key)), set: () => undefined },
  };
}

/** A journal that is being written: a cache of answers and a ledger of what is spent. */
export class AnswerJournal implements AnswerCache, Ledger {
  readonly #file: JsonLinesFile;
  readonly #contents: JournalContents;

  private constructor(file: JsonLinesFile, contents: JournalContents) {
    this.#file = file;
    this.#contents = contents;
  }

  /** Opens or creates a journal. Throws `JournalError` and the system's errors. */
  static async open(path: string): Promise<AnswerJournal> {
    const contents = await readJournal(path);
    const file = new JsonLinesFile(path, disk);
    const journal = new AnswerJournal(file, contents);
    if (file.size === 0) journal.#append({ kind: "journal", version: 1 });
    return journal;
  }

  get before(): Usage {
    return this.#contents.before;
  }

  get(key: string): CachedAnswer | undefined {
    return this.#contents.answers.get(key);
  }

  set(key: string, answer: CachedAnswer): void {
    this.#contents.answers.set(key, answer);
    this.#append({ kind: "answer", key, ...answer, source: answer.source ?? null });
  }

  readonly unanswered = {
    get: (key: string): NoAnswer | undefined => this.#contents.unanswered.get(key),
    set: (key: string, cause: NoAnswer): void => {
      this.#contents.unanswered.set(key, cause);
      if (cause === "refused" || cause === "unusable") this.#append({ kind: "unanswered", key, cause });
    },
  };

  reserved(request: number, { inputTokens, outputTokens }: Usage): void {
    this.#append({ kind: "sent", request: this.#contents.requests + request, inputTokens, outputTokens });
  }

  settled(request: number, { inputTokens, outputTokens }: Usage): void {
    this.#append({ kind: "used", request: this.#contents.requests + request, inputTokens, outputTokens });
  }

  /** Forgets the questions that the model left without an answer, so that they are asked again. */
  askAgain(): void {
    this.#contents.unanswered.clear();
  }

  [Symbol.dispose](): void {
    this.#file.sync();
    this.#file.close();
  }

  #append(line: Line): void {
    this.#file.append(line);
  }
}
