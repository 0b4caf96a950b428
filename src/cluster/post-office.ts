/**
 * Frames between nodes: addressed, checked, and handed to whom they concern. A frame of another cluster or for another
 * member changes nothing (I-30), with exceptions that are drawn here: the questions `describe` and `hasDissolved`, and a leader that speaks
 * Raft to a node which is bound to no cluster yet.
 */
import { DecodeError } from '../base/errors.ts';
import type { MonotonicMs } from '../base/machine.ts';
import type { Dissolution } from '../model/dissolution.ts';
import type { ClusterId, MemberId } from '../model/ids.ts';
import { nodeIdOf } from '../model/ids.ts';
import {
  decodePeerFrame,
  encodePeerFrame,
  type PeerFrame,
  type PeerMessage,
  type PeerResponse,
} from '../wire/peer/peer-message.ts';
import { type Core, drop, isForRaft } from './core.ts';
import type { ClusterEffect } from './messages.ts';
import type { Neighbourhood, Peer } from './neighbourhood.ts';

export interface PostOfficeHost {
  core(): Core;
  readonly neighbourhood: Neighbourhood;
  /** A leader of `clusterId` added this node; false when that may not be. */
  bind(clusterId: ClusterId, leader: Peer | undefined, effects: ClusterEffect[]): boolean;
  /** What this node has given up as the only voter. */
  dissolutionOf(clusterId: ClusterId): Dissolution | undefined;
  onAnswer(from: MemberId, answer: PeerResponse, now: MonotonicMs, effects: ClusterEffect[]): void;
  /** A frame of that member has come. */
  onHeardFrom(member: MemberId, now: MonotonicMs): void;
}

export class PostOffice {
  readonly #host: PostOfficeHost;
  /** Frames to members whose address gossip does not know. */
  undeliverable = 0;

  constructor(host: PostOfficeHost) {
    this.#host = host;
  }

  send(to: MemberId, message: PeerMessage, effects: ClusterEffect[]): void {
    const endpoint = this.#host.neighbourhood.raftEndpoint(to);
    if (endpoint === undefined) {
      this.undeliverable += 1;
      return;
    }
    const { self, replica } = this.#host.core();
    const bytes = encodePeerFrame({ clusterId: replica.clusterId, from: self, to, message });
    effects.push({ kind: 'sendPeer', to, endpoint, bytes });
  }

  onFrame(bytes: Uint8Array, now: MonotonicMs, effects: ClusterEffect[]): void {
    let frame: PeerFrame;
    try {
      frame = decodePeerFrame(bytes);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      drop('peer', 'malformed frame', effects);
      return;
    }
    const { self } = this.#host.core();
    if (frame.to !== self || frame.from === self) {
      drop('peer', 'addressed to another member', effects);
      return;
    }
    this.#host.neighbourhood.onHeardFrom(frame.from, now);
    this.#host.onHeardFrom(frame.from, now);
    this.#deliver(frame, now, effects);
  }

  #deliver(frame: PeerFrame, now: MonotonicMs, effects: ClusterEffect[]): void {
    const { replica, holding, kv } = this.#host.core();
    const { message, from } = frame;
    const isOurs = frame.clusterId !== undefined && frame.clusterId === replica.clusterId;
    if (message.kind === 'request') this.#onRequest(frame, message, now, effects);
    else if (message.kind === 'response') this.#host.onAnswer(from, message.answer, now, effects);
    else if (!isOurs || (isForRaft(message) && replica.raft === undefined)) this.#onForeign(frame, effects);
    else if (message.kind === 'lease') holding.onLeaseFrame(from, message, now, effects);
    else if (message.kind === 'kvAsk' || message.kind === 'kvAnswer') kv.onPeerMessage(from, message, now, effects);
    else if (message.kind === 'handOver') holding.onHandOver(from, message, effects);
    else if (message.kind === 'handOverAck') holding.onHandOverAck(from, message, now, effects);
    else {
      replica.onPeerMessage(from, message, now, effects);
      if (message.kind === 'raft') holding.onRaftFrame(from, now, effects);
    }
  }

  /** Binding comes first; Raft repeats itself. */
  #onForeign(frame: PeerFrame, effects: ClusterEffect[]): void {
    const peer = this.#host.neighbourhood.peer(nodeIdOf(frame.from));
    const sender = peer?.member === frame.from ? peer : undefined;
    if (frame.clusterId !== undefined && isForRaft(frame.message) && this.#host.bind(frame.clusterId, sender, effects))
      return;
    drop('peer', 'of another cluster', effects);
  }

  #onRequest(
    frame: PeerFrame,
    request: Extract<PeerMessage, { kind: 'request' }>,
    now: MonotonicMs,
    effects: ClusterEffect[],
  ): void {
    const { replica, steward, self } = this.#host.core();
    const respond = (answer: PeerResponse, out: ClusterEffect[]): void =>
      this.send(frame.from, { kind: 'response', id: request.id, answer }, out);
    if (request.ask === 'describe') {
      // Nobody may give way to a cluster that has no leader: it may never have one again.
      if (replica.knownLeader(self, now).leader === undefined) return;
      const voters = replica.configuration.voters.length;
      respond(
        { kind: 'description', clusterId: replica.clusterId, voters, isEmpty: replica.state.kv.isUntouched },
        effects,
      );
    } else if (request.ask === 'hasDissolved') {
      const known = frame.clusterId && this.#host.dissolutionOf(frame.clusterId);
      if (known !== undefined) respond({ kind: 'dissolution', ...known }, effects);
    } else if (frame.clusterId !== replica.clusterId) {
      drop('peer', 'of another cluster', effects);
    } else if (!replica.isLeader) {
      respond({ kind: 'refused', reason: 'does not lead', leader: replica.knownLeader(self, now).leader }, effects);
    } else {
      steward.retire(
        frame.from,
        (outcome, _now, out) =>
          respond(
            outcome.kind === 'refused'
              ? { kind: 'refused', reason: outcome.reason, leader: undefined }
              : { kind: 'done' },
            out,
          ),
        now,
        effects,
      );
    }
  }
}
