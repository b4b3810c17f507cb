import { duration } from "../common/duration.ts";
import type { RunEvent, StageProgress } from "../protocol/run-events.ts";
import { describeState } from "../runs/state-words.ts";

/** Formats a run's events as lines for people; progress at most every few seconds per stage. */
export class RunLines {
  readonly #now: () => number;
  #lastProgressMs = Number.NEGATIVE_INFINITY;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** The line for an event, or undefined for events that are not shown. */
  lineOf(event: RunEvent): string | undefined {
    if (event.kind === "progress") return this.#progress(event);
    return lineOfEvent(event);
  }

  #progress(event: Extract<RunEvent, { kind: "progress" }>): string | undefined {
    const now = this.#now();
    if (now - this.#lastProgressMs < progressIntervalMs) return undefined;
    this.#lastProgressMs = now;
    return progressLine(event.stage, event);
  }
}

/** How far a stage is. */
export function progressLine(stage: string, { done, total, unit, ratePerS, secondsLeft }: StageProgress): string {
  const rate = ratePerS === null ? "" : `, ${Number(ratePerS.toPrecision(2))} a second`;
  const left = secondsLeft === null ? "" : `, about ${duration(secondsLeft)} left`;
  return `${stage}: ${done} of ${total} ${unit}${rate}${left}`;
}

type Told = Exclude<RunEvent["kind"], "progress">;

function lineOfEvent<K extends Told>(event: RunEvent & { readonly kind: K }): string | undefined {
  const describe: (one: Extract<RunEvent, { kind: K }>) => string | undefined = eventLines[event.kind];
  // See `describeState`.
  return describe(event as unknown as Extract<RunEvent, { kind: K }>);
}

const eventLines: { readonly [K in Told]: (event: Extract<RunEvent, { kind: K }>) => string | undefined } = {
  state: ({ state }) => (state.kind === "running" ? undefined : describeState(state)),
  "stage-started": ({ stage }) => `${stage}: started`,
  "stage-resumed": ({ stage, generation }) => `${stage}: goes on from checkpoint ${generation}`,
  "stage-reused": ({ stage }) => `${stage}: already there`,
  "stage-finished": ({ stage, workedMs }) => `${stage}: done in ${duration(workedMs / 1000)}`,
  message: ({ stage, level, text }) =>
    `${stage === undefined ? "" : `${stage}: `}${level === "warning" ? "warning: " : ""}${text}`,
};

const progressIntervalMs = 3000;
