import { expect, test } from 'vitest'
import { GuestError } from './errors.ts'
import { readKernelBundle } from './kernel-bundle.ts'

/** A library with the two symbols, small: text at 0x1000, data at 0x2000. */
function library(image: Uint8Array, size = image.length): Uint8Array {
  const out = new Uint8Array(0x2000 + image.length)
  const view = new DataView(out.buffer)
  out.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  const u64 = (at: number, value: number) => view.setBigUint64(at, BigInt(value), true)
  u64(32, 64)
  u64(40, 0x400)
  view.setUint16(54, 56, true)
  view.setUint16(56, 2, true)
  view.setUint16(58, 64, true)
  view.setUint16(60, 3, true)
  const load = (n: number, at: number, length: number) => {
    view.setUint32(64 + 56 * n, 1, true)
    for (const [k, value] of [at, at, at, length, length].entries()) u64(64 + 56 * n + 8 + 8 * k, value)
  }
  load(0, 0x1000, 64)
  load(1, 0x2000, image.length)
  view.setUint32(0x440 + 4, 11, true)
  u64(0x440 + 24, 0x600)
  u64(0x440 + 32, 72)
  view.setUint32(0x440 + 40, 2, true)
  u64(0x480 + 24, 0x700)
  out.set(new TextEncoder().encode('\0krunfw_get_kernel\0KERNEL_BUNDLE\0'), 0x700)
  view.setUint32(0x618, 1, true)
  u64(0x620, 0x1000)
  u64(0x628, 64)
  view.setUint32(0x630, 19, true)
  u64(0x638, 0x2000)
  u64(0x640, image.length)
  for (const [n, value] of [0x1000000, 0x1000002, size].entries()) {
    out.set([0x48, 0xc7, 0x00], 0x1000 + n * 8)
    view.setUint32(0x1003 + n * 8, value, true)
  }
  out.set(image, 0x2000)
  return out
}

test('image and addresses', () => {
  const bundle = readKernelBundle(library(Uint8Array.of(1, 2, 3, 4), 3))
  expect([...bundle.image]).toEqual([1, 2, 3])
  expect([bundle.loadAddress, bundle.entry64]).toEqual([0x1000000, 0x1000002])
})

test.each([
  ['an empty file', new Uint8Array(0)],
  ['text', new TextEncoder().encode('#!/bin/sh\n'.repeat(20))],
  ['a size beyond the data', library(Uint8Array.of(1, 2, 3, 4), 5)],
  ['tables cut off', library(Uint8Array.of(1)).subarray(0, 0x700)],
])('%s is refused', (_, bytes) => {
  expect(() => readKernelBundle(bytes)).toThrow(GuestError)
})
