/** What a kind of feedback is to those that use it. */
import type { Device } from "../engine/device.ts";
import type { JudgedText, Reward } from "./reward.ts";
import type { FolderOf, RewardIssue } from "./reward-issues.ts";
import type { WordRatings } from "./word-ratings.ts";

/** A kind of feedback whose settings are `Settings`. */
export interface RewardKind<Settings> {
  /** Opens the feedback, which judges the given part of a completion; a model is loaded onto the device. */
  open(settings: Settings, text: JudgedText, device: Device): Promise<Reward>;
  /** Its ratings of single words, without edits; undefined if it judges whole texts only. */
  ratings(settings: Settings): WordRatings | undefined;
  /** Models that give the rewards: folders, or hub ids. */
  models(settings: Settings): readonly string[];
  /** Paths of files whose contents decide the rewards; those that do not exist are ignored. */
  files(settings: Settings): readonly string[];
  /** What shows only in what the settings name, before anything is computed; a run does not start with any. */
  issues(settings: Settings, folderOf: FolderOf): Promise<readonly RewardIssue[]>;
  /** What asking for the rewards of so many completions may cost in money, in words; undefined: nothing. */
  cost(settings: Settings, completions: number): string | undefined;
  /** The source of the feedback, for the head of a report. */
  inWords(settings: Settings): string;
}
