import { setTimeout as delay } from "node:timers/promises";
import { bodyWithin } from "../../common/bounded-body.ts";
import { LfpError, messageOf } from "../../common/errors.ts";
import { isCommit } from "./cache.ts";
import { DownloadCancelledError, HubRefusedError, HubUnreachableError } from "./errors.ts";
import { type Repository, repositoryNoun } from "./repository.ts";
import type { HubSettings } from "./settings.ts";

/** A file of a repository on the hub. */
export interface RemoteFile {
  /** In the repository, with slashes. */
  readonly path: string;
  readonly bytes: number;
  /** The name of its blob: the SHA-256 of its bytes if it is stored in LFS, git's SHA-1 of it otherwise; in hex. */
  readonly etag: string;
}

/** How patient a client is. */
export interface Patience {
  /** Repetitions of a request that fails through no fault of its own, and of a download that does not get on. */
  readonly retries: number;
  /** The wait before the first repetition; it doubles each time. */
  readonly retryDelayMs: number;
  /** How long the hub may say nothing. */
  readonly silenceMs: number;
}

export const DEFAULT_PATIENCE: Patience = { retries: 4, retryDelayMs: 1000, silenceMs: 60_000 };

/** What the hub says of a repository, a page of a list at a time: far more than any has. */
const MOST_ANSWER_BYTES = 2 ** 25;
const MOST_PAGES = 200;
const MOST_FILES = 100_000;

/** SHA-1 or SHA-256 in hex. */
const BLOB_NAME = /^([0-9a-f]{40}|[0-9a-f]{64})$/;

/** The few questions that we ask the hub about a repository, with its own client where that has them. Every answer is checked. */
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

  /** The commit that a branch, tag or commit of the repository is now. */
  async commitOf(revision: string): Promise<string> {
    const { datasetInfo, modelInfo } = await import("@huggingface/hub");
    const { kind, id } = this.#repository;
    const about = { name: id, revision, additionalFields: ["sha"] satisfies ["sha"], ...this.#connection };
    const info = await this.#ask(`${id}@${revision}`, () => (kind === "model" ? modelInfo(about) : datasetInfo(about)));
    if (!isCommit(String(info.sha))) throw this.#nonsense(id, new Error("it names no commit"));
    return String(info.sha);
  }

  /** What a data set's card (the head of its README.md) says, as plain data. */
  async card(commit: string): Promise<unknown> {
    const { datasetInfo } = await import("@huggingface/hub");
    const { id } = this.#repository;
    const about = { name: id, revision: commit, additionalFields: ["cardData"] satisfies ["cardData"] };
    const info = await this.#ask(id, () => datasetInfo({ ...about, ...this.#connection }));
    return info.cardData;
  }

  /** The files of the repository: those at its top, or with those in folders. */
  async files(commit: string, options: { readonly recursive: boolean }): Promise<readonly RemoteFile[]> {
    const { listFiles } = await import("@huggingface/hub");
    const { kind, id } = this.#repository;
    const request = { repo: { type: kind, name: id }, revision: commit, ...options, ...this.#connection };
    return await this.#ask(id, async () => {
      const files: RemoteFile[] = [];
      for await (const { type, path, size, oid, lfs } of listFiles(request)) {
        if (type !== "file") continue;
        const etag = String(lfs?.oid ?? oid);
        // Path and checksum become file names, so that a hub could otherwise point them anywhere.
        const sound = isSafePath(path) && Number.isSafeInteger(size) && size >= 0 && BLOB_NAME.test(etag);
        if (!sound) throw new Error("its list of files is malformed");
        files.push({ path, bytes: size, etag });
        if (files.length > MOST_FILES) throw new Error(`its list has more than ${MOST_FILES} files`);
      }
      return files;
    });
  }

  /** Where a file's bytes are asked for. */
  fileUrl(commit: string, path: string): string {
    const { kind, id } = this.#repository;
    const place = kind === "model" ? id : `datasets/${id}`;
    return `${this.#settings.endpoint}/${place}/resolve/${commit}/${path.split("/").map(encodeURIComponent).join("/")}`;
  }

  /** A file's bytes from `fromByte` on, if the answer's status is 206, and from its start if it is 200; 416: there are none. */
  async download(url: string, fromByte: number): Promise<Response> {
    // Compression would make byte positions of the answer other than those of the file.
    const headers: Record<string, string> = { "Accept-Encoding": "identity" };
    if (fromByte > 0) headers["Range"] = `bytes=${fromByte}-`;
    return await this.#request(url, { headers }, (status) => status === 416);
  }

  /** For one question, which may need several requests: a list comes in pages. */
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

  /** A request that is repeated while the hub is busy or out of reach; any other refusal is an error at once. */
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

  /** Waits before a repetition, unless the caller's signal ends it. */
  async wait(waitMs: number, url: string): Promise<void> {
    await delay(waitMs, undefined, this.signal ? { signal: this.signal } : {}).catch(() => {
      throw new DownloadCancelledError(url);
    });
  }

  /** Follows redirects here, so that the token is sent to the endpoint's own origin only, whatever an answer says. */
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

  /** One request, given up when no answer begins within the patience. */
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
    // The hub answers 401 for what does not exist, so as not to say which private repositories do.
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
