/** How much a file of a stranger may become in memory. */

/** What is packed grows no more than this when it is what it says. */
const MOST_INFLATED = 64;
const SMALL = 1 << 20;

/** Bytes that a file of so many may hold, all its parts together. */
export const mostUnpacked = (length: number) => Math.max(SMALL, length * MOST_INFLATED);
