import { describe, expect, test } from 'vitest'
import { ConfigError } from '../errors.ts'
import type { GuestMemory } from '../machine/guest-memory.ts'
import { BOOT_COMMAND_LINE, BOOT_MULTIBOOT_INFO, BOOT_ZERO_PAGE, HIGH_RAM, MIB } from '../machine/layout.ts'
import { FakeVcpu } from '../testing/fake-kvm.ts'
import { bzImage, elf } from '../testing/kernels.ts'
import { ram } from '../testing/memory.ts'
import type { BootEntry, LinuxBoot } from './boot-config.ts'
import { e820Map } from './e820.ts'
import { loadLinux, loadRaw } from './linux.ts'
import { loadMultiboot } from './multiboot.ts'
import { BiosTraps, installBios, loadBootSector } from './bios.ts'

function started(entry: BootEntry, memory: GuestMemory): FakeVcpu {
  const vcpu = new FakeVcpu((function* () {})())
  entry.start(vcpu as never, memory)
  return vcpu
}

function u32(memory: GuestMemory, address: number): number {
  return memory.dataView(address, 4)?.getUint32(0, true) ?? -1
}

function string(memory: GuestMemory, address: number): string {
  return String.fromCharCode(...(memory.view(address, 256) ?? [])).split('\0')[0] ?? ''
}

const linux = (options: Partial<LinuxBoot> = {}): LinuxBoot => ({
  kind: 'linux',
  image: bzImage(),
  commandLine: 'quiet',
  ...options,
})

test('the memory map covers RAM, keeps out the EBDA and the BIOS, and goes on above 4 GiB', () => {
  const memory = { lowSize: 0xc0000000, highSize: 0x40000000 } as GuestMemory
  expect(e820Map(memory)).toEqual([
    { base: 0, size: 0x9fc00, type: 1 },
    { base: 0x9fc00, size: 0x400, type: 2 },
    { base: 0xe0000, size: 0x20000, type: 2 },
    { base: 0x100000, size: 0xbff00000, type: 1 },
    { base: HIGH_RAM, size: 0x40000000, type: 1 },
  ])
})

describe('bzImage', () => {
  test('64-bit entry: paging on, identity map, zero page', () => {
    const memory = ram(64 * MIB)
    const initrd = new Uint8Array(5000).fill(7)
    const vcpu = started(loadLinux(memory, linux({ initrd }), true), memory)
    expect(vcpu.regs).toMatchObject({ rip: 0x1000200n, rsi: BigInt(BOOT_ZERO_PAGE), rflags: 2n })
    expect(vcpu.sregs.efer).toBe(0x500n)
    expect(vcpu.sregs.cr0 & 0x80000001n).toBe(0x80000001n)
    expect(vcpu.sregs.cs).toMatchObject({ selector: 0x10, l: 1, db: 0, type: 11, present: 1 })
    const cr3 = Number(vcpu.sregs.cr3)
    expect(u32(memory, cr3)).toBe(cr3 + 0x1003)
    expect(u32(memory, cr3 + 0x1000 + 24)).toBe(cr3 + 0x5003)
    expect(u32(memory, cr3 + 0x5000 + 8 * 511)).toBe(0xffe00083)
    expect([...(memory.view(0x500 + 0x10, 8) ?? [])]).toEqual([0xff, 0xff, 0, 0, 0, 0x9b, 0xaf, 0])
    const page = memory.dataView(BOOT_ZERO_PAGE, 0x1000)
    expect(page?.getUint32(0x202, true)).toBe(0x53726448)
    expect(page?.getUint8(0x210)).toBe(0xff)
    expect(page?.getUint32(0x218, true)).toBe(64 * MIB - 8192)
    expect(page?.getUint32(0x21c, true)).toBe(5000)
    expect(page?.getUint32(0x228, true)).toBe(BOOT_COMMAND_LINE)
    expect(page?.getUint8(0x1e8)).toBe(4)
    expect(page?.getBigUint64(0x2d0 + 60, true)).toBe(0x100000n)
    expect(page?.getUint32(0x70, true)).toBe(0xf0000)
    expect(string(memory, BOOT_COMMAND_LINE)).toBe('quiet')
    expect(memory.view(64 * MIB - 8192, 1)?.[0]).toBe(7)
    expect(memory.view(0x1000000, 1)?.[0]).toBe(0x90)
  })

  test('32-bit entry when asked for, and for a kernel without a 64-bit one', () => {
    for (const boot of [linux({ entry: '32-bit' }), linux({ image: bzImage({ xloadflags: 0 }) })]) {
      const memory = ram(64 * MIB)
      const vcpu = started(loadLinux(memory, boot, true), memory)
      expect(vcpu.regs.rip).toBe(0x1000000n)
      expect(vcpu.sregs.cs).toMatchObject({ selector: 0x10, l: 0, db: 1, limit: 0xffffffff })
      expect([vcpu.sregs.cr0 & 0x80000001n, vcpu.sregs.efer]).toEqual([1n, 0n])
    }
  })

  test('16-bit entry: setup code at 9000:0020', () => {
    const memory = ram(64 * MIB)
    const entry = loadLinux(memory, linux({ entry: '16-bit' }), true)
    const vcpu = started(entry, memory)
    expect(entry.needsBios).toBe(true)
    expect(vcpu.sregs.cs).toMatchObject({ selector: 0x9020, base: 0x90200n, limit: 0xffff })
    expect(vcpu.sregs.ss.selector).toBe(0x9000)
    expect(memory.view(0x100000, 1)?.[0]).toBe(0x90)
    expect(memory.view(0x90211, 1)?.[0]).toBe(0x81)
    expect(u32(memory, 0x90228)).toBe(BOOT_COMMAND_LINE)
  })

  test('a kernel that cannot be relocated goes to 1 MiB', () => {
    const memory = ram(64 * MIB)
    expect(started(loadLinux(memory, linux({ image: bzImage({ relocatable: 0 }) }), true), memory).regs.rip).toBe(0x100200n)
  })

  test('an initrd keeps below the kernel’s limit', () => {
    const memory = ram(64 * MIB)
    loadLinux(memory, linux({ image: bzImage({ initrdMax: 0x2ffffff }), initrd: new Uint8Array(0x1001) }), true)
    expect(u32(memory, BOOT_ZERO_PAGE + 0x218)).toBe(0x3000000 - 0x2000)
  })

  test.each([
    ['empty', linux({ image: new Uint8Array() }), 64, /empty/],
    ['no kernel', linux({ image: new Uint8Array(10000) }), 64, /not a kernel/],
    ['cut in the setup code', linux({ image: bzImage().subarray(0, 1000) }), 64, /truncated/],
    ['cut in the kernel', linux({ image: bzImage().subarray(0, 6000) }), 64, /truncated: it has 6000 bytes of 10752/],
    ['zImage', linux({ image: bzImage({ loadflags: 0 }) }), 64, /zImage/],
    ['little memory', linux(), 16, /needs 20 MiB of memory and the machine has 16 MiB/],
    ['large initrd', linux({ initrd: new Uint8Array(50 * MIB) }), 64, /initrd \(50 MiB\) does not fit .* more memory/],
    [
      'initrd above the limit',
      linux({ image: bzImage({ initrdMax: 0x1ffffff }), initrd: new Uint8Array(20 * MIB) }),
      64,
      /smaller/,
    ],
    ['long command line', linux({ commandLine: 'x'.repeat(2048) }), 64, /2048 bytes, this kernel takes 2047/],
    ['no 64-bit entry', linux({ image: bzImage({ xloadflags: 0 }), entry: '64-bit' }), 64, /no 64-bit entry/],
  ] as [string, LinuxBoot, number, RegExp][])('%s is refused', (_name, boot, size, message) => {
    const load = (): unknown => loadLinux(ram(size * MIB), boot, true)
    expect(load).toThrow(ConfigError)
    expect(load).toThrow(message)
  })
})

describe('ELF and raw', () => {
  test('a 64-bit vmlinux is entered in long mode, its bss cleared', () => {
    const memory = ram(32 * MIB)
    memory.fill(0x1000000, 0x3000, 0xff)
    const image = elf(64, { entry: 0x1000040, physical: 0x1000000, bytes: new Uint8Array(0x1000).fill(1), memorySize: 0x2000 })
    const vcpu = started(loadLinux(memory, linux({ image }), true), memory)
    expect([vcpu.regs.rip, vcpu.sregs.efer]).toEqual([0x1000040n, 0x500n])
    expect([0xfff, 0x1000, 0x1fff, 0x2000].map((at) => memory.view(0x1000000 + at, 1)?.[0])).toEqual([1, 0, 0, 0xff])
    expect(u32(memory, BOOT_ZERO_PAGE + 0x202)).toBe(0x53726448)
  })

  test('a 32-bit vmlinux is entered in protected mode', () => {
    const memory = ram(32 * MIB)
    const image = elf(32, { entry: 0x1000000, physical: 0x1000000, bytes: new Uint8Array(16), memorySize: 16 })
    expect(started(loadLinux(memory, linux({ image }), true), memory).sregs.efer).toBe(0n)
  })

  test('damaged ELF files are refused', () => {
    const good = elf(64, { entry: 0, physical: 0x100000, bytes: new Uint8Array(100), memorySize: 100 })
    const load = (image: Uint8Array) => (): unknown => loadLinux(ram(4 * MIB), linux({ image }), true)
    expect(load(good.subarray(0, 40))).toThrow(/ELF header/)
    expect(load(good.subarray(0, 80))).toThrow(/program headers/)
    expect(load(good.subarray(0, 150))).toThrow(/past the end/)
    expect(load(elf(64, { entry: 0, physical: 0, bytes: new Uint8Array(1), memorySize: 1, machine: 183 }))).toThrow(/machine 183/)
    expect(load(elf(64, { entry: 0, physical: 0x8000000, bytes: new Uint8Array(1), memorySize: 1 }))).toThrow(/no memory/)
    expect(load(elf(64, { entry: 0, physical: 0x300000, bytes: new Uint8Array(1), memorySize: 0x200000 }))).toThrow(/more memory/)
  })

  test('a raw image runs where it is loaded', () => {
    const memory = ram(32 * MIB)
    const boot = {
      kind: 'raw',
      image: new Uint8Array(0x1000).fill(2),
      loadAddress: 0x1000000,
      entry: 0x1000123,
      commandLine: 'console=hvc0',
    } as const
    const vcpu = started(loadRaw(memory, boot), memory)
    expect(vcpu.regs.rip).toBe(0x1000123n)
    expect(memory.view(0x1000fff, 1)?.[0]).toBe(2)
    expect(string(memory, u32(memory, BOOT_ZERO_PAGE + 0x228))).toBe('console=hvc0')
    expect(() => loadRaw(memory, { ...boot, entry: 0x2000000 })).toThrow(/outside of its image/)
  })
})

describe('multiboot', () => {
  const header = (flags: number, fields: number[] = []): Uint8Array => {
    const words = [0x1badb002, flags, -(0x1badb002 + flags) >>> 0, ...fields]
    const bytes = new Uint8Array(0x200)
    const view = new DataView(bytes.buffer)
    words.forEach((word, i) => view.setUint32(0x40 + 4 * i, word, true))
    return bytes
  }

  test('load addresses, modules, memory map, machine state', () => {
    const memory = ram(32 * MIB)
    memory.fill(0x100000, 0x1000, 0xee)
    const image = header(0x10003, [0x100040, 0x100000, 0x100180, 0x100400, 0x100050])
    const modules = [
      { image: new Uint8Array(5000).fill(3), commandLine: 'first a=b' },
      { image: new Uint8Array(10).fill(4), commandLine: '' },
    ]
    const vcpu = started(loadMultiboot(memory, { kind: 'multiboot', image, commandLine: 'kernel x', modules }), memory)
    expect(vcpu.regs).toMatchObject({ rax: 0x2badb002n, rbx: BigInt(BOOT_MULTIBOOT_INFO), rip: 0x100050n })
    expect(vcpu.sregs.cr0 & 0x80000001n).toBe(1n)
    const info = (at: number): number => u32(memory, BOOT_MULTIBOOT_INFO + at)
    expect(info(0) & 0x4d).toBe(0x4d)
    expect([info(4), info(8)]).toEqual([639, 31 * 1024])
    expect(string(memory, info(16))).toBe('kernel x')
    const list = info(24)
    expect([info(20), u32(memory, list), u32(memory, list + 4), string(memory, u32(memory, list + 8))]).toEqual([
      2,
      0x101000,
      0x102388,
      'first a=b',
    ])
    expect(u32(memory, list + 16)).toBe(0x103000)
    expect([info(44), u32(memory, info(48)), u32(memory, info(48) + 24 * 3 + 4)]).toEqual([96, 20, 0x100000])
    expect([0x17f, 0x180, 0x3ff, 0x400].map((at) => memory.view(0x100000 + at, 1)?.[0])).toEqual([0, 0, 0, 0xee])
  })

  test('ELF kernels; refusals', () => {
    const memory = ram(8 * MIB)
    const bytes = header(2)
    const image = elf(32, { entry: 0x200010, physical: 0x200000, bytes, memorySize: 0x1000 })
    expect(started(loadMultiboot(memory, { kind: 'multiboot', image, commandLine: '' }), memory).regs.rip).toBe(0x200010n)
    const load = (kernel: Uint8Array) => (): unknown =>
      loadMultiboot(memory, { kind: 'multiboot', image: kernel, commandLine: '' })
    expect(load(new Uint8Array(100))).toThrow(/no multiboot header/)
    expect(load(header(0x40))).toThrow(/not supported: flags 40h/)
    expect(load(header(0))).toThrow(/no load addresses/)
    expect(load(header(0x10000, [0x100040, 0x100000, 0x200000, 0, 0x100000]))).toThrow(/truncated/)
    expect(load(header(0x10000, [0x4000040, 0x4000000, 0, 0, 0x4000000]))).toThrow(/no memory/)
  })
})

describe('BIOS services', () => {
  function call(
    vector: number,
    regs: Partial<FakeVcpu['regs']>,
    memory = ram(64 * MIB),
  ): { vcpu: FakeVcpu; flags: number; memory: GuestMemory; text: string } {
    const vcpu = started(loadBootSector(memory, { kind: 'boot-sector', image: Uint8Array.of(0xf4) }), memory)
    installBios(memory)
    Object.assign(vcpu.regs, regs, { rsp: 0x7bfan })
    let text = ''
    const traps = new BiosTraps({
      vcpu: vcpu as never,
      memory,
      unixTime: () => 3600,
      teletype: (byte) => (text += String.fromCharCode(byte)),
    })
    memory.writeU16(0x7bfe, 0x0203)
    const stub = u32(memory, 4 * vector)
    const address = (stub >>> 16) * 16 + (stub & 0xffff)
    const code = memory.view(address, 3) ?? new Uint8Array()
    expect([code[0], code[2]]).toEqual([0xe6, 0xcf])
    traps.write((code[1] ?? 0) - 0xb8)
    return { vcpu, flags: memory.readU16(0x7bfe) ?? 0, memory, text }
  }

  test('the memory map, entry by entry', () => {
    const { vcpu, memory, flags } = call(0x15, { rax: 0xe820n, rbx: 1n, rcx: 24n, rdx: 0x534d4150n, rdi: 0x500n })
    expect([vcpu.regs.rax, vcpu.regs.rbx, vcpu.regs.rcx, flags]).toEqual([0x534d4150n, 2n, 20n, 0x0202])
    expect([u32(memory, 0x500), u32(memory, 0x508), u32(memory, 0x510)]).toEqual([0x9fc00, 0x400, 2])
    expect(call(0x15, { rax: 0xe820n, rbx: 3n, rcx: 24n, rdx: 0x534d4150n }).vcpu.regs.rbx).toBe(0n)
    expect(call(0x15, { rax: 0xe820n, rbx: 9n, rcx: 24n, rdx: 0x534d4150n }).flags & 1).toBe(1)
  })

  test('older memory sizes, equipment, time, teletype, no disks, no key', () => {
    expect(call(0x15, { rax: 0xe801n }).vcpu.regs).toMatchObject({ rax: 15360n, rbx: 768n })
    expect(call(0x15, { rax: 0x8800n }).vcpu.regs.rax).toBe(64512n)
    expect(call(0x12, {}).vcpu.regs.rax).toBe(639n)
    expect(call(0x1a, { rax: 0x0200n }).vcpu.regs.rcx).toBe(0x0100n)
    expect(call(0x10, { rax: 0x0e41n }).text).toBe('A')
    expect(call(0x13, { rax: 0x4100n }).flags & 1).toBe(1)
    expect(call(0x16, { rax: 0x0100n }).flags & 0x40).toBe(0x40)
    expect(call(0x15, { rax: 0x5300n }).flags & 1).toBe(1)
  })

  test('every other vector returns', () => {
    const memory = ram(2 * MIB)
    installBios(memory)
    const stub = u32(memory, 4 * 0x21)
    expect(memory.view((stub >>> 16) * 16 + (stub & 0xffff), 1)?.[0]).toBe(0xcf)
  })
})
