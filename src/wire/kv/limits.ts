/** What a request to the coordination state may measure. etcd's are 1.5 MiB for a request and 128 operations in a transaction. */

/** A request as it stands in the log; with its envelope it fits a command of 2 MiB. */
export const KV_REQUEST_BYTES_MAX: number = 1_536 * 1024;
export const KV_KEY_BYTES_MAX: number = 16 * 1024;
/** Compares, and operations of either branch, of one transaction. */
export const KV_TXN_PARTS_MAX = 128;
/** Requests in one entry of the log. */
export const KV_BATCH_ITEMS_MAX = 1_024;
