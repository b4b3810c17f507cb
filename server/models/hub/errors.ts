import { type ErrorCode, LfpError, messageOf } from "../../common/errors.ts";
import { type Repository, repositoryNoun } from "./repository.ts";

/** A reference that names no model: neither a folder nor a hub id. */
export class ModelReferenceError extends LfpError {
  readonly code = "usage";

  constructor(reference: string, detail: string) {
    super(
      `${JSON.stringify(reference.slice(0, 200))} names no model: ${detail}. Give a folder that holds a checkpoint, ` +
        "or a hub id such as EleutherAI/pythia-70m or EleutherAI/pythia-70m@main.",
    );
  }
}

/** A reference that names no data set. */
export class DataSetReferenceError extends LfpError {
  readonly code = "usage";

  constructor(reference: string, detail: string) {
    super(
      `${JSON.stringify(reference.slice(0, 200))} names no data set: ${detail}. Give a hub id such as stanfordnlp/imdb or ` +
        "stanfordnlp/imdb@main.",
    );
  }
}

/** A data set has no files of the requested split or configuration, or no readable ones. */
export class DataSplitError extends LfpError {
  readonly code = "not-found";

  constructor(id: string, detail: string, advice: string) {
    super(`the data set ${id} ${detail}. ${advice}`);
  }
}

/** An environment variable about the hub cannot be used. The value is not shown, because it may hold a secret. */
export class HubSettingsError extends LfpError {
  readonly code = "usage";

  constructor(variable: string, expected: string) {
    super(`${variable} is set to something that is not ${expected}. Correct it or unset it.`);
  }
}

/** The model or data set is not in the cache, and downloading was not allowed or not possible. */
export class NotCachedError extends LfpError {
  readonly code = "not-found";

  constructor({ kind, id }: Repository, revision: string, cacheFolder: string, remedy: string) {
    super(
      `the ${repositoryNoun(kind)} ${id}@${revision} is not (or not wholly) in the cache ${cacheFolder}, and nothing is ` +
        `downloaded unasked. ${remedy}`,
    );
  }
}

/** The hub refuses: the repository or revision does not exist, or access is denied. */
export class HubRefusedError extends LfpError {
  readonly code: ErrorCode;
  readonly status: number;

  constructor(status: number, what: string, advice: string) {
    super(`the hub answered ${status} for ${what}. ${advice}`);
    this.code = status === 404 ? "not-found" : "usage";
    this.status = status;
  }
}

/** The hub is unreachable, broke off repeatedly, or sent a malformed answer. Bytes downloaded so far are kept. */
export class HubUnreachableError extends LfpError {
  readonly code = "resource";

  constructor(url: string, cause: unknown) {
    const reason = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
    super(
      `${url} could not be had: ${messageOf(reason)}. Check the network (and HF_ENDPOINT, if it is set) and run it again; ` +
        "what was downloaded so far is kept.",
      { cause },
    );
  }
}

/** A downloaded file does not match the hub's checksum. It is deleted. */
export class DownloadDamagedError extends LfpError {
  readonly code = "resource";

  constructor(url: string, expected: string, got: string) {
    super(`${url} arrived damaged: expected ${expected}, got ${got}. It was deleted; run it again.`);
  }
}

/** The files do not fit on the disk. */
export class DiskTooSmallError extends LfpError {
  readonly code = "resource";

  constructor(folder: string, neededBytes: number, freeBytes: number) {
    const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(2)} GB`;
    super(
      `${folder} has ${gigabytes(freeBytes)} free, and the download needs ${gigabytes(neededBytes)}. ` +
        "Free some space, or set HF_HOME to a folder on a larger disk.",
    );
  }
}

/** The caller's signal stopped a download. Bytes downloaded so far are kept. */
export class DownloadCancelledError extends LfpError {
  readonly code = "cancelled";

  constructor(what: string) {
    super(`the download of ${what} was cancelled; what was downloaded so far is kept.`);
  }
}
