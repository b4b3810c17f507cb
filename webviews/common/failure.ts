/** What went wrong with what a page asked of its host, and how a page says so. */
import { html, nothing } from "lit";

/** Waits for what was asked: what went wrong with it, or an empty text. Never rejects. */
export async function failureOf(asked: Promise<unknown>): Promise<string> {
  try {
    await asked;
    return "";
  } catch (error) {
    return messageOf(error);
  }
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A failure as screen readers announce it; nothing of an empty one. */
export function alertOf(failure: string) {
  return failure === "" ? nothing : html`<p class="error" role="alert">${failure}</p>`;
}
