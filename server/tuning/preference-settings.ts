import type { DpoLossConfig } from "./pair-loss-config.ts";
import { type PairTokensConfig, trlTokens } from "./pair-tokens-config.ts";

/** How pairs are read and scored. */
export interface PreferenceSettings {
  /** Factor of log-ratios in implicit rewards. */
  readonly beta: number;
  readonly loss: DpoLossConfig;
  readonly tokens: PairTokensConfig;
}

/** For a tuned model whose tuning is not known: log-ratios themselves, in nats. */
export const plainPreference: PreferenceSettings = {
  beta: 1,
  loss: { kind: "sigmoid", labelSmoothing: 0 },
  tokens: trlTokens,
};
