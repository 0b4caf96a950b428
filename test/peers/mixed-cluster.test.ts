/**
 * Ten members, half of them real Serf agents and half ours, all asked by the stock `serf` command line: whatever one does, all ten see
 * alike. Once in plain text, once encrypted and compressed with the key changed under way.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { type Endpoint, formatEndpoint } from '../../src/model/endpoint.ts';
import { freePort, IS_LONG, pause, PeerProcess, runProgram, skipWithout, until } from './peer.ts';
import { FUNKNODE } from './funknode-program.ts';

const KEYS = ['HvY8ubRZMgafUOWvrOadwOckVa1wN3QWAo46FVKbVN8=', 'vbitCcJNwNP4aEWHgofjMg=='] as const;
/** How long they stay together, watched for a false failure. */
const QUIET_MS = IS_LONG ? 3_600_000 : 75_000;
/** Of an event, a query or a change of tags: gossip, and the push/pull every half minute for whom it missed. */
const SEEN_MS = 60_000;
/** Suspicion and verdict, for ten members on a busy machine. */
const FAILED_MS = 90_000;

interface Shown {
  readonly name: string;
  readonly addr: string;
  readonly status: string;
  readonly tags: Readonly<Record<string, string>>;
}

class Peer {
  readonly name: string;
  readonly gossip: Endpoint;
  readonly #rpc: string;
  readonly #process: PeerProcess;
  readonly #heard: string;

  constructor(name: string, gossip: Endpoint, rpc: string, process: PeerProcess, heard: string) {
    this.#heard = heard;
    this.name = name;
    this.gossip = gossip;
    this.#rpc = rpc;
    this.#process = process;
  }

  /** The user events that its handler was run for. */
  heard(): string {
    return existsSync(this.#heard) ? readFileSync(this.#heard, 'utf8') : '';
  }

  async cli(command: string, ...args: readonly string[]): Promise<string> {
    return await runProgram('serf', [command, `-rpc-addr=${this.#rpc}`, ...args], 60_000);
  }

  /** `name:status:role` of all, sorted. */
  async picture(): Promise<string> {
    const { members } = JSON.parse(await this.cli('members', '-format=json')) as { readonly members: readonly Shown[] };
    return members
      .map(({ name, status, tags }) => `${name}:${status}:${tags['role'] ?? ''}`)
      .sort()
      .join(' ');
  }

  async end(signal: 'SIGINT' | 'SIGKILL'): Promise<void> {
    await this.#process.stop(signal);
  }
}

class Mixed implements AsyncDisposable {
  readonly peers: Map<string, Peer> = new Map();
  readonly #isEncrypted: boolean;
  readonly #folder: string = mkdtempSync(join(tmpdir(), 'funknode-mixed-'));

  constructor(isEncrypted: boolean) {
    this.#isEncrypted = isEncrypted;
  }

  async start(name: string, at?: Endpoint): Promise<Peer> {
    const gossip = at ?? { host: '127.0.0.1', port: await freePort() };
    const rpc = `127.0.0.1:${await freePort()}`;
    const seeds = [...this.peers.values()].slice(0, 2).map((peer) => formatEndpoint(peer.gossip));
    const process = name.startsWith('f') ? this.#ours(name, gossip, rpc, seeds) : this.#agent(name, gossip, rpc, seeds);
    const peer = new Peer(name, gossip, rpc, process, this.#heardBy(name));
    this.peers.set(name, peer);
    await until(`${name} answers`, async () => await peer.picture().then(() => true as const, String), 60_000);
    return peer;
  }

  #ours(name: string, gossip: Endpoint, rpc: string, seeds: readonly string[]): PeerProcess {
    const words = ['--in-memory', '--role', 'non-member', '--interface', '127.0.0.1', '--node-id', name];
    words.push('--serf-endpoint', formatEndpoint(gossip), '--serf-rpc-addr', rpc, '--tag', `role=${roleOf(name)}`);
    // The first of all waits to be joined.
    words.push('--join', seeds.join(',') || formatEndpoint(gossip));
    words.push('--event-handler', this.#handler(name));
    if (this.#isEncrypted) words.push('--encrypt', KEYS[0]);
    return new PeerProcess(process.execPath, [FUNKNODE, ...words]);
  }

  #agent(name: string, gossip: Endpoint, rpc: string, seeds: readonly string[]): PeerProcess {
    const words = ['agent', `-node=${name}`, `-bind=${formatEndpoint(gossip)}`, `-rpc-addr=${rpc}`, '-log-level=debug'];
    words.push('-tag', `role=${roleOf(name)}`, ...seeds.map((seed) => `-join=${seed}`));
    words.push('-event-handler', this.#handler(name));
    if (this.#isEncrypted) words.push(`-encrypt=${KEYS[0]}`);
    return new PeerProcess('serf', words);
  }

  #heardBy(name: string): string {
    return join(this.#folder, name);
  }

  #handler(name: string): string {
    return `user=echo $SERF_USER_EVENT >> ${this.#heardBy(name)}`;
  }

  peer(name: string): Peer {
    return this.peers.get(name) ?? assert.fail(name);
  }

  async drop(name: string, signal: 'SIGINT' | 'SIGKILL'): Promise<Endpoint> {
    const peer = this.peer(name);
    this.peers.delete(name);
    await peer.end(signal);
    return peer.gossip;
  }

  /** All that run have the same picture, and it is this one. */
  async agree(
    what: string,
    expected: Readonly<Record<string, string>>,
    withinMs: number,
    isNews = true,
  ): Promise<void> {
    // Of who left long ago a newcomer is not told, by agents neither.
    const counts = (entry: string): boolean => isNews || !entry.includes(':left:');
    const wanted = Object.entries(expected)
      .map(([name, status]) => `${name}:${status}`)
      .filter(counts)
      .sort()
      .join(' ');
    for (const peer of this.peers.values()) {
      await until(
        `${what}, as ${peer.name} sees it: ${wanted}`,
        async () => {
          const seen = (await peer.picture()).split(' ').filter(counts).join(' ');
          return seen === wanted || seen;
        },
        withinMs,
      );
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.peers.values()].map((peer) => peer.end('SIGKILL')));
    rmSync(this.#folder, { recursive: true });
  }
}

function roleOf(name: string): string {
  return Number(name.slice(1)) % 2 === 0 ? 'db' : 'web';
}

const NAMES = ['s1', 'f1', 's2', 'f2', 's3', 'f3', 's4', 'f4', 's5', 'f5'];

function everyone(changes: Readonly<Record<string, string>> = {}): Record<string, string> {
  const all = Object.fromEntries(NAMES.map((name) => [name, `alive:${roleOf(name)}`]));
  return { ...all, ...changes };
}

async function hears(peer: Peer, event: string): Promise<void> {
  await until(`${peer.name} hears ${event}`, () => peer.heard().includes(event) || peer.heard(), SEEN_MS);
}

async function live(t: TestContext, isEncrypted: boolean): Promise<void> {
  await using mixed = new Mixed(isEncrypted);
  for (const name of NAMES) await mixed.start(name);
  await mixed.agree('all are there', everyone(), SEEN_MS);

  await mixed.peer('f1').cli('tags', '-set', 'role=cache');
  await mixed.peer('s1').cli('tags', '-set', 'role=cache');
  const tagged = { f1: 'alive:cache', s1: 'alive:cache' };
  await mixed.agree('new tags', everyone(tagged), SEEN_MS);

  for (const [from, event] of [
    ['f2', 'from-ours'],
    ['s2', 'from-agent'],
  ] as const) {
    await mixed.peer(from).cli('event', '-coalesce=false', event, 'x');
    await Promise.all([...mixed.peers.values()].map((peer) => hears(peer, event)));
  }
  for (const from of ['f3', 's3']) {
    const answer = await mixed
      .peer(from)
      .cli('query', '-format=json', '-timeout=4s', '-tag', 'role=^(web|db)$', 'uptime');
    const { Acks } = JSON.parse(answer) as { readonly Acks: readonly string[] };
    assert.deepEqual(
      [...Acks].sort(),
      NAMES.filter((name) => name !== 'f1' && name !== 's1').sort(),
      `asked by ${from}`,
    );
    assert.match(await mixed.peer(from).cli('reachability'), /Successfully contacted all live nodes/);
  }
  // A coordinate comes with the first probe of its member: within a round of all, which a busy machine draws out.
  for (const asked of ['f4', 's4'])
    await until(
      `${asked} estimates a round trip`,
      async () => {
        const told = await mixed.peer(asked).cli('rtt', 'f5', 's5').catch(String);
        return /Estimated f5 <-> s5 rtt: \d+\.\d+ ms/.test(told) || told;
      },
      SEEN_MS,
    );

  if (isEncrypted) {
    await mixed.peer('s2').cli('keys', `-install=${KEYS[1]}`);
    await mixed.peer('f2').cli('keys', `-use=${KEYS[1]}`);
    await mixed.peer('s3').cli('keys', `-remove=${KEYS[0]}`);
    for (const from of ['f3', 's3']) {
      const list = await mixed.peer(from).cli('keys', '-list');
      assert.match(list, /\[10\/10\]/, from);
      assert.ok(list.includes(KEYS[1]) && !list.includes(KEYS[0]), list);
    }
  }

  const quietFrom = performance.now();
  while (performance.now() - quietFrom < QUIET_MS) {
    await pause(Math.min(5_000, QUIET_MS));
    for (const name of ['f5', 's5'])
      assert.doesNotMatch(await mixed.peer(name).picture(), /failed|left/, `after ${performance.now() - quietFrom} ms`);
  }
  await mixed.agree('nobody has failed', everyone(tagged), SEEN_MS);

  await Promise.all([mixed.drop('f4', 'SIGINT'), mixed.drop('s4', 'SIGINT')]);
  const gone = { ...tagged, f4: 'left:db', s4: 'left:db' };
  await mixed.agree('two have left', everyone(gone), SEEN_MS);
  const places = await Promise.all([mixed.drop('f5', 'SIGKILL'), mixed.drop('s5', 'SIGKILL')]);
  await mixed.agree('two were killed', everyone({ ...gone, f5: 'failed:web', s5: 'failed:web' }), FAILED_MS);
  if (!isEncrypted) {
    // With the key of the first day they would not be let in any more.
    for (const [at, name] of ['f5', 's5'].entries()) await mixed.start(name, places[at]);
    await mixed.agree('the killed ones are back', everyone(gone), SEEN_MS, false);
  }
  t.diagnostic(`${mixed.peers.size} members agree; quiet for ${Math.round(QUIET_MS / 1_000)} s`);
}

describe('five Serf agents and five of ours', { skip: skipWithout('serf') }, () => {
  it('see the same: members, tags, events, queries, round trips, leaves, deaths and returns', (t) => live(t, false));
  it('see the same encrypted and compressed, while the key changes', (t) => live(t, true));
});
