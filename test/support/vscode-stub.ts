/** Stands for the module `vscode` where code of the extension is tested outside the editor; holds what such tests need of it. */
const settings = new Map<string, unknown>();

type Listener<T> = (event: T) => unknown;

export class Disposable {
  readonly #end: () => void;

  constructor(end: () => void) {
    this.#end = end;
  }

  static from(...parts: readonly { dispose(): void }[]): Disposable {
    return new Disposable(() => {
      for (const part of parts) part.dispose();
    });
  }

  dispose(): void {
    this.#end();
  }
}

export class EventEmitter<T> {
  readonly #listeners = new Set<Listener<T>>();

  readonly event = (listener: Listener<T>): Disposable => {
    this.#listeners.add(listener);
    return new Disposable(() => this.#listeners.delete(listener));
  };

  fire(event: T): void {
    for (const listener of [...this.#listeners]) listener(event);
  }

  dispose(): void {
    this.#listeners.clear();
  }
}

interface ConfigurationChange {
  affectsConfiguration(name: string): boolean;
}

const configured = new EventEmitter<ConfigurationChange>();

/** For tests: what `getConfiguration` gives. */
export function setConfiguration(name: string, value: unknown): void {
  settings.set(name, value);
  configured.fire({ affectsConfiguration: (asked) => name === asked || name.startsWith(`${asked}.`) });
}

export const workspace = {
  getConfiguration: (section: string) => ({ get: (name: string): unknown => settings.get(`${section}.${name}`) }),
  onDidChangeConfiguration: configured.event,
};

export class LanguageModelTextPart {
  readonly value: string;

  constructor(value: string) {
    this.value = value;
  }
}

export class LanguageModelToolResult {
  readonly content: readonly LanguageModelTextPart[];

  constructor(content: readonly LanguageModelTextPart[]) {
    this.content = content;
  }
}

/** For tests: the tools that are registered, by name. */
export const registeredTools = new Map<string, unknown>();

export const lm = {
  registerTool: (name: string, tool: unknown): Disposable => {
    registeredTools.set(name, tool);
    return new Disposable(() => registeredTools.delete(name));
  },
};
