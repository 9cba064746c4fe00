import { describe, expect, it } from 'vitest';
import { StateBytes, StateWriter } from './state-bytes.ts';

describe('written state', () => {
  it('is little-endian', () => {
    const writer = new StateWriter();
    writer.u8(255);
    writer.u32(4_294_967_294);
    writer.i32(-2);
    writer.f64(1.5);
    expect([...writer.take()]).toEqual([255, 254, 255, 255, 255, 254, 255, 255, 255, 0, 0, 0, 0, 0, 0, 248, 63]);
    writer.value(1.5);
    writer.value('é');
    writer.raw(Uint8Array.of(9, 8));
    expect([...writer.take()]).toEqual([0, 0, 0, 0, 0, 0, 0, 248, 63, 1, 2, 0, 0, 0, 195, 169, 9, 8]);
  });

  it('is read back as it was written, to its end', () => {
    const writer = new StateWriter();
    writer.u8(200);
    writer.u32(4_000_000_000);
    writer.i32(-2_000_000_000);
    writer.f64(-0.1);
    writer.value(7);
    writer.value('card 17');
    writer.raw(Uint8Array.of(1, 2, 3));
    const whole = writer.take();
    const bytes = new StateBytes(Uint8Array.of(0, ...whole, 0).subarray(1, -1));
    expect(bytes.isAtEnd).toBe(false);
    expect([bytes.u8(), bytes.u32(), bytes.i32(), bytes.f64()]).toEqual([200, 4_000_000_000, -2_000_000_000, -0.1]);
    expect([bytes.value(), bytes.value()]).toEqual([7, 'card 17']);
    expect(bytes.raw(3)).toEqual(Uint8Array.of(1, 2, 3));
    expect(bytes.isAtEnd).toBe(true);
  });

  it('grows while it is written, a little and by much at once', () => {
    const writer = new StateWriter();
    const large = Uint8Array.from({ length: 1_000 }, (_, i) => i % 251);
    for (let i = 0; i < 100; i++) writer.u32(i);
    writer.raw(large);
    for (let i = 0; i < 1_000; i++) writer.f64(i);
    const bytes = new StateBytes(writer.take());
    for (let i = 0; i < 100; i++) expect(bytes.u32()).toBe(i);
    expect(bytes.raw(1_000)).toEqual(large);
    for (let i = 0; i < 1_000; i++) expect(bytes.f64()).toBe(i);
    expect(bytes.isAtEnd).toBe(true);
  });

  it('fills its room to the last byte', () => {
    const writer = new StateWriter();
    for (let i = 0; i < 256; i++) writer.u8(i);
    const bytes = writer.take();
    expect([bytes.length, bytes[0], bytes[255]]).toEqual([256, 0, 255]);
  });

  it('is a copy, which later writing leaves as it is', () => {
    const writer = new StateWriter();
    writer.u8(1);
    const first = writer.take();
    writer.u8(2);
    expect([...first]).toEqual([1]);
    expect([...writer.take()]).toEqual([2]);
    const read = new StateBytes(first);
    const copy = read.raw(1);
    first[0] = 9;
    expect([...copy]).toEqual([1]);
  });

  it('is refused where it is cut off', () => {
    const cut = (size: number): StateBytes => new StateBytes(new Uint8Array(16).subarray(0, size));
    expect(() => cut(0).u8()).toThrow(new RangeError('cut off'));
    expect(() => cut(3).u32()).toThrow(RangeError);
    expect(() => cut(3).i32()).toThrow(RangeError);
    expect(() => cut(7).f64()).toThrow(RangeError);
    expect(() => cut(2).raw(3)).toThrow(RangeError);
    expect(() => cut(8).value()).toThrow(RangeError);
    expect(cut(9).value()).toBe(0);
  });
});
