/**
 * The failure detector: one member per interval is asked whether it lives; when it is silent, others are asked to ask, and its
 * TCP port is tried; when all is silent, it is suspected. SWIM §3.1, Lifeguard §3, wire-gossip.md 9.1 to 9.3.
 *
 * A probe is `direct` for the probe timeout, then `indirect` until its interval (scaled by local health) is over.
 */
import { assert, present } from '../base/assert.ts';
import type { MonotonicMs } from '../base/machine.ts';
import { randomBetween } from '../base/random.ts';
import { addressOfHost } from '../wire/memberlist/address.ts';
import { encodeIndirectPing, encodePing, encodeSuspect } from '../wire/memberlist/messages.ts';
import type { Ack, Ping, SourceFields } from '../wire/memberlist/messages.ts';
import { isPresent } from './claim.ts';
import type { SwimConfig } from './config.ts';
import type { SwimContext } from './context.ts';
import type { Membership } from './membership.ts';
import { memberOf } from './member-table.ts';
import type { Row } from './member-table.ts';
import type { Outbox } from './outbox.ts';
import type { StreamClient, Streams } from './streams.ts';

/** Maximum memberlist protocols from which a peer answers so (wire-gossip 3.1). */
const TCP_PING_VERSION = 3;
const NACK_VERSION = 4;

/**
 * How soon after a ping we first look whether this process runs, and how late it may be. Then each time an eighth later: so much
 * may a round trip be wrong, and a peer on another continent costs some twenty looks.
 */
const WATCH_MS = 5;
const WATCH_PARTS = 8;

interface Probe {
  readonly row: Row;
  readonly ping: Ping;
  readonly sentAt: MonotonicMs;
  phase: 'direct' | 'indirect';
  /** End of the direct phase. */
  directUntil: MonotonicMs;
  /** The verdict. */
  until: MonotonicMs;
  nacksExpected: number;
  nacksReceived: number;
  answeredByTcp: boolean;
  /** When we look next whether this process runs in time; see {@link Prober.tick}. */
  watchAt: MonotonicMs;
  /** This process stood still meanwhile: the time until the ack says nothing about the network. */
  isTimeSpoilt: boolean;
}

export interface ProberParts {
  readonly membership: Membership;
  readonly outbox: Outbox;
  readonly streams: Streams;
}

/** How we sign our pings. */
export function sourceFields(config: SwimConfig): SourceFields {
  const { advertise, name } = config;
  return { sourceAddress: addressOfHost(advertise.host), sourcePort: advertise.port, sourceNode: name };
}

export class Prober {
  readonly #context: SwimContext;
  readonly #parts: ProberParts;
  #probe: Probe | undefined;
  #nextAt: MonotonicMs = Number.POSITIVE_INFINITY;

  constructor(context: SwimContext, parts: ProberParts) {
    this.#context = context;
    this.#parts = parts;
  }

  start(): void {
    const { config, now, random } = this.#context;
    this.#nextAt = now + randomBetween(random, 0, config.probeIntervalMs);
  }

  /** Whether the ack was for our probe. One that comes before the verdict is drawn counts, however late it was read. */
  onAck(ack: Ack): boolean {
    const probe = this.#probe;
    if (probe === undefined || ack.sequence !== probe.ping.sequence) return false;
    this.#watch(probe);
    const isTimed = probe.phase === 'direct' && !probe.isTimeSpoilt;
    const roundTripMs = isTimed ? this.#context.now - probe.sentAt : undefined;
    if (roundTripMs !== undefined) this.#context.roundTrips.observe(roundTripMs);
    // Helpers forward none (wire-gossip 9.3): what is there is the member's own word, true however late it is read.
    if (ack.payload !== undefined && ack.payload.length > 0)
      this.#context.delegate.onAckPayload(probe.row.name, ack.payload, roundTripMs);
    this.#succeed();
    return true;
  }

  onNack(sequence: number): boolean {
    const probe = this.#probe;
    if (probe === undefined || sequence !== probe.ping.sequence || probe.phase !== 'indirect') return false;
    if (probe.nacksReceived < probe.nacksExpected) probe.nacksReceived += 1;
    return true;
  }

  tick(): void {
    const { config, now } = this.#context;
    if (this.#probe?.phase === 'direct') this.#watch(this.#probe);
    if (this.#probe !== undefined && this.#probe.phase === 'direct' && this.#probe.directUntil <= now) {
      this.#askOthers(this.#probe);
    }
    if (this.#probe !== undefined && this.#probe.until <= now) this.#judge(this.#probe);
    if (this.#nextAt > now) return;
    this.#nextAt += config.probeIntervalMs;
    // Ticks that were missed are not made up for.
    if (this.#nextAt <= now) this.#nextAt = now + config.probeIntervalMs;
    if (this.#probe === undefined) this.#begin();
  }

  nextDeadline(): MonotonicMs {
    const probe = this.#probe;
    if (probe === undefined) return this.#nextAt;
    if (probe.phase === 'indirect') return Math.min(this.#nextAt, probe.until);
    return Math.min(this.#nextAt, probe.directUntil, probe.watchAt);
  }

  postpone(byMs: number): void {
    if (this.#probe === undefined) return;
    this.#probe.directUntil += byMs;
    this.#probe.until += byMs;
    this.#probe.isTimeSpoilt = true;
  }

  check(): void {
    const probe = this.#probe;
    if (probe === undefined) return;
    assert(!this.#context.isSelf(probe.row.name), 'we do not probe ourselves');
    assert(probe.directUntil <= probe.until, 'a probe asks directly first');
    assert(probe.nacksReceived <= probe.nacksExpected, 'no more nacks count than were asked for');
  }

  /** 9.2 */
  #begin(): void {
    const { awareness, config, now, stats, table } = this.#context;
    const isProbed = (row: Row): boolean => isPresent(row.state) && !this.#context.isSelf(row.name);
    const row = table.nextInOrder(isProbed, () => this.#parts.membership.sweep());
    if (row === undefined) return;
    const sequence = this.#context.nextSequence();
    const ping: Ping = { kind: 'ping', node: row.name, sequence, ...sourceFields(config) };
    const until = now + awareness.scale(config.probeIntervalMs);
    this.#probe = {
      row,
      ping,
      sentAt: now,
      phase: 'direct',
      directUntil: Math.min(now + config.probeTimeoutMs, until),
      until,
      nacksExpected: 0,
      nacksReceived: 0,
      answeredByTcp: false,
      watchAt: now + WATCH_MS,
      isTimeSpoilt: false,
    };
    stats.probes += 1;
    if (row.state === 'alive') {
      this.#parts.outbox.sendWithNews(row.endpoint, encodePing(ping));
      return;
    }
    // A suspect is told so with the ping, and may refute at once.
    const { incarnation, name: node } = row;
    const suspect = encodeSuspect({ kind: 'suspect', incarnation, node, from: config.name });
    this.#parts.outbox.send(row.endpoint, encodePing(ping), suspect);
  }

  /** 9.3 */
  #askOthers(probe: Probe): void {
    const { config, stats, table } = this.#context;
    const { row, ping } = probe;
    probe.phase = 'indirect';
    const isHelper = (other: Row): boolean => {
      return other.state === 'alive' && other !== row && !this.#context.isSelf(other.name);
    };
    for (const helper of table.pick(config.indirectChecks, isHelper)) {
      const nack = (helper.versions[1] ?? 0) >= NACK_VERSION;
      if (nack) probe.nacksExpected += 1;
      stats.indirectProbes += 1;
      const request = encodeIndirectPing({
        ...ping,
        kind: 'indirectPing',
        target: row.addressBytes,
        port: row.port,
        nack,
      });
      this.#parts.outbox.sendWithNews(helper.endpoint, request);
    }
    if (!config.tcpPing || (row.versions[1] ?? 0) < TCP_PING_VERSION) return;
    const client: StreamClient = {
      onMessage: (message) => {
        if (message.kind === 'ack' && message.sequence === ping.sequence) probe.answeredByTcp = true;
      },
      // Silence has its own clock: the verdict at the end of the probe.
      onFailed: () => undefined,
    };
    this.#parts.streams.open(row.endpoint, encodePing(ping), { client, deadline: probe.until });
  }

  /** An ack that lay in the socket while this process did not run must not teach a long round trip. */
  #watch(probe: Probe): void {
    const { now } = this.#context;
    if (now < probe.watchAt) return;
    if (now - probe.watchAt > WATCH_MS) probe.isTimeSpoilt = true;
    probe.watchAt = now + Math.max(WATCH_MS, (now - probe.sentAt) / WATCH_PARTS);
  }

  #judge(probe: Probe): void {
    if (probe.answeredByTcp) {
      this.#succeed();
      this.#context.emit({ kind: 'datagramsBlocked', member: memberOf(probe.row) });
      return;
    }
    const { awareness, stats } = this.#context;
    this.#probe = undefined;
    stats.probesFailed += 1;
    awareness.apply(probe.nacksExpected > 0 ? probe.nacksExpected - probe.nacksReceived : 1);
    // It may have left, or been swept and have come back as another row, while we waited.
    if (this.#context.table.get(probe.row.name) === probe.row) this.#parts.membership.suspect(probe.row.name);
  }

  #succeed(): void {
    present(this.#probe, 'a probe that succeeds is under way');
    this.#probe = undefined;
    this.#context.awareness.apply(-1);
  }
}
