/**
 * Requests under way while the cluster changes: so many a second, spread over all shards, each straight to its owner.
 * `--scene leader`: the leader is killed; requests for shards that stay should not notice, those for its own wait for the new map. Beside it, what
 * the same requests would have waited for in a system that serves nothing until the new map is agreed.
 * `--scene rolling`: every node is stopped in order and started again, one after the other.
 * `node dist/bench/requests.js --scene leader --nodes 5 --rate 1000 --seconds 5`
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Client, credentials, makeClientConstructor, type ServiceError } from '@grpc/grpc-js';
import { type ClusterReader, openClusterReader, type ShardMap, shardCalls } from '../src/client.ts';
import { ECHO, ECHO_ENDPOINT, SAY } from './lib/echo.ts';
import { inOwnNetwork } from './lib/own-network.ts';
import { endAll, Program, scratch } from './lib/program.ts';
import { load, print, printHead, printSpread } from './lib/report.ts';
import { wordsOf } from './lib/words.ts';

const words = wordsOf({
  scene: { choices: ['leader', 'rolling'] },
  nodes: { fallback: 5, least: 3, most: 9 },
  rate: { fallback: 1_000, least: 1, most: 10_000 },
  /** Before and after what happens. */
  seconds: { fallback: 5, least: 1, most: 600 },
});

const SERVICE = fileURLToPath(new URL('lib/echo-service.js', import.meta.url));
const FORMED_WITHIN_MS = 60_000;
const DEADLINE_MS = 20_000;
const TICK_MS = 10;
/** Requests that are under way, or begin, so long after the death are counted as met by it. */
const AFTERMATH_MS = 3_000;
const cluster = `requests-${process.pid}`;

interface Sample {
  readonly shard: number;
  readonly at: number;
  readonly tookMs: number;
  readonly error: string | undefined;
}

class Service extends Program {
  readonly name: string;
  readonly ready: Promise<string>;

  constructor(name: string) {
    let onReady: (management: string) => void = () => undefined;
    const dataDir = join(scratch, cluster, name);
    super([process.execPath, SERVICE, '--name', name, '--cluster', cluster, '--data-dir', dataDir], (text) => {
      if (!text.startsWith('{')) return print(`  ${name}: ${text}`);
      const line = JSON.parse(text) as { readonly event: string; readonly management?: string };
      if (line.event === 'ready') onReady(line.management ?? '');
    });
    this.name = name;
    this.ready = new Promise((resolve) => {
      onReady = resolve;
    });
  }
}

/** Requests at a steady rate, whatever becomes of them. */
class Load {
  readonly samples: Sample[] = [];
  readonly #reader: ClusterReader;
  /** One for the shards of the node that will die, one for all others: retries are counted by client. */
  readonly #clients: readonly [Sender, Sender];
  readonly #isOfVictim: (shard: number) => boolean;
  #underWay = 0;
  #isStopped = false;

  constructor(reader: ClusterReader, isOfVictim: (shard: number) => boolean) {
    this.#reader = reader;
    this.#isOfVictim = isOfVictim;
    this.#clients = [new Sender(reader), new Sender(reader)];
  }

  /** Of requests for shards that stay, and for those of the victim. */
  get retries(): readonly [object, object] {
    return [this.#clients[0].retries, this.#clients[1].retries];
  }

  async run(perSecond: number): Promise<void> {
    const shardCount = this.#reader.shardMap?.shardCount ?? 1;
    const begunAt = performance.now();
    for (let sent = 0; !this.#isStopped; await sleep(TICK_MS)) {
      const due = ((performance.now() - begunAt) * perSecond) / 1_000;
      // A prime step meets every shard once in so many requests, and neighbours never together.
      for (; sent < due; sent++) this.#send((sent * 7_919) % shardCount);
    }
    while (this.#underWay > 0) await sleep(TICK_MS);
    for (const client of this.#clients) client.close();
  }

  stop(): void {
    this.#isStopped = true;
  }

  #send(shard: number): void {
    const at = performance.now();
    this.#underWay += 1;
    this.#clients[this.#isOfVictim(shard) ? 1 : 0].say(shard, (error) => {
      this.#underWay -= 1;
      this.samples.push({ shard, at, tookMs: performance.now() - at, error });
    });
  }
}

type EchoClient = Client & {
  Say(shard: string, options: { deadline: number }, done: (error: ServiceError | null) => void): void;
};

class Sender {
  readonly #calls: ReturnType<typeof shardCalls>;
  readonly #client: EchoClient;

  constructor(source: ClusterReader) {
    this.#calls = shardCalls({
      source,
      endpoint: ECHO_ENDPOINT,
      credentials: credentials.createInsecure(),
      shardOf: { [SAY]: (shard) => Number(shard) },
      idempotent: [SAY],
    });
    const Echo = makeClientConstructor(ECHO, 'Echo');
    this.#client = new Echo(
      'unused',
      credentials.createInsecure(),
      this.#calls.clientOptions(),
    ) as unknown as EchoClient;
  }

  get retries(): object {
    return this.#calls.counts().retries;
  }

  say(shard: number, done: (error: string | undefined) => void): void {
    this.#client.Say(String(shard), { deadline: Date.now() + DEADLINE_MS }, (error) =>
      done(error === null ? undefined : `${error.code}: ${error.details}`),
    );
  }

  close(): void {
    this.#client.close();
    this.#calls.close();
  }
}

/** The first map that is shared by exactly these. */
async function mapOf(reader: ClusterReader, owners: readonly string[]): Promise<ShardMap> {
  const wanted = [...owners].sort().join();
  const signal = AbortSignal.timeout(FORMED_WITHIN_MS);
  for await (const { shardMap } of reader.pictures({ signal })) {
    const named = shardMap?.owners.map(({ node }) => node as string).sort();
    if (shardMap !== undefined && named?.join() === wanted) return shardMap;
  }
  throw new Error('the reader was closed');
}

/** All of them publish the service, and each owns shards. */
async function settled(reader: ClusterReader, names: readonly string[]): Promise<ShardMap> {
  const map = await mapOf(reader, names);
  while (reader.endpoints(ECHO_ENDPOINT).size < names.length) await sleep(50);
  return map;
}

async function main(): Promise<void> {
  printHead(`requests: ${words.rate} a second over ${words.nodes} nodes, scene ${words.scene}`);
  const names = Array.from({ length: words.nodes }, (_, at) => `n${at + 1}`);
  const services = new Map(names.map((name) => [name, new Service(name)]));
  const managements = await Promise.all([...services.values()].map((service) => service.ready));
  const reader = openClusterReader(managements);
  const map = await settled(reader, names);
  // Whoever has just joined is still being made a voter.
  await sleep(3_000);
  if (words.scene === 'leader') await killLeader(reader, services, map);
  else await restartAll(reader, services);
  print(`# load at the end ${load()}`);
  await reader.close();
  await endAll();
}

async function killLeader(reader: ClusterReader, services: Map<string, Service>, before: ShardMap): Promise<void> {
  const victim = reader.leader ?? '';
  const index = before.owners.findIndex(({ node }) => node === victim);
  const isOfVictim = (shard: number): boolean => before.ownerOf[shard] === index;
  const requests = new Load(reader, isOfVictim);
  const ended = requests.run(words.rate);
  await sleep(words.seconds * 1_000);
  const killedAt = performance.now();
  services.get(victim)?.signal('SIGKILL');
  const after = await mapOf(
    reader,
    [...services.keys()].filter((name) => name !== victim),
  );
  const agreedAt = performance.now();
  await sleep(words.seconds * 1_000);
  requests.stop();
  await ended;
  const { samples } = requests;
  const met = samples.filter(({ at, tookMs }) => at + tookMs >= killedAt && at < killedAt + AFTERMATH_MS);
  const [staying, moving] = [
    met.filter(({ shard }) => !isOfVictim(shard)),
    met.filter(({ shard }) => isOfVictim(shard)),
  ];
  print(
    `${victim} leads and owns ${moving.length} of the ${met.length} requests around its death; new map after ${(agreedAt - killedAt).toFixed(0)} ms`,
  );
  print(`moved from one survivor to another: ${wandered(before, after, victim)} shards`);
  printTimes(
    'before: all',
    samples.filter(({ at, tookMs }) => at + tookMs < killedAt),
  );
  printTimes('death: shards that stay', staying);
  printTimes('death: shards of the dead', moving);
  const standstill = met.filter(({ at }) => at >= killedAt).map(({ at }) => Math.max(0, agreedAt - at));
  printSpread('had everything stopped until the new map: all', standstill, 'ms', 1);
  const [calm, sent] = requests.retries;
  print(`sent again: shards that stay ${JSON.stringify(calm)}, shards of the dead ${JSON.stringify(sent)}`);
  printFailures(samples);
}

/** Shards that changed hands though both their owners live. */
function wandered(before: ShardMap, after: ShardMap, victim: string): number {
  const owner = (map: ShardMap, shard: number): string => map.owners[map.ownerOf[shard] ?? 0]?.node ?? '';
  return Array.from({ length: before.shardCount }, (_, shard) => shard).filter(
    (shard) => owner(before, shard) !== victim && owner(before, shard) !== owner(after, shard),
  ).length;
}

async function restartAll(reader: ClusterReader, services: Map<string, Service>): Promise<void> {
  const requests = new Load(reader, () => false);
  const ended = requests.run(words.rate);
  await sleep(words.seconds * 1_000);
  const stops: number[] = [];
  const returns: number[] = [];
  for (const [name, service] of services) {
    const stoppedAt = performance.now();
    service.signal('SIGTERM');
    await service.ended;
    const startedAt = performance.now();
    stops.push(startedAt - stoppedAt);
    const again = new Service(name);
    services.set(name, again);
    await again.ready;
    await settled(reader, [...services.keys()]);
    returns.push(performance.now() - startedAt);
  }
  await sleep(words.seconds * 1_000);
  requests.stop();
  await ended;
  printSpread('stopped in order', stops, 'ms');
  printSpread('started to its share of the map', returns, 'ms');
  printTimes('all requests', requests.samples);
  print(`sent again: ${JSON.stringify(requests.retries[0])}`);
  printFailures(requests.samples);
}

function printTimes(name: string, samples: readonly Sample[]): void {
  const sorted = samples.map(({ tookMs }) => tookMs).sort((a, b) => a - b);
  const at = (part: number): string => (sorted[Math.floor(part * (sorted.length - 1))] ?? Number.NaN).toFixed(1);
  const failed = samples.filter(({ error }) => error !== undefined).length;
  const times = `median ${at(0.5)}  p90 ${at(0.9)}  p99 ${at(0.99)}  max ${at(1)} ms`;
  print(`${name.padEnd(34)} n ${String(samples.length).padStart(6)}  failed ${failed}  ${times}`);
}

function printFailures(samples: readonly Sample[]): void {
  const failed = samples.filter(({ error }) => error !== undefined);
  print(`failed: ${failed.length} of ${samples.length}`);
  for (const error of new Set(failed.map((sample) => sample.error))) print(`  ${error}`);
  if (failed.length > 0) process.exitCode = 1;
}

await inOwnNetwork(main);
