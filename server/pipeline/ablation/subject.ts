import type { AblatedDictionary } from "../../ablate/edit.ts";
import type { Device } from "../../engine/device.ts";
import type { Model } from "../../models/model.ts";
import type { Tokenizer } from "../../models/tokenizer.ts";
import type { LinearProbe } from "../../probe/linear-probe.ts";
import type { Reward } from "../../rewards/reward.ts";
import type { WordRatings } from "../../rewards/word-ratings.ts";
import type { Triple } from "../../tasks/task.ts";
import type { Prompt } from "../../tuning/prompts.ts";
import type { CompletionConfig } from "../../tuning/sampling-config.ts";

/** The parts of a run that an ablation is measured with. */
export interface AblationSubject extends CompletionConfig {
  readonly device: Device;
  /** The tuned model. */
  readonly model: Model;
  /**
   * The base model, in whose outputs the same features are changed; its store's names differ from the tuned model's.
   */
  readonly base: Model;
  readonly tokenizer: Tokenizer;
  /** The tuned model's dictionaries whose features may be changed; `name` is `L4@small`. */
  readonly dictionaries: readonly AblatedDictionary[];
  /** The dictionaries that the probe reads. */
  readonly probed: readonly AblatedDictionary[];
  readonly reward: Reward;
  /** The ratings, on whose scale the probe reads. */
  readonly ratings: WordRatings;
  /** Prompts from texts that the tuning has not seen. */
  readonly prompts: readonly Prompt[];
  /** Token ids of such texts, for the loss. */
  readonly texts: readonly Int32Array[];
  readonly contextTokens: number;
  readonly probe: LinearProbe;
  readonly multiToken: "average" | "firstPiece";
  /** Triples held out from the probe's fit. */
  readonly triples: readonly Triple[];
  readonly prefixIds: readonly number[];
}
