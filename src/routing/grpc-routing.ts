/** Routing for grpc-js servers: which methods are routed by what, and the interceptor that does it. */
import {
  type Metadata,
  type MethodDefinition,
  ServerInterceptingCall,
  type ServerInterceptor,
  type ServiceDefinition,
} from '@grpc/grpc-js';
import type { LogIndex, ShardId } from '../model/ids.ts';
import type { Ownership } from '../model/shard-map.ts';
import { OwnerSessions } from './owner-sessions.ts';
import { HEADER_EPOCH, HEADER_SHARD } from './route-headers.ts';
import { type GrpcRoute, RoutedCall } from './routed-call.ts';
import type { ShardRouter } from './shard-router.ts';

/**
 * How the shard of a call is found: from its only or first message, or from its metadata, before any message comes. Return an integer of 0 to
 * `shardCount` - 1; what is none, or a throw, refuses the call with INVALID_ARGUMENT. Must not wait, and may be asked again when the count changes.
 */
export type MethodRoute<Request> =
  | { shardOf(request: Request, shardCount: number): number }
  | { shardOfMetadata(metadata: Metadata, shardCount: number): number };

type RequestOf<Method> = Method extends MethodDefinition<infer Request, unknown> ? Request : never;

export type ServiceRoutes<Service extends ServiceDefinition> = {
  readonly [Name in keyof Service]?: MethodRoute<RequestOf<Service[Name]>>;
};

export interface GrpcRoutingOptions {
  /** The longest message of an answer that is passed on, in bytes; default 16 MiB. Of requests the server's own limit decides. */
  readonly messageBytesMax?: number;
}

const MESSAGE_BYTES_MAX = 16 * 1024 * 1024;

/**
 * ```ts
 * const routing = new GrpcRouting(new ShardRouter(node, { service: 'shop' }));
 * const server = new Server({ interceptors: [routing.interceptor] });
 * server.addService(routing.service(ShopService, { Buy: { shardOf: (order, count) => shardOfString(order.customer, count) } }), handlers);
 * ```
 *
 * Handlers are called for shards that this node owns at that instant. Methods without a route are served here, as ever.
 */
export class GrpcRouting implements Disposable {
  readonly #router: ShardRouter;
  readonly #sessions: OwnerSessions;
  readonly #routes: Map<string, GrpcRoute> = new Map();
  readonly #messageBytesMax: number;

  constructor(router: ShardRouter, options: GrpcRoutingOptions = {}) {
    this.#router = router;
    this.#sessions = new OwnerSessions(router);
    this.#messageBytesMax = options.messageBytesMax ?? MESSAGE_BYTES_MAX;
  }

  /** For the server's `interceptors`. Without it the handlers of routed methods are given messages they do not know. */
  get interceptor(): ServerInterceptor {
    return (method, call) => {
      const route = this.#routes.get(method.path);
      if (route === undefined) return new ServerInterceptingCall(call);
      const host = { router: this.#router, sessions: this.#sessions, messageBytesMax: this.#messageBytesMax };
      return new RoutedCall(host, route, call);
    };
  }

  /** Connections to owners that are open. */
  get connections(): number {
    return this.#sessions.open;
  }

  /** The definition to add to the server in place of `service`: messages of routed methods stay bytes until it is clear who serves them. */
  service<Service extends ServiceDefinition>(service: Service, routes: ServiceRoutes<Service>): Service {
    const methods = Object.entries(service).map(([name, method]) => {
      const route: MethodRoute<unknown> | undefined = routes[name];
      if (route === undefined) return [name, method];
      this.#routes.set(method.path, {
        path: method.path,
        responseStream: method.responseStream,
        decode: method.requestDeserialize,
        route,
      });
      return [name, RoutedCall.definitionFor(method)];
    });
    return Object.fromEntries(methods) as Service;
  }

  /** Breaks off what is on its way to owners. The router stays. */
  close(): void {
    this.#sessions[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** In the handler of a routed method, from `call.metadata`: shard and fencing token under which it was let in. Undefined in other methods. */
export function servedOwnership(metadata: Metadata): Ownership | undefined {
  const shard = metadata.get(HEADER_SHARD)[0];
  const epoch = metadata.get(HEADER_EPOCH)[0];
  if (shard === undefined || epoch === undefined) return undefined;
  return { shard: Number(shard) as ShardId, epoch: Number(epoch) as LogIndex };
}
