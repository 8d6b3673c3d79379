import { describe, expect, test } from 'vitest'
import { array, bytes, field, flexible, s64, struct, u16, u32, u64, u8 } from './index.ts'

const POINT = struct('point', 4, { x: field(u16, 0), y: field(u16, 2) })
const SHAPE = struct('shape', 40, {
  id: field(u64, 0),
  origin: field(POINT, 8),
  corners: field(array(POINT, 3), 12),
  name: field(bytes(4), 24),
  delta: field(s64, 32),
})

const shape = {
  id: 0xfedc_ba98_7654_3210n,
  origin: { x: 1, y: 2 },
  corners: [
    { x: 3, y: 4 },
    { x: 5, y: 6 },
    { x: 7, y: 8 },
  ],
  name: Uint8Array.of(1, 2, 3, 4),
  delta: -5n,
}

describe('struct', () => {
  test('encodes little-endian at the declared offsets and decodes what it encoded', () => {
    const buffer = SHAPE.encode(shape)
    expect(buffer.length).toBe(40)
    expect([...buffer.subarray(0, 12)]).toEqual([0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe, 1, 0, 2, 0])
    expect(SHAPE.decode(buffer)).toEqual(shape)
  })

  test('writing part of a struct leaves the rest', () => {
    const buffer = SHAPE.encode(shape)
    SHAPE.write(new DataView(buffer.buffer), 0, { origin: { y: 99 } })
    expect(SHAPE.decode(buffer)).toEqual({ ...shape, origin: { x: 1, y: 99 } })
  })

  test('a view reads and writes in place, at any offset of the buffer', () => {
    const memory = new Uint8Array(64).subarray(3)
    const view = SHAPE.viewOf(memory, 8)
    view.id = 7n
    view.origin.x = 0x1234
    view.corners.at(2).y = 8
    view.corners.set(0, { x: 3, y: 4 })
    view.name.set([9, 8])
    view.delta = -1n
    expect(SHAPE.decode(memory.subarray(8))).toEqual({
      id: 7n,
      origin: { x: 0x1234, y: 0 },
      corners: [
        { x: 3, y: 4 },
        { x: 0, y: 0 },
        { x: 0, y: 8 },
      ],
      name: Uint8Array.of(9, 8, 0, 0),
      delta: -1n,
    })
    expect([...view.corners].map(({ x }) => x)).toEqual([3, 0, 0])
    view.origin = { x: 1, y: 1 }
    expect(view.origin.y).toBe(1)
  })

  test('a decoded byte array is a copy', () => {
    const buffer = SHAPE.encode(shape)
    const { name } = SHAPE.decode(buffer)
    buffer.fill(0)
    expect([...name]).toEqual([1, 2, 3, 4])
  })

  test('what does not fit is refused', () => {
    expect(() => struct('bad', 4, { x: field(u64, 0) })).toThrow('bad.x ends at 8, outside 4 bytes')
    expect(() => SHAPE.encode({ name: new Uint8Array(5) })).toThrow('5 bytes do not fit in 4')
    expect(() => SHAPE.encode({ corners: Array(4).fill({ x: 0, y: 0 }) })).toThrow('4 elements do not fit in 3')
    expect(() => SHAPE.viewOf(new Uint8Array(40)).corners.at(3)).toThrow('index 3 is outside 0..2')
    expect(() => SHAPE.decode(new Uint8Array(39))).toThrow(RangeError)
  })
})

describe('flexible', () => {
  const LIST = flexible(struct('list', 8, { n: field(u32, 0), kind: field(u8, 4) }), 'n', 'points', 8, POINT)

  test('counts its elements', () => {
    const buffer = LIST.encode([{ x: 1, y: 2 }, { x: 3 }], { kind: 5 })
    expect(buffer.length).toBe(16)
    expect(LIST.countIn(buffer)).toBe(2)
    expect(LIST.header.decode(buffer)).toEqual({ n: 2, kind: 5 })
    expect(LIST.decode(buffer)).toEqual([
      { x: 1, y: 2 },
      { x: 3, y: 0 },
    ])
  })

  test('reads no element beyond the buffer, whatever the count says', () => {
    const buffer = LIST.allocate(1)
    LIST.setCount(buffer, 1000)
    expect(LIST.decode(buffer)).toEqual([{ x: 0, y: 0 }])
  })
})
