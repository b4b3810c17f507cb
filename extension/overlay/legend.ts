/** The scale in words and colours. */
import * as vscode from "vscode";
import { ablationInWords } from "../../server/protocol/ablation.ts";
import { betaWords } from "../../server/protocol/beta.ts";
import type { LensMode } from "../../server/protocol/lens.ts";
import type { LensUnit } from "../../server/protocol/lens-unit.ts";
import { modeWords } from "../../server/protocol/mode-words.ts";
import { trustSentence } from "../../server/protocol/power.ts";
import { nameOf as fileName } from "../ablation/set-file.ts";
import type { Extension } from "../context.ts";
import { differenceIn, nameOf } from "../looked-through.ts";
import { countsWords } from "../pairs/pair-text.ts";
import { plainMarkdown } from "../plain-markdown.ts";
import { isReading, modeLabel, signWords, unitWords, withUnit } from "./modes.ts";
import { lines } from "./palette.ts";
import {
  fadedStepOf,
  type Hue,
  isOneSided,
  type Step,
  type Strength,
  signed,
  signHues,
  stepOf,
  strengthStarts,
  strengths,
} from "./scale.ts";
import type { Summary } from "./summary.ts";

/** VS Code's own command that brings up the view of the ablation set. */
const SHOW_ABLATION_VIEW = "lfpLens.ablation.focus";

export interface LegendEntry {
  readonly step: Step;
  /** `+1.00 to +2.00`. */
  readonly range: string;
  /** The cue besides its colour, such as `solid line`. */
  readonly cue: string;
}

/** The steps from the most positive to the most negative, or from the strongest activation or divergence down. */
export function legendEntries(mode: LensMode["kind"], limit: number): LegendEntry[] {
  if (isOneSided(mode)) return strengths.toReversed().map((strength) => entry("feature", strength, limit));
  return [
    ...strengths.toReversed().map((strength) => entry("positive", strength, limit)),
    ...strengths.map((strength) => entry("negative", strength, limit)),
  ];
}

/** The entries for strong values at which the probe extrapolates, which are faded. */
export function fadedEntries(): LegendEntry[] {
  return signHues.map((hue) => ({
    step: fadedStepOf(hue),
    range: `strong and ${hue}, but unfamiliar to the probe`,
    cue: `thin ${lines[hue]} line alone`,
  }));
}

/** `41 of 90 words are unfamiliar to the probe: faded, and not in the mean`; undefined where there are none. */
export function fadedSentence(summary: Pick<Summary, "strongest">, unit: LensUnit): string | undefined {
  const { unfamiliar = 0, count = 0 } = summary.strongest ?? {};
  if (unfamiliar === 0) return undefined;
  return `${unfamiliar} of ${unfamiliar + count} ${unitWords[unit].many} are unfamiliar to the probe: faded, and not in the mean`;
}

/** Tooltip of the status bar: the scale, then the lens's target. */
export function legendMarkdown(extension: Extension, summary: Summary): vscode.MarkdownString {
  const { limit, mean, unread } = summary;
  const { overlay, lens } = extension;
  const { view } = overlay;
  const text = new vscode.MarkdownString();
  text.supportHtml = true;
  text.isTrusted = {
    enabledCommands: [
      ...[
        "lfpLens.chooseMode",
        "lfpLens.chooseRun",
        "lfpLens.closeDifference",
        "lfpLens.listTokens",
        "lfpLens.hideReward",
      ],
      SHOW_ABLATION_VIEW,
    ],
  };
  if (view === undefined) return text;
  const { mode, ablation } = view;
  const say = (words: string): void => void text.appendMarkdown(`${plainMarkdown(words)}\n\n`);
  text.appendMarkdown("**");
  text.appendMarkdown(plainMarkdown(modeLabel(mode, lens)));
  text.appendMarkdown("**\n\n");
  if (limit !== undefined) text.appendMarkdown(`${bar(mode.kind, limit)}\n\n`);
  const sign = signWords(mode.kind, lens);
  if (sign !== undefined) say(sign);
  if (mean !== null)
    say(`mean of ${unitWords[view.unit].many} ${withUnit(mean, mode.kind)} ${over(extension, summary)}`);
  const pairs = extension.pairCounts.of(summary.document);
  if (pairs !== undefined && lens.kind === "ready") say(`${countsWords(pairs)}; margins by ${betaWords(lens.info)}`);
  const faded = fadedSentence(summary, view.unit);
  if (faded !== undefined) say(faded);
  if (lens.kind === "ready") say(`${nameOf(lens.info)} · ${lens.info.modelType} · ${deviceWords(lens.info.device)}`);
  if (lens.kind === "ready" && isReading(mode.kind))
    say(trustSentence(lens.info, mode.kind, { level: "place", isAblated: ablation !== null }));
  const ablated = ablationInWords(ablation);
  if (ablated !== undefined) say(`with ${ablated}${ofSet(extension)}`);
  const { idle } = extension.ablation;
  if (idle !== undefined) say(idle);
  for (const reason of new Set(unread)) say(reason);
  const links = [
    ["Mode", "lfpLens.chooseMode"],
    [lens.kind === "ready" && lens.info.kind === "pair" ? "Choose a run" : "Run", "lfpLens.chooseRun"],
    ...(differenceIn(lens) === undefined ? [] : [["Stop comparing", "lfpLens.closeDifference"]]),
    [`Strongest ${unitWords[view.unit].many}`, "lfpLens.listTokens"],
    ...(extension.ablation.uri === undefined ? [] : [["Ablation set", SHOW_ABLATION_VIEW]]),
    ["Hide", "lfpLens.hideReward"],
  ];
  text.appendMarkdown(`${links.map(([label, command]) => `[${label}](command:${command})`).join(" · ")}`);
  return text;
}

/** What a mean is taken over. */
function over({ selected }: Extension, { document, isWhole }: Summary): string {
  if (selected.of(document) !== undefined) return "over the selection";
  return isWhole ? "over the document" : "over the part that was read";
}

/** ` by praise.lfp-ablation.json of quick`: the file and the run of the set that acts. */
function ofSet({ ablation: { uri, set } }: Extension): string {
  if (uri === undefined || set === null) return "";
  return ` by ${fileName(uri)}${set.run === undefined ? "" : ` of ${set.run.name}`}`;
}

/** The server's words on the device, which quote commands as Markdown does. */
export function deviceWords(device: string): string {
  return device.replaceAll(/`lfp doctor`/g, "LFP Lens: Check This Machine").replaceAll("`", "");
}

function bar(mode: LensMode["kind"], limit: number): string {
  const isFeature = isOneSided(mode);
  const swatches = legendEntries(mode, limit)
    .toReversed()
    .map(({ step }) => `<span style="background-color:var(--vscode-lfpLens-${step});">&nbsp;&nbsp;&nbsp;&nbsp;</span>`);
  const [low, high] = isFeature ? ["0", limit.toFixed(2)] : [signed(-limit), signed(limit)];
  const { unit } = modeWords[mode];
  const middle = isFeature ? [] : ["&nbsp;&nbsp;&nbsp;&nbsp;"];
  const half = swatches.length / 2;
  const parts = isFeature ? swatches : [...swatches.slice(0, half), ...middle, ...swatches.slice(half)];
  return `${low} ${parts.join("")} ${high}${unit === undefined ? "" : ` ${unit}`}`;
}

function entry(hue: Hue, strength: Strength, limit: number): LegendEntry {
  const sign = hue === "negative" ? -1 : 1;
  const from = signed(sign * strengthStarts[strength] * limit);
  const next = strengths[strengths.indexOf(strength) + 1];
  const range = next === undefined ? `${from} and beyond` : `${from} to ${signed(sign * strengthStarts[next] * limit)}`;
  const weight = { 1: "no line", 2: "no line", 3: `thin ${lines[hue]} line`, 4: `thick ${lines[hue]} line` };
  return { step: stepOf(hue, strength), range, cue: weight[strength] };
}
