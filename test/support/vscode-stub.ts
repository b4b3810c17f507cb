/** Stands for the module `vscode` where code of the extension is tested outside the editor; holds what such tests need of it. */
import { posix } from "node:path";

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

export class Uri {
  readonly scheme: string;
  readonly path: string;

  private constructor(scheme: string, path: string) {
    this.scheme = scheme;
    this.path = path;
  }

  static from({ scheme, path }: { readonly scheme: string; readonly path: string }): Uri {
    return new Uri(scheme, path);
  }

  static file(path: string): Uri {
    return new Uri("file", path);
  }

  static parse(text: string): Uri {
    const [, scheme = "file", path = ""] = /^(\w+):(?:\/\/)?(.*)$/.exec(text) ?? [];
    return new Uri(scheme, path);
  }

  static joinPath({ scheme, path }: Uri, ...parts: readonly string[]): Uri {
    return new Uri(scheme, posix.join(path, ...parts));
  }

  get fsPath(): string {
    return this.path;
  }

  toString(): string {
    return `${this.scheme}://${this.path}`;
  }
}

export class Position {
  readonly line: number;
  readonly character: number;

  constructor(line: number, character: number) {
    this.line = line;
    this.character = character;
  }

  isBefore({ line, character }: Position): boolean {
    return this.line < line || (this.line === line && this.character < character);
  }
}

export class Range {
  readonly start: Position;
  readonly end: Position;

  constructor(start: Position, end: Position);
  constructor(startLine: number, startCharacter: number, endLine: number, endCharacter: number);
  constructor(...ends: readonly [Position, Position] | readonly [number, number, number, number]) {
    const [start, end] = ends.length === 2 ? ends : [new Position(ends[0], ends[1]), new Position(ends[2], ends[3])];
    this.start = start;
    this.end = end;
  }
}

export class RelativePattern {
  readonly uri: Uri;

  constructor(folder: Uri, pattern: string) {
    this.uri = Uri.joinPath(folder, pattern);
  }
}

export class FileSystemError extends Error {
  readonly code: string;

  constructor(message: string, code: string) {
    super(message);
    this.code = code;
  }
}

export class ThemeColor {
  readonly id: string;

  constructor(id: string) {
    this.id = id;
  }
}

export class ThemeIcon {
  readonly id: string;
  readonly color: ThemeColor | undefined;

  constructor(id: string, color?: ThemeColor) {
    this.id = id;
    this.color = color;
  }
}

export const TreeItemCollapsibleState = { None: 0, Collapsed: 1, Expanded: 2 } as const;

export class TreeItem {
  readonly label: string;
  readonly collapsibleState: number;
  id: string | undefined;
  iconPath: unknown;

  constructor(label: string, collapsibleState: number = TreeItemCollapsibleState.None) {
    this.label = label;
    this.collapsibleState = collapsibleState;
  }
}

export const DecorationRangeBehavior = { ClosedClosed: 1 } as const;

export class CancellationTokenSource {
  readonly token = { isCancellationRequested: false };

  cancel(): void {
    this.token.isCancellationRequested = true;
  }

  dispose(): void {}
}

/** An edit that replaces whole documents, which is all that tests need. */
export class WorkspaceEdit {
  readonly texts = new Map<string, string>();

  replace(uri: Uri, _: Range, text: string): void {
    this.texts.set(uri.toString(), text);
  }
}

/** A document in an editor; saving it writes the file. */
export class TextDocument {
  readonly uri: Uri;
  #text: string;
  isDirty = false;

  constructor(uri: Uri, text: string) {
    this.uri = uri;
    this.#text = text;
  }

  get lineCount(): number {
    return this.#text.split("\n").length;
  }

  getText(): string {
    return this.#text;
  }

  /** As a person types. */
  type(text: string): void {
    this.#text = text;
    this.isDirty = true;
    edited.fire({ document: this });
  }

  async save(): Promise<boolean> {
    this.isDirty = false;
    writeFile(this.uri, this.#text);
    return true;
  }
}

const edited = new EventEmitter<{ readonly document: TextDocument }>();
const closed = new EventEmitter<TextDocument>();
const fileChanged = new EventEmitter<Uri>();

/** For tests: the files of the disk, by the text of their URI. */
export const files = new Map<string, string>();
/** For tests: folders in which nothing can be written. */
export const readOnlyFolders = new Set<string>();

/** For tests: writes a file as another program would. */
export function writeFile(uri: Uri, text: string): void {
  files.set(uri.toString(), text);
  fileChanged.fire(uri);
}

/** For tests: what a person answers to the next messages; undefined: nothing. */
export const answers: (string | undefined)[] = [];
/** For tests: the labels that a person picks from the next lists, and what is typed into the next boxes; undefined: nothing. */
export const picks: (string | undefined)[] = [];
export const inputs: (string | undefined)[] = [];
/** For tests: the lists and boxes that were shown. */
export const shownLists: (readonly { readonly label: string }[])[] = [];
export const shownBoxes: InputBox[] = [];

interface InputBox {
  readonly title?: string;
  readonly value?: string;
  readonly validateInput?: (text: string) => string | undefined;
}

/** For tests: what was done to whole folders. */
export const moved: string[] = [];

/** For tests: what each message offered. */
export const shownChoices: (readonly string[])[] = [];
/** For tests: the commands that were run, with their arguments; not the ones that set VS Code's context keys. */
export const executed: (readonly unknown[])[] = [];
/** For tests: the messages that were shown, and those in the status bar. */
export const messages: string[] = [];
export const statusMessages: string[] = [];

interface MessageOptions {
  readonly detail?: string;
}

async function message(text: string, ...more: readonly (string | MessageOptions)[]): Promise<string | undefined> {
  const details = more.flatMap((one) => (typeof one === "string" ? [] : [one.detail ?? ""]));
  const choices = more.filter((one) => typeof one === "string");
  messages.push([text, ...details].join("\n"));
  shownChoices.push(choices);
  if (choices.length === 0) return undefined;
  return answers.shift();
}

/** An editor with a cursor, as far as commands about the line at it need one. */
interface Editor {
  readonly document: { readonly uri: Uri; lineAt(line: number): { readonly text: string } };
  readonly selection: { readonly active: { readonly line: number } };
}

export const commands = {
  executeCommand: async (...called: readonly unknown[]): Promise<void> => {
    if (called[0] !== "setContext") executed.push(called);
  },
};

/** A channel of the Output view, with what stands in it. */
export class OutputChannel {
  readonly name: string;
  text = "";
  shown = 0;

  constructor(name: string) {
    this.name = name;
  }

  append(text: string): void {
    this.text += text;
  }

  appendLine(line: string): void {
    this.text += `${line}\n`;
  }

  replace(text: string): void {
    this.text = text;
  }

  show(): void {
    this.shown += 1;
  }

  dispose(): void {
    channels.delete(this.name);
  }
}

/** For tests: the channels that are there, by name. */
export const channels = new Map<string, OutputChannel>();

const visibleEditors = new EventEmitter<readonly unknown[]>();
const visibleRanges = new EventEmitter<unknown>();
const activeEditor = new EventEmitter<unknown>();

/** For tests: the providers of the tree views, by the view's name. */
export const treeProviders = new Map<string, unknown>();

export const window = {
  visibleTextEditors: [] as unknown[],
  onDidChangeVisibleTextEditors: visibleEditors.event,
  onDidChangeTextEditorVisibleRanges: visibleRanges.event,
  onDidChangeActiveTextEditor: activeEditor.event,
  createTextEditorDecorationType: (look: object) => ({ look, dispose: () => undefined }),
  createTreeView: (name: string, { treeDataProvider }: { readonly treeDataProvider: unknown }) => {
    treeProviders.set(name, treeDataProvider);
    return { description: "", dispose: () => treeProviders.delete(name) };
  },
  createOutputChannel: (name: string): OutputChannel => {
    const channel = new OutputChannel(name);
    channels.set(name, channel);
    return channel;
  },
  activeTextEditor: undefined as Editor | undefined,
  showWarningMessage: message,
  showInformationMessage: message,
  showErrorMessage: message,
  setStatusBarMessage: (text: string): void => void statusMessages.push(text),
  showQuickPick: async <T extends { readonly label: string }>(items: readonly T[]): Promise<T | undefined> => {
    shownLists.push(items);
    const wanted = picks.shift();
    return items.find(({ label }) => label === wanted);
  },
  showInputBox: async (box: InputBox): Promise<string | undefined> => {
    shownBoxes.push(box);
    return inputs.shift();
  },
  showWorkspaceFolderPick: async (): Promise<{ readonly uri: Uri } | undefined> => {
    const wanted = picks.shift();
    return workspace.workspaceFolders?.find(({ uri }) => uri.path === wanted);
  },
  showOpenDialog: async (): Promise<Uri[] | undefined> => {
    const wanted = picks.shift();
    return wanted === undefined ? undefined : [Uri.file(wanted)];
  },
  showTextDocument: async (uri: Uri): Promise<void> => void executed.push(["showTextDocument", uri.path]),
  withProgress: <T>(
    { cancellable = false }: { readonly cancellable?: boolean },
    work: (progress: unknown, token: unknown) => Promise<T>,
  ): Promise<T> => work(undefined, cancellable ? cancelToken : undefined),
};

/** For tests: the token of work that a person can cancel. */
export const cancelToken = { isCancellationRequested: false };

export const ProgressLocation = { Notification: 15, Window: 10 } as const;

interface ContentProvider {
  provideTextDocumentContent(uri: Uri): unknown;
}

const providers = new Map<string, ContentProvider>();

/** For tests: what the provider of a URI's scheme gives for it. */
export function textOf(uri: unknown): unknown {
  return uri instanceof Uri ? providers.get(uri.scheme)?.provideTextDocumentContent(uri) : undefined;
}

export const workspace = {
  registerTextDocumentContentProvider: (scheme: string, provider: ContentProvider): Disposable => {
    providers.set(scheme, provider);
    return new Disposable(() => providers.delete(scheme));
  },
  getConfiguration: (section: string) => ({ get: (name: string): unknown => settings.get(`${section}.${name}`) }),
  onDidChangeConfiguration: configured.event,
  onDidChangeTextDocument: edited.event,
  onDidCloseTextDocument: closed.event,
  isTrusted: true,
  textDocuments: [] as TextDocument[],
  workspaceFolders: undefined as { readonly uri: Uri }[] | undefined,
  openTextDocument: async (uri: Uri): Promise<TextDocument> => {
    const document = new TextDocument(uri, files.get(uri.toString()) ?? "");
    workspace.textDocuments.push(document);
    return document;
  },
  asRelativePath: (path: string): string => path,
  getWorkspaceFolder: (uri: Uri): { readonly uri: Uri } | undefined =>
    workspace.workspaceFolders?.find((folder) => uri.path.startsWith(`${folder.uri.path}/`)),
  applyEdit: async ({ texts }: WorkspaceEdit): Promise<boolean> => {
    for (const document of workspace.textDocuments) {
      const text = texts.get(document.uri.toString());
      if (text !== undefined) document.type(text);
    }
    return true;
  },
  createFileSystemWatcher: ({ uri }: RelativePattern) => {
    const changes = new EventEmitter<Uri>();
    const listening = fileChanged.event((changed) => {
      if (changed.toString() === uri.toString()) changes.fire(changed);
    });
    const never = new EventEmitter<Uri>().event;
    return { onDidChange: changes.event, onDidCreate: never, onDidDelete: never, dispose: () => listening.dispose() };
  },
  fs: {
    readFile: async (uri: Uri): Promise<Uint8Array> => {
      const text = files.get(uri.toString());
      if (text === undefined) throw new FileSystemError(`${uri.path} is not there`, "FileNotFound");
      return new TextEncoder().encode(text);
    },
    stat: async (uri: Uri): Promise<void> => {
      if (!files.has(uri.toString())) throw new FileSystemError(`${uri.path} is not there`, "FileNotFound");
    },
    readDirectory: async (folder: Uri): Promise<[string, number][]> =>
      [...files.keys()].flatMap((name): [string, number][] =>
        name.startsWith(`${folder}/`) ? [[name.slice(`${folder}/`.length), 1]] : [],
      ),
    rename: async (from: Uri, to: Uri): Promise<void> => void moved.push(`rename ${from.path} ${to.path}`),
    copy: async (from: Uri, to: Uri, { overwrite }: { readonly overwrite: boolean }): Promise<void> =>
      void moved.push(`copy ${from.path} ${to.path}${overwrite ? " over" : ""}`),
    delete: async (uri: Uri, { useTrash }: { readonly useTrash: boolean }): Promise<void> =>
      void moved.push(`${useTrash ? "trash" : "delete"} ${uri.path}`),
    writeFile: async (uri: Uri, bytes: Uint8Array): Promise<void> => {
      if (readOnlyFolders.has(posix.dirname(uri.path)))
        throw new FileSystemError(`EPERM: operation not permitted, open '${uri.path}'`, "Unknown");
      writeFile(uri, new TextDecoder().decode(bytes));
    },
  },
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

export class LanguageModelChatMessage {
  readonly role: string;
  readonly content: string;

  constructor(role: string, content: string) {
    this.role = role;
    this.content = content;
  }

  static User(content: string): LanguageModelChatMessage {
    return new LanguageModelChatMessage("user", content);
  }

  static Assistant(content: string): LanguageModelChatMessage {
    return new LanguageModelChatMessage("assistant", content);
  }
}

/** VS Code's codes are the names of these makers. */
export class LanguageModelError extends Error {
  readonly code: string;

  constructor(code: string, message?: string) {
    super(message);
    this.code = code;
  }

  static NoPermissions(message?: string): LanguageModelError {
    return new LanguageModelError("NoPermissions", message);
  }

  static Blocked(message?: string): LanguageModelError {
    return new LanguageModelError("Blocked", message);
  }

  static NotFound(message?: string): LanguageModelError {
    return new LanguageModelError("NotFound", message);
  }
}

export const lm = {
  registerTool: (name: string, tool: unknown): Disposable => {
    registeredTools.set(name, tool);
    return new Disposable(() => registeredTools.delete(name));
  },
};
