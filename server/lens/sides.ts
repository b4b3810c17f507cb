/** The two answers of a preference pair. */
export const sides = ["chosen", "rejected"] as const;
export type Side = (typeof sides)[number];
