/**
 * The oldest Node that the bundle runs on, equal to `engines` in package.json: the first of the 22 line that runs our
 * sources too.
 */
export const oldestNode = "22.18.0";

/**
 * Advice for a Node that is too old; undefined if it is not. This file imports nothing, so that any Node can read it.
 */
export function olderNodeProblem(version: string): string | undefined {
  const parts = version.split(".").map(Number);
  const needed = oldestNode.split(".").map(Number);
  for (let i = 0; i < needed.length; i++) {
    const difference = (parts[i] ?? 0) - (needed[i] ?? 0);
    if (difference > 0) return undefined;
    if (difference < 0) {
      return (
        `this is Node ${version}, and lfp needs ${oldestNode} or newer. In the project's folder use \`npx lfp\`, which takes the ` +
        "Node 24 that `npm ci` installed; elsewhere install a newer Node (https://nodejs.org)."
      );
    }
  }
  return undefined;
}
