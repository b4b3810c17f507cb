/**
 * The analysis server as the extension sees it: a process that is started when it is first needed, asked through the protocol's messages, and
 * started again when it falls over, until it falls over too often.
 */
import { type ChildProcess, spawn } from "node:child_process";
import * as vscode from "vscode";
import type { LanguageClient } from "vscode-languageclient/node";
import type { z } from "zod";
import { hoverCommands } from "../server/protocol/commands.ts";
import type { NotificationType, RequestType } from "../server/protocol/message.ts";
import { serverEnvironment } from "../server/protocol/start.ts";
import { documentSelector } from "./documents.ts";
import { messageOf, serverFailure } from "./server-failure.ts";
import { traceChannel } from "./trace-channel.ts";
import { Watchdog } from "./watchdog.ts";

export type ServerState =
  | { readonly kind: "off" }
  | { readonly kind: "starting" }
  | { readonly kind: "running" }
  /** It ended by itself and is being started again. */
  | { readonly kind: "restarting"; readonly crashes: number }
  /** It stays down until someone restarts it. */
  | { readonly kind: "down"; readonly why: string };

export interface ServerOptions {
  /** Absolute path of the server's bundle. */
  readonly script: string;
  readonly log: vscode.LogOutputChannel;
  readonly initializationOptions: () => unknown;
}

/** A crash more than this within the window, and the server stays down. */
const MAX_CRASHES = 4;
const CRASH_WINDOW_MS = 3 * 60_000;
/** Opening a run and reading a long text take longer, but the server answers other things meanwhile. */
const PATIENCE_MS = 5000;
/** Long, because a busy machine is no reason to end a server. */
const SILENCE_MS = 20_000;
/** Any answer to it, an error too, shows that the server lives. */
const PING = "lfp/ping";

type ClientLibrary = typeof import("vscode-languageclient/node");

interface Listener {
  readonly method: string;
  readonly receive: (params: unknown) => void;
}

/** Starts the server when it is first asked something, asks it and listens to it, and starts it again when it falls or hangs. */
export class ServerConnection implements vscode.Disposable {
  readonly #options: ServerOptions;
  readonly #stateChanged = new vscode.EventEmitter<ServerState>();
  #listeners: readonly Listener[] = [];
  readonly #watchdog = new Watchdog({
    patienceMs: PATIENCE_MS,
    silenceMs: SILENCE_MS,
    ping: async () => await this.#client?.sendRequest<unknown>(PING),
    onHang: () => void this.#hung(),
  });
  #state: ServerState = { kind: "off" };
  #client: LanguageClient | undefined;
  #process: ChildProcess | undefined;
  #starting: Promise<LanguageClient> | undefined;
  /** How often it was ended; a start that was under way then comes to nothing. */
  #ends = 0;
  #crashTimes: number[] = [];

  readonly onDidChangeState = this.#stateChanged.event;

  constructor(options: ServerOptions) {
    this.#options = options;
  }

  get state(): ServerState {
    return this.#state;
  }

  /** Starts the server unless it runs or stays down. */
  start(): Promise<LanguageClient> {
    if (this.#state.kind === "down") return Promise.reject(new Error(this.#state.why));
    this.#starting ??= this.#startClient();
    return this.#starting;
  }

  /** Ends the server if it runs, hung or not, and starts it anew with a clean record. */
  async restart(): Promise<void> {
    this.#crashTimes = [];
    await this.#end();
    await this.start();
  }

  /**
   * Asks the server, which is started for it if need be. Both the question and the answer are checked.
   *
   * @throws ServerFailure as the server answered it, or with code `cancelled` or `internal`
   */
  async request<P extends z.ZodType, R extends z.ZodType>(
    type: RequestType<P, R>,
    params: z.input<P>,
    token?: vscode.CancellationToken,
  ): Promise<z.output<R>> {
    const answered = this.#watchdog.asked();
    try {
      const client = await this.start();
      return type.result.parse(await client.sendRequest<unknown>(type.method, type.params.parse(params), token));
    } catch (error) {
      throw serverFailure(error, type.method);
    } finally {
      answered();
    }
  }

  /** Tells the server, if it runs; when it starts it is told everything anyway. */
  async notify<P extends z.ZodType>(type: NotificationType<P>, params: z.input<P>): Promise<void> {
    if (this.#state.kind !== "running") return;
    await this.#client?.sendNotification(type.method, type.params.parse(params));
  }

  /** Calls back with each notification of this type, across restarts. One that its schema refuses is logged and dropped. */
  onNotification<P extends z.ZodType>(
    type: NotificationType<P>,
    receive: (params: z.output<P>) => void,
  ): vscode.Disposable {
    const listener = {
      method: type.method,
      receive: (params: unknown) => {
        const parsed = type.params.safeParse(params);
        if (parsed.success) receive(parsed.data);
        else this.#options.log.error(`${type.method} was not understood: ${parsed.error.message}`);
      },
    };
    this.#listeners = [...this.#listeners, listener];
    if (this.#client !== undefined) this.#listen(this.#client, listener.method);
    return new vscode.Disposable(() => {
      this.#listeners = this.#listeners.filter((other) => other !== listener);
    });
  }

  async dispose(): Promise<void> {
    await this.#end();
    this.#stateChanged.dispose();
  }

  async #startClient(): Promise<LanguageClient> {
    this.#setState({ kind: "starting" });
    const ends = this.#ends;
    // Loaded here, because it takes longer than all else of the extension's activation.
    const library = await import("vscode-languageclient/node");
    if (ends !== this.#ends) throw new Error("The analysis server was stopped before it had started.");
    const startMs = performance.now();
    const client = this.#createClient(library);
    this.#client = client;
    for (const method of new Set(this.#listeners.map((listener) => listener.method))) this.#listen(client, method);
    try {
      await client.start();
    } catch (error) {
      if (this.#client === client) this.#giveUp(`The analysis server could not be started: ${messageOf(error)}`);
      throw error;
    }
    const readyMs = performance.now() - startMs;
    this.#options.log.info(`The analysis server answered ${readyMs.toFixed(0)} ms after its start.`);
    return client;
  }

  #createClient(library: ClientLibrary): LanguageClient {
    const { CloseAction, ErrorAction, RevealOutputChannelOn, State } = library;
    const { script, log, initializationOptions } = this.#options;
    const client: LanguageClient = new library.LanguageClient("lfpLens", "LFP Lens", async () => this.#spawn(script), {
      documentSelector,
      initializationOptions,
      outputChannel: log,
      traceOutputChannel: traceChannel(log),
      revealOutputChannelOn: RevealOutputChannelOn.Never,
      markdown: { isTrusted: { enabledCommands: hoverCommands }, supportHtml: false },
      initializationFailedHandler: () => false,
      errorHandler: {
        error: () => ({ action: ErrorAction.Continue, handled: true }),
        closed: () => {
          const message = this.#closed(client);
          return message === undefined
            ? { action: CloseAction.DoNotRestart, handled: true }
            : { action: CloseAction.Restart, message, handled: true };
        },
      },
    });
    client.onDidChangeState(({ newState }) => {
      if (newState === State.Running) void this.#running(client);
    });
    return client;
  }

  /** On VS Code's own Node: nothing has to be installed beside it. */
  #spawn(script: string): ChildProcess {
    const env = { ...serverEnvironment, ...process.env, ELECTRON_RUN_AS_NODE: "1", ELECTRON_NO_ASAR: "1" };
    const child = spawn(process.execPath, [script, "--stdio", `--clientProcessId=${process.pid}`], { env });
    this.#process = child;
    return child;
  }

  /** The client says so before it has told the server of the open documents; `start` tells when that is done. */
  async #running(client: LanguageClient): Promise<void> {
    try {
      await client.start();
    } catch {
      return;
    }
    if (this.#client === client) this.#setState({ kind: "running" });
  }

  /** Counts a crash. Gives what to say of the restart that follows; undefined: none does. */
  #closed(client: LanguageClient): string | undefined {
    if (this.#client !== client) return undefined;
    const now = Date.now();
    this.#crashTimes = [...this.#crashTimes.filter((time) => now - time < CRASH_WINDOW_MS), now];
    const crashes = this.#crashTimes.length;
    if (crashes <= MAX_CRASHES) {
      this.#setState({ kind: "restarting", crashes });
      return `The server ended by itself (${crashes}).`;
    }
    const minutes = CRASH_WINDOW_MS / 60_000;
    this.#giveUp(`The analysis server ended by itself ${crashes} times in ${minutes} minutes.`);
    return undefined;
  }

  /** Counts as a crash. */
  async #hung(): Promise<void> {
    const client = this.#client;
    if (client === undefined) return;
    this.#options.log.error("The server no longer answers and is ended.");
    const isRestarted = this.#closed(client) !== undefined;
    this.#client = undefined;
    this.#starting = undefined;
    await this.#endClient(client);
    if (isRestarted) await this.start().catch(() => undefined);
  }

  #giveUp(why: string): void {
    this.#options.log.error(why);
    this.#starting = undefined;
    this.#setState({ kind: "down", why });
  }

  /** Leaves no server behind, whatever state it is in. */
  async #end(): Promise<void> {
    const client = this.#client;
    this.#ends += 1;
    this.#client = undefined;
    this.#starting = undefined;
    this.#setState({ kind: "off" });
    if (client !== undefined) await this.#endClient(client);
  }

  /** A server that hangs does not answer the request to stop. Runs are no children of its, and go on. */
  async #endClient(client: LanguageClient): Promise<void> {
    this.#watchdog.reset();
    const child = this.#process;
    await client.dispose().catch((error: unknown) => this.#options.log.warn(messageOf(error)));
    child?.kill("SIGKILL");
  }

  /** The client keeps one handler a method. */
  #listen(client: LanguageClient, method: string): void {
    client.onNotification(method, (params: unknown) => {
      for (const listener of this.#listeners) if (listener.method === method) listener.receive(params);
    });
  }

  #setState(state: ServerState): void {
    this.#state = state;
    this.#stateChanged.fire(state);
  }
}
