/** Waiting for a connection, and no longer than it makes sense. */
import { type Client, connectivityState } from '@grpc/grpc-js';

/** Resolves when the channel is ready, rejects at its first failure: waiting longer would only hide it. */
export function connected(client: Client, deadline: Date): Promise<void> {
  const channel = client.getChannel();
  return new Promise((resolve, reject) => {
    const look = (): void => {
      const state = channel.getConnectivityState(true);
      if (state === connectivityState.READY) {
        resolve();
        return;
      }
      if (state === connectivityState.TRANSIENT_FAILURE || state === connectivityState.SHUTDOWN) {
        reject(new Error(`channel is ${connectivityState[state]}`));
        return;
      }
      channel.watchConnectivityState(state, deadline, (error) => (error ? reject(error) : look()));
    };
    look();
  });
}
