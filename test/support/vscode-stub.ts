/** Stands for the module `vscode` where code of the extension is tested outside the editor; holds what such tests need of it. */
const settings = new Map<string, unknown>();

/** For tests: what `getConfiguration` gives. */
export function setConfiguration(name: string, value: unknown): void {
  settings.set(name, value);
}

export const workspace = {
  getConfiguration: (section: string) => ({ get: (name: string): unknown => settings.get(`${section}.${name}`) }),
};
