import { KVM_EXIT_HLT, KVM_EXIT_IO, KVM_EXIT_MMIO, KVM_EXIT_SHUTDOWN } from '@guestmode/kvm-abi'
import { describe, expect, test } from 'vitest'
import { guest, LONG_TABLES, MMUS, outputs, values, type Guest } from './guest.ts'

const P = 1
const RW = 2
const US = 4
const PS = 0x80

const view = (g: Guest): DataView => new DataView(g.memory.bytes.buffer, g.memory.bytes.byteOffset)

/** IDT at 0x6000 with a page-fault handler that reports CR2 and the error code, makes the page present and writable, and returns. */
const FAULTS = `
  fault: push eax\n mov eax,cr2\n out 0x80,eax\n mov eax,[esp+4]\n out 0x81,eax\n mov eax,[fix]\n mov edx,[fix+4]\n mov [eax],edx\n invlpg [0x200000]\n pop eax\n add esp,4\n iretd
  fix: dd 0,0`

/** IDT, GDT and stack. */
const TOUCH = `mov eax,[0x6070]\n mov eax,[0x6808]\n push eax\n pop eax\n`

function with32(g: Guest, labels: Guest['labels'], cr4 = 0n): void {
  const v = view(g)
  const at = Number(labels['fault'])
  v.setUint32(0x6000 + 14 * 8, (at & 0xffff) | (8 << 16), true)
  v.setUint32(0x6000 + 14 * 8 + 4, (at & 0xffff0000) | 0x8e00, true)
  v.setBigUint64(0x6808, 0x00cf9b000000ffffn, true)
  v.setBigUint64(0x6810, 0x00cf93000000ffffn, true)
  const sregs = g.vcpu.getSregs()
  g.vcpu.setSregs({
    ...sregs,
    idt: { base: 0x6000n, limit: 0xff },
    gdt: { base: 0x6800n, limit: 23 },
    cr3: 0x10000n,
    cr4,
    cr0: sregs.cr0 | 0x8001_0000n,
  })
}

describe.each(MMUS)('%s', (mmu) => {
  const options = { options: { mmu } }

  test('32-bit paging: faults, accessed and dirty flags, INVLPG', () => {
    const g = guest(`${TOUCH} mov eax,[0x200000]\n mov dword [0x200000],5\n mov eax,[0x200000]\n hlt\n ${FAULTS}`, {
      bits: 32,
      ...options,
    })
    const v = view(g)
    const labels = g.labels
    v.setUint32(0x10000, 0x11000 | P | RW | US, true)
    for (let i = 0; i < 256; i++) v.setUint32(0x11000 + 4 * i, (i << 12) | P | RW | US, true)
    // The page table for 4-8 MiB is the second; 2 MiB is in the first, entry 512.
    v.setUint32(Number(labels['fix']), 0x11000 + 512 * 4, true)
    v.setUint32(Number(labels['fix']) + 4, 0x30000 | P | RW, true)
    v.setUint32(0x30000, 77, true)
    with32(g, labels)
    expect(outputs(g)).toEqual([
      [0x80, 0x200000],
      [0x81, 0],
    ])
    expect(g.vcpu.getRegs().rax).toBe(5n)
    expect(v.getUint32(0x30000, true)).toBe(5)
    expect(view(g).getUint32(0x11000 + 512 * 4, true) & 0x60).toBe(0x60)
    expect(view(g).getUint32(0x11000 + 4, true) & 0x60).toBe(0x20)
    expect(g.vcpu.translate(0x200004n)).toMatchObject({ valid: 1, physicalAddress: 0x30004n })
    expect(g.vcpu.translate(0x201000n).valid).toBe(0)
  })

  test('a write to a read-only page with CR0.WP faults; large pages; without WP it goes through', () => {
    const g = guest(
      `${TOUCH} mov dword [0x400010],1\n mov eax,cr0\n and eax,~0x10000\n mov cr0,eax\n mov dword [0x400020],2\n mov eax,[0x400020]\n hlt\n ${FAULTS}`,
      {
        bits: 32,
        megabytes: 8,
        ...options,
      },
    )
    const v = view(g)
    const labels = g.labels
    v.setUint32(0x10000, 0 | P | RW | US | PS, true)
    v.setUint32(0x10004, 0x400000 | P | US | PS, true)
    v.setUint32(Number(labels['fix']), 0x10004, true)
    v.setUint32(Number(labels['fix']) + 4, 0x400000 | P | US | PS, true)
    with32(g, labels, 0x10n)
    const seen: number[] = []
    for (let i = 0; i < 4; i++) {
      g.vcpu.run()
      if (g.vcpu.kvmRun.exitReason !== KVM_EXIT_IO) break
      const data = g.vcpu.kvmRun.pioData()
      seen.push(new DataView(data.buffer, data.byteOffset).getUint32(0, true))
      // After the error code of the first fault, make the entry writable before the handler's own store: it stores `fix+4`.
      if (seen.length === 2) v.setUint32(Number(labels['fix']) + 4, 0x400000 | P | US | PS | (seen.length === 2 ? RW : 0), true)
    }
    expect(seen).toEqual([0x400010, 3])
    while (g.vcpu.kvmRun.exitReason !== KVM_EXIT_HLT) expect(g.vcpu.run()).toBe(0)
    expect(g.vcpu.getRegs().rax).toBe(2n)
    expect(v.getUint32(0x400010, true)).toBe(1)
  })

  test('PAE paging with NX', () => {
    const g = guest(`mov eax,[0x200000]\n hlt`, { bits: 32, megabytes: 4, ...options })
    const v = view(g)
    v.setBigUint64(0x10000, 0x11001n, true)
    v.setBigUint64(0x11000, BigInt(P | RW | PS), true)
    v.setBigUint64(0x11008, 0x12003n, true)
    v.setBigUint64(0x12000, (1n << 63n) | 0x30003n, true)
    v.setUint32(0x30000, 123, true)
    const sregs = g.vcpu.getSregs()
    g.vcpu.setSregs({ ...sregs, cr3: 0x10000n, cr4: 0x20n, efer: 0x800n, cr0: sregs.cr0 | 0x8000_0000n })
    expect(g.vcpu.getSregs2().pdptrs[0]).toBe(0x11001n)
    expect(outputs(g)).toEqual([])
    expect(g.vcpu.getRegs().rax).toBe(123n)
  })

  test('4-level paging: CR3 loads, MMIO, and a page that is mapped elsewhere', () => {
    const g = guest(
      `mov rax,[0x40000000]\n mov rbx,0x${(LONG_TABLES + 0x1008).toString(16)}\n mov qword [rbx],0x${(LONG_TABLES + 0x3007).toString(16)}
       mov rax,[0x40000000]\n out 0x80,eax\n mov rcx,cr3\n mov qword [0x${(LONG_TABLES + 0x3000).toString(16)}],0x31007\n mov cr3,rcx\n mov eax,[0x40000000]\n out 0x80,eax
       mov edx,[0x20000000]\n hlt`,
      { bits: 64, ...options },
    )
    const v = view(g)
    // 1 GiB: first through a table of one page.
    v.setBigUint64(LONG_TABLES + 0x1008, BigInt(LONG_TABLES + 0x3007), true)
    v.setBigUint64(LONG_TABLES + 0x3000, BigInt(LONG_TABLES + 0x4007), true)
    v.setBigUint64(LONG_TABLES + 0x4000, 0x30007n, true)
    v.setUint32(0x30000, 1, true)
    v.setUint32(0x31000, 2, true)
    // The second value goes through another table at the same place: LONG_TABLES + 0x3000 becomes a table at 0x31000.
    v.setBigUint64(0x31000, 0x32007n, true)
    v.setUint32(0x32000, 2, true)
    g.vcpu.run()
    expect(g.vcpu.kvmRun.pioData()[0]).toBe(1)
    g.vcpu.run()
    expect(g.vcpu.kvmRun.pioData()[0]).toBe(2)
    g.vcpu.run()
    expect(g.vcpu.kvmRun.exitReason).toBe(KVM_EXIT_MMIO)
    expect(g.vcpu.kvmRun.mmio.physAddr).toBe(0x20000000n)
  })

  test('from real mode to long mode and back to 32 bits', () => {
    const g = guest(
      `cli\n lgdt [gdtr]\n mov eax,cr0\n or eax,1\n mov cr0,eax\n jmp dword 8:prot
       bits 32\n prot: mov ax,0x10\n mov ds,ax\n mov ss,ax\n mov eax,0x20\n mov cr4,eax\n mov eax,0x10000\n mov cr3,eax
       mov ecx,0xc0000080\n rdmsr\n or eax,0x100\n wrmsr\n mov eax,cr0\n or eax,0x80000000\n mov cr0,eax\n mov al,1\n out 0x80,al\n jmp 0x18:long
       bits 64\n long: mov rax,0x123456789\n mov rbx,rax\n shr rbx,32\n mov eax,ebx\n out 0x80,al\n rdmsr\n shr eax,10\n and al,1\n add al,2\n out 0x80,al
       push 8\n push compat\n retfq
       bits 32\n compat: mov eax,cr0\n and eax,0x7fffffff\n mov cr0,eax\n mov al,9\n out 0x80,al\n rdmsr\n shr eax,10\n and al,1\n out 0x80,al\n hlt
       bits 16\n align 8\n gdt: dq 0,0x00cf9b000000ffff,0x00cf93000000ffff,0x00af9b000000ffff\n gdtr: dw 31\n dd gdt`,
      options,
    )
    const v = view(g)
    v.setBigUint64(0x10000, 0x11003n, true)
    v.setBigUint64(0x11000, 0x12003n, true)
    v.setBigUint64(0x12000, BigInt(P | RW | PS), true)
    g.vcpu.setRegs({ ...g.vcpu.getRegs(), rsp: 0x8000n })
    expect(values(g)).toEqual([1, 1, 3, 9, 0])
  })

  test('dirty log: only what was written since the last look', () => {
    const g = guest(
      `l: mov [0x9000],eax\n mov ebx,[0xa000]\n out 0x80,al\n mov [0xb000],eax\n mov [0x9004],eax\n out 0x80,al\n out 0x80,al\n mov [0x9000],eax\n hlt`,
      {
        bits: 64,
        ...options,
      },
    )
    const region = { slot: 0, guestPhysAddr: 0n, memorySize: 1n << 20n, userspaceAddr: g.memory.address }
    g.vm.setUserMemoryRegion({ ...region, flags: 1 })
    const dirty = (): number[] =>
      [...g.vm.getDirtyLog(0, 256)]
        .flatMap((bits, i) => [0, 1, 2, 3, 4, 5, 6, 7].filter((k) => (bits >> k) & 1).map((k) => i * 8 + k))
        .filter((page) => page < 0x70)
    g.vcpu.run()
    expect(dirty()).toEqual([9])
    g.vcpu.run()
    expect(dirty()).toEqual([9, 0xb])
    g.vcpu.run()
    expect(dirty()).toEqual([])
    g.memory.written(0x5123, 10)
    g.vcpu.run()
    expect(dirty()).toEqual([5, 9])
    g.vm.setUserMemoryRegion({ ...region, flags: 0 })
    expect(() => g.vm.getDirtyLog(0, 256)).toThrow('ENOENT')
  })

  test('manual dirty log: reading leaves, clearing takes', () => {
    const g = guest(`mov [0x9000],eax\n hlt`, { bits: 64, ...options })
    g.vm.enableCap(168, [1n])
    g.vm.setUserMemoryRegion({ slot: 0, guestPhysAddr: 0n, memorySize: 1n << 20n, userspaceAddr: g.memory.address, flags: 1 })
    g.vcpu.run()
    const log = g.vm.getDirtyLog(0, 256)
    expect(log[1]! & 2).toBe(2)
    expect(g.vm.getDirtyLog(0, 256)).toEqual(log)
    g.vm.clearDirtyLog(0, 0n, 64, log)
    expect(g.vm.getDirtyLog(0, 256)[1]).toBe(0)
    expect(() => g.vm.clearDirtyLog(0, 1n, 64, log)).toThrow('EINVAL')
  })

  test('single step over every kind of instruction', () => {
    const g = guest(`mov eax,1\n inc eax\n out 0x80,al\n cpuid\n mov ebx,2\n hlt`, { bits: 64, ...options })
    g.vcpu.setGuestDebug({ control: 3 })
    const pcs: bigint[] = []
    for (let i = 0; i < 6; i++) {
      expect(g.vcpu.run()).toBe(0)
      const { exitReason, debug } = g.vcpu.kvmRun
      if (exitReason === 4) {
        expect(debug.exception).toBe(1)
        expect(debug.dr6 & 0x4000n).toBe(0x4000n)
        pcs.push(debug.pc)
      } else expect(exitReason).toBe(KVM_EXIT_IO)
    }
    expect(pcs).toEqual([0x1005n, 0x1007n, 0x1009n, 0x100bn, 0x1010n])
    expect(g.vcpu.getRegs().rflags & 0x100n).toBe(0n)
    g.vcpu.setGuestDebug({ control: 0 })
    expect(outputs(g)).toEqual([])
  })

  test('hardware and software breakpoints of a debugger; the guest keeps its own DR', () => {
    const g = guest(`mov rax,0x1234\n mov dr0,rax\n here: nop\n mov rbx,dr0\n int3\n hlt`, { bits: 64, ...options })
    const nop = BigInt(g.labels['here']!)
    g.vcpu.setGuestDebug({ control: 0x30001, debugreg: [nop, 0n, 0n, 0n, 0n, 0n, 0n, 0x402n] })
    expect(g.vcpu.run()).toBe(0)
    expect(g.vcpu.kvmRun.exitReason).toBe(4)
    expect([g.vcpu.kvmRun.debug.exception, g.vcpu.kvmRun.debug.pc]).toEqual([1, nop])
    expect(g.vcpu.kvmRun.debug.dr6 & 1n).toBe(1n)
    g.vcpu.setGuestDebug({ control: 0x10001 })
    expect(g.vcpu.run()).toBe(0)
    expect(g.vcpu.kvmRun.debug.exception).toBe(3)
    expect(g.vcpu.getRegs().rbx).toBe(0x1234n)
    expect(g.vcpu.getDebugregs().db[0]).toBe(0x1234n)
  })

  test('triple fault is a shutdown', () => {
    const g = guest(`mov rsp,0\n ud2`, { bits: 64, ...options })
    expect(g.vcpu.run()).toBe(0)
    expect(g.vcpu.kvmRun.exitReason).toBe(KVM_EXIT_SHUTDOWN)
  })

  test('slots come and go under a running guest', () => {
    const g = guest(`mov eax,[0x800000]\n out 0x80,eax\n mov eax,[0x800000]\n hlt`, { bits: 64, ...options })
    const extra = g.vm.allocateMemory(4096)
    extra.bytes[0] = 42
    const region = { slot: 3, flags: 0, guestPhysAddr: 0x800000n, memorySize: 4096n, userspaceAddr: extra.address }
    g.vm.setUserMemoryRegion(region)
    g.vcpu.run()
    expect(g.vcpu.kvmRun.pioData()[0]).toBe(42)
    g.vm.setUserMemoryRegion({ ...region, memorySize: 0n })
    g.vcpu.run()
    expect(g.vcpu.kvmRun.exitReason).toBe(KVM_EXIT_MMIO)
    expect(() => g.vm.setUserMemoryRegion({ ...region, guestPhysAddr: 0x1000n })).toThrow('EEXIST')
    expect(() => g.vm.setUserMemoryRegion({ ...region, memorySize: 100n })).toThrow('EINVAL')
    expect(() => g.vm.setUserMemoryRegion({ ...region, userspaceAddr: 0x1000n })).toThrow('EINVAL')
  })
})
