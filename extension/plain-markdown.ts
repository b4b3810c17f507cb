/** Words of others in VS Code's Markdown, where nothing of them is rendered. Independent of VS Code. */

/**
 * Escapes everything that Markdown, HTML and VS Code's icons could take for more than words. Unlike
 * `MarkdownString.appendText` it leaves spaces as they are: that one joins words, so that lines break within them.
 */
export function plainMarkdown(words: string): string {
  return words.replaceAll(/[!-/:-@[-`{-~]/g, "\\$&").replaceAll(/\s+/g, " ");
}
