/** Kind of a repository on the hub, in the hub's own words. */
export type RepositoryKind = "model" | "dataset";

/** A repository on the hub; `id` is `owner/name`. */
export interface Repository {
  readonly kind: RepositoryKind;
  readonly id: string;
}

/** The noun for messages. */
export function repositoryNoun(kind: RepositoryKind): string {
  return kind === "model" ? "model" : "data set";
}
