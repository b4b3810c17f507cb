import { access } from "node:fs/promises";

/** Whether a file or folder is there, as far as this process may see. */
export function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
