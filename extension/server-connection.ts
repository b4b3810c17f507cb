/**
 * The extension's connection to the analysis server, a process that it starts on first use, talks to by the protocol's
 * messages, and restarts after crashes, until these are too many.
 */
import { type ChildProcess, spawn } from "node:child_process";
import * as vscode from "vscode";
import type { LanguageClient } from "vscode-languageclient/node";
import type { z } from "zod";
import { hoverCommands } from "../server/protocol/commands.ts";
import type { NotificationType, RequestType } from "../server/protocol/message.ts";
import { serverEnvironment } from "../server/protocol/start.ts";
import { DocumentSync } from "./document-sync.ts";
import { documentSelector } from "./documents.ts";
import { messageOf, serverFailure } from "./server-failure.ts";
import { serverLines } from "./server-lines.ts";
import { traceChannel } from "./trace-channel.ts";
import { Watchdog } from "./watchdog.ts";

export type ServerState =
  | { readonly kind: "off" }
  | { readonly kind: "starting" }
  | { readonly kind: "running" }
  /** The server crashed and is being restarted. */
  | { readonly kind: "restarting"; readonly crashes: number }
  /** The server stays down until someone restarts it. */
  | { readonly kind: "down"; readonly why: string };

export interface ServerOptions {
  /** Absolute path of the server's bundle. */
  readonly script: string;
  readonly log: vscode.LogOutputChannel;
  readonly initializationOptions: () => unknown;
}

/** Maximum number of crashes within the window; after one more the server stays down. */
const MAX_CRASHES = 4;
const CRASH_WINDOW_MS = 3 * 60_000;
/**
 * Time after which an unanswered request causes a ping. Some requests take longer, but the server answers pings
 * meanwhile.
 */
const PATIENCE_MS = 5000;
/**
 * Time without an answer to a ping after which the server counts as hung. Long, so that a busy machine does not end a
 * server.
 */
const SILENCE_MS = 20_000;
/** Method of the ping; any answer, even an error, shows that the server is alive. */
const PING = "lfp/ping";

type ClientLibrary = typeof import("vscode-languageclient/node");

interface Listener {
  readonly method: string;
  readonly receive: (params: unknown) => void;
}

/** A question of the server, with its answer. */
interface Answerer {
  readonly method: string;
  readonly answer: (params: unknown, token: vscode.CancellationToken) => Promise<unknown>;
}

/** Starts the server on the first request, exchanges messages with it, and restarts it after a crash or a hang. */
export class ServerConnection implements vscode.Disposable {
  readonly #options: ServerOptions;
  readonly #stateChanged = new vscode.EventEmitter<ServerState>();
  #listeners: readonly Listener[] = [];
  #answerers: readonly Answerer[] = [];
  readonly #watchdog = new Watchdog({
    patienceMs: PATIENCE_MS,
    silenceMs: SILENCE_MS,
    ping: async () => await this.#client?.sendRequest<unknown>(PING),
    onHang: () => void this.#hung(),
  });
  #state: ServerState = { kind: "off" };
  #client: LanguageClient | undefined;
  #process: ChildProcess | undefined;
  #following: vscode.Disposable | undefined;
  #starting: Promise<LanguageClient> | undefined;
  /** Number of times the server was ended; a start in progress at that time is abandoned. */
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

  /** Ends the server if it runs, hung or not, and starts a new one with the crash count at zero. */
  async restart(): Promise<void> {
    this.#crashTimes = [];
    await this.#end();
    await this.start();
  }

  /**
   * Sends a request, starting the server if needed. Parses both the parameters and the result.
   *
   * @throws ServerFailure with the server's failure, or with code `cancelled` or `internal`
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

  /** Sends a notification if the server is running; a server that starts receives everything anyway. */
  async notify<P extends z.ZodType>(type: NotificationType<P>, params: z.input<P>): Promise<void> {
    if (this.#state.kind !== "running") return;
    await this.#client?.sendNotification(type.method, type.params.parse(params));
  }

  /**
   * Calls `receive` with each notification of this type, across restarts. Logs and drops those that do not fit the
   * schema.
   */
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

  /** Answers the server's requests of this type, across restarts. Parses both the parameters and the result. */
  onRequest<P extends z.ZodType, R extends z.ZodType>(
    type: RequestType<P, R>,
    answer: (params: z.output<P>, token: vscode.CancellationToken) => Promise<z.input<R>>,
  ): void {
    const answerer: Answerer = {
      method: type.method,
      answer: async (params, token) => type.result.parse(await answer(type.params.parse(params), token)),
    };
    this.#answerers = [...this.#answerers, answerer];
    this.#client?.onRequest(answerer.method, answerer.answer);
  }

  async dispose(): Promise<void> {
    this.#following?.dispose();
    await this.#end();
    this.#stateChanged.dispose();
  }

  async #startClient(): Promise<LanguageClient> {
    this.#setState({ kind: "starting" });
    const ends = this.#ends;
    const startMs = performance.now();
    // The process starts while the library loads.
    const early = this.#spawn();
    // Loaded lazily, because it takes longer than the rest of the extension's activation.
    const library = await import("vscode-languageclient/node");
    if (ends !== this.#ends) {
      early.kill("SIGKILL");
      throw new Error("The analysis server was stopped before it had started.");
    }
    const client = this.#createClient(library, early);
    this.#client = client;
    for (const method of new Set(this.#listeners.map((listener) => listener.method))) this.#listen(client, method);
    for (const { method, answer } of this.#answerers) client.onRequest(method, answer);
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

  /** Creates the client of `early`, a process that was just started; after a crash the client asks for another. */
  #createClient(library: ClientLibrary, early: ChildProcess): LanguageClient {
    const { CloseAction, ErrorAction, RevealOutputChannelOn, State } = library;
    const { log, initializationOptions } = this.#options;
    let ready: ChildProcess | undefined = early;
    const serve = async (): Promise<ChildProcess> => {
      // A process that has already ended would never answer the client.
      const child = ready !== undefined && isAlive(ready) ? ready : this.#spawn();
      ready = undefined;
      return child;
    };
    const sync = new DocumentSync();
    const client: LanguageClient = new library.LanguageClient("lfpLens", "LFP Lens", serve, {
      documentSelector,
      middleware: sync.middleware,
      stdioOptions: serverLines,
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
    this.#following?.dispose();
    this.#following = sync.follow(client, log);
    return client;
  }

  /** Runs the server on VS Code's own Node, so that nothing else has to be installed. */
  #spawn(): ChildProcess {
    const { script, log } = this.#options;
    const env = { ...serverEnvironment, ...process.env, ELECTRON_RUN_AS_NODE: "1", ELECTRON_NO_ASAR: "1" };
    const child = spawn(process.execPath, [script, "--stdio", `--clientProcessId=${process.pid}`], { env });
    // Until the client listens, nobody else does; an error without a listener would end the extension host.
    child.on("error", (error) => log.error(messageOf(error)));
    this.#process = child;
    return child;
  }

  /**
   * Sets the state to running. The client reports it before it has sent the open documents; `start` resolves
   * afterwards.
   */
  async #running(client: LanguageClient): Promise<void> {
    try {
      await client.start();
    } catch {
      return;
    }
    if (this.#client === client) this.#setState({ kind: "running" });
  }

  /** Counts a crash. Returns the message for the restart that follows; undefined if none does. */
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

  /** Ends and restarts a hung server; a hang counts as a crash. */
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

  /** Ends the server, whatever state it is in. */
  async #end(): Promise<void> {
    const client = this.#client;
    this.#ends += 1;
    this.#client = undefined;
    this.#starting = undefined;
    this.#setState({ kind: "off" });
    if (client !== undefined) await this.#endClient(client);
  }

  /**
   * Stops the client, then kills the process, because a hung server does not answer the request to stop. Runs are not
   * its children and continue.
   */
  async #endClient(client: LanguageClient): Promise<void> {
    this.#watchdog.reset();
    const child = this.#process;
    await client.dispose().catch((error: unknown) => this.#options.log.warn(messageOf(error)));
    child?.kill("SIGKILL");
  }

  /** Distributes a method's notifications to all listeners, because the client keeps one handler per method. */
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

/** Whether a process was started and has not ended. */
function isAlive({ pid, exitCode, signalCode }: ChildProcess): boolean {
  return pid !== undefined && exitCode === null && signalCode === null;
}
