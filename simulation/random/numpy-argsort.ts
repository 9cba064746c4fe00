/** Runs no longer than this are sorted by insertion. Like every choice below it decides the order of ties, so it is numpy's. */
const insertionSpan = 15;

/**
 * The order that `numpy.argsort(kind='quicksort')` gives: a median-of-three quicksort that ends in insertion sort, and turns to heapsort
 * for parts that lie too deep (Musser's introsort, as in numpy's `npysort/quicksort.cpp`; the branch for AVX-512 machines that numpy
 * has had since 1.25 is not meant). It is not stable, and that is the point: pandas' `sort_values` uses it by default, so the place of
 * equal keys in data that pandas sorted is a fact of this very algorithm and can be had in no other way.
 *
 * @param keys what to sort by, ascending; left as it is. No NaN.
 * @returns positions in `keys`, in sorted order.
 */
export function numpyArgsort(keys: Float64Array | Uint32Array): Uint32Array {
  const order = new Uint32Array(keys.length);
  for (let i = 0; i < order.length; i++) order[i] = i;
  const keyAt = (place: number): number => keys[order[place] ?? 0] ?? 0;
  const swap = (a: number, b: number): void => {
    const moved = order[a] ?? 0;
    order[a] = order[b] ?? 0;
    order[b] = moved;
  };
  const partition = (first: number, last: number): number => {
    const middle = first + ((last - first) >> 1);
    if (keyAt(middle) < keyAt(first)) swap(middle, first);
    if (keyAt(last) < keyAt(middle)) swap(last, middle);
    if (keyAt(middle) < keyAt(first)) swap(middle, first);
    const pivot = keyAt(middle);
    // The pivot waits beside the end, where the downward scan starts; both scans halt at equal keys.
    swap(middle, last - 1);
    let up = first;
    let down = last - 1;
    for (;;) {
      do up++;
      while (keyAt(up) < pivot);
      do down--;
      while (pivot < keyAt(down));
      if (up >= down) break;
      swap(up, down);
    }
    swap(up, last - 1);
    return up;
  };

  const pending: { first: number; last: number; depthLeft: number }[] = [];
  let part = { first: 0, last: keys.length - 1, depthLeft: 2 * (31 - Math.clz32(keys.length)) };
  for (;;) {
    let { first, last, depthLeft } = part;
    // The depth is looked at only here, where a waiting part is taken up, not while the smaller halves are followed down.
    if (depthLeft < 0) {
      heapsort(keys, order.subarray(first, last + 1));
    } else {
      while (last - first > insertionSpan) {
        const pivot = partition(first, last);
        depthLeft--;
        // The larger part waits and the smaller is sorted at once, so that few parts wait at a time.
        if (pivot - first < last - pivot) {
          pending.push({ first: pivot + 1, last, depthLeft });
          last = pivot - 1;
        } else {
          pending.push({ first, last: pivot - 1, depthLeft });
          first = pivot + 1;
        }
      }
      insertionSort(keys, order.subarray(first, last + 1));
    }
    const next = pending.pop();
    if (next === undefined) return order;
    part = next;
  }
}

function insertionSort(keys: Float64Array | Uint32Array, order: Uint32Array): void {
  for (let place = 1; place < order.length; place++) {
    const moved = order[place] ?? 0;
    const key = keys[moved] ?? 0;
    let gap = place;
    while (gap > 0 && key < (keys[order[gap - 1] ?? 0] ?? 0)) {
      order[gap] = order[gap - 1] ?? 0;
      gap--;
    }
    order[gap] = moved;
  }
}

function heapsort(keys: Float64Array | Uint32Array, heap: Uint32Array): void {
  const keyAt = (place: number): number => keys[heap[place] ?? 0] ?? 0;
  const sink = (moved: number, root: number, size: number): void => {
    const key = keys[moved] ?? 0;
    let hole = root;
    for (let child = 2 * hole + 1; child < size; child = 2 * hole + 1) {
      if (child + 1 < size && keyAt(child) < keyAt(child + 1)) child++;
      if (!(key < keyAt(child))) break;
      heap[hole] = heap[child] ?? 0;
      hole = child;
    }
    heap[hole] = moved;
  };
  for (let root = (heap.length >> 1) - 1; root >= 0; root--) sink(heap[root] ?? 0, root, heap.length);
  for (let size = heap.length - 1; size > 0; size--) {
    const moved = heap[size] ?? 0;
    heap[size] = heap[0] ?? 0;
    sink(moved, 0, size);
  }
}
