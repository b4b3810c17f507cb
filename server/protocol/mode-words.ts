/** The modes of a reading in words, for people and for language models. */
import type { LensMode } from "./lens.ts";

interface ModeWords {
  readonly label: string;
  readonly detail: string;
  /** The unit of its numbers, if they have one. */
  readonly unit?: "nats";
  /** The meaning of its sign, where the label does not make it plain. */
  readonly sign?: string;
}

/** The modes' words, in the order in which the modes are offered. */
export const modeWords: { readonly [K in LensMode["kind"]]: ModeWords } = {
  learned: {
    label: "Learned reward",
    detail: "How much likelier tuning made the word or token: the log-ratio of tuned and base model, in nats",
    unit: "nats",
    sign: "above zero: tuning made it likelier",
  },
  fitted: {
    label: "Learned reward by features",
    detail: "What the features of the autoencoders explain of the learned reward, in nats",
    unit: "nats",
    sign: "above zero: tuning made such words likelier",
  },
  implicit: { label: "Implicit reward", detail: "What the probe reads in the tuned model's activations" },
  true: { label: "True reward", detail: "What the feedback itself gives to the word" },
  disagreement: { label: "Disagreement", detail: "Implicit minus true reward, where the two differ in sign" },
  tunedMinusBase: {
    label: "Tuned minus base",
    detail: "What tuning changed: the reading in the tuned model minus that in the base model",
  },
  kl: {
    label: "Divergence",
    detail: "How far what the tuned model would say next is from what the base model would: KL, in nats",
    unit: "nats",
  },
  feature: { label: "One feature", detail: "How strongly one feature of the autoencoders is active" },
  ablatedMinusNot: {
    label: "Ablated minus not",
    detail: "What the active ablation set changes in the implicit reward",
  },
};
