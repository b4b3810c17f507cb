/** Several kinds of feedback weighed together: the sum of weight times reward. */
import type { Completion, Reward, RewardPart } from "./reward.ts";
import type { RewardKind } from "./reward-kind.ts";
import { vaderRatings } from "./vader.ts";
import type { WeightedConfig } from "./weighted-config.ts";

export type WeightedSettings = Omit<WeightedConfig, "text">;

type GivenPart = WeightedConfig["parts"][number];
/** A part's settings as its kind takes them: words are rated as the whole says. */
type PartSettings = GivenPart["reward"] & Pick<WeightedConfig, "lexicon">;

/** The kind of feedback that weighs others; `kindOf` gives the kind of a part. */
export function weightedKind(kindOf: (part: PartSettings) => RewardKind<PartSettings>): RewardKind<WeightedSettings> {
  const partsOf = ({ parts, lexicon }: WeightedSettings) =>
    parts.map(({ name, weight, reward }) => {
      const settings = { lexicon, ...reward };
      return { name, weight, settings, kind: kindOf(settings) };
    });
  return {
    open: async (settings, text, device) => {
      await using opened = new AsyncDisposableStack();
      const parts: RewardPart[] = [];
      for (const { name, weight, settings: own, kind } of partsOf(settings))
        parts.push({ name, weight, reward: opened.use(await kind.open(own, text, device)) });
      return new WeightedReward(parts, opened.move());
    },
    ratings: vaderRatings,
    models: (settings) => partsOf(settings).flatMap(({ kind, settings: own }) => kind.models(own)),
    files: (settings) => partsOf(settings).flatMap(({ kind, settings: own }) => kind.files(own)),
    issues: async (settings, folderOf) => {
      const found = await Promise.all(partsOf(settings).map(({ kind, settings: own }) => kind.issues(own, folderOf)));
      return found.flatMap((issues, at) =>
        issues.map(({ path, message }) => ({ path: ["parts", at, "reward", ...path], message })),
      );
    },
    cost: (settings, completions) => {
      const costs = partsOf(settings).flatMap(({ kind, settings: own }) => kind.cost(own, completions) ?? []);
      return costs.length === 0 ? undefined : costs.join("; ");
    },
    inWords: (settings) =>
      partsOf(settings)
        .map(({ name, weight, kind, settings: own }) => `${weight} times ${name} (${kind.inWords(own)})`)
        .join(" plus "),
  };
}

class WeightedReward implements Reward {
  readonly name: string;
  readonly parts: readonly RewardPart[];
  readonly #opened: AsyncDisposableStack;

  constructor(parts: readonly RewardPart[], opened: AsyncDisposableStack) {
    this.parts = parts;
    this.name = `weighted/${parts.map(({ name, weight }) => `${weight} ${name}`).join("+")}`;
    this.#opened = opened;
  }

  async score(batch: readonly Completion[], signal?: AbortSignal): Promise<Float64Array> {
    const sums = new Float64Array(batch.length);
    for (const { weight, reward } of this.parts) {
      const scores = await reward.score(batch, signal);
      for (const [at, score] of scores.entries()) sums[at] = (sums[at] ?? 0) + weight * score;
    }
    return sums;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync();
  }
}
