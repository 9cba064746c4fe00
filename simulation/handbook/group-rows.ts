/**
 * The rows of each id, ascending, by a counting sort: `groupRows(customerId, 5000)[7]` are the rows of customer 7. An id without rows has an
 * empty list. All lists are views of one array.
 */
export function groupRows(ids: Uint32Array, idCount: number): readonly Uint32Array[] {
  const ends = new Uint32Array(idCount);
  for (const id of ids) ends[id] = (ends[id] ?? 0) + 1;
  for (let id = 1; id < idCount; id++) ends[id] = (ends[id] ?? 0) + (ends[id - 1] ?? 0);
  const starts = ends.slice();
  const rows = new Uint32Array(ids.length);
  for (let row = ids.length - 1; row >= 0; row--) {
    const id = ids[row] ?? 0;
    const place = (starts[id] ?? 0) - 1;
    starts[id] = place;
    rows[place] = row;
  }
  return Array.from({ length: idCount }, (_, id) => rows.subarray(starts[id], ends[id]));
}
