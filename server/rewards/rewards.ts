/** The kinds of feedback: the settings of each, and how to open it. */
import type { JudgedText, Reward } from "./reward.ts";
import { type VaderSettings, vaderRatings, vaderReward } from "./vader.ts";
import type { WordRatings } from "./word-ratings.ts";

/** Settings of feedback, by kind. */
export interface RewardKinds {
  readonly vader: VaderSettings;
}

export type RewardSettings = RewardKinds[keyof RewardKinds];

/** Opens feedback of each kind, which judges the given part of a completion. */
export type RewardTable<Kinds> = {
  readonly [K in keyof Kinds]: (settings: Kinds[K], text: JudgedText) => Promise<Reward>;
};

/** Ratings of single words by feedback of each kind; undefined if it judges whole texts only. */
export type RatingsTable<Kinds> = { readonly [K in keyof Kinds]: (settings: Kinds[K]) => WordRatings | undefined };

export const rewards: RewardTable<RewardKinds> = {
  vader: async (settings, text) => vaderReward(settings, text),
};

export const wordRatings: RatingsTable<RewardKinds> = {
  vader: vaderRatings,
};
