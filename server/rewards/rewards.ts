/** The kinds of feedback: what a run is told of each, and how it is opened. */
import type { JudgedText, Reward } from "./reward.ts";
import { type VaderSettings, vaderRatings, vaderReward } from "./vader.ts";
import type { WordRatings } from "./word-ratings.ts";

/** Settings of feedback, by kind. */
export interface RewardKinds {
  readonly vader: VaderSettings;
}

export type RewardSettings = RewardKinds[keyof RewardKinds];

/** How feedback of each kind is opened, and what of a completion it judges. */
export type RewardTable<Kinds> = {
  readonly [K in keyof Kinds]: (settings: Kinds[K], text: JudgedText) => Promise<Reward>;
};

/** What feedback of each kind says of single words; undefined for one that judges whole texts only. */
export type RatingsTable<Kinds> = { readonly [K in keyof Kinds]: (settings: Kinds[K]) => WordRatings | undefined };

export const rewards: RewardTable<RewardKinds> = {
  vader: async (settings, text) => vaderReward(settings, text),
};

export const wordRatings: RatingsTable<RewardKinds> = {
  vader: vaderRatings,
};
