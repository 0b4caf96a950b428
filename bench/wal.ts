/**
 * The write-ahead log: durable batches per second and their latency, 256-byte entries, one and many in flight; and how long it takes to
 * start. `node dist/bench/wal.js [folder]`; the folder should be on the disk in question.
 */
import { readFileSync } from 'node:fs';
import type { LogIndex, Term } from '../src/model/ids.ts';
import type { LogStore } from '../src/ports/log-store.ts';
import { openScratchLog } from '../test/storage/scratch-log.ts';

const ENTRY_BYTES = 256;
const RUN_MS = 1500;
const IN_FLIGHT = [1, 16, 64] as const;
const term = 1 as Term;

interface Measured {
  readonly inFlight: number;
  readonly perSecond: number;
  readonly writesPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly mostMs: number;
}

const counter = { index: 1, batchSeq: 1 };

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}

async function persistOne(log: LogStore): Promise<number> {
  const start = performance.now();
  const index = counter.index++ as LogIndex;
  const data = new Uint8Array(ENTRY_BYTES).fill(index & 0xff);
  await log.persist({
    batchSeq: counter.batchSeq++,
    underTerm: term,
    entries: [{ index, term, kind: 'command', data }],
  });
  return performance.now() - start;
}

async function measure(log: LogStore, inFlight: number, writes: () => number): Promise<Measured> {
  const latencies: number[] = [];
  const before = writes();
  const start = performance.now();
  const worker = async (): Promise<void> => {
    while (performance.now() - start < RUN_MS) latencies.push(await persistOne(log));
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  const seconds = (performance.now() - start) / 1000;
  latencies.sort((a, b) => a - b);
  return {
    inFlight,
    perSecond: latencies.length / seconds,
    writesPerSecond: (writes() - before) / seconds,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    mostMs: latencies.at(-1) ?? Number.NaN,
  };
}

const load = readFileSync('/proc/loadavg', 'latin1').trim();
const first = await openScratchLog(process.argv[2]);
print(`first start ${first.openMs.toFixed(1)} ms; load ${load}`);
await first.log.persist({ batchSeq: counter.batchSeq++, underTerm: term, hardState: { term, vote: null } });
print('in flight  batches/s   writes/s   p50 ms   p99 ms   max ms');
for (const inFlight of IN_FLIGHT) {
  const found = await measure(first.log, inFlight, () => first.stats().syncCount);
  const cells = [found.perSecond.toFixed(0), found.writesPerSecond.toFixed(0)].map((text) => text.padStart(10));
  const times = [found.p50Ms, found.p99Ms, found.mostMs].map((ms) => ms.toFixed(2).padStart(8));
  print(`${String(inFlight).padStart(9)} ${cells.join(' ')} ${times.join(' ')}`);
}
const { syncMsSum, syncCount, bytesWritten } = first.stats();
print(
  `write and sync ${(syncMsSum / syncCount).toFixed(3)} ms on average, ${(bytesWritten / syncCount / 1024).toFixed(1)} KiB each`,
);
const again = await first.reopen();
print(`restart with ${again.log.recovered.entries.length} entries ${again.openMs.toFixed(1)} ms`);
await again.remove();
