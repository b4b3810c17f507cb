/** Describes runs and stages in the few words that fit into a tree. */
import type { StageProgress } from "../../server/protocol/run-events.ts";
import type { RunView, StageView } from "../../server/protocol/runs.ts";

export type RunStateKind = RunView["state"]["kind"];

/** Text to the right of a run's name: its progress, or when it ended. */
export function runDescription(run: RunView, now: Date): string {
  const { state } = run;
  switch (state.kind) {
    case "running":
      return progressOfRun(run) ?? state.stage;
    case "waiting":
      return run.stopping ? STOPPING : `waiting for ${state.for}`;
    case "done":
      return run.updated === null ? "" : since(new Date(run.updated), now);
    case "failed":
      return state.stage === undefined ? "failed" : `failed in ${state.stage}`;
    case "cancelled":
      return "cancelled";
    case "interrupted":
      return state.why === undefined ? "interrupted" : `interrupted: ${state.why}`;
    case "new":
      return "not started";
    case "unreadable":
      return "cannot be read";
  }
}

/**
 * Progress of a whole run: `autoencoders · 34 % of the run · about 12 minutes left`; without an estimate that of the stage that it
 * works on.
 */
export function progressOfRun({ state, stages, overall, stopping }: RunView): string | undefined {
  if (state.kind !== "running") return undefined;
  if (stopping) return STOPPING;
  if (overall !== null) {
    const left = overall.secondsLeft === null ? [] : [`about ${roughly(overall.secondsLeft)} left`];
    return [state.stage, `${Math.floor(100 * overall.share)} % of the run`, ...left].join(" · ");
  }
  const stage = stages.find(({ id }) => id === state.stage);
  const left = stage?.progress?.secondsLeft ?? null;
  return left === null ? undefined : `${state.stage} · ${duration(left)} left`;
}

const STOPPING = "stopping after the next checkpoint";

/** A time that is an estimate: `1 minute`, `12 minutes`, `2 h 10 min`. */
export function roughly(seconds: number): string {
  const minutes = Math.max(1, Math.round(seconds / 60));
  if (minutes < 60) return minutes === 1 ? "1 minute" : `${minutes} minutes`;
  const rest = 5 * Math.round((minutes % 60) / 5);
  return rest === 0
    ? `${Math.floor(minutes / 60)} h`
    : rest === 60
      ? `${Math.ceil(minutes / 60)} h`
      : `${Math.floor(minutes / 60)} h ${rest} min`;
}

/** Text to the right of a stage's name: `64 % · 41k tokens/s · 2:41 left`, or its result. */
export function stageDescription({ status, progress, summary }: StageView): string {
  if (status === "running" && progress !== null) return progressText(progress);
  return summary ?? "";
}

function progressText({ done, total, unit, ratePerS, secondsLeft }: StageProgress): string {
  const share = total > 0 ? `${Math.floor((100 * done) / total)} %` : `${compact(done)} ${unit}`;
  return [
    share,
    ...(ratePerS === null ? [] : [`${compact(ratePerS)} ${unit}/s`]),
    ...(secondsLeft === null ? [] : [`${duration(secondsLeft)} left`]),
  ].join(" · ");
}

/** A run in a sentence, for the tooltip and for screen readers. */
export function runSentence(run: RunView): string {
  const { name, state } = run;
  const done = run.stages.filter(({ status }) => status === "done" || status === "reused").length;
  const stages = run.stages.length === 0 ? "" : `, ${done} of ${run.stages.length} stages done`;
  switch (state.kind) {
    case "failed":
      return `${name}: failed${state.stage === undefined ? "" : ` in ${state.stage}`}. ${state.message}${state.resumable ? " It can be resumed." : ""}`;
    case "unreadable":
      return `${name} cannot be read: ${state.message}`;
    case "running":
      return `${name}: running ${progressOfRun(run) ?? state.stage}${stages}`;
    case "waiting":
      return `${name}: waiting for ${state.for}`;
    case "interrupted":
      return `${name}: interrupted${stages}. ${sentence(state.why ?? "its process ended without a word")} Resuming goes on from the last checkpoint.`;
    case "new":
      return `${name}: not started`;
    default:
      return `${name}: ${state.kind}${stages}`;
  }
}

/** Context value with the words that when-clauses match: `run active`, `run resumable report curves`. */
export function runContext({ state, stages, hasReport, hasProbe, hasOutput, stopping, sweep }: RunView): string {
  const words = ["run"];
  // A run that was asked to stop is offered no second stop.
  if (!stopping && isActive(state)) words.push("active");
  if (sweep !== null) words.push("ofsweep");
  if (hasOutput) words.push("output");
  if (isResumable(state)) words.push("resumable");
  if (stages.some(({ status }) => status !== "todo")) words.push("curves");
  if (hasReport) words.push("report");
  if (hasProbe) words.push("probe");
  return words.join(" ");
}

/** A clause as a sentence of its own. */
function sentence(clause: string): string {
  return `${clause.charAt(0).toUpperCase()}${clause.slice(1)}.`;
}

/** Whether something works on a run, or waits to. */
export function isActive({ kind }: RunView["state"]): boolean {
  return kind === "running" || kind === "waiting";
}

function isResumable(state: RunView["state"]): boolean {
  return state.kind === "interrupted" || state.kind === "cancelled" || (state.kind === "failed" && state.resumable);
}

/** `41 s`, `2:41`, `1:02:41`. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = String(Math.floor(whole / 60) % 60);
  const hours = Math.floor(whole / 3600);
  const rest = String(whole % 60).padStart(2, "0");
  return hours === 0 ? `${minutes}:${rest}` : `${hours}:${minutes.padStart(2, "0")}:${rest}`;
}

/** `41k`, `1.2M`, `3.4`. */
export function compact(value: number): string {
  if (value >= 1e6) return `${Number((value / 1e6).toPrecision(2))}M`;
  if (value >= 1e4) return `${Math.round(value / 1e3)}k`;
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(2)));
}

/** `just now`, `12 minutes ago`, `yesterday`, or the date. */
export function since(then: Date, now: Date): string {
  const minutes = Math.floor((now.getTime() - then.getTime()) / 60_000);
  if (minutes < 1) return "just now";
  if (minutes < 60) return minutes === 1 ? "1 minute ago" : `${minutes} minutes ago`;
  const days = Math.round((startOfDay(now) - startOfDay(then)) / 86_400_000);
  if (days === 0)
    return `today, ${String(then.getHours()).padStart(2, "0")}:${String(then.getMinutes()).padStart(2, "0")}`;
  return days === 1
    ? "yesterday"
    : then.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
}

function startOfDay(date: Date): number {
  return new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
}
