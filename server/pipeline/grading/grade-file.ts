/** Grades the pairs of a preference file with a language model, and writes the contrasts to a file. */

import { basename, dirname, join } from "node:path";
import { writeFileAtomically } from "../../common/atomic-file.ts";
import { LfpError } from "../../common/errors.ts";
import { exists } from "../../common/exists.ts";
import { Random } from "../../common/random.ts";
import { checkAddress } from "../../endpoint/address.ts";
import { type AnswerCache, Chat } from "../../endpoint/chat.ts";
import { checkBounds, type EndpointSettings, usualPatience } from "../../endpoint/endpoint-settings.ts";
import type { PatienceOptions } from "../../endpoint/patience.ts";
import { costOf, Spend, type SpendOptions, sumOf, type Usage } from "../../endpoint/spend.ts";
import { AnswerJournal, cacheOf, readJournal } from "../../grading/answer-journal.ts";
import { type CostEstimate, Estimator } from "../../grading/estimate.ts";
import type { Asker } from "../../grading/grade-pair.ts";
import { type GradedPairs, gradePairs } from "../../grading/grade-pairs.ts";
import type { GradedTask } from "../../grading/gradings.ts";
import { promptVersion } from "../../grading/questions.ts";
import { type GradedSummary, summaryOf } from "../../grading/summary.ts";
import { Lock } from "../../runs/run-lock.ts";
import type { PairsToGrade } from "./pairs-to-grade.ts";

export interface GradeFileOptions {
  /** The preference file. */
  readonly file: string;
  /** Where the contrasts go; the journal stands beside it. */
  readonly out: string;
  readonly task: GradedTask;
  readonly endpoint: EndpointSettings;
  readonly seed: number;
  /** Whether to ask again what the model refused or answered unusably before. */
  readonly again: boolean;
}

/** The file that the contrasts would go to is of something else. */
export class GradedFileError extends LfpError {
  readonly code = "input";
}

/** What grading would send and cost, without what is answered already. */
export interface GradePreview extends CostEstimate {
  readonly pairs: number;
  /** Null when prices are not known. */
  readonly costUsd: number | null;
  /** Origin of the server that would receive text. */
  readonly origin: string;
  /** Used by earlier commands for this file, which counts against the bounds. */
  readonly before: Usage;
}

/** Estimates the cost without sending or writing anything. Throws `GradedFileError`, `JournalError`, `EndpointError`. */
export async function previewGrading(
  { pairs }: PairsToGrade,
  options: GradeFileOptions,
  signal: AbortSignal,
): Promise<GradePreview> {
  const { endpoint } = options;
  checkBounds(endpoint);
  const journal = await readJournal(journalOf(options.out));
  if (!journal.exists && (await exists(options.out))) throw taken(options.out);
  const { chat } = chatOf(options, { cache: cacheOf(journal, options.again) }, {});
  const estimator = new Estimator((question) => chat.known(question));
  await gradePairs(pairs, { ...gradeOptions(options, estimator), concurrency: 1, signal });
  signal.throwIfAborted();
  const { estimate } = estimator;
  return {
    pairs: pairs.length,
    ...estimate,
    costUsd: costOf(estimate, endpoint.prices),
    origin: checkAddress(endpoint),
    before: journal.before,
  };
}

export interface GradeFileHooks {
  readonly signal: AbortSignal;
  readonly concurrency: number;
  /** Limit for one whole answer. */
  readonly timeoutMs: number;
  readonly onProgress?: (done: number, total: number) => void;
  /** For tests. */
  readonly sleep?: PatienceOptions["sleep"];
}

export interface GradeFileResult extends GradedPairs {
  readonly used: Usage;
  /** With what earlier commands used. */
  readonly usedInAll: Usage;
  readonly spentUsd: number | null;
}

/**
 * Grades pairs and writes the contrasts, with a summary and the journal beside them. The same call goes on where an
 * earlier one stopped. At the cap and on abort it writes what there is. Throws `LockedError`, `EndpointError` (what
 * was answered is kept), `JournalError`, `GradedFileError`.
 */
export async function gradeFile(
  { pairs, rows, faults, leftOut }: PairsToGrade,
  options: GradeFileOptions,
  hooks: GradeFileHooks,
): Promise<GradeFileResult> {
  const { out, endpoint, task, seed } = options;
  checkBounds(endpoint);
  if (!(await exists(journalOf(out))) && (await exists(out))) throw taken(out);
  const lock = await Lock.acquire(
    join(dirname(out), `.${basename(out)}.lock`),
    out,
    `grading ${basename(options.file)}`,
  );
  try {
    using journal = await AnswerJournal.open(journalOf(out));
    if (options.again) journal.askAgain();
    const signal = AbortSignal.any([hooks.signal, lock.lost]);
    const kept = { cache: journal, ledger: journal, before: journal.before };
    const { chat, spend } = chatOf(options, kept, { ...hooks, signal });
    const { concurrency, onProgress } = hooks;
    const graded = await gradePairs(pairs, {
      ...gradeOptions(options, chat),
      concurrency,
      signal,
      ...(onProgress && { onProgress }),
    });
    lock.lost.throwIfAborted();
    const { contrasts, ...summary } = graded;
    await writeFileAtomically(out, linesOf(contrasts));
    const usedInAll = sumOf(journal.before, spend.used);
    const made = { task, model: endpoint.model, endpoint: checkAddress(endpoint), prompts: promptVersion, seed };
    const counts = { rows, faults, leftOut, pairs: pairs.length, contrasts: contrasts.length };
    const spent = { used: usedInAll, spentUsd: costOf(usedInAll, endpoint.prices) };
    const written = { ...made, ...counts, ...summary, ...spent } satisfies GradedSummary;
    await writeFileAtomically(summaryOf(out), `${JSON.stringify(written, undefined, 2)}\n`);
    return { ...graded, used: spend.used, usedInAll, spentUsd: spend.usd };
  } finally {
    await lock.release();
  }
}

function journalOf(out: string): string {
  return `${out}.answers.jsonl`;
}

function* linesOf(values: readonly object[]): Generator<Uint8Array> {
  for (const value of values) yield Buffer.from(`${JSON.stringify(value)}\n`);
}

function gradeOptions({ task, endpoint, seed }: GradeFileOptions, asker: Asker) {
  return { asker, task, endpoint: checkAddress(endpoint), model: endpoint.model, seed };
}

function chatOf(
  { endpoint, seed }: GradeFileOptions,
  { cache, ...spending }: { readonly cache: AnswerCache } & Pick<SpendOptions, "before" | "ledger">,
  { signal, timeoutMs = 120_000, sleep }: Partial<GradeFileHooks>,
): { chat: Chat; spend: Spend } {
  const { baseUrl, model, apiKey, maxTokens, maxUsd, prices, thinkingTokens } = endpoint;
  const spend = new Spend({ maxTokens, maxUsd, prices, ...spending });
  const chat = new Chat({
    endpoint: { baseUrl, model, apiKey },
    spend,
    cache,
    patience: usualPatience(Random.fromSeed(seed).fork("waits"), sleep),
    timeoutMs,
    seed,
    isPrivate: true,
    finishesRequests: true,
    ...(thinkingTokens === undefined ? {} : { thinkingTokens }),
    ...(signal && { signal }),
  });
  return { chat, spend };
}

function taken(out: string): GradedFileError {
  return new GradedFileError(`${out} exists, and was not made by grading: name another file with --out`);
}
