/** Durations as people read them, and as they write them. */

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, '': 1_000 };

/** `0.4s`, `12s`, `3m05s`, `2h07m`, `4d 3h`: two units at most. */
export function durationText(ms: number): string {
  if (ms < 10_000) return `${(ms / 1_000).toFixed(1)}s`;
  const seconds = Math.floor(ms / 1_000);
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m${two(seconds % 60)}s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours}h${two(minutes % 60)}m`;
  return `${Math.floor(hours / 24)}d ${hours % 24}h`;
}

/** `1d 2h 3m 4s`, to the second. */
export function ageText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  const days = Math.floor(seconds / 86_400);
  const hours = Math.floor(seconds / 3_600) % 24;
  const minutes = Math.floor(seconds / 60) % 60;
  const parts = [days > 0 ? `${days}d` : '', seconds >= 3_600 ? `${hours}h` : '', seconds >= 60 ? `${minutes}m` : ''];
  return [...parts.filter((part) => part !== ''), `${seconds % 60}s`].join(' ');
}

/** `500ms`, `10s`, `2m`, or a bare number of seconds; undefined when it is none of these. */
export function parseDurationMs(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|)$/.exec(text.trim());
  if (match === null) return undefined;
  const ms = Number(match[1]) * (UNITS_MS[match[2] ?? ''] ?? Number.NaN);
  return Number.isFinite(ms) ? ms : undefined;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
