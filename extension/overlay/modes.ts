/** The modes of the overlay in words. */
import type { LensMode } from "../../server/protocol/lens.ts";
import type { LensInfo } from "../../server/protocol/lens-state.ts";

interface ModeWords {
  readonly label: string;
  readonly detail: string;
  /** What the run must offer for it. */
  readonly needs?: "hasTrueReward" | "hasBase" | "ablation";
}

export const modeWords: { readonly [K in LensMode["kind"]]: ModeWords } = {
  implicit: { label: "Implicit reward", detail: "What the probe reads in the tuned model's activations" },
  true: { label: "True reward", detail: "What the feedback itself gives to the word", needs: "hasTrueReward" },
  disagreement: {
    label: "Disagreement",
    detail: "Implicit minus true reward, where the two differ in sign",
    needs: "hasTrueReward",
  },
  tunedMinusBase: {
    label: "Tuned minus base",
    detail: "What tuning changed: the reading in the tuned model minus that in the base model",
    needs: "hasBase",
  },
  feature: { label: "One feature", detail: "How strongly one feature of the autoencoders is active" },
  ablatedMinusNot: {
    label: "Ablated minus not",
    detail: "What the active ablation set changes in the implicit reward",
    needs: "ablation",
  },
  learned: {
    label: "Learned reward",
    detail: "Tuned against base model: how much likelier tuning made the token, in nats (log-ratio); needs no probe",
    needs: "hasBase",
  },
  kl: {
    label: "Divergence",
    detail: "Tuned against base model: how far apart they are about what comes next, in nats (KL)",
    needs: "hasBase",
  },
};

export function modeLabel(mode: LensMode): string {
  return mode.kind === "feature" ? `Feature ${mode.id}` : modeWords[mode.kind].label;
}

/** Why a mode cannot be shown; undefined when it can. */
export function whyNot(kind: LensMode["kind"], info: LensInfo | undefined, hasAblation: boolean): string | undefined {
  const { needs } = modeWords[kind];
  if (needs === "ablation") return hasAblation ? undefined : "no ablation set is active";
  if (info?.kind === "pair") return "two checkpoints have no probe, no features and no feedback";
  if (needs === undefined || info === undefined || info[needs]) return undefined;
  return needs === "hasBase" ? "the run has no base model" : "the run's task rates no words";
}
