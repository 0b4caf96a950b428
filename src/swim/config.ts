/** Settings of the SWIM core: memberlist's three profiles (wire-gossip 11.4) and the limits that memberlist leaves open. */
import { utf8 } from '../base/bytes.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { LABEL_BYTES_MAX } from '../wire/memberlist/guard.ts';
import { type IpNetwork, isHostIn } from '../wire/memberlist/network.ts';
import { keyProblem } from '../wire/memberlist/sealing.ts';
import { KEYS_MAX } from './keyring.ts';

/** Memberlist's limit on node metadata (wire-gossip 11.4). */
export const META_BYTES_MAX = 512;
/** We understand memberlist 1 to 5 and speak 2, understand Serf 2 to 5; which of them we speak follows (wire-gossip 3.1). */
export const OUR_VERSIONS: readonly number[] = [1, 5, 2, 2, 5];
export const DEFAULT_GOSSIP_PORT = 7946;

export interface SwimTiming {
  /** A stream must make its next step within this. */
  readonly tcpTimeoutMs: number;
  /** How many members are asked to probe for us. */
  readonly indirectChecks: number;
  /** A broadcast is sent this many times ceil(log10(n + 1)). */
  readonly retransmitMult: number;
  readonly suspicionMult: number;
  /** A suspicion without confirmations lasts this many times the minimum. */
  readonly suspicionMaxTimeoutMult: number;
  /** 0 disables the periodic exchange. */
  readonly pushPullIntervalMs: number;
  readonly probeIntervalMs: number;
  readonly probeTimeoutMs: number;
  /** Local health is 0 to this minus one. */
  readonly awarenessMaxMultiplier: number;
  readonly gossipIntervalMs: number;
  readonly gossipNodes: number;
  /** For so long the dead are still gossiped to, and kept in the table. */
  readonly gossipToTheDeadMs: number;
}

export interface SwimConfig extends SwimTiming {
  readonly name: string;
  /** Where peers reach us, by UDP and TCP: an IP address, not a name, and the port really bound. */
  readonly advertise: Endpoint;
  /** What a port of 0 in a peer's record means. */
  readonly defaultPort: number;
  /** Dial a member that did not answer by UDP. */
  readonly tcpPing: boolean;
  /** Compress what gets strictly shorter by it. Reading compressed messages is always possible. */
  readonly compression: boolean;
  /** Largest datagram that we build. One member's name, metadata and addresses must fit. */
  readonly packetBytesMax: number;
  /** After so long a dead member's name may be taken by another address without asking the delegate. 0 means never. */
  readonly deadNodeReclaimMs: number;
  /**
   * How long a name that is gone is known for it after its row was dropped: word of others does not bring it back. As long as Serf
   * remembers who failed or left (reconnect and tombstone timeouts). 0 forgets with the row, as memberlist does.
   */
  readonly tombstoneMs: number;
  /** How long a leave may take to spread. Serf's broadcast timeout. */
  readonly leaveTimeoutMs: number;
  /** Waking later than this after a deadline means that this process stood still; the time does not count against others. */
  readonly stallMs: number;
  /** Rows of the member table. A cluster of this size is beyond gossip; a peer that invents names stops here. */
  readonly membersMax: number;
  /** Streams that peers may have open at once (memberlist: 127 push/pulls and ours). */
  readonly streamsAcceptedMax: number;
  /** Bytes that all half-received streams may hold together. */
  readonly streamBufferedBytesMax: number;
  /** 16, 24 or 32 bytes each; the first one seals. None: gossip is not encrypted, and never will be while this node runs. */
  readonly keys: readonly Uint8Array[];
  /** Refuse what is not encrypted. Without effect as long as there are no keys. memberlist: GossipVerifyIncoming. */
  readonly verifyIncoming: boolean;
  /** Encrypt what is sent. memberlist: GossipVerifyOutgoing. */
  readonly verifyOutgoing: boolean;
  /** Keeps apart clusters that share a network: what bears another label, or none, is dropped. Empty for none. memberlist: Label. */
  readonly label: string;
  /** For a transport that takes labels off before we see them. memberlist: SkipInboundLabelCheck. */
  readonly skipInboundLabelCheck: boolean;
  /** Gossip with addresses in these networks only; empty for any. memberlist: CIDRsAllowed. */
  readonly networksAllowed: readonly IpNetwork[];
  /** Of those that we understand, the one that we say we speak: 4 or 5. serf: ProtocolVersion. */
  readonly serfProtocol: number;
}

export type SwimProfile = 'lan' | 'wan' | 'local';

/** Memberlist's DefaultLANConfig, DefaultWANConfig and DefaultLocalConfig. */
export const SWIM_TIMING: Readonly<Record<SwimProfile, SwimTiming>> = {
  lan: {
    tcpTimeoutMs: 10_000,
    indirectChecks: 3,
    retransmitMult: 4,
    suspicionMult: 4,
    suspicionMaxTimeoutMult: 6,
    pushPullIntervalMs: 30_000,
    probeIntervalMs: 1_000,
    probeTimeoutMs: 500,
    awarenessMaxMultiplier: 8,
    gossipIntervalMs: 200,
    gossipNodes: 3,
    gossipToTheDeadMs: 30_000,
  },
  wan: {
    tcpTimeoutMs: 30_000,
    indirectChecks: 3,
    retransmitMult: 4,
    suspicionMult: 6,
    suspicionMaxTimeoutMult: 6,
    pushPullIntervalMs: 60_000,
    probeIntervalMs: 5_000,
    probeTimeoutMs: 3_000,
    awarenessMaxMultiplier: 8,
    gossipIntervalMs: 500,
    gossipNodes: 4,
    gossipToTheDeadMs: 60_000,
  },
  local: {
    tcpTimeoutMs: 1_000,
    indirectChecks: 1,
    retransmitMult: 2,
    suspicionMult: 3,
    suspicionMaxTimeoutMult: 6,
    pushPullIntervalMs: 15_000,
    probeIntervalMs: 1_000,
    probeTimeoutMs: 200,
    awarenessMaxMultiplier: 8,
    gossipIntervalMs: 100,
    gossipNodes: 3,
    gossipToTheDeadMs: 15_000,
  },
};

/** A full configuration: the profile's timing, our defaults, and whatever `settings` overrides. */
export function swimConfig(
  settings: Partial<SwimConfig> & Pick<SwimConfig, 'name' | 'advertise'>,
  profile: SwimProfile = 'lan',
): SwimConfig {
  return {
    ...SWIM_TIMING[profile],
    defaultPort: DEFAULT_GOSSIP_PORT,
    tcpPing: true,
    compression: true,
    packetBytesMax: 1_400,
    deadNodeReclaimMs: 0,
    tombstoneMs: 86_400_000,
    leaveTimeoutMs: 5_000,
    stallMs: 200,
    membersMax: 4_096,
    streamsAcceptedMax: 128,
    streamBufferedBytesMax: 64 * 1024 * 1024,
    keys: [],
    verifyIncoming: true,
    verifyOutgoing: true,
    label: '',
    skipInboundLabelCheck: false,
    networksAllowed: [],
    serfProtocol: 5,
    ...settings,
  };
}

/** Lower and upper bound of each number, both allowed. */
const BOUNDS: Readonly<Record<string, readonly [low: number, high: number]>> = {
  tcpTimeoutMs: [10, 600_000],
  indirectChecks: [0, 64],
  retransmitMult: [1, 64],
  suspicionMult: [1, 64],
  suspicionMaxTimeoutMult: [1, 64],
  pushPullIntervalMs: [0, 86_400_000],
  probeIntervalMs: [10, 600_000],
  probeTimeoutMs: [1, 600_000],
  awarenessMaxMultiplier: [1, 64],
  gossipIntervalMs: [5, 60_000],
  gossipNodes: [1, 64],
  gossipToTheDeadMs: [0, 86_400_000],
  defaultPort: [1, 65_535],
  packetBytesMax: [1_024, 65_000],
  deadNodeReclaimMs: [0, 86_400_000],
  tombstoneMs: [0, 2_592_000_000],
  leaveTimeoutMs: [0, 600_000],
  stallMs: [1, 600_000],
  membersMax: [1, 1_048_576],
  streamsAcceptedMax: [1, 4_096],
  streamBufferedBytesMax: [65_536, 1_073_741_824],
  serfProtocol: [4, 5],
};

/** Memberlist's stricter modern rule allows 128 bytes; old clusters may hold longer names, which we keep but do not give ourselves. */
const NAME_BYTES_MAX = 128;
const IPV4 = /^\d{1,3}(\.\d{1,3}){3}$/;
const IPV6 = /^[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*$/;

/** Every problem at once; empty when there is none. */
export function validateSwimConfig(config: SwimConfig): string[] {
  const problems: string[] = [];
  const values = config as unknown as Readonly<Record<string, unknown>>;
  for (const [setting, [low, high]] of Object.entries(BOUNDS)) {
    const value = values[setting];
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < low || value > high) {
      problems.push(`${setting} must be a whole number from ${low} to ${high}`);
    }
  }
  if (config.name.length === 0 || config.name.length > NAME_BYTES_MAX) {
    problems.push(`name must have 1 to ${NAME_BYTES_MAX} characters`);
  }
  if (!IPV4.test(config.advertise.host) && !IPV6.test(config.advertise.host)) {
    problems.push('advertise must hold an IP address');
  }
  if (config.advertise.port < 1 || config.advertise.port > 65_535)
    problems.push('advertise must hold a port from 1 to 65535');
  if (config.networksAllowed.length > 0 && !isHostIn(config.advertise.host, config.networksAllowed))
    problems.push('advertise must lie in one of networksAllowed');
  if (config.probeTimeoutMs >= config.probeIntervalMs) problems.push('probeTimeoutMs must be below probeIntervalMs');
  for (const [at, key] of config.keys.entries()) {
    const problem = keyProblem(key);
    if (problem !== undefined) problems.push(`key ${at + 1} has ${key.length} bytes: ${problem}`);
  }
  if (config.keys.length > KEYS_MAX) problems.push(`at most ${KEYS_MAX} keys, and there are ${config.keys.length}`);
  if (utf8(config.label).length > LABEL_BYTES_MAX) problems.push(`label must have at most ${LABEL_BYTES_MAX} bytes`);
  return problems;
}
