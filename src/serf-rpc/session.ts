/**
 * One client of the agent's RPC: reads its requests in order, one at a time, and keeps what it has opened. Hostile bytes and
 * clients that hold a request half open are cut off. wire-gossip.md 20.2 to 20.5.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Socket } from 'node:net';
import { EMPTY_BYTES } from '../base/bytes.ts';
import { encodeRpcAnswer, type RpcBody } from '../wire/serf/rpc-answer.ts';
import { readRpcRequest, RPC_REQUEST_BYTES_MAX, type RpcRequest } from '../wire/serf/rpc-request.ts';
import { answerTo } from './commands.ts';
import { RPC_ERRORS } from './errors.ts';
import { Outlet } from './outlet.ts';
import { OpenStreams } from './open-streams.ts';
import type { RpcHost } from './rpc-host.ts';

/** A stranger has said hello and shown the key within this time; a request is complete within it. */
const PATIENCE_MS = 10_000;
/** Who cannot be trusted yet sends no long requests. */
const STRANGER_BYTES_MAX = 4_096;
/** Reading again from the start with every piece costs time: an honest client sends a request in one or a few. */
const PIECES_MAX = 1_024;
const WRONG_KEYS_MAX = 8;
/** A client that waits for an answer reads it. */
const CLOGGED_MS = 30_000;
const CLOGGED_CHECK_MS = 50;

export interface Answer {
  readonly error: string;
  /** Sent even beside an error, when the command has one: the stock client always reads it. */
  readonly body?: RpcBody;
  /** Runs when the answer has been written. */
  readonly after?: () => void;
  /** The connection ends with the answer. */
  readonly isLast?: boolean;
  /** The answer comes when the node has left. */
  readonly isHeld?: boolean;
}

export class Session {
  readonly #socket: Socket;
  readonly #host: RpcHost;
  readonly #outlet: Outlet;
  readonly streams: OpenStreams;
  #unread: Uint8Array = EMPTY_BYTES;
  #pieces = 0;
  #timer: NodeJS.Timeout | undefined;
  #isBusy = false;
  #hasGreeted = false;
  #isKnown: boolean;
  #wrongKeys = 0;
  /** The last answer was given: what else was asked is not heard. */
  #isOver = false;
  /** The `leave` that is answered at the end. */
  #leaveSeq: number | undefined;

  constructor(socket: Socket, host: RpcHost) {
    this.#socket = socket;
    this.#host = host;
    this.#isKnown = host.authKey === undefined;
    this.#outlet = new Outlet(socket, () => host.counts.onLost());
    this.streams = new OpenStreams(this.#outlet, host);
    this.#timer = setTimeout(() => this.#cut('timeout'), PATIENCE_MS);
    socket.on('data', (chunk: Uint8Array) => this.#onData(chunk));
    // The other end has gone without a word: nothing is lost that it would read.
    socket.on('error', () => socket.destroy());
    socket.on('end', () => socket.end());
    socket.once('close', () => this.#onClose());
  }

  /** The node has left, or is gone: a client that asked it to hears so, and no more. */
  finish(): void {
    if (this.#leaveSeq !== undefined) this.#outlet.answer(encodeRpcAnswer(this.#leaveSeq, ''));
    this.#leaveSeq = undefined;
    this.#hangUp();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #onClose(): void {
    clearTimeout(this.#timer);
    this.streams.close();
    this.#outlet.close();
    this.#unread = EMPTY_BYTES;
  }

  #onData(chunk: Uint8Array): void {
    // After a leave nothing is asked any more.
    if (this.#isOver || this.#leaveSeq !== undefined) return;
    this.#unread = this.#unread.length === 0 ? chunk : Buffer.concat([this.#unread, chunk]);
    this.#pieces += 1;
    if (this.#isBusy) {
      // Several requests may be in flight; more of them wait in the client's own buffers.
      if (this.#unread.length > RPC_REQUEST_BYTES_MAX) this.#socket.pause();
      return;
    }
    this.#work().catch((error: unknown) => {
      this.#host.log.note('ERR', 'agent.ipc', `a client's request failed: ${String(error)}`);
      this.#socket.destroy();
    });
  }

  async #work(): Promise<void> {
    this.#isBusy = true;
    while (!this.#socket.destroyed && !this.#isOver && this.#leaveSeq === undefined) {
      const request = this.#next();
      if (request === undefined) break;
      await this.#serve(request);
      if (!(await this.#isRead())) return this.#cut('clogged');
    }
    this.#isBusy = false;
    this.#socket.resume();
  }

  /** The next complete request, if there is one. */
  #next(): RpcRequest | undefined {
    const isStranger = !this.#hasGreeted || !this.#isKnown;
    if (this.#unread.length === 0) {
      if (!isStranger) clearTimeout(this.#timer);
      return undefined;
    }
    const reading = readRpcRequest(this.#unread);
    switch (reading.kind) {
      case 'request':
        this.#unread = this.#unread.subarray(reading.size);
        this.#pieces = 0;
        if (!isStranger) clearTimeout(this.#timer);
        return reading.request;
      case 'incomplete': {
        const bytesMax = isStranger ? STRANGER_BYTES_MAX : RPC_REQUEST_BYTES_MAX;
        if (this.#unread.length >= bytesMax || this.#pieces > PIECES_MAX) this.#cut('malformed');
        else if (!isStranger && this.#pieces <= 1) this.#arm();
        return undefined;
      }
      case 'unknownCommand':
        this.#refuseUnknown(reading.seq, reading.command);
        return undefined;
      case 'malformed':
        this.#cut('malformed');
        return undefined;
    }
  }

  #arm(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#cut('timeout'), PATIENCE_MS);
  }

  async #serve(request: RpcRequest): Promise<void> {
    this.#host.counts.onRequest();
    const answer = this.#admit(request) ?? (await answerTo(request, this.#host, this.streams));
    if (this.#socket.destroyed) return;
    if (answer === 'unanswerable') return this.#cut('malformed');
    if (answer.isHeld === true) {
      this.#leaveSeq = request.seq;
      return;
    }
    if (answer.error !== '') this.#host.log.note('DEBUG', 'agent.ipc', `${request.command}: ${answer.error}`);
    this.#outlet.answer(encodeRpcAnswer(request.seq, answer.error, answer.body));
    answer.after?.();
    if (answer.isLast === true) this.#hangUp();
  }

  /** The answer to a handshake or a key, or to whoever has not given them; undefined lets the request pass. */
  #admit(request: RpcRequest): Answer | undefined {
    if (request.command === 'handshake') {
      if (request.body.Version !== 1) return { error: RPC_ERRORS.unsupportedVersion };
      if (this.#hasGreeted) return { error: RPC_ERRORS.duplicateHandshake };
      this.#hasGreeted = true;
      return { error: '' };
    }
    if (!this.#hasGreeted) return { error: RPC_ERRORS.handshakeRequired, isLast: true };
    if (request.command === 'auth') return this.#authenticate(request.body.AuthKey);
    // Without a body, whatever the command: the stock client expects none (wire-gossip.md 20.2).
    if (!this.#isKnown) return { error: RPC_ERRORS.authRequired };
    return undefined;
  }

  #authenticate(key: string): Answer {
    const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
    if (timingSafeEqual(digest(key), digest(this.#host.authKey ?? ''))) {
      this.#isKnown = true;
      return { error: '' };
    }
    this.#host.counts.onWrongKey();
    this.#host.log.note('WARN', 'agent.ipc', `wrong key from ${this.#socket.remoteAddress ?? 'a client'}`);
    this.#wrongKeys += 1;
    return { error: RPC_ERRORS.invalidAuthToken, isLast: this.#wrongKeys >= WRONG_KEYS_MAX };
  }

  #refuseUnknown(seq: number, command: string): void {
    this.#host.log.note('ERR', 'agent.ipc', `command ${JSON.stringify(command.slice(0, 64))} not recognized`);
    const error = this.#hasGreeted ? RPC_ERRORS.unsupportedCommand : RPC_ERRORS.handshakeRequired;
    this.#host.counts.onCut('unknownCommand');
    this.#outlet.answer(encodeRpcAnswer(seq, error));
    this.#hangUp();
  }

  /** What was answered still goes out. A client that does not close its side, too, is cut off when its time is up. */
  #hangUp(): void {
    this.#isOver = true;
    this.#unread = EMPTY_BYTES;
    this.#arm();
    this.#socket.end();
  }

  /** Waits until the client has read most of what it was sent; false when it does not. */
  async #isRead(): Promise<boolean> {
    for (let waited = 0; this.#outlet.isClogged && !this.#socket.destroyed; waited += CLOGGED_CHECK_MS) {
      if (waited >= CLOGGED_MS) return false;
      await new Promise((resolve) => setTimeout(resolve, CLOGGED_CHECK_MS));
    }
    return true;
  }

  #cut(reason: 'malformed' | 'timeout' | 'clogged'): void {
    if (this.#socket.destroyed) return;
    this.#host.counts.onCut(reason);
    this.#socket.destroy();
  }
}
