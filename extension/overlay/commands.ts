/** Commands that show, hide and walk through the colours. */
import { randomUUID } from "node:crypto";
import * as vscode from "vscode";
import { isolated } from "../../server/protocol/isolated.ts";
import type { LensState } from "../../server/protocol/lens-state.ts";
import type { LensUnit } from "../../server/protocol/lens-unit.ts";
import { modeWords } from "../../server/protocol/mode-words.ts";
import { readingChosen, trustSentence, type WhyReading } from "../../server/protocol/power.ts";
import { closeDifference } from "../compare-learned.ts";
import type { Extension } from "../context.ts";
import { canBeRead, isReadable, readInAnyLanguage, wordRangeOf } from "../documents.ts";
import { askForFeature } from "../features/ask-for-feature.ts";
import { withJob } from "../features/jobs.ts";
import { differenceIn, runInfoOf } from "../looked-through.ts";
import { pickPlaces, select } from "../pick-places.ts";
import { readSetting, section } from "../settings.ts";
import type { View } from "./document-reader.ts";
import { isReading, modeLabel, modeShown, unitWords, whyNot, withUnit } from "./modes.ts";
import { nextToken } from "./next-token.ts";
import { signed } from "./scale.ts";
import type { Strongest } from "./strongest.ts";
import { isReadWhole } from "./summary.ts";
import { showNumbers } from "./text-numbers.ts";
import { offerToRead, whyUnread } from "./unread-document.ts";

export const overlayCommands = {
  "lfpLens.showReward": showReward,
  "lfpLens.readAnyway": () => offerToRead(),
  "lfpLens.readSelection": readSelection,
  "lfpLens.readWhole": readWhole,
  "lfpLens.hideReward": ({ overlay }: Extension) => overlay.hide(),
  "lfpLens.chooseMode": chooseMode,
  "lfpLens.toggleUnit": toggleUnit,
  "lfpLens.showNumbers": showNumbers,
  "lfpLens.listTokens": listTokens,
  "lfpLens.nextToken": (extension: Extension) => step(extension, 1),
  "lfpLens.previousToken": (extension: Extension) => step(extension, -1),
} as const;

/** Colours the visible text; if none can be read, offers to read the one in front all the same, or a sample. */
async function showReward({ overlay }: Extension): Promise<void> {
  overlay.show("auto");
  if (!vscode.window.visibleTextEditors.some(({ document }) => isReadable(document))) await offerToRead();
}

/** As many as the server takes. */
const MOST_SELECTIONS = 1000;

/** Reads, colours and counts only what is selected in the editor in front, in whatever language that is. */
function readSelection({ overlay, selected }: Extension): void {
  const editor = vscode.window.activeTextEditor;
  const selections = editor?.selections.filter(({ isEmpty }) => !isEmpty) ?? [];
  if (editor === undefined || selections.length === 0) throw new Error("Select the text that is to be read first.");
  if (selections.length > MOST_SELECTIONS)
    throw new Error(`At most ${MOST_SELECTIONS} selections are read at once; there are ${selections.length}.`);
  const { document } = editor;
  if (!isReadable(document) && !canBeRead(document)) throw new Error(whyUnread(document));
  const parts = selections.map(({ start, end }) => ({ start: document.offsetAt(start), end: document.offsetAt(end) }));
  selected.set(document, parts);
  if (!isReadable(document)) readInAnyLanguage(document);
  if (overlay.mode === undefined) overlay.show("auto");
}

/** Reads the whole of the document in front again. */
function readWhole({ selected }: Extension): void {
  const document = vscode.window.activeTextEditor?.document;
  if (document !== undefined) selected.set(document, []);
}

async function chooseMode(extension: Extension): Promise<void> {
  const { overlay, ablation, lens } = extension;
  const info = lens.kind === "ready" ? lens.info : undefined;
  const { LensMode } = await import("../../server/protocol/lens.ts");
  const order = Object.keys(modeWords);
  const kinds = LensMode.options
    .map((option) => option.shape.kind.value)
    // Two checkpoints list only the modes that they offer; a run lists all, and says what a missing one lacks.
    .filter((kind) => info?.kind !== "pair" || whyNot(kind, info, false) === undefined)
    .sort((one, other) => order.indexOf(one) - order.indexOf(other));
  const items = kinds.map((kind) => {
    const reason = whyNot(kind, info, ablation.acting !== null);
    const isCurrent = overlay.choice !== "auto" && kind === overlay.mode?.kind;
    return {
      label: `${isCurrent ? "$(check) " : ""}${modeWords[kind].label}`,
      detail: reason === undefined ? modeWords[kind].detail : `${modeWords[kind].detail} (not here: ${reason})`,
      mode: kind,
      reason,
    };
  });
  const auto = {
    label: `${overlay.choice === "auto" ? "$(check) " : ""}Automatic`,
    detail: automaticWords(lens, ablation.acting !== null),
    mode: "auto" as const,
    reason: undefined,
  };
  const other = otherUnit();
  const unit = {
    label: `$(symbol-text) Colour by ${unitWords[other].one}`,
    detail: unitDetails[other],
    mode: "unit" as const,
    reason: undefined,
  };
  const runs = differenceIn(lens);
  const close = { label: "$(close) Stop comparing the runs", detail: "", mode: "close" as const, reason: undefined };
  const hide = { label: "$(eye-closed) Hide the colours", detail: "", mode: "off" as const, reason: undefined };
  const rest = overlay.mode === undefined ? [] : [unit, ...(runs === undefined ? [] : [close]), hide];
  const chosen = await vscode.window.showQuickPick([auto, ...items, ...rest], {
    title: "LFP Lens: what the colours mean",
    placeHolder: overlay.mode === undefined ? "Off" : modeLabel(overlay.mode, lens),
    matchOnDetail: true,
  });
  if (chosen === undefined) return;
  if (chosen.reason !== undefined) throw new Error(`${chosen.label} cannot be shown: ${chosen.reason}.`);
  if (chosen.mode === "off") overlay.hide();
  else if (chosen.mode === "unit") await toggleUnit();
  else if (chosen.mode === "close") await closeDifference(extension);
  else if (chosen.mode === "auto") overlay.show("auto");
  else if (chosen.mode !== "feature") overlay.show({ kind: chosen.mode });
  else await chooseFeature(extension);
}

const unitDetails: { readonly [K in LensUnit]: string } = {
  word: "One number a word: the sum of its tokens' log-ratios, or what is read at its features",
  token: "One number for each token of the model, punctuation too",
};

function otherUnit(): LensUnit {
  return readSetting("overlay.unit") === "word" ? "token" : "word";
}

/** Toggles between words and tokens, in the scope in which the setting is made, or else in the user's settings. */
async function toggleUnit(): Promise<void> {
  const name = "overlay.unit";
  const configuration = vscode.workspace.getConfiguration(section);
  const { workspaceValue } = configuration.inspect(name) ?? {};
  const { Global, Workspace } = vscode.ConfigurationTarget;
  await configuration.update(name, otherUnit(), workspaceValue === undefined ? Global : Workspace);
}

/** Describes what the colours show if nobody chooses a mode. */
export function automaticWords(lens: LensState, isAblated: boolean): string {
  const mode = modeShown("auto", lens, readSetting("reading"), isAblated);
  const now = `Now ${modeLabel(mode, lens).toLowerCase()}`;
  if (lens.kind !== "ready" || !isReading(mode.kind)) return now;
  const { why } = readingChosen(lens.info, readSetting("reading"));
  const trust = trustSentence(lens.info, mode.kind, { level: "word", isAblated });
  return `${now}: ${whyAutomatic[why]}. ${trust}`;
}

const whyAutomatic: { readonly [K in WhyReading]: string } = {
  chosen: "what lfpLens.reading says",
  measured: "the reading with the most measured power",
  unmeasured: "no calibration says which reading finds most",
};

/** Lets the person choose a feature: from the run's feature store if there is one, else by id. */
async function chooseFeature(extension: Extension): Promise<void> {
  const { lens, overlay } = extension;
  const run = runInfoOf(lens);
  const rows =
    run?.hasFeatureStore === true
      ? (await extension.features.query(run.runFolder, {}, { offset: 0, count: 500 })).rows
      : [];
  const title = "LFP Lens: the feature to colour by";
  const found =
    rows.length > 0
      ? (
          await vscode.window.showQuickPick(
            rows.map(({ id, explanation, contribution }) => ({
              label: id,
              description: contribution === null ? "" : signed(contribution),
              detail: explanation?.text ?? "",
            })),
            { title, matchOnDetail: true },
          )
        )?.label
      : await askForFeature(title);
  if (found !== undefined) overlay.show({ kind: "feature", id: found });
}

async function listTokens(extension: Extension): Promise<void> {
  const { editor, view } = subject(extension);
  const found = await strongest(extension, editor.document, view);
  if (found === undefined) return;
  const { tokens, count, unfamiliar, complete } = found;
  const leftOut = unfamiliar === 0 ? "" : `, ${unfamiliar} unfamiliar ones left out`;
  const { one, many } = unitWords[view.unit];
  const items = tokens.map((token) => {
    const range = wordRangeOf(editor.document, token);
    return {
      label: isolated(token.text.trim()),
      description: `${withUnit(token.value, view.mode.kind)}, line ${range.start.line + 1}`,
      detail: editor.document.lineAt(range.start.line).text.trim().slice(0, 120),
      range,
    };
  });
  const pick = vscode.window.createQuickPick<(typeof items)[number]>();
  pick.title = `LFP Lens: the strongest of ${complete ? "" : "the first "}${count} ${many}${leftOut}, ${modeLabel(view.mode, extension.lens)}`;
  pick.placeholder = tokens.length === 0 ? `No ${one} has a value` : `Go to a ${one}`;
  pick.matchOnDescription = true;
  pick.items = items;
  pickPlaces(editor, pick);
}

/** Moves the cursor to the next or previous strong token and shows its hover, which screen readers can read. */
async function step(extension: Extension, direction: 1 | -1): Promise<void> {
  const { editor, view } = subject(extension);
  const found = await strongest(extension, editor.document, view);
  if (found === undefined) return;
  const { document } = editor;
  const ranges = found.tokens.map((token) => wordRangeOf(document, token));
  const inOrder = ranges
    .map((range) => ({ range, start: document.offsetAt(range.start) }))
    .sort((one, other) => one.start - other.start);
  const next = nextToken(inOrder, document.offsetAt(editor.selection.start), direction);
  if (next === undefined) {
    void vscode.window.showInformationMessage(`LFP Lens: no ${unitWords[view.unit].one} of this document has a value.`);
    return;
  }
  select(editor, next.range);
  await vscode.commands.executeCommand("editor.action.showHover", { focus: "noAutoFocus" });
}

function subject({ overlay }: Extension): { editor: vscode.TextEditor; view: View } {
  const editor = vscode.window.activeTextEditor;
  if (editor === undefined || !isReadable(editor.document)) throw new Error(whyUnread(editor?.document));
  if (overlay.view === undefined) overlay.show("auto");
  return { editor, view: overlay.view ?? { mode: { kind: "learned" }, unit: "word", ablation: null } };
}

/** The strongest words of the whole document; of a long one with progress. Undefined if the person cancels that. */
async function strongest(
  extension: Extension,
  document: vscode.TextDocument,
  view: View,
): Promise<Strongest | undefined> {
  const { strongest: cache } = extension.summaries;
  if (cache.known(document, view) !== undefined || isReadWhole(document)) return await cache.ask(document, view);
  const job = randomUUID();
  return await withJob(extension, job, "reading the whole document", (token) => cache.ask(document, view, token, job));
}
