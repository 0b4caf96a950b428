/** Two programs that gossip alike, read alike: funknode as `non-member`, which does nothing but gossip, and HashiCorp's Serf agent. */
import { Funknode } from './funknode.ts';
import { Program } from './program.ts';

export type Side = 'funknode' | 'serf';

/** Gossip's ports, which may be made lossy. */
export const GOSSIP_PORTS: { readonly first: number; readonly last: number } = { first: 21_000, last: 21_999 };
const FIRST_PORT: number = GOSSIP_PORTS.first;
const RPC_OFFSET = 1_000;

/** What a member saw of another. */
export interface Sight {
  readonly kind: 'joined' | 'failed' | 'left';
  readonly who: string;
  readonly at: number;
}

export class Gossiper {
  readonly name: string;
  readonly program: Program;
  readonly #sights: Sight[] = [];
  readonly #present: Set<string> = new Set();
  readonly #onSight: () => void;

  /** `number` gives its name and its port; it joins through `number` 1 unless it is that. */
  constructor(side: Side, number: number, cluster: string, onSight: () => void) {
    this.name = `n${number}`;
    this.#onSight = onSight;
    const join = number === 1 ? undefined : `127.0.0.1:${FIRST_PORT + 1}`;
    const at = `127.0.0.1:${FIRST_PORT + number}`;
    this.program = side === 'serf' ? this.#serf(at, join) : this.#funknode(at, cluster, join);
  }

  /** How many it holds for alive, itself included. */
  get alive(): number {
    return this.#present.size;
  }

  /** Where it serves the RPC of Serf's agent. */
  get rpcPort(): number {
    return FIRST_PORT + RPC_OFFSET + Number(this.name.slice(1));
  }

  /** When it first saw that after `from`; undefined when it has not yet. */
  saw(kind: Sight['kind'], who: string, from: number): number | undefined {
    return this.#sights.find((sight) => sight.kind === kind && sight.who === who && sight.at >= from)?.at;
  }

  lastSight(): number {
    return this.#sights.at(-1)?.at ?? Number.NaN;
  }

  /** How often it took somebody for failed since. */
  failures(from: number): number {
    return this.#sights.filter((sight) => sight.kind === 'failed' && sight.at >= from).length;
  }

  #serf(at: string, join: string | undefined): Program {
    const rpc = `127.0.0.1:${this.rpcPort}`;
    const words = ['serf', 'agent', `-node=${this.name}`, `-bind=${at}`, `-rpc-addr=${rpc}`, '-log-level=info'];
    return new Program(join === undefined ? words : [...words, `-join=${join}`], (line, seenAt) => {
      const match = /EventMember(Join|Failed|Leave): (\S+)/.exec(line);
      if (match !== null) this.#see(SERF_WORDS[match[1] as keyof typeof SERF_WORDS], match[2] as string, seenAt);
    });
  }

  #funknode(at: string, cluster: string, join: string | undefined): Program {
    const rpc = ['--serf-rpc-addr', `127.0.0.1:${this.rpcPort}`];
    const args = ['--role', 'non-member', '--serf-endpoint', at, '--join', join ?? at, ...rpc];
    const node = new Funknode({ id: this.name, cluster, args });
    node.watch(() => {
      const line = node.lines.at(-1);
      const kind = OUR_WORDS[line?.event as keyof typeof OUR_WORDS];
      if (line !== undefined && kind !== undefined) this.#see(kind, String(line.fields['member']), line.at);
    });
    return node;
  }

  #see(kind: Sight['kind'], who: string, at: number): void {
    this.#sights.push({ kind, who, at });
    if (kind === 'joined') this.#present.add(who);
    else this.#present.delete(who);
    this.#onSight();
  }
}

const SERF_WORDS = { Join: 'joined', Failed: 'failed', Leave: 'left' } as const;
const OUR_WORDS = { memberJoined: 'joined', memberFailed: 'failed', memberLeft: 'left' } as const;
