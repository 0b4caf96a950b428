/**
 * Writes and linearizable reads of the coordination state: three nodes with fsync on, next to etcd on the same machine, in turns. `unary` is
 * one call for each request with the same client for both; `stream` is `Exchange`, which etcd has no like of. `1` is one connection to the leader,
 * `many` one for each client, over all three nodes. `node dist/bench/kv.js --seconds 2 --rounds 3`
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { lastWords, whenSettled } from './lib/cluster.ts';
import { Etcd } from './lib/etcd.ts';
import { Funknode } from './lib/funknode.ts';
import { ExchangeClient, UnaryClient } from './lib/grpc-client.ts';
import { inOwnNetwork } from './lib/own-network.ts';
import { endAll, type Program } from './lib/program.ts';
import { ProtobufWriter } from './lib/protobuf.ts';
import { medianOf, print, printHead } from './lib/report.ts';
import { wordsOf } from './lib/words.ts';

const VALUE_BYTES = 256;
const KEYS = 10_000;
const WARM_MS = 500;
const CLIENTS: readonly number[] = [1, 16, 64, 256];
const SETTLE_MS = 60_000;

const words = wordsOf({
  seconds: { fallback: 2, least: 1, most: 60 },
  rounds: { fallback: 3, least: 1, most: 20 },
  only: { choices: ['both', 'funknode', 'etcd'] },
  ops: { choices: ['both', 'put', 'get'] },
  ways: { choices: ['all', 'unary', 'stream'] },
  least: { fallback: 1, least: 1, most: 256 },
});

type Op = 'put' | 'get';
type Spread = '1' | 'many';

interface Server {
  readonly name: string;
  readonly programs: readonly Program[];
  readonly leader: number;
  address(at: number): string;
}

interface Cell {
  readonly server: Server;
  readonly way: 'unary' | 'stream';
  readonly op: Op;
  readonly clients: number;
  readonly spread: Spread;
}

interface Figures {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly errors: number;
  /** Microseconds of processor time for an operation: leader, both followers, this generator. */
  readonly leaderUs: number;
  readonly followersUs: number;
  readonly ownUs: number;
}

const value = Buffer.alloc(VALUE_BYTES, 0x61);
const putMessages = Array.from({ length: KEYS }, (_, i) =>
  new ProtobufWriter().bytes(1, keyOf(i)).bytes(2, value).finish(),
);
const getMessages = Array.from({ length: KEYS }, (_, i) => new ProtobufWriter().bytes(1, keyOf(i)).finish());

function keyOf(i: number): Buffer {
  return Buffer.from(`key/${String(i).padStart(6, '0')}`);
}

async function startFunknode(): Promise<Server> {
  const cluster = `kv-${process.pid}`;
  const join = [1, 2, 3].map((at) => `127.0.0.${at}:7946`).join();
  const nodes = [1, 2, 3].map((at) => {
    const args = ['--interface', `127.0.0.${at}`, '--bootstrap-expect', '3', '--join', join, '--log-format', 'json'];
    return new Funknode({ id: `n${at}`, cluster, args });
  });
  const leader = await whenSettled(nodes, { owners: nodes, voters: 3, ms: SETTLE_MS });
  if (leader === undefined) throw new Error(`funknode has not settled\n${lastWords(nodes)}`);
  const address = (at: number): string => nodes[at]?.endpoint('ep.clusterfunk.management') ?? '';
  return { name: 'funknode', programs: nodes, leader: nodes.findIndex(({ id }) => id === leader), address };
}

async function startEtcd(): Promise<Server> {
  const etcd = new Etcd();
  return { name: 'etcd', programs: etcd.programs, leader: await etcd.leader(), address: (at) => etcd.address(at) };
}

/** What asks for the message with this number. */
type Ask = (i: number) => Promise<unknown>;

function openClients({ server, way, op, clients, spread }: Cell): { readonly asks: readonly Ask[]; close(): void } {
  const connections = spread === '1' ? 1 : clients;
  const messages = op === 'put' ? putMessages : getMessages;
  const opened = Array.from({ length: connections }, (_, at) => {
    const address = server.address(spread === '1' ? server.leader : at % server.programs.length);
    if (way === 'stream') {
      const client = new ExchangeClient(address);
      const field = op === 'put' ? 2 : 3;
      return { ask: (i: number) => client.ask(field, messages[i] as Buffer), close: () => client.close() };
    }
    const client = new UnaryClient(address);
    const path =
      server.name === 'etcd'
        ? `/etcdserverpb.KV/${op === 'put' ? 'Put' : 'Range'}`
        : `/funk.v1.Kv/${op === 'put' ? 'Put' : 'Range'}`;
    return { ask: (i: number) => client.call(path, messages[i] as Buffer), close: () => client.close() };
  });
  const asks = Array.from({ length: clients }, (_, at) => (opened[at % connections] as (typeof opened)[number]).ask);
  return {
    asks,
    close: () => {
      for (const one of opened) one.close();
    },
  };
}

async function measure(cell: Cell): Promise<Figures> {
  const { server } = cell;
  const { asks, close } = openClients(cell);
  const latencies: number[] = [];
  let errors = 0;
  let isMeasured = false;
  let isOver = false;
  let next = 0;
  const loops = asks.map(async (ask) => {
    while (!isOver) {
      const i = next++ % KEYS;
      const at = performance.now();
      try {
        await ask(i);
        if (isMeasured && !isOver) latencies.push(performance.now() - at);
      } catch {
        errors += 1;
        await sleep(5);
      }
    }
  });
  await sleep(WARM_MS);
  const cpu = server.programs.map((program) => program.use().cpuMs);
  const own = process.cpuUsage();
  const from = performance.now();
  isMeasured = true;
  await sleep(words.seconds * 1_000);
  isOver = true;
  const seconds = (performance.now() - from) / 1_000;
  const ownUsed = process.cpuUsage(own);
  const used = server.programs.map((program, at) => program.use().cpuMs - (cpu[at] as number));
  await Promise.all(loops);
  close();
  latencies.sort((a, b) => a - b);
  const count = Math.max(1, latencies.length);
  const leaderMs = used[server.leader] as number;
  const allMs = used.reduce((sum, ms) => sum + ms, 0);
  return {
    perSecond: latencies.length / seconds,
    p50: latencies[count >> 1] ?? Number.NaN,
    p99: latencies[Math.floor(count * 0.99)] ?? Number.NaN,
    errors,
    leaderUs: (leaderMs * 1_000) / count,
    followersUs: ((allMs - leaderMs) * 1_000) / count,
    ownUs: (ownUsed.user + ownUsed.system) / count,
  };
}

function median(all: readonly Figures[]): Figures {
  const of = (pick: (one: Figures) => number): number => medianOf(all.map(pick).sort((a, b) => a - b));
  return {
    perSecond: of((one) => one.perSecond),
    p50: of((one) => one.p50),
    p99: of((one) => one.p99),
    errors: all.reduce((sum, { errors }) => sum + errors, 0),
    leaderUs: of((one) => one.leaderUs),
    followersUs: of((one) => one.followersUs),
    ownUs: of((one) => one.ownUs),
  };
}

function printFigures({ server, way, op, clients, spread }: Cell, figures: Figures, than: Figures | undefined): void {
  const { perSecond, p50, p99, errors, leaderUs, followersUs, ownUs } = figures;
  const name = `${op} ${String(clients).padStart(3)}/${spread}`.padEnd(14) + `${server.name} ${way}`.padEnd(18);
  const ratio = than === undefined ? '' : `  x ${(perSecond / than.perSecond).toFixed(2)}`;
  const cpu = `${leaderUs.toFixed(0)}/${followersUs.toFixed(0)}/${ownUs.toFixed(0)} us`;
  print(
    `${name}${perSecond.toFixed(0).padStart(8)}/s  p50 ${p50.toFixed(2)} p99 ${p99.toFixed(2)} ms  cpu ${cpu}  errors ${errors}${ratio}`,
  );
}

await inOwnNetwork(async () => {
  printHead(
    `keys: ${VALUE_BYTES} bytes, ${KEYS} keys, ${words.seconds} s a cell, ${words.rounds} rounds, cpu is leader/followers/generator for an operation`,
  );
  const funknode = words.only === 'etcd' ? undefined : await startFunknode();
  const etcd = words.only === 'funknode' ? undefined : await startEtcd();
  const ways = (['unary', 'stream'] as const).filter((way) => words.ways === 'all' || words.ways === way);
  for (const op of (['put', 'get'] as const).filter((one) => words.ops === 'both' || words.ops === one))
    for (const clients of CLIENTS.filter((count) => count >= words.least))
      for (const spread of ['1', 'many'] as const) {
        const shape = { op, clients, spread };
        const cells: Cell[] = etcd === undefined ? [] : [{ ...shape, server: etcd, way: 'unary' }];
        if (funknode !== undefined) for (const way of ways) cells.push({ ...shape, server: funknode, way });
        const figures = cells.map((): Figures[] => []);
        for (let round = 0; round < words.rounds; round++)
          for (const [at, cell] of cells.entries()) figures[at]?.push(await measure(cell));
        const than = etcd === undefined ? undefined : median(figures[0] as Figures[]);
        for (const [at, cell] of cells.entries())
          printFigures(cell, median(figures[at] as Figures[]), cell.server === etcd ? undefined : than);
      }
  await endAll();
});
