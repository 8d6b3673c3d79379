import {
  KVM_CAP_IRQCHIP,
  KVM_CAP_MAX_VCPUS,
  KVM_CAP_X86_USER_SPACE_MSR,
  KVM_EXIT_FAIL_ENTRY,
  KVM_EXIT_HLT,
  KVM_EXIT_INTERNAL_ERROR,
  KVM_EXIT_MMIO,
  KVM_EXIT_IO,
  KVM_EXIT_X86_RDMSR,
  KVM_EXIT_X86_WRMSR,
  KVM_IRQCHIP_PIC_MASTER,
  KVM_MP_STATE_HALTED,
  KVM_SYNC_X86_REGS,
  KVM_SYNC_X86_SREGS,
} from '@guestmode/kvm-abi'
import { describe, expect, test } from 'vitest'
import { ConfigError, openKvm } from '../src/index.ts'
import { guest, logged, outputs, testOptions, values } from './guest.ts'

describe('registers', () => {
  test('KVM_SET_REGS is what KVM_GET_REGS answers', () => {
    const { vcpu } = guest('hlt', { bits: 64 })
    const regs = vcpu.getRegs()
    let next = 0x1111n
    for (const name of Object.keys(regs) as (keyof typeof regs)[]) regs[name] = next += 0x0123_4567_89abn
    regs.rip = 0x1000n
    regs.rflags = 0x246n
    vcpu.setRegs(regs)
    expect(vcpu.getRegs()).toEqual(regs)
  })

  test('KVM_SET_SREGS likewise, in every mode; what no processor can be in is EINVAL', () => {
    for (const bits of [16, 32, 64] as const) {
      const { vcpu } = guest('hlt', { bits })
      const sregs = vcpu.getSregs()
      vcpu.setSregs(sregs)
      expect(vcpu.getSregs()).toEqual(sregs)
    }
    const { vcpu } = guest('hlt', { bits: 64 })
    const sregs = vcpu.getSregs()
    for (const wrong of [
      { cr4: 0n },
      { efer: 0x400n },
      { cr0: 0x8000_0000n },
      { cr0: (sregs.cr0 & ~0x4000_0000n) | 0x2000_0000n },
      { cr4: sregs.cr4 | (1n << 30n) },
      { efer: 0x1500n },
    ]) {
      expect(() => vcpu.setSregs({ ...sregs, ...wrong })).toThrow('EINVAL')
    }
    expect(vcpu.getSregs()).toEqual(sregs)
  })

  test('reset state', () => {
    const kvm = openKvm(testOptions())
    const vcpu = kvm.createVm().createVcpu(0)
    expect(vcpu.getRegs()).toMatchObject({ rip: 0xfff0n, rflags: 2n, rdx: 0x600n, rax: 0n })
    const { cs, cr0, tr, idt } = vcpu.getSregs()
    expect(cs).toMatchObject({ base: 0xffff_0000n, selector: 0xf000, limit: 0xffff, type: 11, present: 1, s: 1 })
    expect([cr0, tr.type, idt.limit]).toEqual([0x6000_0010n, 11, 0xffff])
    expect(vcpu.getFpu()).toMatchObject({ fcw: 0x40, mxcsr: 0x1f80 })
    expect(vcpu.getDebugregs()).toMatchObject({ dr6: 0xffff_0ff0n, dr7: 0x400n })
  })

  test('FPU and XSAVE', () => {
    const { vcpu } = guest('hlt')
    const fpu = vcpu.getFpu()
    fpu.fpr.set([1, 2, 3, 4, 5, 6, 7, 0x80, 0xff, 0x3f])
    fpu.fcw = 0x37f
    fpu.ftwx = 0x80
    fpu.fsw = 0x3800
    fpu.xmm.fill(0x5a, 16, 32)
    fpu.mxcsr = 0x1fa0
    vcpu.setFpu(fpu)
    expect(vcpu.getFpu()).toEqual(fpu)
    const area = vcpu.getXsave()
    expect(new DataView(area.buffer).getBigUint64(512, true)).toBe(3n)
    expect([...area.subarray(176, 192)]).toEqual(Array(16).fill(0x5a))
    area[512] = 1
    vcpu.setXsave(area)
    expect(vcpu.getFpu()).toMatchObject({ mxcsr: 0x1f80, fcw: 0x37f })
    area[512] = 8
    expect(() => vcpu.setXsave(area)).toThrow('EINVAL')
    expect(() => vcpu.getXcrs()).toThrow('EINVAL')
  })

  test('MSRs: in order, up to the first that is none', () => {
    const { kvm, vcpu } = guest('hlt')
    const saved = kvm.getMsrIndexList()
    expect(vcpu.getMsrs(saved).length).toBe(saved.length)
    expect(
      vcpu.setMsrs([
        { index: 0xc000_0082, data: 0xffff_ffff_8100_0000n },
        { index: 0x174, data: 0x10n },
        { index: 0x1234, data: 1n },
      ]),
    ).toBe(2)
    expect(vcpu.getMsrs([0xc000_0082, 0x174, 0x1234, 0x10])).toEqual([
      { index: 0xc000_0082, data: 0xffff_ffff_8100_0000n },
      { index: 0x174, data: 0x10n },
    ])
    expect(vcpu.setMsrs([{ index: 0xc000_0082, data: 1n << 60n }])).toBe(0)
    expect(kvm.getMsrs(kvm.getMsrFeatureIndexList()).length).toBe(kvm.getMsrFeatureIndexList().length)
  })

  test('events: what is queued can be read and put back', () => {
    const { vcpu } = guest('hlt', { bits: 32 })
    vcpu.nmi()
    vcpu.interrupt(0x33)
    const events = vcpu.getVcpuEvents()
    expect(events.interrupt).toMatchObject({ injected: 1, nr: 0x33 })
    expect(events.nmi.pending).toBe(1)
    vcpu.setVcpuEvents(events)
    expect(vcpu.getVcpuEvents()).toEqual(events)
    expect(vcpu.getSregs().interruptBitmap[0]).toBe(1n << 0x33n)
    expect(() => vcpu.setVcpuEvents({ ...events, flags: 0x1000 })).toThrow('EINVAL')
    expect(() =>
      vcpu.setVcpuEvents({ ...events, exception: { injected: 1, nr: 2, hasErrorCode: 0, pending: 0, errorCode: 0 } }),
    ).toThrow('EINVAL')
  })

  test('registers through kvm_run (KVM_CAP_SYNC_REGS)', () => {
    const g = guest('out 0x80,al\n hlt')
    g.vcpu.kvmRun.kvmValidRegs = BigInt(KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS)
    g.vcpu.run()
    expect(g.vcpu.kvmRun.sync.regs.rip).toBe(0x1000n)
    expect(g.vcpu.kvmRun.sync.sregs.cr0).toBe(g.vcpu.getSregs().cr0)
    g.vcpu.kvmRun.sync.regs.rip = 0x1002n
    g.vcpu.kvmRun.kvmDirtyRegs = BigInt(KVM_SYNC_X86_REGS)
    g.vcpu.run()
    expect(g.vcpu.kvmRun.exitReason).toBe(KVM_EXIT_HLT)
    expect(g.vcpu.kvmRun.kvmDirtyRegs).toBe(0n)
  })

  test('local APIC, PIC and PIT states', () => {
    const g = guest('hlt', {
      prepare: (vm) => {
        vm.createIrqchip()
        vm.createPit2()
      },
    })
    const lapic = g.vcpu.getLapic()
    new DataView(lapic.buffer).setUint32(0xf0, 0x1ff, true)
    g.vcpu.setLapic(lapic)
    expect(g.vcpu.getLapic()).toEqual(lapic)
    const pic = g.vm.getPic(KVM_IRQCHIP_PIC_MASTER)
    g.vm.setPic(KVM_IRQCHIP_PIC_MASTER, { ...pic, imr: 0x55, irqBase: 0x20 })
    expect(g.vm.getPic(KVM_IRQCHIP_PIC_MASTER)).toEqual({ ...pic, imr: 0x55, irqBase: 0x20 })
    const ioapic = g.vm.getIoapic()
    ioapic.redirtbl[3] = 0x1_0042n
    g.vm.setIoapic(ioapic)
    expect(g.vm.getIoapic()).toEqual(ioapic)
    const pit = g.vm.getPit2()
    g.vm.setPit2(pit)
    expect(g.vm.getPit2()).toEqual(pit)
    expect(g.vcpu.getMpState()).toBe(0)
    g.vcpu.setMpState(KVM_MP_STATE_HALTED)
    expect(g.vcpu.run()).toBe(-4)
    expect(() => g.vm.createIrqchip()).toThrow('EEXIST')
    expect(() => g.vm.createPit2()).toThrow('EEXIST')
  })
})

describe('CPUID and MSRs in the guest', () => {
  test('CPUID answers what the VMM set, OSXSAVE and APIC as they are', () => {
    const g = guest('mov eax,1\n cpuid\n mov esi,ecx\n mov edi,edx\n mov eax,0x40000000\n cpuid\n hlt', { bits: 32 })
    g.vcpu.setCpuid2(g.kvm.getSupportedCpuid())
    outputs(g)
    const { rsi, rdi, rbx } = g.vcpu.getRegs()
    expect(rsi & (1n << 31n)).toBe(1n << 31n)
    expect(rsi & (1n << 27n)).toBe(0n)
    expect(rdi & (1n << 9n)).toBe(1n << 9n)
    expect(rbx).toBe(0x4b4d564bn)
    expect(g.vcpu.getCpuid2()).toEqual(g.kvm.getSupportedCpuid())
    expect(() => g.vcpu.setCpuid2([])).toThrow('EINVAL')
  })

  test("an unknown MSR is #GP, or the VMM's if it asks for it", () => {
    const g = guest('mov ecx,0x12345\n rdmsr\n out 0x80,eax\n mov eax,7\n mov edx,8\n wrmsr\n hlt', { bits: 32 })
    g.vm.enableCap(KVM_CAP_X86_USER_SPACE_MSR, [2n])
    g.vcpu.run()
    expect(g.vcpu.kvmRun.exitReason).toBe(KVM_EXIT_X86_RDMSR)
    expect(g.vcpu.kvmRun.msr.index).toBe(0x12345)
    g.vcpu.kvmRun.msr.data = 0x1_0000_002an
    g.vcpu.run()
    expect(g.vcpu.kvmRun.pioData()[0]).toBe(42)
    g.vcpu.run()
    expect(g.vcpu.kvmRun.exitReason).toBe(KVM_EXIT_X86_WRMSR)
    expect(g.vcpu.kvmRun.msr.data).toBe(0x8_0000_0007n)
    g.vcpu.run()
    expect(g.vcpu.kvmRun.exitReason).toBe(KVM_EXIT_HLT)
  })

  test('x2APIC mode through MSRs; TSC deadline', () => {
    const g = guest(
      `mov ecx,0x1b\n rdmsr\n or eax,0xc00\n wrmsr\n mov ecx,0x802\n rdmsr\n out 0x80,eax\n mov ecx,0x832\n mov eax,0x40040\n xor edx,edx\n wrmsr
       mov ecx,0x6e0\n mov eax,0x1000000\n wrmsr\n xor eax,eax\n rdmsr\n out 0x80,eax\n hlt`,
      { bits: 32, prepare: (vm) => vm.createIrqchip(), options: { timebase: 'host', clock: { now: () => 5n } } },
    )
    g.vcpu.setCpuid2(g.kvm.getSupportedCpuid())
    for (const value of [0, 0x1000000]) {
      g.vcpu.run()
      const data = g.vcpu.kvmRun.pioData()
      expect(new DataView(data.buffer, data.byteOffset).getUint32(0, true)).toBe(value)
    }
    expect(g.vcpu.run()).toBe(-4)
    expect(g.vcpu.halted()).toEqual({ wakeAt: 0x1000005n })
  })
})

describe('what goes wrong', () => {
  test('code in no memory cannot be emulated: the facts', () => {
    const g = guest('jmp 0xffff:0', {})
    expect(g.vcpu.run()).toBe(0)
    expect(g.vcpu.kvmRun.exitReason).toBe(KVM_EXIT_INTERNAL_ERROR)
    expect(g.vcpu.kvmRun.emulationFailure).toMatchObject({ suberror: 1 })
    expect(g.vcpu.kvmRun.emulationFailure.insnSize).toBe(0)
    expect(logged().join()).toMatch(/cannot emulate/)
  })

  test('an instruction that the emulator does not know on a device: its bytes', () => {
    const g = guest('fldenv [0x300000]\n hlt', { bits: 32 })
    do expect(g.vcpu.run()).toBe(0)
    while (g.vcpu.kvmRun.exitReason === KVM_EXIT_MMIO)
    expect(g.vcpu.kvmRun.exitReason).toBe(KVM_EXIT_INTERNAL_ERROR)
    expect([...g.vcpu.kvmRun.emulationFailure.insnBytes.subarray(0, 2)]).toEqual([0xd9, 0x25])
  })

  test('a state that no guest can have: the failing check by name', () => {
    const g = guest('hlt')
    const sregs = g.vcpu.getSregs()
    g.vcpu.setSregs({ ...sregs, cs: { ...sregs.cs, type: 1 } })
    expect(g.vcpu.run()).toBe(0)
    expect(g.vcpu.kvmRun.exitReason).toBe(KVM_EXIT_FAIL_ENTRY)
    expect(g.vcpu.kvmRun.failEntry.hardwareEntryFailureReason).toBe(0x8000_0021n)
    expect(logged().join()).toMatch(/VM entry failed with 33: .*CS/)
  })

  test('an event that goes to no memory', () => {
    const g = guest('int 3\n hlt', { bits: 32 })
    g.vcpu.setSregs({ ...g.vcpu.getSregs(), idt: { base: 0x300000n, limit: 0xff } })
    expect(g.vcpu.run()).toBe(0)
    expect(g.vcpu.kvmRun.exitReason).toBe(KVM_EXIT_INTERNAL_ERROR)
    expect(g.vcpu.kvmRun.internal.suberror).toBe(3)
  })

  test('errno values', () => {
    const g = guest('hlt')
    const { vm, vcpu, kvm } = g
    expect(kvm.fd.ioctl(0xae01, 1)).toBe(-22)
    expect(kvm.fd.ioctl(0xdead)).toBe(-22)
    expect(vm.fd.ioctl(0xdead)).toBe(-25)
    expect(vcpu.fd.ioctl(0x8090ae81, new Uint8Array(10))).toBe(-14)
    expect(vcpu.fd.ioctl(0x8090ae81, 0)).toBe(-14)
    expect(vcpu.fd.ioctl(0xaeb7)).toBe(-25)
    expect(() => vm.irqLine(1, 1)).toThrow('ENXIO')
    expect(() => vm.createIrqchip()).toThrow('EINVAL')
    expect(() => vm.createVcpu(0)).toThrow('EEXIST')
    expect(() => vm.createVcpu(1)).toThrow('EINVAL')
    expect(() => vm.getPit2()).toThrow('ENXIO')
    expect(() => vm.createPit2()).toThrow('ENOENT')
    expect(() => vcpu.setMpState(3)).toThrow('EINVAL')
    expect(() => vcpu.getLapic()).toThrow('EINVAL')
    expect(() => vcpu.setTscKhz(5)).toThrow('EINVAL')
    expect(vcpu.getTscKhz()).toBe(1_000_000)
    expect([kvm.checkExtension(KVM_CAP_IRQCHIP), kvm.checkExtension(KVM_CAP_MAX_VCPUS), kvm.checkExtension(9999)]).toEqual([
      1, 1, 0,
    ])
    vcpu.close()
    expect(() => vcpu.getRegs()).toThrow('EBADF')
    vm.close()
    expect(() => vm.createVcpu(2)).toThrow('EBADF')
    expect(() => kvm.createVm(3)).toThrow('EINVAL')
  })

  test('more memory than the host has', () => {
    const vm = openKvm(testOptions()).createVm()
    expect(() => vm.allocateMemory(2 ** 40)).toThrow('ENOMEM')
  })

  test('options that cannot be', () => {
    expect(() => openKvm(testOptions({ timebase: { instructionsPerMicrosecond: 0 } }))).toThrow(ConfigError)
  })
})

describe('virtual machines beside each other', () => {
  test('two in one process, interleaved', () => {
    const [a, b] = [
      guest('mov al,1\n out 0x80,al\n mov al,2\n out 0x80,al\n hlt'),
      guest('mov al,3\n out 0x80,al\n mov al,4\n out 0x80,al\n hlt'),
    ]
    for (const value of [1, 2]) {
      a.vcpu.run()
      b.vcpu.run()
      expect([a.vcpu.kvmRun.pioData()[0], b.vcpu.kvmRun.pioData()[0]]).toEqual([value, value + 2])
    }
  })

  test('two of one engine', () => {
    const kvm = openKvm(testOptions())
    const vms = [kvm.createVm(), kvm.createVm()]
    for (const vm of vms) {
      const memory = vm.allocateMemory(0x10000)
      memory.bytes.set([0xe6, 0x80, 0xf4], 0xfff0)
      vm.setUserMemoryRegion({
        slot: 0,
        flags: 0,
        guestPhysAddr: 0xffff_0000n,
        memorySize: 0x10000n,
        userspaceAddr: memory.address,
      })
      const vcpu = vm.createVcpu(0)
      expect(vcpu.run()).toBe(0)
      expect(vcpu.kvmRun.exitReason).toBe(KVM_EXIT_IO)
    }
  })

  test('virtual time: the same program takes the same time', () => {
    const run = (): [bigint, Readonly<Record<string, number>>] => {
      const g = guest('mov ecx,100000\n l: out 0x80,al\n sub ecx,20000\n jnz l\n m: dec word [0x3000]\n jnz m\n rdtsc\n hlt', {
        bits: 32,
      })
      outputs(g)
      return [g.vcpu.getRegs().rax, g.vcpu.stats()]
    }
    expect(run()).toEqual(run())
  })

  test('an i386 host has no long mode', () => {
    const g = guest('mov ecx,0xc0000080\n rdmsr\n out 0x80,al\n hlt', { bits: 32, options: { hostWidth: 32 } })
    expect(values(g)).toEqual([0])
    const sregs = g.vcpu.getSregs()
    expect(() => g.vcpu.setSregs({ ...sregs, efer: 0x500n, cr4: 0x20n, cr0: sregs.cr0 | 0x8000_0001n })).toThrow('EINVAL')
    const lm = g.kvm.getSupportedCpuid().find((entry) => entry.function === 0x8000_0001)
    expect((lm?.edx ?? 0) & (1 << 29)).toBe(0)
  })
})
