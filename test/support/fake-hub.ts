import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";

/** A request that the fake hub, or the store that it redirects large files to, has received. */
export interface SeenRequest {
  readonly server: "hub" | "store";
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

/** One repository: what its branches point to, the files of each commit, and what a data set's card says. */
export interface FakeRepository {
  readonly card?: unknown;
  readonly branches: Record<string, string>;
  readonly commits: Record<string, Record<string, Buffer>>;
}

/**
 * A Hugging Face hub on 127.0.0.1, as far as downloads go: revision info, file lists in pages, files by commit with
 * ranges. Files of over 1000 bytes are in LFS and redirect to a second server, another origin, as on the real hub.
 */
export class FakeHub {
  /** By `owner/name`, data sets by `datasets/owner/name`. */
  readonly repositories = new Map<string, FakeRepository>();
  readonly seen: SeenRequest[] = [];
  /** Called before a request is answered; answers it itself by returning true. */
  intercept: (request: SeenRequest, response: ServerResponse) => boolean = () => false;
  /** Called with the bytes to be sent for a file; what it returns goes on the wire. */
  alter: (path: string, bytes: Buffer) => Buffer = (_path, bytes) => bytes;
  /** Breaks the connection after so many bytes of a file. */
  cutAfter: (path: string) => number = () => Number.POSITIVE_INFINITY;
  /** Whether a request for a part of a file gets that part. */
  honoursRanges: () => boolean = () => true;
  endpoint = "";
  storeOrigin = "";
  readonly #servers: Server[] = [];

  static async start(): Promise<FakeHub> {
    const hub = new FakeHub();
    hub.endpoint = await hub.#listen("hub", (path, request, response) => hub.#answer(path, request, response));
    hub.storeOrigin = await hub.#listen("store", (path, request, response) => {
      const [, id = "", commit = "", file = ""] = /^\/(.+)\/([0-9a-f]{40})\/(.+)$/.exec(path) ?? [];
      const bytes = hub.repositories.get(id)?.commits[commit]?.[file];
      if (bytes) hub.#sendFile(file, bytes, request, response);
      else response.writeHead(404).end();
    });
    return hub;
  }

  async stop(): Promise<void> {
    await Promise.all(
      this.#servers.splice(0).map((server) => {
        server.closeAllConnections();
        return new Promise<void>((done) => server.close(() => done()));
      }),
    );
  }

  /** What was asked of the servers since `seen` was last emptied, for files only. */
  filesSeen(): SeenRequest[] {
    return this.seen.filter(({ server, path }) => server === "store" || path.includes("/resolve/"));
  }

  async #listen(
    name: "hub" | "store",
    answer: (path: string, request: IncomingMessage, response: ServerResponse) => void,
  ): Promise<string> {
    const server = createServer((request, response) => {
      const path = decodeURIComponent(request.url ?? "");
      const { range, authorization } = request.headers;
      const seen = { server: name, path, range, authorization };
      this.seen.push(seen);
      if (!this.intercept(seen, response)) answer(path, request, response);
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    this.#servers.push(server);
    const address = server.address();
    return typeof address === "object" && address !== null ? `http://127.0.0.1:${address.port}` : "";
  }

  #answer(path: string, request: IncomingMessage, response: ServerResponse): void {
    const info = /^\/api\/(?:models\/)?(.+)\/revision\/([^?]+)/.exec(path);
    const tree = /^\/api\/(?:models\/)?(.+)\/tree\/(\w+)(?:\/([^?]+))?\?/.exec(path);
    const file = /^\/(.+)\/resolve\/(\w+)\/(.+)$/.exec(path);
    const [, id = "", revision = "", name = ""] = info ?? tree ?? file ?? [];
    const repository = this.repositories.get(id);
    const commit = repository?.branches[revision] ?? revision;
    const files = repository?.commits[commit];
    const bytes = files?.[name];
    if (repository === undefined) refuse(response, 401, "RepoNotFound");
    else if (files === undefined) refuse(response, 404, "RevisionNotFound");
    else if (info) sendJson(response, infoOf(id, commit, path, repository.card));
    else if (tree) this.#sendTree(path, files, tree[3], response);
    else if (bytes === undefined) refuse(response, 404, "EntryNotFound");
    else if (!isLarge(bytes)) this.#sendFile(name, bytes, request, response);
    else response.writeHead(302, { Location: `${this.storeOrigin}/${id}/${commit}/${name}` }).end();
  }

  #sendTree(path: string, files: Record<string, Buffer>, folder: string | undefined, response: ServerResponse): void {
    const within = folder === undefined ? "" : `${folder}/`;
    const there = Object.entries(files).filter(([name]) => name.startsWith(within));
    const isBelow = (name: string): boolean => name.slice(within.length).includes("/");
    const shown = there.filter(([name]) => path.includes("recursive=true") || !isBelow(name));
    const entries: unknown[] = shown.map(([name, bytes]) => ({
      type: "file",
      path: name,
      size: bytes.length,
      oid: gitHash(isLarge(bytes) ? Buffer.from("pointer") : bytes),
      ...(isLarge(bytes) && { lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 130 } }),
    }));
    const folders = new Set(["onnx", ...there.flatMap(([name]) => (isBelow(name) ? [name.replace(/\/.*/, "")] : []))]);
    for (const name of within === "" ? folders : [])
      entries.push({ type: "directory", path: name, size: 0, oid: gitHash(Buffer.from(name)) });
    // Two pages, so that paging is exercised by every test.
    const half = Math.ceil(entries.length / 2);
    const second = path.includes("cursor=");
    if (!second) response.setHeader("Link", `<${this.endpoint}${path}&cursor=2>; rel="next"`);
    sendJson(response, second ? entries.slice(half) : entries.slice(0, half));
  }

  #sendFile(name: string, original: Buffer, request: IncomingMessage, response: ServerResponse): void {
    const bytes = this.alter(name, original);
    const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? "");
    const start = this.honoursRanges() ? Number(range?.[1] ?? 0) : 0;
    if (start > 0 && start >= bytes.length) {
      response.writeHead(416, { "Content-Range": `bytes */${bytes.length}` }).end();
      return;
    }
    const part = bytes.subarray(start);
    response.writeHead(start > 0 ? 206 : 200, {
      "Content-Length": part.length,
      ...(start > 0 && { "Content-Range": `bytes ${start}-${bytes.length - 1}/${bytes.length}` }),
    });
    const cut = this.cutAfter(name);
    if (cut >= part.length) response.end(part);
    else response.write(part.subarray(0, cut), () => response.destroy());
  }
}

export function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** What `git hash-object` prints. */
export function gitHash(bytes: Buffer): string {
  return createHash("sha1")
    .update(Buffer.concat([Buffer.from(`blob ${bytes.length}\0`), bytes]))
    .digest("hex");
}

function isLarge(bytes: Buffer): boolean {
  return bytes.length > 1000;
}

function sendJson(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(value));
}

function refuse(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { "X-Error-Code": code, "Content-Type": "application/json" }).end(`{"error":"${code}"}`);
}

function infoOf(id: string, commit: string, path: string, card: unknown): object {
  const info = { _id: "1", id, sha: commit, lastModified: "2024-01-01T00:00:00.000Z" };
  return path.includes("expand=cardData") ? { ...info, cardData: card } : info;
}
