import { KVM_EXIT_HLT, KVM_EXIT_IO, KVM_EXIT_IO_IN, KVM_EXIT_MMIO } from '@guestmode/kvm-abi'
import { describe, expect, test } from 'vitest'
import { guest, outputs, values } from './guest.ts'

describe('port I/O', () => {
  test('OUT of every size, and the VMM sees RIP still at the instruction', () => {
    const g = guest('mov eax,0x11223344\n mov dx,0x1234\n out dx,al\n out dx,ax\n out dx,eax\n out 0x80,al\n hlt')
    expect(g.vcpu.run()).toBe(0)
    expect(g.vcpu.getRegs().rip).toBe(0x1009n)
    expect(outputs(g)).toEqual([
      [0x1234, 0x3344],
      [0x1234, 0x11223344],
      [0x80, 0x44],
    ])
  })

  test('IN completes at the next KVM_RUN; a 32-bit result clears the upper half', () => {
    const g = guest('mov rax,-1\n in eax,0x71\n in al,0x71\n out 0x80,al\n hlt', { bits: 64 })
    for (const value of [0x01020304, 0x55]) {
      expect(g.vcpu.run()).toBe(0)
      expect(g.vcpu.kvmRun.exitReason).toBe(KVM_EXIT_IO)
      expect(g.vcpu.kvmRun.io.direction).toBe(KVM_EXIT_IO_IN)
      new DataView(g.vcpu.kvmRun.page.buffer, Number(g.vcpu.kvmRun.io.dataOffset)).setUint32(0, value, true)
    }
    expect(values(g)).toEqual([0x55])
    expect(g.vcpu.getRegs().rax).toBe(0x01020355n)
  })

  test('immediate_exit completes the exit and returns EINTR', () => {
    const g = guest('in al,0x71\n mov bl,al\n hlt')
    g.vcpu.run()
    g.vcpu.kvmRun.pioData()[0] = 7
    g.vcpu.kvmRun.immediateExit = 1
    expect(g.vcpu.run()).toBe(-4)
    expect(g.vcpu.getRegs().rax & 0xffn).toBe(7n)
    expect(g.vcpu.getRegs().rip).toBe(0x1002n)
    g.vcpu.kvmRun.immediateExit = 0
    expect(g.vcpu.run()).toBe(0)
    expect(g.vcpu.kvmRun.exitReason).toBe(KVM_EXIT_HLT)
  })

  test('REP OUTSB in one exit, REP INSW likewise, and the page boundary ends a batch', () => {
    const g = guest(`mov si,0x2ffd\n mov cx,6\n mov dx,0x99\n cld\n rep outsb
      mov di,0x3000\n mov cx,3\n rep insw\n hlt`)
    g.memory.bytes.set([1, 2, 3, 4, 5, 6], 0x2ffd)
    const counts: number[] = []
    const seen: number[] = []
    for (;;) {
      expect(g.vcpu.run()).toBe(0)
      if (g.vcpu.kvmRun.exitReason === KVM_EXIT_HLT) break
      counts.push(g.vcpu.kvmRun.io.count)
      if (g.vcpu.kvmRun.io.direction === KVM_EXIT_IO_IN) g.vcpu.kvmRun.pioData().set([9, 8, 7, 6, 5, 4])
      else seen.push(...g.vcpu.kvmRun.pioData())
    }
    expect(counts).toEqual([3, 3, 3])
    expect(seen).toEqual([1, 2, 3, 4, 5, 6])
    expect([...g.memory.bytes.subarray(0x3000, 0x3006)]).toEqual([9, 8, 7, 6, 5, 4])
    const { rcx, rsi, rdi } = g.vcpu.getRegs()
    expect([rcx, rsi, rdi]).toEqual([0n, 0x3003n, 0x3006n])
  })

  test('string I/O downwards, without REP, and with items across pages', () => {
    const g = guest(`std\n mov si,0x2fff\n mov dx,0x99\n mov cx,2\n rep outsw\n outsb\n hlt`)
    g.memory.bytes.set([1, 2, 3, 4], 0x2ffd)
    expect(values(g)).toEqual([0x0403, 0x0201, 0])
    expect(g.vcpu.getRegs().rsi).toBe(0x2ffan)
  })
})

describe('memory-mapped I/O', () => {
  const setup = { bits: 32, megabytes: 1 } as const

  test('reads and writes of every size', () => {
    const g = guest(
      `mov ebx,0x200000\n mov eax,[ebx]\n movzx ecx,word [ebx+4]\n mov [ebx+8],cl\n mov dword [ebx+12],0x12345678\n add byte [ebx+16],1\n hlt`,
      setup,
    )
    const log: (string | bigint | number)[][] = []
    for (;;) {
      expect(g.vcpu.run()).toBe(0)
      const { kvmRun } = g.vcpu
      if (kvmRun.exitReason === KVM_EXIT_HLT) break
      expect(kvmRun.exitReason).toBe(KVM_EXIT_MMIO)
      const { physAddr, len, isWrite, data } = kvmRun.mmio
      const view = new DataView(data.buffer, data.byteOffset, 8)
      log.push([isWrite ? 'w' : 'r', physAddr, len, isWrite ? view.getUint32(0, true) : 0])
      if (!isWrite) view.setUint32(0, 0xaabbccdd, true)
    }
    expect(log).toEqual([
      ['r', 0x200000n, 4, 0],
      ['r', 0x200004n, 2, 0],
      ['w', 0x200008n, 1, 0xdd],
      ['w', 0x20000cn, 4, 0x12345678],
      ['r', 0x200010n, 1, 0],
      ['w', 0x200010n, 1, 0xde],
    ])
    expect(g.vcpu.getRegs().rax).toBe(0xaabbccddn)
    expect(g.vcpu.getRegs().rcx).toBe(0xccddn)
  })

  test('an access across pages splits; half of it may be memory', () => {
    const g = guest(`mov dword [0xffffe],0x44332211\n mov eax,[0xffffe]\n hlt`, setup)
    g.vcpu.run()
    expect(g.vcpu.kvmRun.mmio).toMatchObject({ physAddr: 0x100000n, len: 2, isWrite: 1 })
    expect([...g.vcpu.kvmRun.mmio.data.subarray(0, 2)]).toEqual([0x33, 0x44])
    expect([...g.memory.bytes.subarray(0xffffe, 0x100000)]).toEqual([0x11, 0x22])
    g.vcpu.run()
    expect(g.vcpu.kvmRun.mmio).toMatchObject({ physAddr: 0x100000n, len: 2, isWrite: 0 })
    g.vcpu.kvmRun.mmio.data.set([0xaa, 0xbb])
    g.vcpu.run()
    expect(g.vcpu.getRegs().rax).toBe(0xbbaa2211n)
  })

  test('REP MOVSD to a device, and a 16-byte store in two exits', () => {
    const g = guest(
      `mov esi,0x2000\n mov edi,0x300000\n mov ecx,3\n rep movsd\n movups xmm0,[0x2000]\n movups [0x300000],xmm0\n hlt`,
      setup,
    )
    g.vcpu.setSregs({ ...g.vcpu.getSregs(), cr4: 0x600n })
    for (let i = 0; i < 16; i++) g.memory.bytes[0x2000 + i] = i
    const writes: [bigint, number, number][] = []
    for (;;) {
      expect(g.vcpu.run()).toBe(0)
      if (g.vcpu.kvmRun.exitReason === KVM_EXIT_HLT) break
      const { physAddr, len, data } = g.vcpu.kvmRun.mmio
      writes.push([physAddr, len, data[0]!])
    }
    expect(writes).toEqual([
      [0x300000n, 4, 0],
      [0x300004n, 4, 4],
      [0x300008n, 4, 8],
      [0x300000n, 8, 0],
      [0x300008n, 8, 8],
    ])
  })

  test('writes to a read-only slot are MMIO, reads are memory', () => {
    const g = guest(`mov eax,[0x400000]\n mov [0x400004],eax\n hlt`, setup)
    const rom = g.vm.allocateMemory(0x1000)
    rom.bytes.set([0xef, 0xbe, 0xad, 0xde])
    g.vm.setUserMemoryRegion({ slot: 1, flags: 2, guestPhysAddr: 0x400000n, memorySize: 0x1000n, userspaceAddr: rom.address })
    g.vcpu.run()
    expect(g.vcpu.kvmRun.exitReason).toBe(KVM_EXIT_MMIO)
    expect(g.vcpu.kvmRun.mmio).toMatchObject({ physAddr: 0x400004n, isWrite: 1 })
    g.vcpu.run()
    expect(g.vcpu.kvmRun.exitReason).toBe(KVM_EXIT_HLT)
  })

  test('coalesced writes wait in the ring; ioeventfd takes others', () => {
    const g = guest(
      `mov dword [0x500000],1\n mov dword [0x500004],2\n mov dword [0x600000],3\n mov dword [0x700000],4\n hlt`,
      setup,
    )
    g.vm.registerCoalescedMmio(0x500000n, 0x1000)
    const event = g.kvm.createEventFd()
    let called = 0
    event.listener = () => called++
    g.vm.ioeventfd({ addr: 0x600000n, len: 4, fd: event.fd })
    g.vcpu.run()
    expect(g.vcpu.kvmRun.mmio.physAddr).toBe(0x700000n)
    expect([called, event.consume()]).toEqual([1, 1n])
    const ring = new DataView(g.vcpu.kvmRun.page.buffer, 2 * 4096)
    expect([ring.getUint32(0, true), ring.getUint32(4, true)]).toEqual([0, 2])
    expect([ring.getBigUint64(8, true), ring.getUint32(16, true), ring.getUint32(24, true)]).toEqual([0x500000n, 4, 1])
  })
})
