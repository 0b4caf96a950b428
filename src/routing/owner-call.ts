/** One gRPC call on its way to the owner: messages as bytes in both directions, never more of them in memory than the slower side takes. */
import { type Metadata, Metadata as GrpcMetadata, status as Status, type StatusObject } from '@grpc/grpc-js';
import { type ClientHttp2Session, type ClientHttp2Stream, constants, type IncomingHttpHeaders } from 'node:http2';
import { FrameReader, frameOf } from './grpc-frames.ts';

export interface OwnerCallEvents {
  metadata(metadata: Metadata): void;
  /** `taken` is to be called when there is room for more. */
  message(bytes: Buffer, taken: () => void): void;
  /** The last event. */
  ended(end: OwnerCallEnd): void;
}

export interface OwnerCallEnd {
  readonly status: StatusObject;
  /**
   * `answered`: by whoever is there. `unsent`: the owner has not seen the call, by the rules of HTTP/2. `broken`: nobody knows.
   */
  readonly how: 'answered' | 'unsent' | 'broken';
  /** No metadata came before the status. */
  readonly isBare: boolean;
}

export interface OwnerCallRequest {
  readonly path: string;
  readonly authority: string;
  readonly scheme: 'http' | 'https';
  readonly metadata: Metadata;
  /** Milliseconds that are left; undefined: no deadline. */
  readonly timeoutMs: number | undefined;
  readonly messageBytesMax: number;
}

/** Of HTTP/2 and of gRPC itself: not the application's, and not passed on. */
const TRANSPORT_HEADERS: readonly string[] = [
  'content-type',
  'grpc-encoding',
  'grpc-accept-encoding',
  'grpc-status',
  'grpc-message',
  'date',
];
/** gRPC allows eight digits. */
const TIMEOUT_DIGITS_MAX = 99_999_999;

export class OwnerCall {
  readonly #stream: ClientHttp2Stream;
  readonly #events: OwnerCallEvents;
  readonly #frames: FrameReader;
  #hasMetadata = false;
  #hasBody = false;
  #isOver = false;
  /** Messages that were handed on and not yet taken. */
  #untaken = 0;
  #trailers: IncomingHttpHeaders | undefined;

  constructor(session: ClientHttp2Session, request: OwnerCallRequest, events: OwnerCallEvents) {
    this.#events = events;
    this.#frames = new FrameReader(request.messageBytesMax);
    this.#stream = session.request(headersOf(request), { endStream: false });
    this.#stream.on('response', (headers) => this.#onHeaders(headers));
    this.#stream.on('data', (chunk: Buffer) => this.#onData(chunk));
    this.#stream.on('trailers', (headers) => {
      this.#trailers = headers;
      this.#endIfWhole();
    });
    this.#stream.on('end', () => {
      this.#hasBody = true;
      this.#endIfWhole();
    });
    // Its end says what the error was of.
    this.#stream.on('error', () => undefined);
    this.#stream.on('close', () => this.#onClose(session));
  }

  /** `sent` is called when there is room for more. */
  send(message: Uint8Array, sent: () => void): void {
    if (this.#stream.destroyed || this.#stream.writableEnded) return;
    if (this.#stream.write(frameOf(message))) sent();
    else this.#stream.once('drain', sent);
  }

  halfClose(): void {
    if (!this.#stream.destroyed) this.#stream.end();
  }

  /** Nobody waits for the answer any more: nothing comes of it. */
  cancel(): void {
    this.#isOver = true;
    this.#stream.close(constants.NGHTTP2_CANCEL);
  }

  #onHeaders(headers: IncomingHttpHeaders & { readonly ':status'?: number | undefined }): void {
    const httpStatus = headers[':status'] ?? 0;
    if (headers['grpc-status'] !== undefined) {
      this.#trailers = headers;
      return;
    }
    if (httpStatus !== 200) {
      this.#end({ status: statusOfHttp(httpStatus), how: 'answered', isBare: true });
      return;
    }
    this.#hasMetadata = true;
    if (!this.#isOver) this.#events.metadata(metadataOf(headers));
  }

  #onData(chunk: Buffer): void {
    if (this.#isOver) return;
    let messages: Buffer[];
    try {
      messages = this.#frames.push(chunk);
    } catch (error) {
      const details = error instanceof Error ? error.message : String(error);
      this.#end({ status: statusOf(Status.RESOURCE_EXHAUSTED, details), how: 'answered', isBare: !this.#hasMetadata });
      return;
    }
    this.#untaken += messages.length;
    if (messages.length > 0) this.#stream.pause();
    for (const message of messages) {
      this.#events.message(message, () => {
        this.#untaken -= 1;
        if (this.#untaken === 0) this.#stream.resume();
      });
    }
  }

  /** Body and trailers end together, and are told in either order. */
  #endIfWhole(): void {
    const trailers = this.#trailers;
    if (trailers === undefined || !this.#hasBody || this.#isOver) return;
    if (this.#frames.isInside) {
      const details = 'the answer ended inside a message';
      this.#end({ status: statusOf(Status.INTERNAL, details), how: 'answered', isBare: !this.#hasMetadata });
      return;
    }
    this.#end({ status: statusOfTrailers(trailers), how: 'answered', isBare: !this.#hasMetadata });
  }

  #onClose(session: ClientHttp2Session): void {
    if (this.#isOver) return;
    // A stream whose connection is lost ends as if it had been cancelled.
    const code = session.destroyed ? constants.NGHTTP2_INTERNAL_ERROR : this.#stream.rstCode;
    // Not given to the connection, or refused before it was looked at (RFC 9113 8.7).
    const isUnsent = this.#stream.id === undefined || this.#stream.rstCode === constants.NGHTTP2_REFUSED_STREAM;
    const how = isUnsent ? 'unsent' : code === constants.NGHTTP2_CANCEL ? 'answered' : 'broken';
    this.#end({ status: statusOfReset(code ?? constants.NGHTTP2_INTERNAL_ERROR), how, isBare: !this.#hasMetadata });
  }

  #end(end: OwnerCallEnd): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#events.ended(end);
    if (!this.#stream.destroyed) this.#stream.close(constants.NGHTTP2_CANCEL);
  }
}

function headersOf(request: OwnerCallRequest): Record<string, string | number | string[]> {
  const timeout = request.timeoutMs === undefined ? {} : { 'grpc-timeout': timeoutText(request.timeoutMs) };
  return {
    ...(request.metadata.toHttp2Headers() as Record<string, string[]>),
    ...timeout,
    ':method': 'POST',
    ':scheme': request.scheme,
    ':authority': request.authority,
    ':path': request.path,
    te: 'trailers',
    'content-type': 'application/grpc',
    // Messages are passed on as they are, and the caller was not asked what he can read.
    'grpc-accept-encoding': 'identity',
  };
}

function timeoutText(ms: number): string {
  const whole = Math.max(1, Math.ceil(ms));
  if (whole <= TIMEOUT_DIGITS_MAX) return `${whole}m`;
  return `${Math.min(TIMEOUT_DIGITS_MAX, Math.ceil(whole / 1_000))}S`;
}

function metadataOf(headers: IncomingHttpHeaders): Metadata {
  const metadata = GrpcMetadata.fromHttp2Headers(headers);
  for (const name of TRANSPORT_HEADERS) metadata.remove(name);
  return metadata;
}

function statusOfTrailers(trailers: IncomingHttpHeaders): StatusObject {
  const code = Number(trailers['grpc-status']);
  const text = String(trailers['grpc-message'] ?? '');
  return {
    code: Number.isInteger(code) && code in Status ? code : Status.UNKNOWN,
    details: percentDecoded(text),
    metadata: metadataOf(trailers),
  };
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    // Whoever wrote it did not encode it: better as it is than not at all.
    if (error instanceof URIError) return text;
    throw error;
  }
}

/** Of an answer that is not gRPC (gRPC's "HTTP to gRPC status code mapping"). */
function statusOfHttp(code: number): StatusObject {
  const codes: Readonly<Record<number, Status>> = {
    400: Status.INTERNAL,
    401: Status.UNAUTHENTICATED,
    403: Status.PERMISSION_DENIED,
    404: Status.UNIMPLEMENTED,
    429: Status.UNAVAILABLE,
    502: Status.UNAVAILABLE,
    503: Status.UNAVAILABLE,
    504: Status.UNAVAILABLE,
  };
  return statusOf(codes[code] ?? Status.UNKNOWN, `the owner answered with HTTP status ${code}`);
}

/** Of a stream that was reset (gRPC over HTTP/2, "Errors"); a connection that broke is unavailable. */
function statusOfReset(code: number): StatusObject {
  switch (code) {
    case constants.NGHTTP2_CANCEL:
      return statusOf(Status.CANCELLED, 'the owner has cancelled the call');
    case constants.NGHTTP2_ENHANCE_YOUR_CALM:
      return statusOf(Status.RESOURCE_EXHAUSTED, 'the owner asks for fewer calls');
    case constants.NGHTTP2_INADEQUATE_SECURITY:
      return statusOf(Status.PERMISSION_DENIED, 'the owner asks for better encryption');
    default:
      return statusOf(Status.UNAVAILABLE, 'the connection to the owner broke; the call may have taken effect');
  }
}

function statusOf(code: Status, details: string): StatusObject {
  return { code, details, metadata: new GrpcMetadata() };
}
