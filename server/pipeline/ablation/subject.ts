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

/** Everything of a run that an ablation is measured with. */
export interface AblationSubject extends CompletionConfig {
  readonly device: Device;
  /** The tuned model. */
  readonly model: Model;
  /** The base model, in whose outputs the same features are changed; its store has names of its own. */
  readonly base: Model;
  readonly tokenizer: Tokenizer;
  /** Of the tuned model, those whose features may be changed; `name` is `L4@small`. */
  readonly dictionaries: readonly AblatedDictionary[];
  /** Those that the probe reads. */
  readonly probed: readonly AblatedDictionary[];
  readonly reward: Reward;
  /** On whose scale the probe reads. */
  readonly ratings: WordRatings;
  /** Of texts that the tuning has not seen. */
  readonly prompts: readonly Prompt[];
  /** Token ids of such texts, for the loss. */
  readonly texts: readonly Int32Array[];
  readonly contextTokens: number;
  readonly probe: LinearProbe;
  readonly multiToken: "average" | "firstPiece";
  /** That the probe was not fitted on. */
  readonly triples: readonly Triple[];
  readonly prefixIds: readonly number[];
}
