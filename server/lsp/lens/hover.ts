import type { Hover } from "vscode-languageserver/node";
import { DifferenceLens } from "../../lens/difference-lens.ts";
import type { Shown } from "../../lens/read-passage.ts";
import { type AblationSet, ablationInWords } from "../../protocol/ablation.ts";
import { whyNotOffered } from "../../protocol/power.ts";
import type { Dispatcher, RequestContext } from "../dispatch.ts";
import type { Documents, Snapshot } from "../documents.ts";
import type { FeatureHovers } from "../features/feature-hovers.ts";
import { mentionAt } from "../features/mentions.ts";
import type { Session } from "../session.ts";
import { AtPosition } from "../standard-params.ts";
import { describeDifference } from "./difference-hover.ts";
import { tokenHover } from "./hover-text.ts";
import { infoOf } from "./looked-through.ts";
import { describePairToken } from "./pair-hover.ts";
import { shareWords } from "./pair-share.ts";
import type { PairVerdicts } from "./pair-verdicts.ts";
import type { PassageReader, RunReading } from "./passage-reader.ts";
import { judgeOf, type Problems } from "./problems.ts";
import { isMissingPart, type TokenDetails } from "./token-detail.ts";
import { unitAt } from "./unit-reading.ts";

export interface HoverOptions {
  readonly session: Session;
  readonly documents: Documents;
  readonly reader: PassageReader;
  readonly details: TokenDetails;
  readonly problems: Problems;
  readonly verdicts: PairVerdicts;
  readonly features: FeatureHovers;
}

/** Serves hovers: over a feature's name in any document, over tokens where the document's readings are shown. */
export function serveHover(dispatcher: Dispatcher, { documents, features, ...options }: HoverOptions): void {
  dispatcher.standardRequest("textDocument/hover", AtPosition, async ({ textDocument, position }, context) => {
    const snapshot = documents.find(textDocument.uri);
    if (snapshot === undefined) return null;
    const offset = snapshot.lines.offsetAt(position);
    const mention = mentionAt(snapshot.text, offset);
    const found = mention === undefined ? undefined : await features.hover(mention.id);
    if (mention !== undefined && found !== undefined) return hoverOf(snapshot, mention.start, mention.end, found);
    return hoverToken(snapshot, offset, context, options);
  });
}

async function hoverToken(
  snapshot: Snapshot,
  offset: number,
  { signal }: RequestContext,
  { session, reader, details, problems, verdicts }: Omit<HoverOptions, "documents" | "features">,
): Promise<Hover | null> {
  const reading = problems.isShown(snapshot.uri) ? reader.beginIfOpen(snapshot, signal) : undefined;
  if (reading === undefined) return null;
  const { settings } = session;
  const asked = problems.shownIn(snapshot.uri);
  const isOffered = asked !== undefined && whyNotOffered(asked.mode.kind, infoOf(reading)) === undefined;
  if (reading.kind === "pair") {
    const shown: Shown = isOffered ? asked : { mode: { kind: "learned" }, unit: "word" };
    const { lens } = reading;
    const found =
      lens instanceof DifferenceLens
        ? await describeDifference(reader, reading, lens, { offset, unit: shown.unit })
        : await describePairToken({ reader, verdicts }, reading, offset, shown);
    return found === undefined ? null : hoverOf(snapshot, found.start, found.end, found.value);
  }
  const ablation = problems.ablationOn(reading);
  const by = { ...judgeOf(reading, settings.reading, ablation), threshold: settings.problems.threshold };
  const shown: Shown = isOffered ? asked : { mode: { kind: by.mode }, unit: "word" };
  const { unit } = shown;
  // An answer's hover has a line more.
  const features = reading.passages.at(offset)?.answer === undefined ? MOST_FEATURES : MOST_FEATURES - 1;
  const withBase = by.mode === "tunedMinusBase";
  const detail = await details.describe(reading, { offset, unit, ablation, features, withBase });
  if (detail === null || detail.text.trim() === "") return null;
  const numberOf = (wanted: Shown): Promise<number | null> => valueAt(reader, reading, offset, wanted, ablation);
  const value = await numberOf(shown);
  const judged = await numberOf({ mode: { kind: by.mode }, unit: "word" });
  const ablated = ablationInWords(ablation);
  const logRatio = detail.learned?.logRatio ?? null;
  const share = await shareWords(verdicts, reading, { offset, logRatio, ablation });
  const text = tokenHover({ detail, shown: { ...shown, value }, judged, by, ablated, share });
  return hoverOf(snapshot, detail.start, detail.end, text);
}

/**
 * The value that colours, lists and problems show at a place; null if the mode has none, or needs a base model that
 * cannot be loaded.
 */
async function valueAt(
  reader: PassageReader,
  reading: RunReading,
  offset: number,
  shown: Shown,
  ablation: AblationSet | null,
): Promise<number | null> {
  try {
    return (await unitAt(reader, reading, offset, shown, ablation))?.value ?? null;
  } catch (error) {
    if (isMissingPart(error)) return null;
    throw error;
  }
}

/** Maximum number of features in a hover, few enough to read at a glance. */
const MOST_FEATURES = 3;

function hoverOf({ lines }: Snapshot, start: number, end: number, value: string): Hover {
  return {
    contents: { kind: "markdown", value },
    range: { start: lines.positionAt(start), end: lines.positionAt(end) },
  };
}
