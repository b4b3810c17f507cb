/** Counts over inspected rows. */
import { type PairForm, pairForms } from "../../tasks/pairs/pair-texts.ts";
import {
  type PreferenceFault,
  type PreferenceRule,
  preferenceFaults,
  preferenceRules,
} from "../../tasks/pairs/preference-rows.ts";
import { type PairLoss, pairLosses } from "../../tuning/preference-tokens.ts";
import type { InspectedRow, InspectedToken } from "./inspect-row.ts";

type Counts<K extends string> = Record<K, number>;

/** What became of the rows: each is a pair or is left out for one reason. */
export interface PairTotals {
  rows: number;
  pairs: number;
  /** Pairs by the rule that splits them, and by where their texts come from. */
  readonly rules: Counts<PreferenceRule>;
  readonly forms: Counts<PairForm>;
  /** Rows left out, by reason. */
  readonly faults: Counts<PreferenceFault>;
  refused: number;
  unreadable: number;
  readonly lost: Counts<PairLoss>;
  /** Pairs of which something was cut. */
  readonly cut: Counts<"prompt" | "chosen" | "rejected">;
  /** Pairs whose prompt alone does not begin prompt and answer together; what differs is left out of training. */
  unshared: number;
  /** Pairs with an answer that has no end of text. */
  readonly withoutEnd: Counts<"chosen" | "rejected">;
  /** The most tokens of a prompt with either answer, before anything is cut. */
  longest: number;
}

export function noTotals(): PairTotals {
  return {
    rows: 0,
    pairs: 0,
    rules: zeros(preferenceRules),
    forms: zeros(pairForms),
    faults: zeros(preferenceFaults),
    refused: 0,
    unreadable: 0,
    lost: zeros(pairLosses),
    cut: { prompt: 0, chosen: 0, rejected: 0 },
    unshared: 0,
    withoutEnd: { chosen: 0, rejected: 0 },
    longest: 0,
  };
}

/** Adds a row to the counts. */
export function count(totals: PairTotals, row: InspectedRow): void {
  totals.rows += 1;
  if (row.kind === "none") {
    const { loss } = row;
    if (loss.kind === "fault") totals.faults[loss.reason] += 1;
    else if (loss.kind === "lost") totals.lost[loss.reason] += 1;
    else totals[loss.kind] += 1;
    return;
  }
  totals.pairs += 1;
  totals.rules[row.split.rule] += 1;
  totals.forms[row.split.form] += 1;
  if (row.unshared.length > 0) totals.unshared += 1;
  if ([...row.chosen, ...row.rejected].some(({ part }) => part === "cut prompt")) totals.cut.prompt += 1;
  for (const name of ["chosen", "rejected"] as const) {
    const tokens = row[name];
    if (tokens.some(({ part }) => part === "cut answer")) totals.cut[name] += 1;
    if (!ends(tokens)) totals.withoutEnd[name] += 1;
    totals.longest = Math.max(totals.longest, tokens.length);
  }
}

/** Whether the answer that the model reads has an end of text; templates may write a line break after it. */
export function ends(tokens: readonly InspectedToken[]): boolean {
  return tokens.some(({ part, special }) => part === "answer" && special === "end of text");
}

/** Whether what the model reads begins with the begin of text. */
export function begins(tokens: readonly InspectedToken[]): boolean {
  return tokens.find(({ part }) => part === "prompt" || part === "answer")?.special === "begin of text";
}

function zeros<K extends string>(names: Readonly<Record<K, unknown>>): Counts<K> {
  return Object.fromEntries(Object.keys(names).map((name) => [name, 0])) as Counts<K>;
}
