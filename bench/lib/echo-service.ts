/** A node with a gRPC service whose every request belongs to a shard: it says who served it, under which epoch. One process of `requests.ts`. */
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import {
  Server,
  ServerCredentials,
  type sendUnaryData,
  type ServerUnaryCall,
  type ServiceDefinition,
  status,
} from '@grpc/grpc-js';
import { FunkNode } from '../../src/index.ts';
import { GrpcRouting, servedOwnership, ShardRouter } from '../../src/routing.ts';
import { ECHO, ECHO_ENDPOINT } from './echo.ts';

const { values } = parseArgs({
  options: {
    name: { type: 'string', default: 'n1' },
    cluster: { type: 'string', default: 'requests' },
    'data-dir': { type: 'string', default: '' },
  },
});

const routers: ShardRouter[] = [];
const node = new FunkNode(
  {
    clusterName: values.cluster,
    nodeId: values.name,
    interface: '127.0.0.1',
    zeroconf: true,
    dataDir: values['data-dir'],
    voters: 5,
  },
  { onRelease: async (shards) => void (await Promise.all(routers.map((router) => router.whenIdle(shards)))) },
);
await node.start();
node.subscribe(({ kind, ...facts }) => {
  if (kind === 'stateChanged' || kind === 'stopped')
    process.stdout.write(`${JSON.stringify({ event: kind, ...facts })}\n`);
});

const router = new ShardRouter(node, { service: ECHO_ENDPOINT });
const routing = new GrpcRouting(router);
const server = new Server({ interceptors: [routing.interceptor] });
const echo = (call: ServerUnaryCall<string, string>, answer: sendUnaryData<string>): void => {
  const ownership = servedOwnership(call.metadata);
  if (ownership === undefined) answer({ code: status.INTERNAL, details: 'the call was not routed' });
  else answer(null, `${values.name} ${ownership.epoch}`);
};
const service: ServiceDefinition = routing.service(ECHO, { Say: { shardOf: (request: unknown) => Number(request) } });
server.addService(service, { Say: echo });
const port = await new Promise<number>((resolve, reject) => {
  server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
    error === null ? resolve(bound) : reject(error),
  );
});
routers.push(router);
await node.setEndpoint(ECHO_ENDPOINT, { host: '127.0.0.1', port });
const management = node.view().endpoints.get('ep.clusterfunk.management');
process.stdout.write(`${JSON.stringify({ event: 'ready', management: `127.0.0.1:${management?.port}` })}\n`);

await once(process, 'SIGTERM');
// First the shards go, with requests still being taken; then the servers.
await node.stop();
routing.close();
router.close();
server.forceShutdown();
