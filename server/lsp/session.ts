import { basename, dirname, isAbsolute, resolve } from "node:path";
import { LfpError } from "../common/errors.ts";
import { starterRunFolder } from "../common/package-root.ts";
import { isSweepFolder } from "../pipeline/sweep/manifest.ts";
import { InitializationOptions, ServerSettings } from "../protocol/lens-state.ts";
import { runFolder } from "../runs/run-folder.ts";

/** A request needs what Restricted Mode forbids. */
export class RestrictedModeError extends LfpError {
  readonly code = "usage";

  constructor(what: string) {
    super(`${what} needs a trusted workspace: in Restricted Mode nothing is loaded from it and nothing started.`);
  }
}

/** A request names a folder that is none of the workspace's runs. */
export class ForeignFolderError extends LfpError {
  readonly code = "usage";

  constructor(folder: string) {
    super(
      `${folder.slice(0, 300)} is in none of the folders of runs; add its folder to the setting lfpLens.runsFolders.`,
    );
  }
}

/** A request names a folder by something other than an absolute path. */
export class FolderNameError extends LfpError {
  readonly code = "usage";

  constructor(folder: string) {
    super(`${folder.slice(0, 300)} is no absolute path of a folder; choose one.`);
  }
}

/** The editor's options (folders of runs, trust, settings), and the checks that follow from them. */
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

  /** The absolute paths of the folders that hold runs. */
  get runsRoots(): readonly string[] {
    const roots = this.#options.runsRoots.filter((root) => isAbsolute(root) && !root.includes("\0"));
    return [...new Set(roots.map((root) => resolve(root)))];
  }

  /** Folder of the bundled run. */
  get starterRun(): string {
    return starterRunFolder();
  }

  /**
   * Takes the options that the editor sends at the start and after a change. If any setting is invalid, all get their
   * defaults.
   */
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
   * Returns a run's folder as named, if the server may open it: in one of the folders of runs or in a sweep's folder
   * there, or the bundled run. Throws `ForeignFolderError`, and what `runFolder` throws.
   */
  async checkRun(folder: string): Promise<string> {
    const wanted = resolve(folder);
    if (wanted === this.starterRun) return wanted;
    const parent = dirname(wanted);
    const isOfSweep = !this.runsRoots.includes(parent) && this.runsRoots.includes(dirname(parent));
    return runFolder(isOfSweep ? await this.checkSweep(parent) : this.checkRoot(parent), basename(wanted));
  }

  /** Returns a sweep's folder as named, if it is in one of the folders of runs. Throws as `checkRun` does. */
  async checkSweep(folder: string): Promise<string> {
    const wanted = resolve(folder);
    const found = await runFolder(this.checkRoot(dirname(wanted)), basename(wanted));
    if (!(await isSweepFolder(found))) throw new ForeignFolderError(wanted);
    return found;
  }

  /** Whether a folder is the bundled run's, which no workspace can have changed. */
  isOwnRun(folder: string): boolean {
    return resolve(folder) === this.starterRun;
  }

  /** Checks that a folder that people named is an absolute path. Throws `FolderNameError`. */
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
