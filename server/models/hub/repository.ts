/** What a repository on the hub holds, as the hub calls it. */
export type RepositoryKind = "model" | "dataset";

/** A repository on the hub; `id` is `owner/name`. */
export interface Repository {
  readonly kind: RepositoryKind;
  readonly id: string;
}

/** How messages call it. */
export function repositoryNoun(kind: RepositoryKind): string {
  return kind === "model" ? "model" : "data set";
}
