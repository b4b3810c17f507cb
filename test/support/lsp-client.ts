import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import {
  createProtocolConnection,
  type InitializeResult,
  type ProtocolConnection,
  StreamMessageReader,
  StreamMessageWriter,
} from "vscode-languageserver/node";
import { z } from "zod";
import { WireFailure } from "../../server/protocol/failure.ts";
import type { InitializationOptions } from "../../server/protocol/lens-state.ts";
import type { NotificationType, RequestType } from "../../server/protocol/message.ts";

const position = z.object({ line: z.int(), character: z.int() });

const hovered = z.object({ contents: z.object({ value: z.string() }) }).nullable();

/** What the server tells of a document's problems. */
export const published = {
  method: "textDocument/publishDiagnostics",
  params: z.object({
    uri: z.string(),
    version: z.int().optional(),
    diagnostics: z.array(
      z.looseObject({
        range: z.object({ start: position, end: position }),
        severity: z.int(),
        source: z.string(),
        code: z.string(),
        message: z.string(),
      }),
    ),
  }),
};

export interface LspClientOptions {
  readonly options?: z.input<typeof InitializationOptions>;
  readonly env?: Readonly<Record<string, string>>;
  /** Sent when left out; without it the client only connects. */
  readonly initialize?: boolean;
}

/** The real server as a process, with a client of the protocol library at its standard input and output. */
export class LspClient {
  readonly process: ChildProcess & { readonly stdin: Writable; readonly stdout: Readable };
  readonly connection: ProtocolConnection;
  /** Everything that the server told, by method, in order. */
  readonly told: { readonly method: string; readonly params: unknown }[] = [];
  initialized: InitializeResult | undefined;
  readonly #listeners = new Set<() => void>();

  constructor(env: Readonly<Record<string, string>> = {}) {
    const program = fileURLToPath(new URL("../../server/main.ts", import.meta.url));
    this.process = spawn(process.execPath, [program], {
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...process.env, ...env },
    });
    this.connection = createProtocolConnection(
      new StreamMessageReader(this.process.stdout),
      new StreamMessageWriter(this.process.stdin),
    );
    this.connection.onUnhandledNotification(({ method, params }) => {
      this.told.push({ method, params });
      for (const listener of this.#listeners) listener();
    });
    this.process.stdin.on("error", () => undefined);
    this.connection.listen();
  }

  /** A client whose server is ready. */
  static async start({ options = {}, env = {}, initialize = true }: LspClientOptions = {}): Promise<LspClient> {
    const client = new LspClient(env);
    if (!initialize) return client;
    const params = { processId: process.pid, rootUri: null, capabilities: {}, initializationOptions: options };
    client.initialized = await client.connection.sendRequest<InitializeResult>("initialize", params);
    await client.connection.sendNotification("initialized", {});
    return client;
  }

  /** Asks, and checks the answer with its schema. */
  async ask<P extends z.ZodType, R extends z.ZodType>(
    { method, result }: RequestType<P, R>,
    params: z.input<P>,
  ): Promise<z.output<R>> {
    return result.parse(await this.connection.sendRequest(method, params));
  }

  /** Asks, and gives the failure that comes back. Throws when there is none. */
  async failure<P extends z.ZodType, R extends z.ZodType>(
    type: RequestType<P, R>,
    params: z.input<P>,
  ): Promise<WireFailure> {
    return failureIn(await this.connection.sendRequest(type.method, params).then(noFailure, (error: unknown) => error));
  }

  async tell<P extends z.ZodType>({ method }: NotificationType<P>, params: z.input<P>): Promise<void> {
    await this.connection.sendNotification(method, params);
  }

  async open(uri: string, text: string, version = 1, languageId = "plaintext"): Promise<void> {
    await this.connection.sendNotification("textDocument/didOpen", {
      textDocument: { uri, languageId, version, text },
    });
  }

  async change(uri: string, text: string, version: number): Promise<void> {
    await this.connection.sendNotification("textDocument/didChange", {
      textDocument: { uri, version },
      contentChanges: [{ text }],
    });
  }

  /** The Markdown of the hover at a place; null where there is none. */
  async hover(uri: string, place: z.infer<typeof position>): Promise<string | null> {
    const shown = await this.connection.sendRequest("textDocument/hover", { textDocument: { uri }, position: place });
    return hovered.parse(shown)?.contents.value ?? null;
  }

  /** The first message of this kind, told already or later, that is the one. */
  async heard<P extends z.ZodType>(
    { method, params: schema }: Pick<NotificationType<P>, "params"> & { readonly method: string },
    isIt: (params: z.output<P>) => boolean = () => true,
  ): Promise<z.output<P>> {
    let looked = 0;
    for (;;) {
      for (; looked < this.told.length; looked += 1) {
        const message = this.told[looked];
        if (message?.method !== method) continue;
        const params = schema.parse(message.params);
        if (isIt(params)) return params;
      }
      await new Promise<void>((resolve) => {
        const listener = (): void => {
          this.#listeners.delete(listener);
          resolve();
        };
        this.#listeners.add(listener);
      });
    }
  }

  /** As an editor ends its server. Gives the exit status. */
  async stop(): Promise<number | null> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return this.process.exitCode;
    const exited = once(this.process, "exit");
    await this.connection.sendRequest("shutdown").catch(() => undefined);
    await this.connection.sendNotification("exit").catch(() => undefined);
    await exited;
    this.connection.dispose();
    return this.process.exitCode;
  }

  /** As a crash ends it. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const exited = once(this.process, "exit");
    this.process.kill(signal);
    await exited;
    this.connection.dispose();
  }
}

function noFailure(answer: unknown): never {
  throw new Error(`expected a failure, got ${JSON.stringify(answer).slice(0, 200)}`);
}

export function failureIn(error: unknown): WireFailure {
  if (typeof error === "object" && error !== null && "data" in error) return WireFailure.parse(error.data);
  throw error;
}
