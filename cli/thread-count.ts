/** libuv's threads in this process, as it was started: `bin/sluice` sets them, Node's default is 4. */
export function threadCount(): number {
  return Number(process.env['UV_THREADPOOL_SIZE'] ?? 4);
}
