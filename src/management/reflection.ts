/**
 * gRPC server reflection, v1 and v1alpha, made when somebody first asks: decoding every contract into descriptors takes
 * longer than all else that opening the server does, and most servers are never asked.
 */
import {
  type handleBidiStreamingCall,
  type Server,
  type ServerDuplexStream,
  type ServiceDefinition,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { assert } from '../base/assert.ts';
import { healthPackage } from './health.ts';
import { loadForReflection } from './protos.ts';

type Handler = handleBidiStreamingCall<unknown, unknown>;

/** One version of the service, as `@grpc/reflection` adds it to a server. */
interface RealService {
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
}

const METHOD = 'ServerReflectionInfo';
const SERVICES = ['grpc.reflection.v1.ServerReflection', 'grpc.reflection.v1alpha.ServerReflection'];

/** Adds both versions to the server. The contracts are read from `protoDir` when the first call comes. */
export function addReflection(server: Server, protoDir: string | undefined): void {
  let real: Promise<ReadonlyMap<string, RealService>> | undefined;
  for (const name of SERVICES) {
    const path = `/${name}/${METHOD}`;
    server.addService(bytesService(path), {
      [METHOD]: (call: ServerDuplexStream<Buffer, Buffer>): void => {
        real ??= realServices(protoDir);
        real
          .then((services) => {
            const service = services.get(path);
            assert(service !== undefined, `@grpc/reflection serves ${path}`);
            answer(call, service);
          })
          .catch((error: unknown) => call.emit('error', { code: status.INTERNAL, details: String(error) }));
      },
    });
  }
}

/** The service with its messages left as bytes, so that nothing need be known of them yet. */
function bytesService(path: string): ServiceDefinition {
  const same = (bytes: Buffer): Buffer => bytes;
  return {
    [METHOD]: {
      path,
      requestStream: true,
      responseStream: true,
      requestSerialize: same,
      requestDeserialize: same,
      responseSerialize: same,
      responseDeserialize: same,
    },
  };
}

async function realServices(protoDir: string | undefined): Promise<ReadonlyMap<string, RealService>> {
  const { ReflectionService } = await import('@grpc/reflection');
  const services = new Map<string, RealService>();
  const addService = (definition: ServiceDefinition, implementation: UntypedServiceImplementation): void => {
    for (const { path } of Object.values(definition)) services.set(path, { definition, implementation });
  };
  const contracts = { ...loadForReflection(protoDir), ...healthPackage() };
  new ReflectionService(contracts).addToServer({ addService } as unknown as Server);
  return services;
}

/** Hands the call to the real service, with messages on its side and bytes on ours. */
function answer(call: ServerDuplexStream<Buffer, Buffer>, { definition, implementation }: RealService): void {
  const method = definition[METHOD];
  assert(method !== undefined, `the service has a method ${METHOD}`);
  const handler = implementation[METHOD] as Handler;
  const onData = (bytes: Buffer, listener: (message: unknown) => void): void => {
    let message: unknown;
    try {
      message = method.requestDeserialize(bytes);
    } catch (error) {
      // What grpc-js itself says of a message that it cannot read.
      call.emit('error', { code: status.INTERNAL, details: `Error deserializing request: ${String(error)}` });
      return;
    }
    listener(message);
  };
  const stream = {
    on: (event: string, listener: (message?: unknown) => void): void => {
      if (event === 'data') call.on('data', (bytes: Buffer) => onData(bytes, listener));
      else call.on(event, listener);
    },
    write: (message: unknown): boolean => call.write(method.responseSerialize(message)),
    end: (): void => {
      call.end();
    },
  };
  handler(stream as unknown as ServerDuplexStream<unknown, unknown>);
}
