import { DataSetReferenceError, ModelReferenceError } from "./errors.ts";
import type { RepositoryKind } from "./repository.ts";

/**
 * Splits `owner/name[@revision]`; a revision is a branch, a tag or a commit, `main` if none is given. Throws
 * `ModelReferenceError` or `DataSetReferenceError`.
 */
export function parseHubReference(
  reference: string,
  kind: RepositoryKind = "model",
): { readonly id: string; readonly revision: string } {
  const Problem = kind === "model" ? ModelReferenceError : DataSetReferenceError;
  const [id = "", revision = "main", ...more] = reference.split("@");
  const part = /^[A-Za-z0-9](?:[\w.-]{0,94}[A-Za-z0-9_])?$/;
  const parts = id.split("/");
  if (parts.length !== 2 || !parts.every((name) => part.test(name)) || /--|\.\./.test(id)) {
    const noFolder = kind === "model" ? "there is no such folder, and " : "";
    throw new Problem(reference, `${noFolder}it is no hub id (owner/name)`);
  }
  if (more.length > 0 || !/^\w[\w./-]{0,199}$/.test(revision) || /\.\.|\/\/|\/$/.test(revision)) {
    throw new Problem(reference, "what follows @ is no branch, tag or commit");
  }
  return { id, revision };
}
