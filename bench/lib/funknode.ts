/** `funknode` processes: what their log lines tell, and when. Watching lines costs the nodes nothing, unlike asking them. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connectManagement, type NodeStatus } from '../../src/client.ts';
import { Program, scratch } from './program.ts';

const MAIN = fileURLToPath(new URL('../../cmd/funknode/main.js', import.meta.url));
const CALL_MS = 2_000;

export interface Line {
  readonly at: number;
  readonly event: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface FunknodeOptions {
  readonly id: string;
  readonly cluster: string;
  readonly args: readonly string[];
}

/** How a node stands by its own lines. */
export interface Standing {
  readonly state: string;
  readonly stateAt: number;
  readonly leader: string;
  readonly leaderAt: number;
  readonly mapVersion: number;
  readonly mapOwners: number;
  readonly mapAt: number;
}

const NOWHERE: Standing = {
  state: 'Starting',
  stateAt: 0,
  leader: '',
  leaderAt: 0,
  mapVersion: 0,
  mapOwners: 0,
  mapAt: 0,
};

export class Funknode extends Program {
  readonly id: string;
  readonly lines: Line[];
  readonly #watch: Watch;

  /** Its data is in the scratch folder, under its id: a process started again under its id is the same node. */
  constructor({ id, cluster, args }: FunknodeOptions) {
    const watch: Watch = { lines: [], standing: NOWHERE, errors: [], onLine: new Set() };
    const identity = ['--node-id', id, '--cluster-name', cluster, '--data-dir', join(scratch, cluster, id)];
    const words = [process.execPath, MAIN, '--log-format', 'json', '--interface', '127.0.0.1', ...identity, ...args];
    super(words, (text, at) => takeLine(watch, text, at));
    this.id = id;
    this.lines = watch.lines;
    this.#watch = watch;
  }

  get standing(): Standing {
    return this.#watch.standing;
  }

  /** Lines that are no log of ours: a crash, for instance. */
  get errors(): readonly string[] {
    return this.#watch.errors;
  }

  /** Calls `listener` after every line; returns what ends that. */
  watch(listener: () => void): () => void {
    this.#watch.onLine.add(listener);
    void this.ended.then(listener);
    return () => this.#watch.onLine.delete(listener);
  }

  count(event: string, from: number): number {
    return this.lines.filter((line) => line.event === event && line.at >= from).length;
  }

  endpoint(name: string): string {
    const started = this.lines.find((line) => line.event === 'started');
    return (started?.fields['endpoints'] as Record<string, string> | undefined)?.[name] ?? '';
  }

  /** What it says when it is asked, and how many shards each owner has; rejects when it does not answer. */
  async ask(): Promise<{ readonly status: NodeStatus; readonly shares: Readonly<Record<string, number>> }> {
    using client = await connectManagement(this.endpoint('ep.clusterfunk.management'), { timeoutMs: CALL_MS });
    const { status } = await client.status();
    const { map } = await client.shardMap({ ownersOnly: true });
    const shares = (map?.owners ?? []).map((owner): [string, number] => [owner.nodeId, owner.shardCount]);
    return { status, shares: Object.fromEntries(shares) };
  }

  /** The numbers of `/metrics`, by series name; those of one name and several labels are added up. */
  async metrics(): Promise<ReadonlyMap<string, number>> {
    const answer = await fetch(`http://${this.endpoint('ep.http')}/metrics`, { signal: AbortSignal.timeout(CALL_MS) });
    const sums = new Map<string, number>();
    for (const line of (await answer.text()).split('\n')) {
      const match = /^([a-z_]+)(?:\{.*\})? (\S+)$/.exec(line);
      if (match !== null) sums.set(match[1] as string, (sums.get(match[1] as string) ?? 0) + Number(match[2]));
    }
    return sums;
  }
}

interface Watch {
  readonly lines: Line[];
  readonly errors: string[];
  readonly onLine: Set<() => void>;
  standing: Standing;
}

const LINES_MAX = 100_000;

function takeLine(watch: Watch, text: string, at: number): void {
  if (!text.startsWith('{')) {
    if (text !== '' && watch.errors.length < LINES_MAX) watch.errors.push(text);
    return;
  }
  const fields = JSON.parse(text) as Readonly<Record<string, unknown>>;
  const line: Line = { at, event: String(fields['event']), fields };
  if (watch.lines.length < LINES_MAX) watch.lines.push(line);
  watch.standing = after(watch.standing, line);
  for (const listener of watch.onLine) listener();
}

function after(standing: Standing, { at, event, fields }: Line): Standing {
  switch (event) {
    case 'stateChanged':
      return { ...standing, state: String(fields['to']), stateAt: at };
    case 'leaderChanged':
      return { ...standing, leader: String(fields['leader']), leaderAt: at };
    case 'leaderLost':
      return { ...standing, leader: '', leaderAt: at };
    case 'shardMapChanged':
      return { ...standing, mapVersion: Number(fields['version']), mapOwners: Number(fields['owners']), mapAt: at };
    default:
      return standing;
  }
}

/** Resolves with the instant at which `holds` first did after a line of any of them; undefined when it has not within `ms`. */
export function whenAll(
  nodes: readonly Funknode[],
  holds: (node: Funknode) => boolean,
  ms: number,
): Promise<number | undefined> {
  return new Promise((resolve) => {
    const ends: (() => void)[] = [];
    const end = (at: number | undefined): void => {
      clearTimeout(timer);
      for (const stop of ends) stop();
      resolve(at);
    };
    const timer = setTimeout(() => end(undefined), ms);
    const look = (): void => {
      if (nodes.some((node) => node.hasEnded)) end(undefined);
      else if (nodes.every(holds)) end(Math.max(...nodes.map((node) => node.lines.at(-1)?.at ?? 0)));
    };
    for (const node of nodes) ends.push(node.watch(look));
    look();
  });
}
