/** What is wrong with settings of feedback and shows only in what they name: models, programs, environment. */

/** One error, at a path inside the feedback's settings. */
export interface RewardIssue {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/**
 * The folder of a model that settings name; undefined if it is not there and may still be downloaded. Throws the
 * errors of `LfpError` that say why there is none.
 */
export type FolderOf = (model: string) => Promise<string | undefined>;
