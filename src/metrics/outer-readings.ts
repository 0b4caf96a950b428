/**
 * What the other outer rooms count. Rooms of one floor do not know each other, so each keeps its own numbers and the
 * composition root hands over functions that read them; a room that does not run is undefined and makes no samples.
 */

export interface OuterReadings {
  readonly management?: () => ManagementReading | undefined;
  readonly discovery?: () => DiscoveryReading | undefined;
  readonly http?: () => HttpReading | undefined;
  /** The Serf agent's RPC. */
  readonly serfRpc?: () => SerfRpcReading | undefined;
}

export interface ManagementReading {
  readonly requests: readonly { readonly method: string; readonly code: string; readonly count: number }[];
  /** Calls sent on to the leader. */
  readonly forwarded: number;
  readonly streams: number;
  readonly connections: number;
  readonly connectionsAccepted: number;
  readonly connectionsRefused: number;
  readonly connectionsMalformed: number;
}

export interface DiscoveryReading {
  /** Nodes of our cluster that are seen now. */
  readonly found: number;
  readonly dropped: Readonly<Record<string, number>>;
}

export interface HttpReading {
  readonly connections: number;
  readonly requests: readonly { readonly path: string; readonly code: string; readonly count: number }[];
  /** Connections that did not speak HTTP, or more than are taken. */
  readonly garbage: Readonly<Record<string, number>>;
}

export interface SerfRpcReading {
  readonly open: number;
  readonly accepted: number;
  readonly requests: number;
  /** Records of streams that slow clients missed. */
  readonly recordsLost: number;
  readonly wrongKeys: number;
  /** Connections that the node ended, by reason. */
  readonly cut: Readonly<Record<string, number>>;
}
