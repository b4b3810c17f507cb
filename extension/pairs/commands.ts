/** Commands that list pairs of a preference file, go through them, and show what a margin is made of. */
import * as vscode from "vscode";
import type { z } from "zod";
import { listPairs, showPairWords } from "../../server/protocol/commands.ts";
import type { PairCounts, ReadPairRecord, WalkPairs } from "../../server/protocol/pairs.ts";
import type { Extension } from "../context.ts";
import { wordRangeOf } from "../documents.ts";
import { signed } from "../overlay/scale.ts";
import { pickPlaces, select } from "../pick-places.ts";
import { countsWords, withCounts } from "./pair-text.ts";

export const pairCommands = {
  [listPairs.id]: list,
  [showPairWords.id]: showWords,
  "lfpLens.nextPair": (extension: Extension) => step(extension, 1),
  "lfpLens.previousPair": (extension: Extension) => step(extension, -1),
} as const;

/** What a walk through a document's pairs found. */
interface Walked {
  readonly differing: readonly ReadPairRecord[];
  readonly counts: PairCounts;
  /** Whether it went to the document's end. */
  readonly isWhole: boolean;
}

const MOST_LISTED = 1000;
const MOST_WORDS = 100;
const MOST_OF_LINE = 200;

async function list(extension: Extension, given?: unknown): Promise<void> {
  const uri = listPairs.argument.parse(given)?.uri;
  if (uri !== undefined) await vscode.window.showTextDocument(vscode.Uri.parse(uri, true));
  const editor = preferenceEditor(extension);
  const { document } = editor;
  const walked = await walk(extension, document, { from: 0, direction: 1, untilDiffers: false });
  const lowest = [...walked.differing].sort((one, other) => marginOf(one) - marginOf(other)).slice(0, MOST_LISTED);
  const items = lowest.map((record) => ({
    label: `${signed(marginOf(record))} nats`,
    description: `line ${record.line + 1}`,
    detail: document.lineAt(record.line).text.slice(0, MOST_OF_LINE),
    range: new vscode.Range(record.line, 0, record.line, 0),
  }));
  const left = walked.isWhole ? "" : " (stopped before the end)";
  const pick = vscode.window.createQuickPick<(typeof items)[number]>();
  pick.title = `LFP Lens: ${walked.differing.length} pairs learned the other way, ${countsWords(walked.counts)}${left}`;
  pick.placeholder =
    items.length === 0 ? "No pair was learned the other way" : "Go to a pair; the lowest margins first";
  pick.matchOnDescription = true;
  pick.matchOnDetail = true;
  pick.items = items;
  pickPlaces(editor, pick);
}

async function step(extension: Extension, direction: 1 | -1): Promise<void> {
  const editor = preferenceEditor(extension);
  const { document } = editor;
  const from = editor.selection.active.line + direction;
  const isWithin = from >= 0 && from < document.lineCount;
  const walked = isWithin
    ? await walk(extension, document, { from, direction, untilDiffers: true })
    : { differing: [], counts: { read: 0, agreed: 0, unread: 0 }, isWhole: true };
  const [found] = walked.differing;
  if (found !== undefined) {
    select(editor, new vscode.Range(found.line, 0, found.line, 0));
    return;
  }
  const where = direction > 0 ? "after" : "before";
  const message = walked.isWhole
    ? `LFP Lens: no pair ${where} this one was learned the other way.`
    : `LFP Lens: stopped; ${countsWords(walked.counts)} ${where} this one.`;
  void vscode.window.showInformationMessage(message);
}

/** Lists the words that make up a pair's margin; without an argument, of the pair at the cursor. */
async function showWords(extension: Extension, given?: unknown): Promise<void> {
  const place = given === undefined ? undefined : showPairWords.argument.parse(given);
  if (place !== undefined) await vscode.window.showTextDocument(vscode.Uri.parse(place.uri, true));
  const editor = preferenceEditor(extension);
  const { document } = editor;
  const { DescribePair } = await import("../../server/protocol/pairs.ts");
  const detail = await extension.server.request(DescribePair, {
    ...questionOf(extension, document),
    offset: place?.start ?? document.offsetAt(editor.selection.active),
    words: MOST_WORDS,
  });
  if (detail === null) throw new Error("There is no pair of answers on this line that can be read.");
  const items = detail.words.map((word) => {
    const range = wordRangeOf(document, word);
    return {
      label: `${signed(word.share)}  ${word.text.trim()}`,
      description: `${word.side} answer, ${word.share > 0 ? "for" : "against"} the given preference`,
      range,
    };
  });
  const pick = vscode.window.createQuickPick<(typeof items)[number]>();
  pick.title = `LFP Lens: words behind the margin of ${signed(marginOf(detail.record))} nats; all others ${signed(detail.rest)}`;
  pick.placeholder = "Go to a word; the largest shares first";
  pick.matchOnDescription = true;
  pick.items = items;
  pickPlaces(editor, pick);
}

interface WalkFrom {
  readonly from: number;
  readonly direction: 1 | -1;
  readonly untilDiffers: boolean;
}

/** Asks the server again and again, with progress from the second time on, until the end or a person stops it. */
async function walk(extension: Extension, document: vscode.TextDocument, asked: WalkFrom): Promise<Walked> {
  const first = await ask(extension, document, asked);
  if (first.next === null) return { ...first, isWhole: true };
  const options = {
    location: vscode.ProgressLocation.Notification,
    title: "LFP Lens: reading pairs",
    cancellable: true,
  };
  return await vscode.window.withProgress(options, async (progress, token) => {
    let [{ differing, counts }, next]: [Pick<Walked, "differing" | "counts">, number | null] = [first, first.next];
    while (next !== null && !token.isCancellationRequested) {
      const from: number = next;
      const answer: Answer = await ask(extension, document, { ...asked, from });
      differing = [...differing, ...answer.differing];
      counts = withCounts(counts, answer.counts);
      next = answer.next;
      const increment = (100 * Math.abs((next ?? from) - from)) / Math.max(1, answer.lines);
      progress.report({ increment, message: `${countsWords(counts)}; line ${from + 1} of ${answer.lines}` });
    }
    return { differing, counts, isWhole: next === null };
  });
}

type Answer = z.output<typeof WalkPairs.result>;

async function ask(extension: Extension, document: vscode.TextDocument, asked: WalkFrom): Promise<Answer> {
  const { WalkPairs: request } = await import("../../server/protocol/pairs.ts");
  return await extension.server.request(request, { ...questionOf(extension, document), ...asked });
}

function questionOf({ overlay }: Extension, document: vscode.TextDocument) {
  return { uri: document.uri.toString(), version: document.version, ablation: overlay.view?.ablation ?? null };
}

const recordLanguages: readonly string[] = ["jsonl", "ndjson", "jsonlines", "json-lines"];

/** The active editor, with its colours on. */
function preferenceEditor({ overlay }: Extension): vscode.TextEditor {
  const editor = vscode.window.activeTextEditor;
  if (editor === undefined || !recordLanguages.includes(editor.document.languageId))
    throw new Error("Open a preference file (JSON Lines with chosen and rejected answers) first.");
  if (overlay.view === undefined) overlay.show("auto");
  return editor;
}

function marginOf({ result }: ReadPairRecord): number {
  return result.kind === "read" ? result.margin : 0;
}
