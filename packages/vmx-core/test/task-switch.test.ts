import { describe, expect, test } from 'vitest'
import { guest, MMUS, values } from './guest.ts'

const GDT = 0x6000
const TSS = { first: 0x6400, second: 0x6500 }

describe.each(MMUS)('%s: hardware task switches', (mmu) => {
  test('CALL to a task and IRET back; a task gate takes #BP', () => {
    const g = guest(
      `mov ax,0x18\n ltr ax\n mov ebx,0x1234
       call 0x20:0\n mov al,3\n out 0x80,al\n mov eax,ebx\n out 0x81,ax\n pushfd\n pop eax\n shr eax,14\n and al,1\n out 0x82,al
       int 3\n mov al,6\n out 0x80,al\n mov eax,cr0\n shr eax,3\n and al,1\n out 0x83,al\n str ax\n out 0x84,al\n hlt
       task: mov al,1\n out 0x80,al\n mov ebx,0x9999\n pushfd\n pop eax\n shr eax,14\n and al,1\n out 0x85,al\n iretd
       mov al,5\n out 0x80,al\n iretd`,
      { bits: 32, options: { mmu } },
    )
    const v = new DataView(g.memory.bytes.buffer, g.memory.bytes.byteOffset)
    const tss = (at: number): bigint => 0x0000_8900_0000_0067n | (BigInt(at) << 16n)
    v.setBigUint64(GDT + 8, 0x00cf9b000000ffffn, true)
    v.setBigUint64(GDT + 0x10, 0x00cf93000000ffffn, true)
    v.setBigUint64(GDT + 0x18, tss(TSS.first), true)
    v.setBigUint64(GDT + 0x20, tss(TSS.second), true)
    v.setBigUint64(0x6200 + 3 * 8, 0x0000_8500_0020_0000n, true)
    const second = (offset: number, value: number): void => v.setUint32(TSS.second + offset, value, true)
    second(0x20, g.labels['task']!)
    second(0x24, 2)
    second(0x38, 0x7000)
    for (const [offset, selector] of [
      [0x48, 0x10],
      [0x4c, 8],
      [0x50, 0x10],
      [0x54, 0x10],
    ] as const)
      second(offset, selector)
    const sregs = g.vcpu.getSregs()
    g.vcpu.setSregs({ ...sregs, gdt: { base: BigInt(GDT), limit: 0x27 }, idt: { base: 0x6200n, limit: 0xff } })
    // The second entry into the task goes on behind its IRET.
    expect(values(g)).toEqual([1, 1, 3, 0x1234, 0, 5, 6, 1, 0x18])
    expect(v.getUint16(TSS.second, true)).toBe(0x18)
    expect(v.getUint8(GDT + 0x1d)).toBe(0x8b)
    expect(v.getUint8(GDT + 0x25)).toBe(0x89)
  })
})
