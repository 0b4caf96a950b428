/**
 * A store such as applications have, in a few lines: it remembers the highest fencing token of each shard and refuses smaller ones
 * (docs/ownership.md). Everything that is asked for carries a token, so a new owner shuts the door behind it with its first question.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Session } from './counters.ts';

interface Request extends Partial<Session> {
  readonly shard: number;
  readonly token: number;
}

const REQUEST_BYTES_MAX = 10_000;

export class Store {
  readonly sessions: Map<string, Session> = new Map();
  /** Questions and writes with a token that was not the newest. */
  refused = 0;
  readonly #tokens: Map<number, number> = new Map();
  readonly #server: Server = createServer((request, response) => {
    this.#serve(request).then(
      ({ status, body }) => response.writeHead(status).end(JSON.stringify(body)),
      (error: unknown) => response.writeHead(400).end(String(error)),
    );
  });

  /** Resolves with its URL. */
  async listen(host: string): Promise<string> {
    this.#server.listen(0, host);
    await once(this.#server, 'listening');
    return `http://${host}:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #serve(request: IncomingMessage): Promise<{ readonly status: number; readonly body: unknown }> {
    const session = decodeURIComponent((request.url ?? '/').slice(1));
    let text = '';
    for await (const piece of request) {
      text += String(piece);
      if (text.length > REQUEST_BYTES_MAX) throw new Error('too long');
    }
    const { shard, token, value, step } = JSON.parse(text) as Request;
    const newest = this.#tokens.get(shard) ?? 0;
    if (token < newest) {
      this.refused += 1;
      return { status: 409, body: { error: `token ${token} of shard ${shard} is older than ${newest}` } };
    }
    this.#tokens.set(shard, token);
    if (value !== undefined && step !== undefined) this.sessions.set(session, { value, step });
    return { status: 200, body: this.sessions.get(session) ?? { value: 0, step: 0 } };
  }
}
