/** Reads single features for the editor and the commands. */
import { z } from "zod";
import {
  type FeatureDetail,
  type FeatureExample,
  type FeatureExplanation,
  type FeatureRow,
  MeasuredEffect,
} from "../protocol/features.ts";
import { blobToCounts, blobToFloats } from "./blobs.ts";
import { idOfNumber, placeOfNumber } from "./feature-number.ts";
import {
  allRows,
  detailRowSchema,
  type ExplanationDetail,
  exampleRowSchema,
  explanationRowSchema,
  featureRowSchema,
  firstRow,
  numberOf,
  type Statements,
  type StoredFeature,
} from "./rows.ts";
import type { ExampleKind, ExampleSplit } from "./writer.ts";

export function rowOf(statements: Statements, stored: StoredFeature): FeatureRow {
  const { id } = stored;
  const details = firstRow(statements.get("SELECT * FROM details WHERE feature = ?"), detailRowSchema, id);
  const [shown] = explanationsOf(statements, id);
  const [ablation] = allRows(statements.get(`${effects} AND what = 'this' LIMIT 1`), effectRow, id);
  return {
    id: idOfNumber(id),
    layer: stored.layer,
    feature: stored.feature,
    explanation: shown === undefined ? null : plainExplanation(shown),
    density: stored.density,
    maxActivation: stored.max_activation,
    probeWeight: stored.probe_weight,
    contribution: stored.contribution,
    attribution: stored.attribution,
    twin: twinOf(stored.twin, stored.twin_cosine),
    ablation: ablation === undefined ? null : { change: ablation.change, low: ablation.low, high: ablation.high },
    histogram: details === undefined ? [] : [...blobToCounts(details.histogram)],
    labels: labelsOf(statements, id),
    pinned: stored.pinned === 1,
    hasNote: noteOf(statements, id) !== "",
    matches: [],
  };
}

/** A feature's details; undefined if the store does not have it. */
export function detailOf(statements: Statements, id: number): FeatureDetail | undefined {
  const stored = firstRow(statements.get("SELECT * FROM features WHERE id = ?"), featureRowSchema, id);
  if (stored === undefined) return undefined;
  const details = firstRow(statements.get("SELECT * FROM details WHERE feature = ?"), detailRowSchema, id);
  const { model, size, layer } = placeOfNumber(id);
  const tokens = statements.get("SELECT tokens AS n FROM dictionaries WHERE model = ? AND size = ? AND layer = ?");
  return {
    row: rowOf(statements, stored),
    explanations: explanationsOf(statements, id).map(plainExplanation),
    examples: groupsOf(examplesOf(statements, id)),
    activeTokens: details?.active_tokens ?? 0,
    tokens: numberOf(tokens, model, size, layer),
    promotes: effectsOf(details?.promotes),
    suppresses: effectsOf(details?.suppresses),
    baseTwin: twinOf(stored.base_twin, stored.base_cosine),
    ablations: allRows(statements.get(effects), effectRow, id).map(({ measure, ...effect }) => ({
      ...effect,
      ...(measure === null ? {} : { measure }),
    })),
    note: noteOf(statements, id),
    annotatedEarlier: numberOf(statements.get(earlier), id, id, id, id) > 0,
  };
}

/** An explanation with its details. */
export interface StoredExplanation extends ExplanationDetail {
  readonly explainer: string;
  readonly text: string;
  readonly byRun: boolean;
  readonly created: string;
}

/**
 * Explanations made for the current dictionary, the one to show first: a language model's before the offline one, then
 * the newest first.
 */
export function explanationsOf(statements: Statements, id: number): StoredExplanation[] {
  return allRows(statements.get(explanations), explanationRowSchema, id).map((row) => ({
    explainer: row.explainer,
    text: row.text,
    byRun: row.by_run === 1,
    created: row.created,
    ...row.detail,
  }));
}

function plainExplanation({ text, explainer, scores, relevance }: StoredExplanation): FeatureExplanation {
  const [score] = scores;
  return {
    text,
    explainer,
    score:
      score === undefined
        ? null
        : { method: score.method, value: score.value, low: score.low, high: score.high, windows: score.windows },
    relevance: relevance === null ? null : { relevant: relevance.relevant, polarity: relevance.polarity },
  };
}

/** An example with its position among the examples. */
export interface StoredExample extends FeatureExample {
  readonly split: ExampleSplit;
  readonly kind: ExampleKind;
  readonly rank: number;
  /** Id of the window. */
  readonly window: number;
}

/** All examples of a feature by split, kind and rank. */
export function examplesOf(statements: Statements, id: number): StoredExample[] {
  return allRows(statements.get(examples), exampleRowSchema, id).map((row) => ({
    split: row.split,
    kind: row.kind,
    rank: row.rank,
    window: row.window,
    tokens: tokensOf(row.text, blobToCounts(row.ends)),
    activations: [...blobToFloats(row.activations)],
    peak: row.peak,
    source: row.source,
  }));
}

/** The tokens of the first `count` windows of text. */
export function windowsOf(statements: Statements, count: number): string[][] {
  const sql = "SELECT text, ends FROM windows ORDER BY id LIMIT ?";
  return allRows(statements.get(sql), windowRowSchema, count).map(({ text, ends }) =>
    tokensOf(text, blobToCounts(ends)),
  );
}

const windowRowSchema = exampleRowSchema.pick({ text: true, ends: true });

/** Texts of the tokens that end at `ends`; a token that shares its only character with the one before is empty. */
function tokensOf(text: string, ends: Uint32Array): string[] {
  let start = 0;
  return Array.from(ends, (end) => {
    const token = text.slice(start, Math.max(start, end));
    start = Math.max(start, end);
    return token;
  });
}

function groupsOf(all: readonly StoredExample[]): FeatureDetail["examples"] {
  const shown = ["top", "q4", "q3", "q2", "q1", "silent"] as const;
  return shown.flatMap((group) => {
    const found = all.filter(({ kind }) => kind === group).toSorted((a, b) => peakOf(b) - peakOf(a));
    const plain = found.map(({ tokens, activations, peak, source }) => ({ tokens, activations, peak, source }));
    return plain.length === 0 ? [] : [{ group, examples: plain }];
  });
}

function peakOf({ activations, peak }: FeatureExample): number {
  return activations[peak] ?? 0;
}

function labelsOf(statements: Statements, id: number): string[] {
  const sql = "SELECT label FROM labels WHERE feature = ? ORDER BY label";
  return allRows(statements.get(sql), labelSchema, id).map(({ label }) => label);
}

function noteOf(statements: Statements, id: number): string {
  return firstRow(statements.get("SELECT note FROM notes WHERE feature = ?"), noteSchema, id)?.note ?? "";
}

// Built once: building a schema takes longer than reading a row, and a page needs both for every row.
const labelSchema = z.object({ label: z.string() });
const noteSchema = z.object({ note: z.string() });

function twinOf(twin: number | null, cosine: number | null): FeatureRow["twin"] {
  return twin === null || cosine === null ? null : { id: idOfNumber(twin), cosine };
}

function effectsOf(pairs: readonly (readonly [string, number])[] = []): { token: string; logit: number }[] {
  return pairs.map(([token, logit]) => ({ token, logit }));
}

/** The digest of a feature's dictionary, for a condition on rows that carry one. */
const digest = "(SELECT value FROM meta WHERE key = 'digest:' || (feature >> 20))";

const explanations = `SELECT explainer, text, detail, by_run, created FROM explanations WHERE feature = ? AND digest = ${digest}
  ORDER BY explainer = 'offline', created DESC, id DESC`;

const effectRow = MeasuredEffect.extend({ measure: MeasuredEffect.shape.measure.unwrap().nullable() });
const effects = `SELECT what, factor, prompts, change, low, high,
  (SELECT json_extract(result, '$.measure') FROM ablations WHERE id = ablation) AS measure FROM effects WHERE feature = ?
  AND ablation IN (SELECT id FROM ablations WHERE digest = ${digest})`;

const examples = `SELECT e.*, w.source, w.text, w.ends FROM examples AS e JOIN windows AS w ON w.id = e.window WHERE e.feature = ?
  ORDER BY e.split, e.kind, e.rank`;

/** Counts users' rows about another dictionary of this layer, model and size. */
const earlier = `SELECT count(*) AS n FROM (SELECT feature, digest FROM labels WHERE feature = ?
  UNION ALL SELECT feature, digest FROM notes WHERE feature = ? UNION ALL SELECT feature, digest FROM pins WHERE feature = ?)
  WHERE digest <> coalesce(${digest}, '') AND feature = ?`;
