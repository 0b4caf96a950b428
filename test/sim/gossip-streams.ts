/** Gossip's TCP side, as runtime/tcp-streams.ts shows it: ordered both ways, refused, reset, closed, or silent until it times out. */
import type { ClusterInput } from '../../src/cluster/messages.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { StreamId } from '../../src/model/ids.ts';
import type { Network, NetworkHost } from './network.ts';
import { OrderedWay } from './ordered-way.ts';
import type { SimulatedProcess } from './process.ts';

const IDLE_MS = 10_000;
/** When a connection request is repeated. */
const SYN_AT_MS: readonly number[] = [0, 1_000, 3_000, 7_000];

interface End {
  readonly process: SimulatedProcess;
  readonly stream: StreamId;
  /** The way to it. */
  way: OrderedWay | undefined;
  /** It hears nothing any more: closed by itself, or told. */
  isOver: boolean;
}

interface Pipe {
  readonly opener: End;
  acceptor: End | undefined;
}

export class GossipStreams {
  readonly #network: Network;
  readonly #host: NetworkHost;
  readonly #pipes: Map<SimulatedProcess, Map<StreamId, Pipe>> = new Map();

  constructor(network: Network, host: NetworkHost) {
    this.#network = network;
    this.#host = host;
  }

  openOf(process: SimulatedProcess): number {
    return this.#pipes.get(process)?.size ?? 0;
  }

  open(process: SimulatedProcess, stream: StreamId, to: Endpoint): void {
    const pipe: Pipe = { opener: endOf(process, stream), acceptor: undefined };
    this.#register(process, stream, pipe);
    const start = this.#host.now;
    for (const [i, afterMs] of SYN_AT_MS.entries()) {
      if (i > 0 && this.#network.isWhole && this.#network.options.loss === 0) break;
      this.#host.at(start + afterMs + this.#network.delay(), () => this.#onSyn(pipe, to));
    }
    this.#host.at(start + IDLE_MS, () => {
      if (pipe.acceptor === undefined) this.#tell(pipe.opener, closed(stream, 'timed out'));
    });
  }

  send(process: SimulatedProcess, stream: StreamId, bytes: Uint8Array): void {
    const other = this.#otherEnd(process, stream);
    const copy = bytes.slice();
    if (other !== undefined)
      this.#carry(process, other, () => ({ kind: 'streamBytes', stream: other.stream, bytes: copy }));
  }

  close(process: SimulatedProcess, stream: StreamId): void {
    const pipe = this.#pipes.get(process)?.get(stream);
    if (pipe === undefined) return;
    const other = this.#otherEnd(process, stream);
    (pipe.opener.process === process && pipe.opener.stream === stream ? pipe.opener : (pipe.acceptor as End)).isOver =
      true;
    this.#pipes.get(process)?.delete(stream);
    if (other !== undefined) this.#carry(process, other, () => closed(other.stream, undefined));
  }

  /** Its kernel resets what the process had open, unless the machine is without power. */
  onCrash(process: SimulatedProcess, isSilent: boolean): void {
    const pipes = this.#pipes.get(process);
    this.#pipes.delete(process);
    for (const [stream, pipe] of pipes ?? []) {
      const other = pipe.opener.process === process && pipe.opener.stream === stream ? pipe.acceptor : pipe.opener;
      if (other === undefined) continue;
      if (isSilent) this.#host.at(this.#host.now + IDLE_MS, () => this.#tell(other, closed(other.stream, 'timed out')));
      else this.#carry(process, other, () => closed(other.stream, 'reset'));
    }
  }

  #onSyn(pipe: Pipe, to: Endpoint): void {
    const { process, stream } = pipe.opener;
    if (pipe.acceptor !== undefined || pipe.opener.isOver || !process.isUp) return;
    const target = this.#network.listenerAt('streams', to);
    if (target === undefined) {
      this.#host.at(this.#host.now + this.#network.delay(), () => this.#tell(pipe.opener, closed(stream, 'refused')));
      return;
    }
    if (!target.isUp) return;
    const isCut =
      this.#network.isCut(process.machine, target.machine, 'gossip') ||
      this.#network.isCut(target.machine, process.machine, 'gossip');
    if (isCut || this.#network.isLost()) return;
    const accepted = target.nextAcceptedStream();
    pipe.acceptor = endOf(target, accepted);
    this.#register(target, accepted, pipe);
    const from = { host: (process.endpoints.get('gossip') as Endpoint).host, port: 40_000 };
    target.receive({ kind: 'streamAccepted', stream: accepted, from });
    this.#carry(target, pipe.opener, () => ({ kind: 'streamOpened', stream }));
  }

  /** After ten seconds on a way that is cut both ends give up. */
  #carry(from: SimulatedProcess, to: End, input: () => ClusterInput): void {
    to.way ??= new OrderedWay(this.#host, {
      isCut: () => this.#network.isCut(from.machine, to.process.machine, 'gossip'),
      onStuck: () => this.#tell(to, closed(to.stream, 'timed out')),
      patienceMs: IDLE_MS,
    });
    to.way.carry(this.#network.segmentDelay(), () => this.#tell(to, input()));
  }

  #tell(end: End, input: ClusterInput): void {
    if (end.isOver || !end.process.isUp) return;
    if (input.kind === 'streamClosed') {
      end.isOver = true;
      this.#pipes.get(end.process)?.delete(end.stream);
    }
    end.process.receive(input);
  }

  #otherEnd(process: SimulatedProcess, stream: StreamId): End | undefined {
    const pipe = this.#pipes.get(process)?.get(stream);
    if (pipe === undefined) return undefined;
    return pipe.opener.process === process && pipe.opener.stream === stream ? pipe.acceptor : pipe.opener;
  }

  #register(process: SimulatedProcess, stream: StreamId, pipe: Pipe): void {
    const pipes = this.#pipes.get(process) ?? new Map<StreamId, Pipe>();
    pipes.set(stream, pipe);
    this.#pipes.set(process, pipes);
  }
}

function endOf(process: SimulatedProcess, stream: StreamId): End {
  return { process, stream, way: undefined, isOver: false };
}

function closed(stream: StreamId, error: string | undefined): ClusterInput {
  return { kind: 'streamClosed', stream, error };
}
