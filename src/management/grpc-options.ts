/** The sizes, times and switches of every gRPC channel and server of the management room (stack.md 5). */
import type { ChannelOptions } from '@grpc/grpc-js';

/** A request to the coordination state has 1.5 MiB at most, and several may share a message. */
export const REQUEST_BYTES_MAX: number = 4 * 1024 * 1024;
const KV_RESPONSE_BYTES_MAX: number = 80 * 1024 * 1024;
/** A shard map of a million shards with epochs is below 10 MB. */
export const RESPONSE_BYTES_MAX: number = 16 * 1024 * 1024;

const KEEPALIVE: ChannelOptions = keepaliveOptions({ timeMs: 10_000, timeoutMs: 3_000 });

export const CHANNEL_OPTIONS: ChannelOptions = {
  ...KEEPALIVE,
  'grpc.max_send_message_length': REQUEST_BYTES_MAX,
  'grpc.max_receive_message_length': RESPONSE_BYTES_MAX,
  // A channel of its own can be closed without harm to anybody else's (stack.md 5, Connections).
  'grpc.use_local_subchannel_pool': 1,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
  // Peers are dialled by address; a proxy in the environment is meant for the web.
  'grpc.enable_http_proxy': 0,
};

/** Of the coordination state: a range has no bound but that of the store. */
export const KV_CHANNEL_OPTIONS: ChannelOptions = {
  ...CHANNEL_OPTIONS,
  'grpc.max_receive_message_length': KV_RESPONSE_BYTES_MAX,
};

export const SERVER_OPTIONS: ChannelOptions = {
  ...KEEPALIVE,
  'grpc.max_receive_message_length': REQUEST_BYTES_MAX,
  'grpc.max_send_message_length': KV_RESPONSE_BYTES_MAX,
  'grpc.max_concurrent_streams': 128,
  // Whoever connects and asks nothing gives the connection back.
  'grpc.max_connection_idle_ms': 10 * 60_000,
  'grpc.keepalive_permit_without_calls': 1,
};

/** An instant `ms` from now as gRPC wants deadlines: by the wall clock, which it reads again itself to count down. */
export function deadlineIn(ms: number): Date {
  const at = new Date();
  at.setMilliseconds(at.getMilliseconds() + ms);
  return at;
}

/** The earlier of two deadlines; gRPC writes "none" as Infinity. */
export function earlierDeadline(a: Date | number, b: Date): Date {
  return Number(a) < b.getTime() ? new Date(a) : b;
}

export function keepaliveOptions(keepalive: { readonly timeMs: number; readonly timeoutMs: number }): ChannelOptions {
  return { 'grpc.keepalive_time_ms': keepalive.timeMs, 'grpc.keepalive_timeout_ms': keepalive.timeoutMs };
}
