/**
 * One process of the demo: a node, and beside it a service over gRPC and HTTP that takes requests for any session and brings each to the owner of
 * its shard. The demo starts three; by hand: `node dist/examples/demo/service.js --name a --store http://127.0.0.1:9000`.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  loadPackageDefinition,
  type sendUnaryData,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceDefinition,
  status,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { FunkNode } from '../../src/index.ts';
import {
  GrpcRouting,
  HttpRouting,
  type Ownership,
  servedOwnership,
  ShardRouter,
  shardOfString,
} from '../../src/routing.ts';
import { Counters } from './counters.ts';

interface AddRequest {
  readonly session: string;
  readonly step: number;
}

const { values } = parseArgs({
  options: {
    name: { type: 'string', default: 'a' },
    store: { type: 'string', default: '' },
    cluster: { type: 'string', default: 'demo' },
    interface: { type: 'string', default: '127.0.0.1' },
  },
});

const routers: ShardRouter[] = [];
const node = new FunkNode(
  { clusterName: values.cluster, nodeId: values.name, interface: values.interface, zeroconf: true, inMemory: true },
  // What is being served is finished before a shard goes; what comes meanwhile waits, and goes to the new owner.
  { onRelease: async (shards) => void (await Promise.all(routers.map((router) => router.whenIdle(shards)))) },
);
await node.start();
const host = node.config.interface.address;
const counters = new Counters(values.store);

/** HTTP: `POST /counters/<session>?step=<n>`. */
const forHttp = new ShardRouter(node, { service: 'counter-http' });
const overHttp = new HttpRouting(forHttp);
const sessionOf = ({ url = '' }: IncomingMessage): string =>
  decodeURIComponent(new URL(url, 'http://demo').pathname.slice('/counters/'.length));

async function addOverHttp(request: IncomingMessage, response: ServerResponse, ownership: Ownership): Promise<void> {
  const step = Number(new URL(request.url ?? '', 'http://demo').searchParams.get('step'));
  const { value } = await counters.add(sessionOf(request), step, ownership);
  response.end(JSON.stringify({ value, node: values.name, token: ownership.epoch }));
}

const http = createServer(
  overHttp.handler(
    (request, shardCount) => shardOfString(sessionOf(request), shardCount),
    (request, response, ownership) => {
      if (ownership === undefined) response.writeHead(404).end();
      else
        addOverHttp(request, response, ownership).catch((error: unknown) => response.writeHead(503).end(String(error)));
    },
  ),
);
http.listen(0, host);
await once(http, 'listening');

/** gRPC: `demo.Counter/Add`. */
const proto = fileURLToPath(new URL('../../../examples/demo/counter.proto', import.meta.url));
const loaded = loadPackageDefinition(loadSync(proto, { longs: Number, keepCase: true })) as unknown as {
  demo: { Counter: { service: ServiceDefinition } };
};
const forGrpc = new ShardRouter(node, { service: 'counter-grpc' });
const overGrpc = new GrpcRouting(forGrpc);
const grpc = new Server({ interceptors: [overGrpc.interceptor] });
const add = (call: ServerUnaryCall<AddRequest, object>, answer: sendUnaryData<object>): void => {
  const ownership = servedOwnership(call.metadata);
  if (ownership === undefined) return answer({ code: status.INTERNAL, details: 'the call was not routed' });
  counters.add(call.request.session, call.request.step, ownership).then(
    ({ value }) => answer(null, { value, node: values.name, token: ownership.epoch }),
    (error: unknown) => answer({ code: status.ABORTED, details: String(error) }),
  );
};
const service = overGrpc.service(loaded.demo.Counter.service, {
  Add: {
    shardOf: (request: unknown, shardCount: number) => shardOfString((request as AddRequest).session, shardCount),
  },
});
grpc.addService(service, { Add: add });
const grpcPort = await new Promise<number>((resolve, reject) => {
  grpc.bindAsync(`${host}:0`, ServerCredentials.createInsecure(), (error, port) =>
    error === null ? resolve(port) : reject(error),
  );
});

routers.push(forHttp, forGrpc);
await node.setEndpoint('counter-http', { host, port: (http.address() as AddressInfo).port });
await node.setEndpoint('counter-grpc', { host, port: grpcPort });
const management = node.view().endpoints.get('ep.clusterfunk.management');
process.stdout.write(
  `${JSON.stringify({ ready: values.name, management: `${management?.host}:${management?.port}` })}\n`,
);

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    // First the shards go, with requests still being taken; then the servers.
    void node.stop().then(() => {
      overHttp.close();
      overGrpc.close();
      for (const router of routers) router.close();
      grpc.forceShutdown();
      http.close();
      http.closeAllConnections();
    });
  });
}
