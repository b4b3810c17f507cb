/** The tables of a comparison of runs. */
import { html, nothing } from "lit";
import { short } from "../../drawing/format.ts";
import type { ComparedRun, Finding, RunComparison, RunFigure, SeedsFigure } from "../../server/protocol/comparison.ts";

/** The runs with how they stand, and what the comparison lacks of each. */
export function runsTable(runs: readonly ComparedRun[], onReport: (run: number) => void) {
  return html`<div class="table" tabindex="0"><table class="data" aria-label="Runs">
    <thead><tr><th scope="col">Run</th><th scope="col" class="num">Seed</th><th scope="col">State</th><th scope="col">Missing</th></tr></thead>
    <tbody>${runs.map(
      ({ name, seed, state, missing, folder }, at) => html`<tr>
        <th scope="row"><button class="link" title=${`Open the report of ${folder}`} @click=${() => onReport(at)}>${name}</button></th>
        <td class="num">${seed ?? "–"}</td><td>${state}</td>
        <td class="said">${missing.map((sentence) => html`<div>${sentence}</div>`)}</td></tr>`,
    )}</tbody></table></div>`;
}

/** Settings that differ, a column a run. */
export function settingsTable({ runs, settings }: RunComparison) {
  if (settings.length === 0) return html`<p class="dim">None: the runs have the same settings.</p>`;
  return html`<div class="table" tabindex="0"><table class="data" aria-label="Settings that differ">
    <thead><tr><th scope="col">Setting</th>${runs.map(({ name }) => html`<th scope="col">${name}</th>`)}</tr></thead>
    <tbody>${settings.map(
      ({ name, values }) =>
        html`<tr><th scope="row" class="mono">${name}</th>${values.map((value) => html`<td class="value">${value ?? "–"}</td>`)}</tr>`,
    )}</tbody></table></div>`;
}

/** Every figure, a column a run, then a column for each group of runs that differ by seed alone. */
export function findingsTable({ runs, seedGroups, findings }: RunComparison) {
  if (findings.length === 0) return html`<p class="dim">None of the runs has figures yet.</p>`;
  const groupHead = (group: readonly number[]) => {
    const names = group.map((at) => runs[at]?.name ?? "").join(", ");
    return html`<th scope="col" class="num" title=${names}>Mean over ${group.length} seeds<div class="small dim of">${names}</div></th>`;
  };
  return html`<div class="table" tabindex="0"><table class="data findings" aria-label="Findings">
    <thead><tr><th scope="col">Finding</th>${runs.map(({ name }) => html`<th scope="col" class="num">${name}</th>`)}${seedGroups.map(groupHead)}</tr></thead>
    <tbody>${findings.map(
      (
        finding,
      ) => html`<tr><th scope="row">${betterMark(finding)}${finding.name}${finding.unit === "" ? nothing : html`<span class="dim">, ${finding.unit}</span>`}</th>
        ${finding.values.map(figureCell)}${finding.overSeeds.map((one, at) => seedsCell(one, seedGroups[at]?.length ?? 0))}</tr>`,
    )}</tbody></table></div>`;
}

const betterWords = { higher: ["↑", "higher is better"], lower: ["↓", "lower is better"] } as const;

/** An arrow, which screen readers hear in words. */
function betterMark({ better }: Finding) {
  if (better === null) return html`<span class="mark"></span>`;
  const [arrow, words] = betterWords[better];
  return html`<span class="mark" role="img" aria-label=${words} title=${words}>${arrow}</span>`;
}

function figureCell(figure: RunFigure | null) {
  if (figure === null) return html`<td class="num">–</td>`;
  const { value, low, high } = figure;
  const range = low === null || high === null ? nothing : html`<div class="small dim">${rangeOf(low, high)}</div>`;
  return html`<td class="num">${short(value)}${range}</td>`;
}

function seedsCell(figure: SeedsFigure | null, all: number) {
  if (figure === null) return html`<td class="num">–</td>`;
  const { count, mean, low, high } = figure;
  const of = count === all ? "" : `, ${count} of ${all}`;
  return html`<td class="num">${short(mean)}<div class="small dim">${rangeOf(low, high)}${of}</div></td>`;
}

function rangeOf(low: number, high: number): string {
  return `${short(low)} to ${short(high)}`;
}
