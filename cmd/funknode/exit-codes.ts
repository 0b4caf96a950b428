/** What the shell is told (the table is in docs/operating.md). */

export const EXIT_DONE = 0;
export const EXIT_USAGE = 2;
/** A broken invariant, or an error that nobody expected. */
export const EXIT_BROKEN = 70;
/** Settings that cannot be used; a taken port and a locked data directory too. */
export const EXIT_SETTINGS = 78;

/** Errors say themselves what they come to; what the system says of addresses and ports is a matter of settings. */
export function exitCodeOf(error: unknown): number {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    const { exitCode, code } = cause as { readonly exitCode?: unknown; readonly code?: unknown };
    if (typeof exitCode === 'number') return exitCode;
    if (code === 'EADDRINUSE' || code === 'EADDRNOTAVAIL' || code === 'EACCES') return EXIT_SETTINGS;
    if (code === 'FUNK_BIND_FAILED' || code === 'FUNK_DISCOVERY') return EXIT_SETTINGS;
  }
  return EXIT_BROKEN;
}
