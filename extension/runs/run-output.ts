/** Shows what a run's process or job writes, while it writes it. */
import { basename } from "node:path";
import * as vscode from "vscode";
import { RunOutput, type RunView } from "../../server/protocol/runs.ts";
import type { ServerConnection } from "../server-connection.ts";
import { messageOf } from "../server-failure.ts";
import { isActive } from "./run-text.ts";
import type { RunsModel } from "./runs-model.ts";

/** Between two looks at the file of a run that is active. */
const READ_MS = 1000;

/** The runs whose output was shown, each in a channel of its own of the Output view. */
export class RunOutputs implements vscode.Disposable {
  readonly #server: ServerConnection;
  readonly #model: RunsModel;
  readonly #shown = new Map<string, ShownOutput>();

  constructor(server: ServerConnection, model: RunsModel) {
    this.#server = server;
    this.#model = model;
  }

  /** Brings up a run's output, and follows it to the run's end. */
  async show(run: RunView): Promise<void> {
    const { folder } = run;
    const shown = this.#shown.get(folder) ?? new ShownOutput(run, this.#server, () => this.#model.get(folder));
    this.#shown.set(folder, shown);
    await shown.show();
  }

  dispose(): void {
    for (const shown of this.#shown.values()) shown.dispose();
  }
}

/** One run's output in its channel. */
class ShownOutput {
  readonly #folder: string;
  readonly #server: ServerConnection;
  readonly #channel: vscode.OutputChannel;
  readonly #run: () => RunView | undefined;
  /** Where the next piece begins, in bytes; null before the first. */
  #offset: number | null = null;
  #reading: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor({ folder, name, sweep }: RunView, server: ServerConnection, run: () => RunView | undefined) {
    this.#folder = folder;
    this.#server = server;
    this.#run = run;
    const title = sweep === null ? name : `${basename(sweep)}/${name}`;
    this.#channel = vscode.window.createOutputChannel(`LFP Lens: ${title}`);
  }

  async show(): Promise<void> {
    this.#channel.show(true);
    await this.#read();
    clearInterval(this.#timer);
    this.#timer = setInterval(() => void this.#follow(), READ_MS);
  }

  dispose(): void {
    clearInterval(this.#timer);
    this.#channel.dispose();
  }

  async #follow(): Promise<void> {
    // A read under way reports its own failure, and may have begun before the run's end.
    if (this.#reading !== undefined) return;
    // What it wrote last is read once it is over.
    const run = this.#run();
    const isOver = run === undefined || !isActive(run.state);
    try {
      await this.#read();
    } catch (error) {
      this.#channel.appendLine(`LFP Lens: the output cannot be read: ${messageOf(error)}`);
      clearInterval(this.#timer);
    }
    if (isOver) clearInterval(this.#timer);
  }

  #read(): Promise<void> {
    this.#reading ??= this.#readNew().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  /** Appends what is new, or begins again with a file that is another one by now. */
  async #readNew(): Promise<void> {
    for (;;) {
      const asked = this.#offset;
      const { start, offset, text } = await this.#server.request(RunOutput, { folder: this.#folder, offset: asked });
      if (asked !== null && start !== asked) this.#channel.replace("");
      this.#channel.append(text);
      this.#offset = offset;
      if (offset === start) return;
    }
  }
}
