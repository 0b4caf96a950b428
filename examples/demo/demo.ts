/**
 * `npm run demo`: three nodes with a service of sharded counters, a load on it, and the death and return of the leader, told as it happens. Ends by
 * itself within two minutes. Everything stays on loopback unless `--interface` names another address.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type ClusterReader, openClusterReader, type ShardMap } from '../../src/client.ts';
import { groupTable, nodeTable } from './figures.ts';
import { Load, type Sample } from './load.ts';
import { ProgressLine } from './progress-line.ts';
import { Store } from './store.ts';

const { values } = parseArgs({
  options: {
    interface: { type: 'string', default: '127.0.0.1' },
    rate: { type: 'string', default: '300' },
    /** Of each of the three parts: before the death, after it, after the return. */
    seconds: { type: 'string', default: '8' },
  },
});

const NAMES = ['ada', 'barbara', 'grace'] as const;
const CLUSTER = `demo-${process.pid}`;
const SESSIONS = 300;
const FORMED_WITHIN_MS = 60_000;
const GONE_WITHIN_MS = 20_000;
/** Requests so long after an event are counted as met by it. */
const AFTERMATH_MS = 3_000;

class Service {
  readonly child: ChildProcess;
  management = '';

  constructor(name: string, store: string) {
    const path = fileURLToPath(new URL('service.js', import.meta.url));
    const args = ['--name', name, '--store', store, '--cluster', CLUSTER, '--interface', values.interface];
    this.child = spawn(process.execPath, [path, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  }

  async ready(): Promise<void> {
    const lines = createInterface({ input: this.child.stdout as NodeJS.ReadableStream });
    const timeout = AbortSignal.timeout(FORMED_WITHIN_MS);
    const [line] = (await once(lines, 'line', { signal: timeout })) as [string];
    this.management = (JSON.parse(line) as { management: string }).management;
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, 'exit');
    this.child.kill(signal);
    const isEnded = await Promise.race([ended.then(() => true), sleep(GONE_WITHIN_MS, false, { ref: false })]);
    if (!isEnded) this.child.kill('SIGKILL');
  }
}

function say(line = ''): void {
  process.stdout.write(`${line}\n`);
}

/** `ada 3334, barbara 3333, grace 3333` */
function shares({ owners, ownerOf }: ShardMap): string {
  const counts = owners.map(() => 0);
  for (const owner of ownerOf) counts[owner] = (counts[owner] ?? 0) + 1;
  return owners.map(({ node }, i) => `${node} ${counts[i]}`).join(', ');
}

/** The first map that is shared by so many owners. */
async function mapOf(reader: ClusterReader, owners: readonly string[]): Promise<ShardMap> {
  const wanted = [...owners].sort().join();
  for await (const { shardMap } of reader.pictures({ signal: AbortSignal.timeout(FORMED_WITHIN_MS) })) {
    const own = shardMap?.owners
      .map(({ node }) => node as string)
      .sort()
      .join();
    if (shardMap !== undefined && own === wanted) return shardMap;
  }
  throw new Error('the reader was closed');
}

/** Which shards two maps give to different processes. */
function moved(before: ShardMap, after: ShardMap): Set<number> {
  const shards = new Set<number>();
  for (let shard = 0; shard < before.shardCount; shard++) {
    const [a, b] = [before.owners[before.ownerOf[shard] ?? 0], after.owners[after.ownerOf[shard] ?? 0]];
    if (a?.boot !== b?.boot) shards.add(shard);
  }
  return shards;
}

const store = new Store();
const url = await store.listen(values.interface);
const services = new Map(NAMES.map((name) => [name as string, new Service(name, url)]));
try {
  await play(services);
} finally {
  await Promise.all([...services.values()].map((service) => service.end('SIGTERM')));
  store.close();
}

async function play(running: Map<string, Service>): Promise<void> {
  const seconds = Number(values.seconds);
  say('Three nodes start and look for each other by mDNS.');
  await Promise.all([...running.values()].map((service) => service.ready()));
  const reader = openClusterReader([...running.values()].map(({ management }) => management));
  const first = await mapOf(reader, NAMES);
  say(`They are one cluster: ${reader.leader} leads, ${first.shardCount} shards: ${shares(first)}.`);
  await anyNode(reader);

  const load = new Load(reader);
  say(
    `\n${SESSIONS} sessions add to their counters, ${values.rate} times a second, over gRPC and HTTP, each at its owner.`,
  );
  const line = new ProgressLine(3 * seconds * 1_000, () => ({ requests: load.samples.length, retries: load.retries }));
  const ended = load.run(SESSIONS, Number(values.rate));
  await sleep(seconds * 1_000);

  const victim = reader.leader ?? NAMES[0];
  const killedAt = performance.now();
  running.get(victim)?.child.kill('SIGKILL');
  line.say(`kill -9 ${victim}, which leads and owns a third of the shards`);
  const second = await mapOf(
    reader,
    NAMES.filter((name) => name !== victim),
  );
  line.say(
    `${Math.round(performance.now() - killedAt)} ms later ${reader.leader} leads, and the shards are shared anew: ${shares(second)}`,
  );
  await sleep(seconds * 1_000);

  const returnedAt = performance.now();
  const back = new Service(victim, url);
  running.set(victim, back);
  await back.ready();
  const third = await mapOf(reader, NAMES);
  line.say(`${victim} is back and has its share: ${shares(third)}`);
  await sleep(seconds * 1_000);
  load.stop();
  await ended;
  line.end();
  conclude(load, { killedAt, returnedAt, lost: moved(first, second), gained: moved(second, third), victim });
  await reader.close();
}

/** One request for one session through each node: all bring it to the same owner. */
async function anyNode(reader: ClusterReader): Promise<void> {
  say('Any node takes any request and brings it to the owner of its session:');
  let step = 0;
  for (const [node, { host, port }] of reader.endpoints('counter-http')) {
    step += 1;
    const answer = await fetch(`http://${host}:${port}/counters/hello?step=${step}`, { method: 'POST' });
    say(`  through ${node}: ${answer.status} ${await answer.text()}`);
  }
}

interface Story {
  readonly killedAt: number;
  readonly returnedAt: number;
  readonly lost: ReadonlySet<number>;
  readonly gained: ReadonlySet<number>;
  readonly victim: string;
}

function conclude(load: Load, { killedAt, returnedAt, lost, gained, victim }: Story): void {
  const { samples } = load;
  // A request is met by an event that happens while it is under way, too.
  const met = (at: number, untilMs: number) => (sample: Sample) =>
    sample.at + sample.tookMs >= at && sample.at < at + untilMs;
  const death = samples.filter(met(killedAt, AFTERMATH_MS));
  const coming = samples.filter(met(returnedAt, Number.POSITIVE_INFINITY));
  const unmoved = death.filter(({ shard }) => !lost.has(shard));
  say();
  say(
    groupTable([
      { name: 'before', samples: samples.filter(({ at, tookMs }) => at + tookMs < killedAt) },
      { name: `${victim} dies: shards that stay`, samples: unmoved },
      { name: `${victim} dies: shards it owned`, samples: death.filter(({ shard }) => lost.has(shard)) },
      { name: `${victim} returns: shards that stay`, samples: coming.filter(({ shard }) => !gained.has(shard)) },
      { name: `${victim} returns: shards it gets`, samples: coming.filter(({ shard }) => gained.has(shard)) },
    ]),
  );
  say(`\n${nodeTable(samples)}\n`);
  const failed = samples.filter(({ error }) => error !== undefined);
  const failedUnmoved = unmoved.filter(({ error }) => error !== undefined).length;
  const sum = [...load.acknowledged.values()].reduce((total, value) => total + value, 0);
  const stored = [...store.sessions].reduce(
    (total, [name, { value }]) => (name === 'hello' ? total : total + value),
    0,
  );
  say(
    `Requests ${samples.length}, sent again ${load.retries}, failed ${failed.length}; for shards that stayed: failed ${failedUnmoved}.`,
  );
  say(
    `Counted: ${sum} additions were acknowledged, the store holds ${stored}, and it refused ${store.refused} with a token that was no longer the newest.`,
  );
  for (const error of new Set(failed.slice(0, 5).map((sample) => sample.error))) say(`  ${error}`);
  if (failedUnmoved > 0 || sum !== stored) process.exitCode = 1;
}
