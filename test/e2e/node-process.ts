/** Real `funknode` processes for the end-to-end tests: started, watched through their log lines, asked over gRPC, killed by pid. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connectManagement, type ManagementClient } from '../../src/client.ts';

export const MAIN: string = fileURLToPath(new URL('../../cmd/funknode/main.js', import.meta.url));
export const FUNKCTL: string = fileURLToPath(new URL('../../cmd/funkctl/main.js', import.meta.url));

/** One line of a node's log. */
export interface LogLine {
  /** Milliseconds of `performance.now()` in this process, when the line was read. */
  readonly at: number;
  readonly event: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface StartOptions {
  readonly id: string;
  readonly cluster: string;
  /** `--data-dir`; the folder of the scratch unless given; null for none. */
  readonly dataDir?: string | null;
  readonly args?: readonly string[];
  readonly interface?: string;
  /** Runs the program inside this network namespace. */
  readonly netns?: string;
  /** Words before the program, of one that becomes it. */
  readonly wrap?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** How long anything may take before it counts as never: a machine that is busy with ten clusters at once is slow, not wrong. */
const PATIENCE_MS = 60_000;

/** Being asked costs a node more than an idle life does. */
const SETTLED_POLL_MS = 250;

let clusters = 0;

/** A cluster name that no other test of this run uses: all of them share the loopback's multicast. */
export function freshClusterName(): string {
  clusters += 1;
  return `t${process.pid}-${clusters}`;
}

/** Folders and processes of one test; both are gone at its end, however it ends. */
export class Scratch implements AsyncDisposable {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'funknode-e2e-'));
  readonly #nodes: NodeProcess[] = [];

  start(options: StartOptions): NodeProcess {
    const dataDir = options.dataDir === undefined ? join(this.folder, options.id) : options.dataDir;
    const node = new NodeProcess({ ...options, dataDir });
    this.#nodes.push(node);
    return node;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.#nodes) node.signal('SIGKILL');
    await Promise.all(this.#nodes.map((node) => node.ended));
    this.#keepLogs();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** With FUNKNODE_E2E_LOGS the output of every node stays in that folder, for whoever looks into a failure. */
  #keepLogs(): void {
    const folder = process.env['FUNKNODE_E2E_LOGS'];
    if (folder === undefined) return;
    mkdirSync(folder, { recursive: true });
    for (const [at, { id, output }] of this.#nodes.entries())
      writeFileSync(join(folder, `${basename(this.folder)}-${at}-${id}.log`), output);
  }
}

export class NodeProcess {
  readonly id: string;
  readonly lines: LogLine[] = [];
  /** Everything that was printed, for messages of failing tests. */
  output = '';
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  readonly #child: ChildProcess;
  #partial = '';
  #client: ManagementClient | undefined;
  #wake: (() => void)[] = [];
  #hasEnded = false;

  constructor(options: StartOptions) {
    this.id = options.id;
    const args = [MAIN, '--log-format', 'json', '--node-id', options.id, '--cluster-name', options.cluster];
    args.push('--interface', options.interface ?? '127.0.0.1');
    if (options.dataDir !== null && options.dataDir !== undefined) args.push('--data-dir', options.dataDir);
    args.push(...(options.args ?? ['--zeroconf']));
    const inside = options.netns === undefined ? (options.wrap ?? []) : ['ip', 'netns', 'exec', options.netns];
    const [command, ...rest] = [...inside, process.execPath, ...args];
    this.#child = spawn(command as string, rest, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...options.env },
    });
    this.#child.stdout?.on('data', (bytes: Buffer) => this.#onOutput(bytes.toString()));
    this.#child.stderr?.on('data', (bytes: Buffer) => this.#onOutput(bytes.toString()));
    this.ended = new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => {
        this.#hasEnded = true;
        this.#client?.close();
        for (const wake of this.#wake.splice(0)) wake();
        resolve({ code, signal });
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  get isRunning(): boolean {
    return !this.#hasEnded;
  }

  signal(name: NodeJS.Signals): void {
    if (!this.#hasEnded) this.#child.kill(name);
  }

  /** The first line from `from` on that fits; rejects after `ms`, or when the process has ended without it. */
  async waitFor(what: string, fits: (line: LogLine) => boolean, ms: number = PATIENCE_MS, from = 0): Promise<LogLine> {
    const deadline = performance.now() + ms;
    for (let next = from; ; ) {
      for (; next < this.lines.length; next++) {
        const line = this.lines[next] as LogLine;
        if (fits(line)) return line;
      }
      if (this.#hasEnded) throw new Error(`${this.id} ended before "${what}":\n${this.output}`);
      const left = deadline - performance.now();
      if (left <= 0) throw new Error(`${this.id}: no "${what}" within ${ms} ms:\n${this.output.slice(-6_000)}`);
      await Promise.race([
        new Promise<void>((resolve) => this.#wake.push(resolve)),
        sleep(left, undefined, { ref: false }),
      ]);
    }
  }

  waitForState(state: string, ms: number = PATIENCE_MS, from = 0): Promise<LogLine> {
    return this.waitFor(
      `state ${state}`,
      ({ event, fields }) => event === 'stateChanged' && fields['to'] === state,
      ms,
      from,
    );
  }

  /** The line in which it is Operational under an active map of so many owners that came at or after line `from`. */
  async operationalUnder({
    owners,
    from = 0,
    ms = PATIENCE_MS,
  }: {
    readonly owners: number;
    readonly from?: number;
    readonly ms?: number;
  }): Promise<LogLine> {
    const isMap = ({ event, fields }: LogLine): boolean => event === 'shardMapChanged' && fields['owners'] === owners;
    const map = await this.waitFor(`map of ${owners} owners`, isMap, ms, from);
    const at = this.lines.indexOf(map);
    // Proposed and committed may arrive together: then the node was Operational all along.
    const before = this.lines.slice(0, at).findLast(({ event }) => event === 'stateChanged');
    return before?.fields['to'] === 'Operational' ? map : await this.waitForState('Operational', ms, at);
  }

  /** The endpoint of that tag (`ep.raft`), `host:port`, from the line that tells that the node has started. */
  async endpoint(
    tag: 'ep.serf' | 'ep.raft' | 'ep.clusterfunk.management' | 'ep.liveness' | 'ep.http',
  ): Promise<string> {
    const line = await this.waitFor('started', ({ event }) => event === 'started');
    return (line.fields['endpoints'] as Record<string, string>)[tag] ?? '';
  }

  async client(): Promise<ManagementClient> {
    this.#client ??= await connectManagement(await this.endpoint('ep.clusterfunk.management'), {
      timeoutMs: 5_000,
      connectTimeoutMs: 5_000,
    });
    return this.#client;
  }

  #onOutput(text: string): void {
    this.output += text;
    const at = performance.now();
    const lines = (this.#partial + text).split('\n');
    this.#partial = lines.pop() ?? '';
    for (const line of lines) {
      if (!line.startsWith('{')) continue;
      const fields = JSON.parse(line) as Record<string, unknown>;
      this.lines.push({ at, event: String(fields['event']), fields });
    }
    for (const wake of this.#wake.splice(0)) wake();
  }
}

/** What a node says of nodes of other tests, which share the loopback and may have had its port before. */
export function isOfStrangers({ fields }: LogLine): boolean {
  return /not merged: it is of cluster|pingForAnother|refusedAlive|addressed to another member/.test(
    String(fields['msg']),
  );
}

/** What a settled cluster looks like from outside, as every node tells it. */
export interface Settled {
  readonly clusterId: string;
  readonly leader: string;
  /** Shards by owner. */
  readonly shares: Readonly<Record<string, number>>;
}

/** Polls until every node is Operational in one cluster, with one leader and one map that is even among exactly `owners`, and so many voters; rejects after `ms`. */
export async function settled(
  nodes: readonly NodeProcess[],
  { owners = nodes, voters, ms = PATIENCE_MS }: { owners?: readonly NodeProcess[]; voters?: number; ms?: number } = {},
): Promise<Settled> {
  const deadline = performance.now() + ms;
  let seen = '';
  while (performance.now() < deadline) {
    const pictures = await Promise.all(nodes.map((node) => pictureOf(node).catch((error: Error) => error.message)));
    seen = JSON.stringify(pictures);
    const [first] = pictures;
    const isOne = pictures.every((picture) => JSON.stringify(picture) === JSON.stringify(first));
    if (isOne && typeof first === 'object' && first.state === 'Operational') {
      const named = Object.keys(first.shares).sort().join();
      const hasVoters = voters === undefined || first.voters === voters;
      const counts = Object.values(first.shares);
      if (
        hasVoters &&
        Math.max(...counts) - Math.min(...counts) <= 1 &&
        first.leader !== '' &&
        named ===
          owners
            .map((node) => node.id)
            .sort()
            .join()
      ) {
        return { clusterId: first.clusterId, leader: first.leader, shares: first.shares };
      }
    }
    await sleep(SETTLED_POLL_MS);
  }
  const ended = nodes
    .filter((node) => !node.isRunning)
    .map((node) => `\n${node.id} has ended:\n${node.output.slice(-2_000)}`);
  throw new Error(`not settled within ${ms} ms: ${seen}${ended.join('')}`);
}

async function pictureOf(node: NodeProcess): Promise<Settled & { readonly state: string; readonly voters: number }> {
  const client = await node.client();
  const { status } = await client.status();
  // Who is not Operational is asked again in any case.
  const { map: shardMap } =
    status?.state === 'Operational' ? await client.shardMap({ ownersOnly: true }) : { map: undefined };
  const shares = Object.fromEntries((shardMap?.owners ?? []).map((owner) => [owner.nodeId, owner.shardCount]));
  return {
    clusterId: status?.clusterId ?? '',
    leader: status?.leaderId ?? '',
    state: status?.state ?? '',
    voters: status?.voterCount ?? 0,
    shares,
  };
}

/** Minimum, median, 90th percentile and maximum, in whole milliseconds, for a line of output. */
export function distribution(valuesMs: readonly number[]): string {
  const sorted = [...valuesMs].sort((a, b) => a - b);
  const at = (part: number): string =>
    String(Math.round(sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN));
  return `n=${sorted.length} min ${at(0)} median ${at(0.5)} p90 ${at(0.9)} max ${at(1)} ms`;
}

/** The full figures are asked for: more rounds, longer watching. */
export const IS_LONG: boolean = process.env['FUNKNODE_LONG'] === '1';
