/** Answers about runs: how they stand, and what they found. */
import { message, visibleLine } from "../common/untrusted-text.ts";
import type { QuestionInput } from "../protocol/questions.ts";
import { type RunStatus, runStatus, stageStatusOf } from "../runs/run-status.ts";
import { describeState } from "../runs/state-words.ts";
import { NotYetError } from "./errors.ts";
import { findRun, knownRuns, type Sources } from "./sources.ts";

export async function statusAnswer({ run }: QuestionInput<"status">, sources: Sources): Promise<string> {
  if (run !== undefined) {
    const folder = await findRun(sources, run);
    return statusText(folder, await runStatus(folder));
  }
  const known = await knownRuns(sources);
  const lines = await Promise.all(
    known.slice(0, MOST_RUNS).map(async ({ name, folder }) => `${name} (${folder}): ${await stateOf(folder)}`),
  );
  const left = known.length - lines.length;
  return [
    ...(sources.roots.length === 0 ? [] : [`Folders of runs: ${sources.roots.join(", ")}`]),
    ...lines.map((line) => visibleLine(line, 1000)),
    ...(left > 0 ? [`... and ${left} runs more`] : []),
  ].join("\n");
}

const MOST_RUNS = 100;

/** A run's state in a phrase; why it cannot be read, if so. */
async function stateOf(folder: string): Promise<string> {
  try {
    const status = await runStatus(folder);
    const stages = status.record?.stages ?? [];
    const done = stages.filter(({ status: one }) => one === "done" || one === "reused").length;
    const of = stages.length === 0 ? "" : `, ${done} of ${stages.length} stages`;
    const updated = status.record === undefined ? "" : `, last worked on ${status.record.updated}`;
    return `${describeState(status.state)}${of}${updated}`;
  } catch (error) {
    return `cannot be read: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** How a run stands, stage by stage. */
export function statusText(folder: string, status: RunStatus): string {
  const { state, process, record } = status;
  const stages = (record?.stages ?? []).map(
    (stage) => `  ${visibleLine(stage.id).padEnd(14)}${stageStatusOf(status, stage)}`,
  );
  const where = process === undefined ? "" : ` (process ${process.pid} on ${process.host})`;
  return [message(`${folder}: ${describeState(state)}${where}`), ...stages].join("\n");
}

export async function reportAnswer({ run, offset }: QuestionInput<"report">, sources: Sources): Promise<string> {
  const folder = await findRun(sources, run);
  const found = await sources.readReport(folder);
  if (found === undefined)
    throw new NotYetError(
      `${folder} has no report yet: it is ${describeState((await runStatus(folder)).state)}; the last stage writes it`,
    );
  const { markdown } = found;
  const part = markdown.slice(offset, offset + REPORT_PART);
  const end = offset + part.length;
  const rest =
    end < markdown.length ? `\n\n[characters ${offset} to ${end} of ${markdown.length}; ask with offset ${end}]` : "";
  return part === "" ? `[the report has ${markdown.length} characters; nothing stands at ${offset}]` : `${part}${rest}`;
}

const REPORT_PART = 16_000;
