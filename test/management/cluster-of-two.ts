/** Two management servers on loopback before fake nodes of one cluster: n1 leads, n2 follows, n3 is a dead address. */
import {
  createManagementServer,
  type ManagementServer,
  type ManagementServerOptions,
} from '../../src/management/server.ts';
import { formatEndpoint } from '../../src/model/endpoint.ts';
import type { LogLevel, Logger } from '../../src/ports/logger.ts';
import { type FakeMember, FakeNodeHandle, fakeView } from '../fake-node-handle.ts';

export const LOOPBACK = { host: '127.0.0.1', port: 0 };

/** A logger that keeps its lines. */
export class KeptLog implements Logger {
  readonly lines: { readonly level: LogLevel; readonly event: string; readonly fields: object }[] = [];

  log(level: LogLevel, event: string, fields: Readonly<Record<string, unknown>>): void {
    this.lines.push({ level, event, fields });
  }

  child(): Logger {
    return this;
  }

  events(): string[] {
    return this.lines.map((line) => line.event);
  }
}

export interface ServedNode {
  readonly handle: FakeNodeHandle;
  readonly server: ManagementServer;
  readonly address: string;
}

export async function serve(
  handle: FakeNodeHandle,
  options: Partial<ManagementServerOptions> = {},
): Promise<ServedNode> {
  const server = await createManagementServer({ handle, endpoint: LOOPBACK, ...options });
  return { handle, server, address: formatEndpoint(server.endpoint) };
}

export interface ClusterOfTwo extends AsyncDisposable {
  readonly leader: ServedNode;
  readonly follower: ServedNode;
}

/** `others` join n1 and n2 in both views; n3, a failed voter, unless given. */
export async function clusterOfTwo(
  others: readonly FakeMember[] = [{ name: 'n3', status: 'failed' }],
): Promise<ClusterOfTwo> {
  const leader = await serve(new FakeNodeHandle(fakeView({ id: 'n1', leader: 'n1' })));
  const follower = await serve(new FakeNodeHandle(fakeView({ id: 'n2', leader: 'n1' })));
  const members = [
    { name: 'n1', management: leader.server.endpoint },
    { name: 'n2', management: follower.server.endpoint },
    ...others,
  ];
  leader.handle.change(fakeView({ id: 'n1', leader: 'n1', members }));
  follower.handle.change(fakeView({ id: 'n2', leader: 'n1', members }));
  return {
    leader,
    follower,
    [Symbol.asyncDispose]: async () => {
      await Promise.all([leader.server.close(), follower.server.close()]);
    },
  };
}
