/** Sends random and mutated messages and bytes to the real server, and watches that it lives, answers and stays small. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { Readable, Writable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { StreamMessageReader } from "vscode-languageserver/node";
import { z } from "zod";
import { Random } from "../../server/common/random.ts";
import { serverEnvironment } from "../../server/protocol/start.ts";
import { junk, mutate, pick } from "./junk.ts";
import { MessageMaker, type Surroundings } from "./messages.ts";

export interface FuzzOptions extends Surroundings {
  readonly seed: number;
  readonly seconds: number;
  /** Messages that are sent even if that takes longer. */
  readonly least?: number;
  readonly stateFolder: string;
}

export interface FuzzReport {
  readonly seed: number;
  readonly seconds: number;
  readonly messages: number;
  readonly bytes: number;
  /** Answers by `ok` or the failure's code. */
  readonly answers: Readonly<Record<string, number>>;
  readonly slowestPingMs: number;
  readonly peakMiB: number;
  /** What should not have been. */
  readonly faults: readonly string[];
}

/** A server that takes longer over a simple question hangs. */
const HANG_MS = 5000;
/** How many times slower a machine may be than it should before that counts too. */
const BUSY_FACTOR = 6;
/** For the process to load from source on a busy machine. */
const START_MS = 60_000;
const MOST_MIB = 1024;
const BATCH = 25;

export async function fuzzServer(options: FuzzOptions): Promise<FuzzReport> {
  const fuzzer = new Fuzzer(options);
  return fuzzer.run();
}

class Fuzzer {
  readonly #options: FuzzOptions;
  readonly #random: Random;
  readonly #maker: MessageMaker;
  readonly #server: ChildProcess & { readonly stdin: Writable; readonly stdout: Readable };
  readonly #exited: Promise<void>;
  readonly #answers: Record<string, number> = {};
  readonly #faults: string[] = [];
  readonly #pings = new Map<string, () => void>();
  readonly #methods = new Map<number, string>();
  /** For whoever has to find out what happened. */
  #recent: string[] = [];
  #id = 0;
  #messages = 0;
  #bytes = 0;
  #slowestPingMs = 0;
  #peakMiB = 0;

  constructor(options: FuzzOptions) {
    this.#options = options;
    this.#random = Random.fromSeed(options.seed);
    this.#maker = new MessageMaker(this.#random, options);
    const program = fileURLToPath(new URL("../../server/main.ts", import.meta.url));
    this.#server = spawn(process.execPath, [program], {
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...serverEnvironment, ...process.env, LFP_STATE_DIR: options.stateFolder },
    });
    this.#exited = once(this.#server, "exit").then(() => undefined);
    this.#server.stdin.on("error", () => undefined);
    new StreamMessageReader(this.#server.stdout).listen((message) => this.#heard(message));
  }

  async run(): Promise<FuzzReport> {
    const startMs = performance.now();
    await this.#ask("initialize", this.#initialize(), START_MS);
    const { seconds, least = 0 } = this.#options;
    const isOver = (): boolean => this.#messages >= least && performance.now() - startMs >= seconds * 1000;
    while (this.#faults.length === 0 && !isOver()) {
      this.#recent = [];
      for (let i = 0; i < BATCH; i += 1) await this.#write(this.#next());
      await this.#ping();
      this.#weigh();
    }
    this.#server.stdin.end();
    if (this.#server.exitCode === null) await Promise.race([this.#exited, this.#hang(HANG_MS)]).catch(this.#fault);
    this.#checkEnd();
    this.#server.kill("SIGKILL");
    if (this.#faults.length > 0) this.#faults.push(...this.#recent);
    return {
      seed: this.#options.seed,
      seconds: Math.round((performance.now() - startMs) / 1000),
      messages: this.#messages,
      bytes: this.#bytes,
      answers: this.#answers,
      slowestPingMs: Math.round(this.#slowestPingMs),
      peakMiB: Math.round(this.#peakMiB),
      faults: this.#faults,
    };
  }

  readonly #fault = (error: unknown): void => {
    this.#faults.push(error instanceof Error ? error.message : String(error));
  };

  #initialize(): unknown {
    const { runsRoot } = this.#options;
    const initializationOptions = { runsRoots: [runsRoot], trusted: true, settings: { threads: 1 } };
    return {
      jsonrpc: "2.0",
      id: "initialize",
      method: "initialize",
      params: { processId: process.pid, rootUri: null, capabilities: {}, initializationOptions },
    };
  }

  /** The next bytes: mostly a message, often one with something wrong, now and then no message at all. */
  #next(): Buffer {
    const kind = this.#random.integer(100);
    if (kind < 6) return this.#garbage();
    if (kind < 14 && this.#id > 0) return this.#frame(this.#cancel());
    const { method, params, isRequest } = this.#maker.make();
    const isHurt = kind < 55;
    const id = isRequest ? { id: ++this.#id } : {};
    if (isRequest) this.#methods.set(this.#id, method);
    const message = { jsonrpc: "2.0", ...id, method, params: isHurt ? this.#hurt(params) : params };
    return this.#frame(isHurt && this.#random.integer(30) === 0 ? this.#withoutEnd(message) : message);
  }

  #hurt(params: unknown): unknown {
    let hurt = params;
    for (let times = 1 + this.#random.integer(3); times > 0; times -= 1) hurt = mutate(this.#random, hurt);
    return hurt;
  }

  /** The message mutated as a whole, unless that ends the server as it should. */
  #withoutEnd(message: object): unknown {
    const hurt = mutate(this.#random, message);
    return typeof hurt === "object" && hurt !== null && "method" in hurt && hurt.method === "exit" ? message : hurt;
  }

  #cancel(): unknown {
    const id = this.#random.integer(5) === 0 ? junk(this.#random) : Math.max(1, this.#id - this.#random.integer(20));
    return { jsonrpc: "2.0", method: "$/cancelRequest", params: { id } };
  }

  /** Bytes that are no message. Whatever length they claim is made true, so that what comes after them is a message again. */
  #garbage(): Buffer {
    const noise = Buffer.from(Array.from({ length: this.#random.integer(400) }, () => this.#random.integer(256)));
    switch (this.#random.integer(7)) {
      case 0:
        return Buffer.concat([noise, Buffer.from("\r\n\r\n")]);
      case 1:
        return Buffer.from(
          `Content-Length: ${pick(this.#random, ["-5", "x", "", "1e9", "99999999999999999999"])}\r\n\r\n`,
        );
      case 2:
        return Buffer.concat([Buffer.from(`Content-Length: ${noise.length}\r\n\r\n`), noise]);
      case 3:
        return Buffer.from(`${"Header: x\r\n".repeat(this.#random.integer(2000))}\r\n\r\n`);
      case 4:
        return Buffer.from(
          `content-length:  2\r\nContent-Type: utf-7\r\n\r\n${pick(this.#random, ["{}", "[]", "42", '""'])}`,
        );
      case 5:
        return this.#deep(this.#random.integer(200_000));
      default: {
        const bytes = (this.#random.integer(20) === 0 ? 65 : 0) * 2 ** 20 + this.#random.integer(5000);
        return Buffer.concat([Buffer.from(`Content-Length: ${bytes}\r\n\r\n`), Buffer.alloc(bytes, "z")]);
      }
    }
  }

  #deep(levels: number): Buffer {
    const nested = `${"[".repeat(levels)}${"]".repeat(levels)}`;
    const body = `{"jsonrpc":"2.0","id":${++this.#id},"method":"lfp/chooseRun","params":{"runFolder":${nested}}}`;
    return Buffer.from(`Content-Length: ${body.length}\r\n\r\n${body}`);
  }

  #frame(message: unknown): Buffer {
    const body = Buffer.from(JSON.stringify(message));
    return Buffer.concat([Buffer.from(`Content-Length: ${body.length}\r\n\r\n`), body]);
  }

  async #write(bytes: Buffer): Promise<void> {
    this.#messages += 1;
    this.#bytes += bytes.length;
    this.#recent.push(bytes.toString("latin1", 0, 2000));
    // In pieces now and then, as a pipe may.
    const cut = this.#random.integer(4) === 0 ? this.#random.integer(bytes.length + 1) : bytes.length;
    for (const piece of [bytes.subarray(0, cut), bytes.subarray(cut)]) {
      if (piece.length === 0 || this.#server.stdin.write(piece)) continue;
      await Promise.race([once(this.#server.stdin, "drain").catch(() => undefined), this.#exited]);
    }
  }

  async #ping(): Promise<void> {
    const id = `ping ${this.#messages}`;
    const startMs = performance.now();
    await this.#ask(id, { jsonrpc: "2.0", id, method: "lfp/listRuns", params: {} }, HANG_MS);
    this.#slowestPingMs = Math.max(this.#slowestPingMs, performance.now() - startMs);
  }

  async #ask(id: string, message: unknown, limitMs: number): Promise<void> {
    const answered = new Promise<void>((resolve) => this.#pings.set(id, resolve));
    await this.#write(this.#frame(message));
    const fallen = this.#exited.then(() => {
      throw new Error(`it fell: status ${this.#server.exitCode}, signal ${this.#server.signalCode}`);
    });
    await Promise.race([answered, fallen, this.#hang(limitMs)]).catch(this.#fault);
    this.#pings.delete(id);
  }

  /** Over the limit in its own processor time, where the system tells that: a busy machine is not its fault. Or far over it in any case. */
  async #hang(limitMs: number): Promise<never> {
    const before = processorMs(this.#server.pid ?? 0);
    await delay(limitMs, undefined, { ref: false });
    for (let waitedMs = limitMs; waitedMs < BUSY_FACTOR * limitMs; waitedMs += 500) {
      if (processorMs(this.#server.pid ?? 0) - before >= limitMs) break;
      await delay(500, undefined, { ref: false });
    }
    throw new Error(`it did not answer, or end, within ${limitMs} ms`);
  }

  /** A server whose input ends goes in peace, or at a stroke where a computation would not let it go. */
  #checkEnd(): void {
    const { exitCode, signalCode } = this.#server;
    if ((exitCode ?? 0) !== 0 || !["SIGKILL", null].includes(signalCode))
      this.#fault(`it fell as it ended: status ${exitCode}, signal ${signalCode}`);
  }

  #weigh(): void {
    const { pid } = this.#server;
    if (pid === undefined || this.#server.exitCode !== null) return;
    this.#peakMiB = Math.max(this.#peakMiB, residentMiB(pid));
    if (this.#peakMiB > MOST_MIB) this.#fault(`it takes ${Math.round(this.#peakMiB)} MiB`);
  }

  #heard(given: unknown): void {
    const message = Answer.safeParse(given).data;
    if (message === undefined) return;
    if (typeof message.id === "string") this.#pings.get(message.id)?.();
    const code = message.error === undefined ? "ok" : (message.error.data?.code ?? `LSP ${message.error.code}`);
    this.#answers[code] = (this.#answers[code] ?? 0) + 1;
    if (code !== "internal") return;
    const method = typeof message.id === "number" ? this.#methods.get(message.id) : message.id;
    this.#fault(`a defect in ${method}: ${message.error?.message}`);
  }
}

const Answer = z.object({
  id: z.union([z.string(), z.number()]),
  error: z
    .object({ code: z.number(), message: z.string(), data: z.object({ code: z.string() }).optional() })
    .optional(),
});

/** User and system time of all its threads; the clock's where the system does not tell. */
function processorMs(pid: number): number {
  if (process.platform !== "linux") return performance.now();
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // proc_pid_stat(5): fields 14 and 15, in ticks of 10 ms.
    return 10 * (Number(fields[11]) + Number(fields[12]));
  } catch {
    return 0;
  }
}

/** Resident memory; 0 where the system does not tell. */
function residentMiB(pid: number): number {
  if (process.platform === "win32") return 0;
  if (process.platform !== "linux") return Number(execFileSync("ps", ["-o", "rss=", "-p", String(pid)])) / 1024;
  const found = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(found?.[1] ?? 0) / 1024;
}
