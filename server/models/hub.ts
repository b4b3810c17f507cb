import { stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { isFile } from "./hub/cache.ts";
import { ModelReferenceError } from "./hub/errors.ts";
import { fetchModel, isWholeModel } from "./hub/model-files.ts";
import { parseHubReference } from "./hub/reference.ts";
import { type ResolveOptions, resolveSnapshot } from "./hub/snapshot.ts";
import { ModelFileError } from "./safetensors.ts";

export { hubReferenceOf } from "./hub/cache.ts";
export { parseHubReference } from "./hub/reference.ts";
export type { DownloadProgress, ResolveOptions } from "./hub/snapshot.ts";

/** A model in a folder on this machine. */
export interface ResolvedModel {
  /** Absolute; holds config.json, the tokenizer and the weights. */
  readonly folder: string;
  /** Whether the folder was given, found in the cache, or filled by a download just now. */
  readonly source: "folder" | "cache" | "download";
  /** The hub id, such as `EleutherAI/pythia-70m`; absent for a folder. */
  readonly id?: string;
  /** The exact commit on the hub; absent for a folder. */
  readonly commit?: string;
}

/**
 * Finds the model that a reference names: a folder, or a hub id `owner/name[@revision]`, where a revision is a branch, a
 * tag or a commit (`main` if none is given). An existing folder of that name takes precedence over the hub.
 *
 * Hub models live in the cache shared with all Hugging Face tools. Without `download` it makes no request. With it, it
 * asks the hub for the revision's newest commit and fetches what is missing: config, tokenizer and safetensors (or, with
 * `onnxUnless`, the ONNX file where there are none that would be read), never pickles. Downloads resume where an earlier try stopped and are checked against the hub's checksum. With the network
 * off, it uses what the cache holds.
 *
 * Throws `ModelReferenceError`, `ModelFileError`, `NotCachedError`, `PickleRefusedError`, `NoWeightsError`,
 * `CheckpointIndexError`, `DiskTooSmallError` and the errors of `hub/errors.ts`.
 */
export async function resolveModel(reference: string, options: ResolveOptions): Promise<ResolvedModel> {
  const path = reference.startsWith("~/") ? join(homedir(), reference.slice(2)) : reference;
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory()) return { folder: resolve(path), source: "folder" };
  if (found) throw new ModelReferenceError(reference, "it is a file");
  if (/^[./~]|\\|^[a-z]:/i.test(reference)) {
    throw new ModelFileError(resolve(path), Object.assign(new Error("no such folder"), { code: "ENOENT" }));
  }

  const { id, revision } = parseHubReference(reference);
  const { value, commit, source } = await resolveSnapshot<string>(
    {
      repository: { kind: "model", id },
      revision,
      find: async (cache, at) => {
        const folder = cache.snapshotFolder(at);
        return (await isWholeModel(folder, options)) ? folder : undefined;
      },
      // Other tools fetch weights without the tokenizer.
      isFinal: (folder) => isFile(join(folder, "tokenizer.json")),
      fetch: async (snapshot) => {
        await fetchModel(id, snapshot, options);
        return snapshot.cache.snapshotFolder(snapshot.commit);
      },
    },
    options,
  );
  return { folder: value, source, id, commit };
}
