/** Words on a pair's margin, and on what a token contributes to it. */
import { shareOf } from "../../lens/preference-reading.ts";
import type { AblationSet } from "../../protocol/ablation.ts";
import { betaOf, betaWords } from "../../protocol/beta.ts";
import type { LensInfo } from "../../protocol/lens-state.ts";
import type { PairResult } from "../../protocol/pairs.ts";
import { signed } from "../text/markdown.ts";
import { infoOf } from "./looked-through.ts";
import { PairVerdicts } from "./pair-verdicts.ts";
import type { DocumentReading } from "./passage-reader.ts";

/** A word or token of a document, with its log-ratio. */
export interface SharedPlace {
  readonly offset: number;
  readonly logRatio: number | null;
  readonly ablation: AblationSet | null;
}

/** What a place contributes to the margin of its pair; empty where it is no part of an answer. */
export async function shareWords(
  verdicts: PairVerdicts,
  reading: DocumentReading,
  { offset, logRatio, ablation }: SharedPlace,
): Promise<string> {
  const { records } = reading.passages;
  const answer = reading.passages.at(offset)?.answer;
  const line = records?.line(records.lineAt(offset));
  if (answer === undefined || line === undefined || !PairVerdicts.isOffered(reading)) return "";
  const result = (await verdicts.read(reading, line, ablation))?.result;
  if (result?.kind !== "read") return "";
  const info = infoOf(reading);
  const share = logRatio === null ? "no part" : `**${signed(shareOf(logRatio, answer.side, betaOf(info).beta))}**`;
  return `In the ${answer.side} answer: ${share} of the pair's margin of **${signed(result.margin)} nats** (${betaWords(info)}).`;
}

/** `margin −0.31 nats = 0.1 × (+1.20 − +4.30)`, the sums of both answers. */
export function marginWords(
  { margin, chosen, rejected }: Extract<PairResult, { kind: "read" }>,
  info: LensInfo,
): string {
  const { beta } = betaOf(info);
  return `margin ${signed(margin)} nats = ${beta} × (${signed(chosen)} − ${signed(rejected)})`;
}
