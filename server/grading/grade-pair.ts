/**
 * Makes a contrast of a pair of answers: grades both, rewrites the worse one to be worse still, has a neutral reply
 * written, and grades all three twice, in opposite orders.
 */
import type { Random } from "../common/random.ts";
import type { Asked, NoAnswer } from "../endpoint/outcome.ts";
import { inertLine } from "../endpoint/plain-text.ts";
import type { Contrast } from "../tasks/contrast.ts";
import type { Span } from "../tasks/task.ts";
import {
  type GradedTask,
  type Grading,
  gradings,
  highestGrade,
  leastGap,
  lowestGrade,
  mostTimesAsLong,
} from "./gradings.ts";
import { type GradedProvenance, type GradedSide, gradedSides, type SideGrading } from "./provenance.ts";
import {
  type Grade,
  type GradingQuestion,
  gradeQuestion,
  neutralQuestion,
  promptVersion,
  worseQuestion,
} from "./questions.ts";
import type { DropReason, GradingStep, NeutralFault } from "./reasons.ts";

/** A pair as the judge sees it. */
export interface PairToGrade {
  readonly id: string;
  /** Name of what it was read from. */
  readonly source: string;
  /** Name of its prompt. */
  readonly group: string;
  readonly prompt: string;
  readonly chosen: string;
  readonly rejected: string;
  /** The texts that a studied model reads, one after the other, where an answer stands. */
  readonly place: (answer: string) => { readonly prompt: string; readonly answer: string };
}

/** Asks a language model, or only counts what asking would cost. */
export interface Asker {
  ask<T>(question: GradingQuestion<T>): Promise<Asked<T>>;
}

export interface GradeOptions {
  readonly asker: Asker;
  readonly task: GradedTask;
  /** Origin of the server and name of the model, for the provenance. */
  readonly endpoint: string;
  readonly model: string;
  readonly seed: number;
  /** Draws the orders in which answers are shown. */
  readonly random: Random;
}

export type PairResult =
  | { readonly kind: "contrast"; readonly contrast: Contrast & { readonly provenance: GradedProvenance } }
  | {
      readonly kind: "dropped";
      readonly id: string;
      readonly reason: DropReason;
      /** The question without an answer; null where the answers were the reason. */
      readonly step: GradingStep | null;
      /** Both gradings where there are two. */
      readonly gradings: readonly [SideGrading, SideGrading] | null;
    };

/** Makes a pair's contrast. Throws what the asker throws: `CapReachedError`, `EndpointError`, the signal's reason. */
export async function gradePair(pair: PairToGrade, options: GradeOptions): Promise<PairResult> {
  const { asker, task, random } = options;
  const { scale, kept }: Grading = gradings[task];
  const other = kept === "chosen" ? "rejected" : "chosen";
  const drop = (reason: DropReason, step: GradingStep | null, both: PairGradings | null = null): PairResult => ({
    kind: "dropped",
    id: pair.id,
    reason,
    step,
    gradings: both,
  });
  const order = random.shuffled(["chosen", "rejected"] as const);
  const shown = order.map((answer) => ({ text: pair[answer], assumed: answer === kept ? lowestGrade : 3 }));
  const asFound = await asker.ask(gradeQuestion(scale, pair.prompt, shown));
  if (asFound.kind === "none") return drop(asFound.cause, "found");
  const gradeFor = (answer: Kept): Grade | undefined => plainGrade(asFound.value.grades[order.indexOf(answer)]);
  const [chosen, rejected] = [gradeFor("chosen"), gradeFor("rejected")];
  if (chosen === undefined || rejected === undefined) return drop("unusable", "found");
  const found = { order, chosen, rejected, request: asFound.source };
  if (found[kept].grade + leastGap > highestGrade) return drop("keptTooBad", null);
  const harmful = await rewrite(pair, other, found, options);
  if (harmful.kind === "none") return drop(harmful.cause, "rewritten");
  if (!isAsLong(harmful.text, pair[kept])) return drop("length", null);
  const neutral = await neutralTo(pair, options);
  const sides = { harmless: pair[kept], harmful: harmful.text, neutral: neutral.text };
  const both = await gradeTwice(pair, sides, options);
  if (both.kind === "none") return drop(both.cause, both.step);
  if (!both.gradings.every(({ grades }) => gapOf(grades, kept) >= leastGap)) return drop("gap", null, both.gradings);
  const named = { kind: "graded", task, endpoint: options.endpoint, model: options.model } as const;
  const made = { prompts: promptVersion, seed: options.seed, kept, found, rewritten: harmful.made };
  const rest = { neutral: neutralMade(neutral, both.gradings, kept), gradings: both.gradings };
  return { kind: "contrast", contrast: contrastOf(pair, sides, { ...named, ...made, ...rest }) };
}

type PairGradings = [SideGrading, SideGrading];
type Kept = Grading["kept"];

interface Sides {
  readonly harmless: string;
  readonly harmful: string;
  readonly neutral: string | undefined;
}

type Made<T> =
  | { readonly kind: "answer"; readonly text: string; readonly made: T }
  | { readonly kind: "none"; readonly cause: NoAnswer };

/** The other answer, rewritten by its grade: as it is where it has the highest one and fits in length. */
async function rewrite(
  pair: PairToGrade,
  other: Kept,
  found: GradedProvenance["found"],
  { asker, task }: GradeOptions,
): Promise<Made<GradedProvenance["rewritten"]>> {
  const { scale, kept }: Grading = gradings[task];
  const answer = pair[other];
  const { grade } = found[other];
  if (grade === highestGrade && isAsLong(answer, pair[kept])) return { kind: "answer", text: answer, made: null };
  const wanted = Math.min(highestGrade, Math.max(grade + 1, found[kept].grade + leastGap + 1));
  const toRewrite = { prompt: pair.prompt, answer, grade, wanted, kept: pair[kept] };
  const asked = await asker.ask(worseQuestion(scale, toRewrite));
  if (asked.kind === "none") return asked;
  return { kind: "answer", text: placed(asked.value.text, answer), made: { wanted, request: asked.source } };
}

type Neutral = { readonly text: string; readonly made: { request: GradedProvenance["found"]["request"] } } | NoNeutral;
interface NoNeutral {
  readonly text: undefined;
  readonly made: { readonly fault: NeutralFault };
}

async function neutralTo(pair: PairToGrade, { asker, task }: GradeOptions): Promise<Neutral> {
  const { scale, kept } = gradings[task];
  const asked = await asker.ask(neutralQuestion(scale, { prompt: pair.prompt, answer: pair[kept] }));
  if (asked.kind === "none") return { text: undefined, made: { fault: asked.cause } };
  const text = placed(asked.value.text, pair[kept]);
  return isAsLong(text, pair[kept])
    ? { text, made: { request: asked.source } }
    : { text: undefined, made: { fault: "length" } };
}

/** A neutral reply that is graded as badly as a harmful one is none. */
function neutralMade(neutral: Neutral, both: PairGradings, kept: Kept): GradedProvenance["neutral"] {
  if (neutral.text === undefined) return neutral.made;
  const harmless = kept === "chosen" ? "positive" : "negative";
  const isHarmless = both.every(({ grades }) => gradeOf(grades, "neutral") - gradeOf(grades, harmless) < leastGap);
  return isHarmless ? neutral.made : { fault: "grade" };
}

/** Grades the sides in a drawn order, and once more in the opposite one. */
async function gradeTwice(
  pair: PairToGrade,
  sides: Sides,
  { asker, task, random }: GradeOptions,
): Promise<
  | { readonly kind: "answer"; readonly gradings: PairGradings }
  | { readonly kind: "none"; readonly cause: NoAnswer; readonly step: GradingStep }
> {
  const { scale, kept } = gradings[task];
  const texts = textsOf(sides, kept);
  const order = random.shuffled(gradedSides.filter((side) => texts[side] !== undefined));
  const done: SideGrading[] = [];
  for (const [step, shown] of [["first", order] as const, ["second", order.toReversed()] as const]) {
    const harmful = kept === "chosen" ? "negative" : "positive";
    const answers = shown.map((side) => ({
      text: texts[side] ?? "",
      assumed: side === harmful ? highestGrade : lowestGrade,
    }));
    const asked = await asker.ask(gradeQuestion(scale, pair.prompt, answers));
    if (asked.kind === "none") return { ...asked, step };
    const grades = Object.fromEntries(shown.map((side, at) => [side, plainGrade(asked.value.grades[at])]));
    done.push({ order: shown, grades, request: asked.source });
  }
  const [first, second] = done;
  return first === undefined || second === undefined
    ? { kind: "none", cause: "unusable", step: "second" }
    : { kind: "answer", gradings: [first, second] };
}

function contrastOf(pair: PairToGrade, sides: Sides, provenance: GradedProvenance) {
  const { positive, negative, neutral } = textsOf(sides, provenance.kept);
  const spanOf = (text: string): Span => {
    const { prompt, answer } = pair.place(text);
    return { text: prompt + answer, start: prompt.length, end: prompt.length + answer.length };
  };
  return {
    id: pair.id,
    source: pair.source,
    group: pair.group,
    positive: spanOf(positive),
    ...(neutral === undefined || "fault" in provenance.neutral ? {} : { neutral: spanOf(neutral) }),
    negative: spanOf(negative),
    provenance,
  };
}

/** The feedback likes the chosen side, kept or not. */
function textsOf({ harmless, harmful, neutral }: Sides, kept: Kept) {
  const [positive, negative] = kept === "chosen" ? [harmless, harmful] : [harmful, harmless];
  return { positive, negative, neutral };
}

function gapOf(grades: SideGrading["grades"], kept: Kept): number {
  const gap = gradeOf(grades, "negative") - gradeOf(grades, "positive");
  return kept === "chosen" ? gap : -gap;
}

function gradeOf(grades: SideGrading["grades"], side: GradedSide): number {
  return grades[side]?.grade ?? Number.NaN;
}

/** The text with the white space around the answer in whose place it stands. */
function placed(text: string, answer: string): string {
  const [before = ""] = /^\s*/.exec(answer) ?? [];
  const [after = ""] = /\s*$/.exec(answer) ?? [];
  return before + text + after;
}

function isAsLong(a: string, b: string): boolean {
  const ratio = a.trim().length / b.trim().length;
  return ratio >= 1 / mostTimesAsLong && ratio <= mostTimesAsLong;
}

const whyLength = 300;

function plainGrade(grade: Grade | undefined): Grade | undefined {
  return grade && { grade: grade.grade, why: inertLine(grade.why, whyLength) };
}
