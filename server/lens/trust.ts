/** Trust in one word's reading, from the probe's evaluation. One rule for each kind of probe. */
import type { TokenDetail } from "../protocol/lens.ts";
import type { LensEvidence } from "./subject.ts";

type Trust = TokenDetail["trust"];
type Kind = LensEvidence["kind"];
type Evidence = { readonly [K in Kind]: Extract<LensEvidence, { kind: K }> };

interface ReadWord {
  /** In lower case. */
  readonly word: string;
  readonly implicit: number;
}

const rules: { readonly [K in Kind]: (evidence: Evidence[K], read: ReadWord) => Trust } = {
  regression: ({ seenInTuning, signAccuracy, tau }, { word, implicit }) => ({
    kind: "regression",
    seenInTuning: seenInTuning(word) ?? null,
    signAccuracy: implicit === 0 ? null : signAccuracy[implicit > 0 ? "positive" : "negative"],
    tau,
  }),
  classification: ({ accuracy, lengthAccuracy, contrasts }) => ({
    kind: "classification",
    accuracy,
    lengthAccuracy,
    contrasts,
  }),
};

/** How far to trust the reading of a word. */
export function trustIn<K extends Kind>(evidence: { readonly kind: K } & Evidence[K], read: ReadWord): Trust {
  return rules[evidence.kind](evidence, read);
}
