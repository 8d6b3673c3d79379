import { describe, expect, test } from 'vitest'
import { decode } from '@guestmode/x86'
import { assemble } from '@guestmode/asm'
import { hotLoopKernel, hotLoops } from './hot-loops.ts'

test('the kernel has a Multiboot header with valid addresses', () => {
  const header = new DataView(hotLoopKernel(1000).buffer)
  const [magic, flags, checksum] = [0, 4, 8].map((at) => header.getUint32(at, true)) as [number, number, number]
  expect(magic).toBe(0x1badb002)
  expect((magic + flags + checksum) >>> 0).toBe(0)
  expect(header.getUint32(12, true)).toBe(header.getUint32(16, true))
})

describe.each(hotLoops.filter(({ rest }) => rest === undefined).map((loop) => [loop.name, loop] as const))(
  'loop %s',
  (_, loop) => {
    test('has as many instructions as it says', () => {
      const { bytes } = assemble(`bits 32\nagain: ${loop.body}\ndec ecx\njnz again`)
      let count = 0
      for (let at = 0; at < bytes.length; count++) {
        const result = decode(bytes, at, bytes.length, 32)
        if (!result.ok) throw new Error(result.reason)
        at += result.insn.length
      }
      expect(count).toBe(loop.instructions)
    })
  },
)
