/** An answer, or the reason why it is missing. */
export type Outcome<T> =
  | { readonly kind: "answer"; readonly value: T }
  | { readonly kind: "none"; readonly reason: string };
