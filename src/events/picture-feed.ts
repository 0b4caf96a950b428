/**
 * Following a cluster at the reader's own pace. What is handed out is made of the newest picture when the reader asks, so changes that it was
 * too slow for are folded into one, nothing queues up, and the source never waits.
 */
import type { ClusterPicture, ClusterSource } from '../model/cluster-source.ts';
import { endpointTag } from '../model/cluster-source.ts';
import { type EndpointChange, EndpointTable, endpointsNow } from '../model/endpoint-table.ts';

/** A source that can end: then everyone who follows it is done. */
export interface EndingSource extends ClusterSource {
  readonly hasEnded: boolean;
}

export interface FollowOptions {
  /** Aborting ends the loop by throwing its reason. */
  readonly signal?: AbortSignal;
}

export interface EndpointFollowOptions extends FollowOptions {
  /** Only endpoints of this name; `ep.` may be left out. All of them unless given. */
  readonly name?: string;
}

/** The picture now, as soon as there is one, then every newer one. Ends when the source does. */
export async function* pictures(
  source: EndingSource,
  { signal }: FollowOptions = {},
): AsyncGenerator<ClusterPicture, void, undefined> {
  let shown: ClusterPicture | undefined;
  let wake: () => void = () => undefined;
  const unsubscribe = source.subscribe(() => wake());
  const onAbort = (): void => wake();
  signal?.addEventListener('abort', onAbort);
  try {
    for (;;) {
      signal?.throwIfAborted();
      const picture = source.picture();
      if (picture !== undefined && picture !== shown) {
        shown = picture;
        yield picture;
      } else if (source.hasEnded) return;
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  } finally {
    signal?.removeEventListener('abort', onAbort);
    unsubscribe();
  }
}

/** What `read` makes of each picture, when it is another than before. */
export async function* readings<T>(
  source: EndingSource,
  read: (picture: ClusterPicture) => T,
  options: FollowOptions = {},
): AsyncGenerator<T, void, undefined> {
  let last: { readonly value: T } | undefined;
  for await (const picture of pictures(source, options)) {
    const value = read(picture);
    if (last !== undefined && Object.is(last.value, value)) continue;
    last = { value };
    yield value;
  }
}

/** Every endpoint now as `added`, then every change. An endpoint that came and went between two looks is not told. */
export async function* endpointChanges(
  source: EndingSource,
  { name, signal }: EndpointFollowOptions = {},
): AsyncGenerator<EndpointChange, void, undefined> {
  const table = new EndpointTable([]);
  for await (const picture of pictures(source, signal === undefined ? {} : { signal })) {
    yield* table.replace(endpointsIn(picture, name));
  }
}

/**
 * Calls `listener` with every endpoint now as `added`, then with every change, each time in a turn of its own and never from within this call.
 * Returns the function that ends it, at once, from within the listener too.
 */
export function observeEndpoints(
  source: EndingSource,
  listener: (change: EndpointChange) => void,
  { name }: { readonly name?: string } = {},
): () => void {
  const table = new EndpointTable([]);
  let hasEnded = false;
  let soon: NodeJS.Immediate | undefined;
  const look = (): void => {
    soon = undefined;
    const picture = source.picture();
    if (picture === undefined) return;
    for (const change of table.replace(endpointsIn(picture, name))) {
      if (hasEnded) return;
      listener(change);
    }
  };
  const lookSoon = (): void => {
    soon ??= setImmediate(look);
  };
  const unsubscribe = source.subscribe(lookSoon);
  lookSoon();
  return () => {
    hasEnded = true;
    clearImmediate(soon);
    unsubscribe();
  };
}

function endpointsIn(picture: ClusterPicture, name: string | undefined): EndpointChange[] {
  const all = endpointsNow(picture.members);
  return name === undefined ? all : all.filter((one) => one.name === endpointTag(name));
}
