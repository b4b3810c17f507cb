import type { DroppedPair } from "../grading/grade-pairs.ts";
import { gradedTasks } from "../grading/gradings.ts";
import { dropReasons, gradingSteps, neutralFaults, noAnswers } from "../grading/reasons.ts";
import { droppedCounts, summaryOf } from "../grading/summary.ts";
import { resolveReference } from "../models/open.ts";
import { faultsInWords } from "../pipeline/data/preferences.ts";
import {
  type GradeFileOptions,
  type GradeFileResult,
  type GradePreview,
  gradeFile,
  previewGrading,
} from "../pipeline/grading/grade-file.ts";
import { type PairsToGrade, readPairsToGrade } from "../pipeline/grading/pairs-to-grade.ts";
import { type CommandResult, defineCommand, type Given } from "./command.ts";
import { costLine, endpointOf, endpointOptions, type KeyedEndpoint, usedLine } from "./endpoint-options.ts";
import { UsageError } from "./errors.ts";
import { option } from "./options.ts";

const options = {
  out: option.required("FILE", "where the contrasts go, one a line (.jsonl)"),
  task: option.choice(
    "TASK",
    "what is graded: harm, of which the chosen answer has less (helpful-harmless) or more (toxicity), or how bad an answer is (pairs)",
    gradedTasks,
    "helpful-harmless",
  ),
  limit: option.integer("the first so many pairs of the file; 0: all", 0, { min: 0 }),
  "chat-template": option.text(
    "MODEL",
    "the model that is studied (a folder, a hub id in the cache, or starter): its chat template writes messages out, as in a run; without it, or without a template, they become a transcript",
  ),
  ...endpointOptions,
  cap: option.text("USD", "the same as --max-usd"),
  seed: option.integer("sent with every request, and draws the order in which answers are shown", 0, {
    min: 0,
    max: 2 ** 31 - 1,
  }),
  again: option.flag("ask again what the model refused, or answered without the JSON that was asked for"),
  concurrency: option.integer("pairs at a time", 4, { min: 1, max: 64 }),
  yes: option.flag("send; without it the endpoint gets nothing and only the cost is shown"),
};

export const pairsGrade = defineCommand({
  usage: "FILE --endpoint URL --model NAME --out FILE [options]",
  about:
    "Makes contrasts of the pairs of a preference file by a language model: it grades both answers from 1 to 5, rewrites the worse one so that it " +
    "would be graded worse still, writes a reply that is of no use but harmless, and grades all three twice, in opposite orders. A contrast is kept where " +
    "its sides differ by two grades in both orders and neither is more than twice as long as the other. Each line says what made it: models, requests, grades.\n\n" +
    "First the cost is shown; with --yes the texts are sent to that origin and nowhere else. It stops at the cap, and the same command goes on: answers and what they " +
    "cost are kept in FILE.answers.jsonl beside the contrasts, refusals too. The cap is for all commands of one --out together. Texts are never printed.",
  options,
  positionals: ["FILE"],
  run: async (given): Promise<CommandResult> => {
    const { options: chosen, signal, note, env } = given;
    const endpoint = requiredEndpoint(given);
    const [file = ""] = given.positionals;
    const settings: GradeFileOptions = {
      file,
      out: chosen.out,
      task: chosen.task,
      endpoint,
      seed: chosen.seed,
      again: chosen.again,
    };
    const template = chosen["chat-template"];
    const read = await readPairsToGrade({
      file,
      limit: chosen.limit === 0 ? undefined : chosen.limit,
      modelFolder: template && (await resolveReference(template, { download: false, signal, env })).folder,
      signal,
    });
    for (const line of [...faultsInWords(read.faults), ...leftOutInWords(read)]) note(line);
    const preview = { ...(await previewGrading(read, settings, signal)), keyFrom: endpoint.keyFrom };
    note(`${pairsInWords(preview.pairs)}: ${costLine(preview, endpoint, env)}${beforeLine(preview)}`);
    if (!chosen.yes) return { json: { preview, sent: false }, text: "Nothing was sent: --yes does it." };
    let tenths = 0;
    const result = await gradeFile(read, settings, {
      signal,
      concurrency: chosen.concurrency,
      timeoutMs: 1000 * chosen.timeout,
      onProgress: (done, total) => {
        const now = Math.floor((10 * done) / total);
        if (now > tenths) note(`graded: ${10 * now} %`);
        tenths = now;
      },
    });
    return resultOf(read, result, preview, chosen.out);
  },
});

function requiredEndpoint(given: Given<typeof options>): KeyedEndpoint {
  const { cap, "max-usd": maxUsd } = given.options;
  if (cap !== undefined && maxUsd !== undefined) throw new UsageError("--cap and --max-usd are the same: give one");
  const endpoint = endpointOf({ ...given, options: { ...given.options, "max-usd": cap ?? maxUsd } });
  if (endpoint === null)
    throw new UsageError("--endpoint URL is missing, and --model NAME, the name of the model there");
  return endpoint;
}

function resultOf(
  { rows, faults, leftOut }: PairsToGrade,
  result: GradeFileResult,
  preview: GradePreview,
  out: string,
): CommandResult {
  const { contrasts, dropped, withoutNeutral, agreement, left, stopped, used, usedInAll, spentUsd } = result;
  const counts = droppedCounts(dropped);
  const isUnfinished = stopped !== null || (counts.unreachable ?? 0) > 0;
  const noAnswer = dropped.filter(({ step }) => step !== null).length;
  const nothingCame = contrasts.length === 0 && noAnswer > 0 && noAnswer === dropped.length;
  return {
    json: {
      preview,
      sent: true,
      out,
      summary: summaryOf(out),
      rows,
      faults,
      leftOut,
      contrasts: contrasts.length,
      dropped: counts,
      withoutAnswer: byStep(dropped),
      withoutNeutral,
      agreement,
      left,
      stopped,
      used,
      usedInAll,
      spentUsd,
    },
    text: [
      `${contrasts.length} contrasts in ${out}, of ${pairsInWords(preview.pairs)}`,
      ...Object.entries(counts).map(([reason, count]) => `${count} dropped: ${reasonInWords(reason, dropped)}`),
      ...Object.entries(withoutNeutral).map(
        ([fault, count]) => `${count} without a neutral side: ${wordsOf(neutralFaults, fault)}`,
      ),
      agreementLine(result),
      usedLine(used, spentUsd),
      ...(left > 0 ? [`${pairsInWords(left)} left`] : []),
      ...(isUnfinished ? [stoppedLine(stopped)] : []),
    ].join("\n"),
    status: isUnfinished ? "requeue" : nothingCame ? "resource" : "ok",
  };
}

function leftOutInWords({ leftOut: { severalMessages, refused } }: PairsToGrade): string[] {
  return [
    ...(severalMessages === 0 ? [] : [`${pairsInWords(severalMessages)} left out: an answer of several messages`]),
    ...(refused === 0 ? [] : [`${pairsInWords(refused)} left out: the chat template cannot write the messages`]),
  ];
}

function stoppedLine(stopped: GradeFileResult["stopped"]): string {
  if (stopped === "cap") return "Stopped at the cap; with a higher one the same command goes on from here.";
  return stopped === "signal"
    ? "Stopped because someone asked; the same command goes on from here."
    : "The same command asks again what the server did not answer.";
}

function agreementLine({ agreement: { answers, equal, kappa } }: GradeFileResult): string {
  if (equal === null) return "No answer was graded twice";
  const shown = kappa === null ? "undefined, as all grades are one" : kappa.toFixed(3);
  return `Both orders: ${answers} answers graded twice, ${(100 * equal).toFixed(1)} % alike; kappa with quadratic weights ${shown}`;
}

/** Pairs without an answer, by question and reason. */
function byStep(dropped: readonly DroppedPair[]): Record<string, Record<string, number>> {
  const counts: Record<string, Record<string, number>> = {};
  for (const { step, reason } of dropped) {
    if (step === null) continue;
    const of = counts[step] ?? {};
    counts[step] = { ...of, [reason]: (of[reason] ?? 0) + 1 };
  }
  return counts;
}

function reasonInWords(reason: string, dropped: readonly DroppedPair[]): string {
  const words = wordsOf(dropReasons, reason);
  if (!(reason in noAnswers)) return words;
  const steps = Object.entries(gradingSteps).flatMap(([step, what]) => {
    const count = dropped.filter((one) => one.step === step && one.reason === reason).length;
    return count === 0 ? [] : [`${what} ${count}`];
  });
  return `${words} (${steps.join(", ")})`;
}

function wordsOf(table: Readonly<Record<string, string>>, key: string): string {
  return table[key] ?? key;
}

function beforeLine({ before: { inputTokens, outputTokens } }: GradePreview): string {
  const tokens = inputTokens + outputTokens;
  return tokens === 0 ? "" : `; ${tokens} tokens were used before, and count`;
}

function pairsInWords(count: number): string {
  return `${count} ${count === 1 ? "pair" : "pairs"}`;
}
