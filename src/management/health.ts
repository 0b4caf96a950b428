/** grpc.health.v1: the server and each of its services serve while the node is Operational, and not otherwise. */
import type { Server, UntypedServiceImplementation } from '@grpc/grpc-js';
import { loadSync, type PackageDefinition } from '@grpc/proto-loader';
import { HealthImplementation, protoPath, type ServingStatusMap } from 'grpc-health-check';
import type { NodeState } from '../model/node-state.ts';
import type { NodeHandle } from '../runtime/node-handle.ts';
import type { OpenStreams } from './open-streams.ts';

/** The name by which the whole server is asked for. */
const WHOLE_SERVER = '';

/** The health service as reflection tells of it. */
export function healthPackage(): PackageDefinition {
  return loadSync(protoPath, { keepCase: true });
}

interface HealthWatch {
  end(): void;
  emit(event: 'error', error: Error): boolean;
  on(event: 'cancelled', listener: () => void): unknown;
}

/** Adds the service and keeps it true; returns the function that ends this. */
export function addHealth(options: {
  readonly server: Server;
  readonly handle: NodeHandle;
  readonly services: readonly string[];
  readonly streams: OpenStreams;
}): () => void {
  const { server, handle, streams } = options;
  const names = [WHOLE_SERVER, ...options.services];
  const serving = servingIn(handle.view().state);
  const statuses: ServingStatusMap = Object.fromEntries(names.map((name) => [name, serving]));
  const health = new HealthImplementation(statuses);
  health.addToServer({
    addService: (definition, implementation) => server.addService(definition, endable(implementation, streams)),
  });
  const setAll = (state: NodeState): void => {
    for (const name of names) health.setStatus(name, servingIn(state));
  };
  const unsubscribe = handle.subscribe((event) => {
    if (event.kind === 'stateChanged') setAll(event.to);
  });
  return () => {
    unsubscribe();
    setAll('Stopping');
  };
}

function servingIn(state: NodeState): 'SERVING' | 'NOT_SERVING' {
  return state === 'Operational' ? 'SERVING' : 'NOT_SERVING';
}

/** The package leaves its watchers open for ever; ours are counted, and end when the server stops. */
function endable(implementation: UntypedServiceImplementation, streams: OpenStreams): UntypedServiceImplementation {
  const watch = implementation['watch'] as unknown as (call: HealthWatch) => void;
  return {
    ...implementation,
    watch: (call: HealthWatch): void => {
      const leave = streams.enter({ end: () => call.end() });
      if (leave === undefined) {
        call.emit(
          'error',
          Object.assign(new Error('too many open streams'), { code: 8, details: 'too many open streams' }),
        );
        return;
      }
      call.on('cancelled', leave);
      watch(call);
    },
  } as UntypedServiceImplementation;
}
