import { access } from "node:fs/promises";

/** Whether a file or folder exists, as far as this process has access. */
export function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
