/**
 * What a lens looks through: a tuned model, its dictionaries and a probe, as the pipeline hands them over. Letters: D model width, F features
 * of one dictionary, T tokens of a window, N tokens of a passage.
 */
import type { CentredForm } from "../common/centred-form.loops.ts";
import type { Device, StateStore } from "../engine/device.ts";
import type { DeviceError } from "../engine/errors.ts";
import type { Node } from "../engine/graph.ts";
import type { Model } from "../models/model.ts";
import type { Tokenizer } from "../models/tokenizer.ts";
import type { FeaturePlace } from "../protocol/ablation.ts";
import type { RunInfo } from "../protocol/lens-state.ts";
import type { Reward } from "../rewards/reward.ts";
import type { RatingRange, WordRatings } from "../rewards/word-ratings.ts";
import type { LensLexicon } from "./lexicon.ts";
import type { LensWordFolds } from "./unseen.ts";

/** One layer's dictionary on the device, as graphs are built from it. */
export interface LensDictionary {
  readonly layer: number;
  /** F */
  readonly features: number;
  readonly store: StateStore;
  /** MLP outputs [T, D] -> features [T, F] */
  encode(mlpOutput: Node): Node;
  /** [F, D]: what a feature adds to the MLP output, a feature a row. */
  readonly decoder: Node;
}

/** Which of a run's dictionaries. */
export type DictionaryKind = Pick<FeaturePlace, "model" | "size">;

/** `weights · features + intercept`, on `outputScale` where there is one: see `LinearProbe`. */
export interface LensProbe {
  readonly layers: readonly { readonly layer: number; readonly start: number; readonly end: number }[];
  readonly weights: Float32Array;
  readonly intercept: number;
  /** The values `from` become those of `to`, the range of ratings; what lies beyond is clamped. */
  readonly outputScale: { readonly from: RatingRange; readonly to: RatingRange } | null;
}

/** A ridge regression of the same features, in the same columns, on the log-ratio of words: `weights · features + intercept`, in nats. */
export interface LensFitted {
  readonly weights: Float64Array;
  readonly intercept: number;
  readonly wordFolds: LensWordFolds | undefined;
}

/** Features of a word of several tokens, as the run's probe and fit were given them: their mean, or those of the first. */
export type MultiToken = "average" | "firstPiece";

/** How far features lie from those that the probe was fitted on. */
export interface LensFamiliarity {
  /** A token's leverage. */
  readonly leverage: CentredForm;
  /** The leverage up to which the probe's test speaks for its output. */
  readonly limit: number;
}

/** How far to trust a reading: what the evaluation of a probe of some kind found. */
export type LensEvidence = RegressionEvidence;

/** Of a regression on word ratings. */
export interface RegressionEvidence {
  readonly kind: "regression";
  /** How often a word, by its lower-case form, stands in the texts tuned on; undefined where it was not counted. */
  seenInTuning(word: string): number | undefined;
  /** On words that the probe was not fitted on, by their sign. */
  readonly signAccuracy: Readonly<Record<"positive" | "negative", SignAccuracy | null>>;
  readonly tau: { readonly value: number; readonly p: number } | null;
  /** Size of the readings that most words stay below, for scales. */
  readonly typicalSize: number;
  /** Size of the ratings that most words stay below; null where the feedback rates none. */
  readonly typicalRating: number | null;
}

export interface SignAccuracy {
  readonly share: number;
  readonly low: number;
  readonly high: number;
  readonly words: number;
}

/** Everything that a lens needs. What is rarely looked at is loaded when it is first asked for. */
export interface LensSubject {
  readonly info: RunInfo;
  readonly device: Device;
  readonly tokenizer: Tokenizer;
  /** Token ids before every text, as the probe was fitted. */
  readonly prefixIds: readonly number[];
  readonly tuned: Model;
  /** Throws `LensMissingError` where the run has none. */
  readonly base: () => Promise<Model>;
  readonly probe: LensProbe;
  /** The probes of its split by word; undefined for a run that was made without. */
  readonly wordFolds: LensWordFolds | undefined;
  /** Undefined for a run that was made without. */
  readonly fitted: LensFitted | undefined;
  readonly multiToken: MultiToken;
  /** By layer. Throws `LensMissingError`. */
  readonly dictionaries: (kind: DictionaryKind) => Promise<ReadonlyMap<number, LensDictionary>>;
  /** What the feedback gives to completions alone. */
  readonly reward: () => Promise<Reward>;
  /** What it gives to words; undefined where it rates none. */
  readonly ratings: WordRatings | undefined;
  readonly evidence: LensEvidence;
  /** Undefined for a run that was made without. */
  readonly lexicon: LensLexicon | undefined;
  /** Undefined where the run does not say. */
  readonly familiarity: LensFamiliarity | undefined;
  /** Opens the same on the CPU when the GPU has failed, with `info.device` saying so. Undefined where the CPU computes. */
  readonly onCpu: ((cause: DeviceError) => Promise<LensSubject>) | undefined;
  /** Frees what the subject holds, the device included where it is its own. */
  readonly close: () => Promise<void>;
}
