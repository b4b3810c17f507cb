import { basename, dirname, isAbsolute, resolve } from "node:path";
import { LfpError } from "../common/errors.ts";
import { starterRunFolder } from "../common/package-root.ts";
import { InitializationOptions, ServerSettings } from "../protocol/lens-state.ts";
import { runFolder } from "../runs/run-folder.ts";

/** Something that Restricted Mode does not allow was asked for. */
export class RestrictedModeError extends LfpError {
  readonly code = "usage";

  constructor(what: string) {
    super(`${what} needs a trusted workspace: in Restricted Mode nothing is loaded from it and nothing started.`);
  }
}

/** A folder was named that is none of the workspace's runs. */
export class ForeignFolderError extends LfpError {
  readonly code = "usage";

  constructor(folder: string) {
    super(
      `${folder.slice(0, 300)} is in none of the folders of runs; add its folder to the setting lfpLens.runsFolders.`,
    );
  }
}

/** A folder was named in a way that says not where it is. */
export class FolderNameError extends LfpError {
  readonly code = "usage";

  constructor(folder: string) {
    super(`${folder.slice(0, 300)} is no absolute path of a folder; choose one.`);
  }
}

/** What the editor has said of itself, and what follows from it. */
export class Session {
  #options: InitializationOptions = InitializationOptions.parse({});
  #settings: ServerSettings = ServerSettings.parse({});
  readonly #listeners: (() => void)[] = [];

  get options(): InitializationOptions {
    return this.#options;
  }

  get settings(): ServerSettings {
    return this.#settings;
  }

  /** The folders of runs, absolute. */
  get runsRoots(): readonly string[] {
    const roots = this.#options.runsRoots.filter((root) => isAbsolute(root) && !root.includes("\0"));
    return [...new Set(roots.map((root) => resolve(root)))];
  }

  /** The run that came with the program. */
  get starterRun(): string {
    return starterRunFolder();
  }

  /** Takes what the editor sends at the start and after a change. Settings that are wrong are the defaults. */
  configure(options: InitializationOptions): void {
    this.#options = options;
    this.#settings = ServerSettings.safeParse(options.settings ?? {}).data ?? ServerSettings.parse({});
    for (const listener of this.#listeners) listener();
  }

  listen(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Throws `RestrictedModeError` unless the workspace is trusted. `what` begins the sentence. */
  requireTrust(what: string): void {
    if (!this.#options.trusted) throw new RestrictedModeError(what);
  }

  /**
   * A run's folder as it was named, if it is one that may be looked at: in one of the folders of runs, or the program's own. Throws
   * `ForeignFolderError`, and what `runFolder` throws.
   */
  async checkRun(folder: string): Promise<string> {
    const wanted = resolve(folder);
    if (wanted === this.starterRun) return wanted;
    return runFolder(this.checkRoot(dirname(wanted)), basename(wanted));
  }

  /** Whether a run's folder is the program's own, which no workspace can have changed. */
  isOwnRun(folder: string): boolean {
    return resolve(folder) === this.starterRun;
  }

  /** An absolute path of a folder that people named. Throws `FolderNameError`. */
  checkFolder(folder: string): string {
    if (!isAbsolute(folder) || folder.includes("\0")) throw new FolderNameError(folder);
    return resolve(folder);
  }

  /** Throws `ForeignFolderError` unless this is one of the folders of runs. */
  checkRoot(runsRoot: string): string {
    const wanted = resolve(runsRoot);
    if (!this.runsRoots.includes(wanted)) throw new ForeignFolderError(wanted);
    return wanted;
  }
}
