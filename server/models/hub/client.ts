import { setTimeout as delay } from "node:timers/promises";
import { bodyWithin } from "../../common/bounded-body.ts";
import { LfpError, messageOf } from "../../common/errors.ts";
import { isCommit } from "./cache.ts";
import { DownloadCancelledError, HubRefusedError, HubUnreachableError } from "./errors.ts";
import { type Repository, repositoryNoun } from "./repository.ts";
import type { HubSettings } from "./settings.ts";

/** A file of a repository on the hub. */
export interface RemoteFile {
  /** Path in the repository, with slashes. */
  readonly path: string;
  readonly bytes: number;
  /** The name of its blob: the SHA-256 of its bytes if it is stored in LFS, git's SHA-1 of it otherwise; in hex. */
  readonly etag: string;
}

/** A client's retries and timeouts. */
export interface Patience {
  /** Maximum retries of a request while the hub is busy or unreachable, and of a download that makes no progress. */
  readonly retries: number;
  /** Delay before the first retry; it doubles each time. */
  readonly retryDelayMs: number;
  /** Timeout while the hub sends nothing. */
  readonly silenceMs: number;
}

export const DEFAULT_PATIENCE: Patience = { retries: 4, retryDelayMs: 1000, silenceMs: 60_000 };

/** Maximum size of one answer of the hub (a page, for lists), far above real ones. */
const MOST_ANSWER_BYTES = 2 ** 25;
const MOST_PAGES = 200;
const MOST_FILES = 100_000;

/** SHA-1 or SHA-256 in hex. */
const BLOB_NAME = /^([0-9a-f]{40}|[0-9a-f]{64})$/;

/** Which files of a repository are listed. */
export interface ListOptions {
  /** Those of all folders. */
  readonly recursive: boolean;
  /** Folders at the top whose own files are listed too. */
  readonly inFolders?: readonly string[];
}

/**
 * The few hub requests that this program needs, through the hub's own client where possible. It checks every answer.
 */
export class HubClient {
  readonly patience: Patience;
  readonly signal: AbortSignal | undefined;
  readonly #repository: Repository;
  readonly #settings: HubSettings;
  readonly #fetch: typeof fetch;

  constructor(
    settings: HubSettings,
    repository: Repository,
    options: {
      fetch?: typeof fetch | undefined;
      signal?: AbortSignal | undefined;
      patience?: Patience | undefined;
    } = {},
  ) {
    this.#settings = settings;
    this.#repository = repository;
    this.#fetch = options.fetch ?? fetch;
    this.signal = options.signal;
    this.patience = options.patience ?? DEFAULT_PATIENCE;
  }

  /** The current commit of a branch, tag or commit of the repository. */
  async commitOf(revision: string): Promise<string> {
    const { datasetInfo, modelInfo } = await import("@huggingface/hub");
    const { kind, id } = this.#repository;
    const about = { name: id, revision, additionalFields: ["sha"] satisfies ["sha"], ...this.#connection };
    const info = await this.#ask(`${id}@${revision}`, () => (kind === "model" ? modelInfo(about) : datasetInfo(about)));
    if (!isCommit(String(info.sha))) throw this.#nonsense(id, new Error("it names no commit"));
    return String(info.sha);
  }

  /** A data set's card (the head of its README.md), as plain data. */
  async card(commit: string): Promise<unknown> {
    const { datasetInfo } = await import("@huggingface/hub");
    const { id } = this.#repository;
    const about = { name: id, revision: commit, additionalFields: ["cardData"] satisfies ["cardData"] };
    const info = await this.#ask(id, () => datasetInfo({ ...about, ...this.#connection }));
    return info.cardData;
  }

  /** The files of the repository: those at its top and in the named folders there, or those of all folders. */
  async files(commit: string, options: ListOptions): Promise<readonly RemoteFile[]> {
    const { listFiles } = await import("@huggingface/hub");
    const { kind, id } = this.#repository;
    const { recursive, inFolders = [] } = options;
    const request = { repo: { type: kind, name: id }, revision: commit, recursive, ...this.#connection };
    return await this.#ask(id, async () => {
      const files: RemoteFile[] = [];
      const list = async (within: { readonly path?: string }): Promise<void> => {
        for await (const { type, path, size, oid, lfs } of listFiles({ ...request, ...within })) {
          const isWanted = within.path === undefined && inFolders.includes(path);
          if (type === "directory" && isWanted) await list({ path });
          if (type !== "file") continue;
          const etag = String(lfs?.oid ?? oid);
          // Path and checksum become file names; unchecked, a hub could write anywhere.
          const sound = isSafePath(path) && Number.isSafeInteger(size) && size >= 0 && BLOB_NAME.test(etag);
          if (!sound) throw new Error("its list of files is malformed");
          files.push({ path, bytes: size, etag });
          if (files.length > MOST_FILES) throw new Error(`its list has more than ${MOST_FILES} files`);
        }
      };
      await list({});
      return files;
    });
  }

  /** URL of a file's bytes. */
  fileUrl(commit: string, path: string): string {
    const { kind, id } = this.#repository;
    const place = kind === "model" ? id : `datasets/${id}`;
    return `${this.#settings.endpoint}/${place}/resolve/${commit}/${path.split("/").map(encodeURIComponent).join("/")}`;
  }

  /** Requests a file from `fromByte` on. Status 206: from there; 200: from the start; 416: nothing is left. */
  async download(url: string, fromByte: number): Promise<Response> {
    // With compression, byte positions of the answer would differ from the file's.
    const headers: Record<string, string> = { "Accept-Encoding": "identity" };
    if (fromByte > 0) headers["Range"] = `bytes=${fromByte}-`;
    return await this.#request(url, { headers }, (status) => status === 416);
  }

  /** Options for one call of the hub's client, which may take several requests: lists come in pages. */
  get #connection() {
    let requests = 0;
    const request: typeof fetch = async (input, init) => {
      requests += 1;
      if (requests > MOST_PAGES) throw new Error(`it has more than ${MOST_PAGES} pages`);
      const url = input instanceof Request ? input.url : String(input);
      const { body, status, headers } = await this.#request(url, init ?? {}, () => false);
      const signals = this.signal ? [this.signal] : [];
      const inTime = AbortSignal.any([AbortSignal.timeout(this.patience.silenceMs), ...signals]);
      return new Response(await bodyWithin(body, MOST_ANSWER_BYTES, inTime), { status, headers });
    };
    return { hubUrl: this.#settings.endpoint, fetch: request };
  }

  async #ask<T>(what: string, question: () => Promise<T>): Promise<T> {
    try {
      return await question();
    } catch (error) {
      throw error instanceof LfpError ? error : this.#nonsense(what, error);
    }
  }

  #nonsense(what: string, cause: unknown): HubUnreachableError {
    const error = new Error(`the answer is not the hub's (${messageOf(cause)})`);
    return new HubUnreachableError(`${this.#settings.endpoint} (${what})`, error);
  }

  /** Sends a request; retries while the hub is busy or unreachable, and throws at once on any other refusal. */
  async #request(url: string, init: RequestInit, accept: (status: number) => boolean): Promise<Response> {
    for (let retry = 0; ; retry++) {
      let failure: unknown;
      let waitMs = this.patience.retryDelayMs * 2 ** retry;
      try {
        const response = await this.#followed(url, init);
        if (response.ok || accept(response.status)) return response;
        await response.body?.cancel();
        const busy = response.status === 408 || response.status === 429 || response.status >= 500;
        if (!busy) throw this.#refusal(response, url);
        failure = new Error(`the hub answered ${response.status}`);
        const asked = Number(response.headers.get("Retry-After"));
        if (asked > 0) waitMs = Math.min(asked, 60) * 1000;
      } catch (error) {
        if (error instanceof LfpError) throw error;
        if (this.signal?.aborted) throw new DownloadCancelledError(url);
        failure = error;
      }
      if (retry >= this.patience.retries) throw new HubUnreachableError(url, failure);
      await this.wait(waitMs, url);
    }
  }

  /** Waits before a retry, unless the caller's signal aborts. */
  async wait(waitMs: number, url: string): Promise<void> {
    await delay(waitMs, undefined, this.signal ? { signal: this.signal } : {}).catch(() => {
      throw new DownloadCancelledError(url);
    });
  }

  /** Follows redirects itself, so that the token is sent only to the endpoint's own origin. */
  async #followed(url: string, init: RequestInit): Promise<Response> {
    let target = new URL(url);
    const endpoint = new URL(this.#settings.endpoint);
    for (let hop = 0; hop < 10; hop++) {
      if (target.protocol !== "https:" && target.protocol !== endpoint.protocol) {
        throw new HubUnreachableError(url, new Error(`it redirects to ${target.protocol}, which is not safe`));
      }
      const headers = new Headers(init.headers);
      headers.delete("Authorization");
      const { token } = this.#settings;
      if (token !== undefined && target.origin === endpoint.origin) headers.set("Authorization", `Bearer ${token}`);
      const response = await this.#once(target, { ...init, headers, redirect: "manual" });
      const location = response.headers.get("Location");
      if (response.status < 300 || response.status >= 400 || location === null) return response;
      await response.body?.cancel();
      target = new URL(location, target);
    }
    throw new HubUnreachableError(url, new Error("it redirects without end"));
  }

  /** Sends one request, with the timeout `silenceMs` for the start of the answer. */
  async #once(url: URL, init: RequestInit): Promise<Response> {
    const silence = new AbortController();
    const timer = setTimeout(() => silence.abort(new Error("no answer in time")), this.patience.silenceMs);
    try {
      const signals = this.signal ? [silence.signal, this.signal] : [silence.signal];
      const request = this.#fetch;
      return await request(url, { ...init, signal: AbortSignal.any(signals) });
    } finally {
      clearTimeout(timer);
    }
  }

  #refusal({ status, headers }: Response, url: string): HubRefusedError {
    const { endpoint, token } = this.#settings;
    const login = "set HF_TOKEN to an access token, or run `hf auth login`";
    const code = headers.get("X-Error-Code");
    const noun = repositoryNoun(this.#repository.kind);
    if (code === "GatedRepo") {
      const consent = `The ${noun} asks for consent to its terms: give it on its page at ${endpoint}`;
      return new HubRefusedError(status, url, `${consent}${token === undefined ? `, and ${login}` : ""}.`);
    }
    if (status === 404) {
      const what =
        code === "RevisionNotFound"
          ? `The ${noun} has no such branch, tag or commit`
          : `There is no such ${noun} or file`;
      return new HubRefusedError(status, url, `${what}: check the spelling.`);
    }
    // The hub answers 401 for missing repositories too, so as not to reveal which private ones exist.
    const reason = token === undefined ? `or it is private: ${login}` : "or the token may not read it: check the token";
    return new HubRefusedError(status, url, `There is no such ${noun} (check the spelling), ${reason}.`);
  }
}

/** Whether a path leads from a folder to a place inside it, on every operating system. */
function isSafePath(path: unknown): path is string {
  return (
    typeof path === "string" && !/[\\\p{Cc}]/u.test(path) && !path.split("/").some((part) => /^\.{0,2}$/.test(part))
  );
}
