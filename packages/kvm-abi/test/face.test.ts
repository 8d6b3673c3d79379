import { describe, expect, test } from 'vitest'
import * as abi from '../src/index.ts'
import type { Kvm, KvmVcpu, KvmVm } from '../src/index.ts'
import { RecordingFloor } from './recording-floor.ts'

function open() {
  const floor = new RecordingFloor()
  const kvm: Kvm = new abi.KvmFace(floor)
  const vm: KvmVm = kvm.createVm()
  const vcpu: KvmVcpu = vm.createVcpu(3)
  return { floor, kvm, vm, vcpu }
}

const bytesOf = (value: unknown): Uint8Array => {
  if (!(value instanceof Uint8Array)) throw new Error('not a pointer')
  return value
}

/** Every request, by its typed method. */
const TYPED: Record<abi.RequestName, (to: { kvm: Kvm; vm: KvmVm; vcpu: KvmVcpu }) => unknown> = {
  KVM_GET_API_VERSION: ({ kvm }) => kvm.getApiVersion(),
  KVM_CREATE_VM: ({ kvm }) => kvm.createVm(),
  KVM_CHECK_EXTENSION: ({ kvm }) => kvm.checkExtension(abi.KVM_CAP_IRQCHIP),
  KVM_GET_VCPU_MMAP_SIZE: ({ kvm }) => kvm.getVcpuMmapSize(),
  KVM_GET_SUPPORTED_CPUID: ({ kvm }) => kvm.getSupportedCpuid(),
  KVM_GET_EMULATED_CPUID: ({ kvm }) => kvm.getEmulatedCpuid(),
  KVM_GET_MSR_INDEX_LIST: ({ kvm }) => kvm.getMsrIndexList(),
  KVM_GET_MSR_FEATURE_INDEX_LIST: ({ kvm }) => kvm.getMsrFeatureIndexList(),
  KVM_X86_GET_MCE_CAP_SUPPORTED: ({ kvm }) => kvm.x86GetMceCapSupported(),
  KVM_CREATE_VCPU: ({ vm }) => vm.createVcpu(1),
  KVM_SET_USER_MEMORY_REGION: ({ vm }) =>
    vm.setUserMemoryRegion({ slot: 1, flags: 0, guestPhysAddr: 0n, memorySize: 0x1000n, userspaceAddr: 0x1000n }),
  KVM_GET_DIRTY_LOG: ({ vm }) => vm.getDirtyLog(0, 100),
  KVM_CLEAR_DIRTY_LOG: ({ vm }) => vm.clearDirtyLog(0, 0n, 64, new Uint8Array(8)),
  KVM_RESET_DIRTY_RINGS: ({ vm }) => vm.resetDirtyRings(),
  KVM_SET_NR_MMU_PAGES: ({ vm }) => vm.setNrMmuPages(64),
  KVM_GET_NR_MMU_PAGES: ({ vm }) => vm.getNrMmuPages(),
  KVM_SET_TSS_ADDR: ({ vm }) => vm.setTssAddr(0xfffbd000),
  KVM_SET_IDENTITY_MAP_ADDR: ({ vm }) => vm.setIdentityMapAddr(0xfffbc000n),
  KVM_CREATE_IRQCHIP: ({ vm }) => vm.createIrqchip(),
  KVM_IRQ_LINE: ({ vm }) => vm.irqLine(4, 1),
  KVM_IRQ_LINE_STATUS: ({ vm }) => vm.irqLineStatus(4, 0),
  KVM_GET_IRQCHIP: ({ vm }) => vm.getIoapic(),
  KVM_SET_IRQCHIP: ({ vm }) => vm.setIoapic(vm.getIoapic()),
  KVM_CREATE_PIT2: ({ vm }) => vm.createPit2(),
  KVM_GET_PIT2: ({ vm }) => vm.getPit2(),
  KVM_SET_PIT2: ({ vm }) => vm.setPit2(vm.getPit2()),
  KVM_REINJECT_CONTROL: ({ vm }) => vm.reinjectControl(false),
  KVM_SET_GSI_ROUTING: ({ vm }) => vm.setGsiRouting([]),
  KVM_SIGNAL_MSI: ({ vm }) => vm.signalMsi({ addressLo: 0xfee00000, data: 0x41 }),
  KVM_IRQFD: ({ vm }) => vm.irqfd({ fd: 7, gsi: 5 }),
  KVM_IOEVENTFD: ({ vm }) => vm.ioeventfd({ addr: 0xd0000050n, fd: 7, len: 4 }),
  KVM_REGISTER_COALESCED_MMIO: ({ vm }) => vm.registerCoalescedMmio(0xa0000n, 0x20000),
  KVM_UNREGISTER_COALESCED_MMIO: ({ vm }) => vm.unregisterCoalescedMmio(0xa0000n, 0x20000),
  KVM_SET_BOOT_CPU_ID: ({ vm }) => vm.setBootCpuId(0),
  KVM_GET_CLOCK: ({ vm }) => vm.getClock(),
  KVM_SET_CLOCK: ({ vm }) => vm.setClock({ clock: 1n }),
  KVM_ENABLE_CAP: ({ vm }) => vm.enableCap(abi.KVM_CAP_SPLIT_IRQCHIP, [24n]),
  KVM_SET_TSC_KHZ: ({ vcpu }) => vcpu.setTscKhz(1_000_000),
  KVM_GET_TSC_KHZ: ({ vcpu }) => vcpu.getTscKhz(),
  KVM_GET_STATS_FD: ({ vm }) => vm.fd.ioctl(abi.KVM_GET_STATS_FD, 0),
  KVM_RUN: ({ vcpu }) => vcpu.run(),
  KVM_GET_REGS: ({ vcpu }) => vcpu.getRegs(),
  KVM_SET_REGS: ({ vcpu }) => vcpu.setRegs(vcpu.getRegs()),
  KVM_GET_SREGS: ({ vcpu }) => vcpu.getSregs(),
  KVM_SET_SREGS: ({ vcpu }) => vcpu.setSregs(vcpu.getSregs()),
  KVM_GET_SREGS2: ({ vcpu }) => vcpu.getSregs2(),
  KVM_SET_SREGS2: ({ vcpu }) => vcpu.setSregs2(vcpu.getSregs2()),
  KVM_GET_FPU: ({ vcpu }) => vcpu.getFpu(),
  KVM_SET_FPU: ({ vcpu }) => vcpu.setFpu(vcpu.getFpu()),
  KVM_GET_XSAVE: ({ vcpu }) => vcpu.getXsave(),
  KVM_GET_XSAVE2: ({ vcpu }) => vcpu.getXsave2(4096),
  KVM_SET_XSAVE: ({ vcpu }) => vcpu.setXsave(new Uint8Array(512)),
  KVM_GET_XCRS: ({ vcpu }) => vcpu.getXcrs(),
  KVM_SET_XCRS: ({ vcpu }) => vcpu.setXcrs([{ xcr: 0, value: 3n }]),
  KVM_GET_MSRS: ({ vcpu }) => vcpu.getMsrs([0x10]),
  KVM_SET_MSRS: ({ vcpu }) => vcpu.setMsrs([{ index: 0x10, data: 0n }]),
  KVM_SET_CPUID2: ({ vcpu }) => vcpu.setCpuid2([]),
  KVM_GET_CPUID2: ({ vcpu }) => vcpu.getCpuid2(),
  KVM_GET_LAPIC: ({ vcpu }) => vcpu.getLapic(),
  KVM_SET_LAPIC: ({ vcpu }) => vcpu.setLapic(new Uint8Array(0x400)),
  KVM_GET_MP_STATE: ({ vcpu }) => vcpu.getMpState(),
  KVM_SET_MP_STATE: ({ vcpu }) => vcpu.setMpState(abi.KVM_MP_STATE_HALTED),
  KVM_GET_VCPU_EVENTS: ({ vcpu }) => vcpu.getVcpuEvents(),
  KVM_SET_VCPU_EVENTS: ({ vcpu }) => vcpu.setVcpuEvents(vcpu.getVcpuEvents()),
  KVM_GET_DEBUGREGS: ({ vcpu }) => vcpu.getDebugregs(),
  KVM_SET_DEBUGREGS: ({ vcpu }) => vcpu.setDebugregs(vcpu.getDebugregs()),
  KVM_SET_GUEST_DEBUG: ({ vcpu }) => vcpu.setGuestDebug({ control: abi.KVM_GUESTDBG_ENABLE | abi.KVM_GUESTDBG_SINGLESTEP }),
  KVM_INTERRUPT: ({ vcpu }) => vcpu.interrupt(0x20),
  KVM_NMI: ({ vcpu }) => vcpu.nmi(),
  KVM_SMI: ({ vcpu }) => vcpu.smi(),
  KVM_TRANSLATE: ({ vcpu }) => vcpu.translate(0xffff_8000_0000_0000n),
  KVM_SET_SIGNAL_MASK: ({ vcpu }) => vcpu.setSignalMask(0xffn),
  KVM_KVMCLOCK_CTRL: ({ vcpu }) => vcpu.kvmclockCtrl(),
  KVM_TPR_ACCESS_REPORTING: ({ vcpu }) => vcpu.tprAccessReporting(true),
  KVM_SET_VAPIC_ADDR: ({ vcpu }) => vcpu.setVapicAddr(0x1000n),
  KVM_X86_SETUP_MCE: ({ vcpu }) => vcpu.x86SetupMce(10n),
  KVM_X86_SET_MCE: ({ vcpu }) => vcpu.x86SetMce({ status: 0n, addr: 0n, misc: 0n, mcgStatus: 0n, bank: 0 }),
}

describe('the typed face asks with the right number, on the right descriptor, with an argument of the right size', () => {
  test.each(abi.REQUESTS.map((info) => [info.name, info] as const))('%s', (name, info) => {
    const to = open()
    TYPED[name](to)
    const { on, request, argument } = to.floor.last()
    expect(request).toBe(info.number)
    expect(info.on).toContain(on)
    if (info.argument === undefined) expect(argument).toBe(0)
    else if (info.argument === 'value') expect(typeof argument).toBe('number')
    else expect(bytesOf(argument).length).toBeGreaterThanOrEqual(info.argument.size)
  })

  test('there are no others', () => {
    const names = Object.keys(TYPED).sort()
    expect(abi.REQUESTS.map(({ name }) => name).sort()).toEqual(names)
  })
})

test('requests that share a number on different descriptors are told apart', () => {
  expect(abi.requestOf('vm', 0x4040aea0)).toBeUndefined()
  expect(abi.requestOf('vcpu', 0x4040aea0)?.name).toBe('KVM_SET_VCPU_EVENTS')
  expect(abi.requestOf('vm', abi.KVM_SET_PIT2)?.name).toBe('KVM_SET_PIT2')
  expect(abi.requestName(0xaeff)).toBe('ioctl 0xaeff')
})

test('a failed request throws with its name and errno', () => {
  const { floor, vcpu } = open()
  floor.answer = () => -abi.EINVAL
  let thrown: unknown
  try {
    vcpu.setMpState(99)
  } catch (error) {
    thrown = error
  }
  expect(thrown).toBeInstanceOf(abi.KvmError)
  expect(thrown).toMatchObject({ errno: 22, code: 'EINVAL', request: 'KVM_SET_MP_STATE', message: 'KVM_SET_MP_STATE: EINVAL' })
})

test('EINTR and EAGAIN are ordinary outcomes of run, and nothing else is', () => {
  const { floor, vcpu } = open()
  floor.answer = () => -abi.EINTR
  expect(vcpu.run()).toBe(-abi.EINTR)
  expect(vcpu.halted()).toEqual({ wakeAt: 5n })
  floor.answer = () => -abi.EAGAIN
  expect(vcpu.run()).toBe(-abi.EAGAIN)
  floor.answer = () => -abi.EFAULT
  expect(() => vcpu.run()).toThrow('KVM_RUN: EFAULT')
})

test('registers travel through the struct', () => {
  const { floor, vcpu } = open()
  floor.answer = ({ request }, argument) => {
    if (request === abi.KVM_GET_SREGS) abi.KVM_SREGS.viewOf(bytesOf(argument)).cs.base = 0xffff0000n
    return 0
  }
  const sregs = vcpu.getSregs()
  expect(sregs.cs.base).toBe(0xffff0000n)
  vcpu.setSregs({ ...sregs, cr3: 0x1000n, tr: { ...sregs.tr, type: 11 } })
  const written = abi.KVM_SREGS.decode(bytesOf(floor.last().argument))
  expect(written.cr3).toBe(0x1000n)
  expect(written.tr.type).toBe(11)
  expect(written.cs.base).toBe(0xffff0000n)
})

test('a list grows until it fits', () => {
  const { floor, kvm } = open()
  const entry = { function: 0, index: 0, flags: 0, eax: 13, ebx: 1, ecx: 2, edx: 3 }
  floor.answer = (_, argument) => {
    const buffer = bytesOf(argument)
    if (abi.KVM_CPUID2.countIn(buffer) < 100) return -abi.E2BIG
    abi.KVM_CPUID2.setCount(buffer, 1)
    abi.KVM_CPUID2.element.write(abi.dataViewOf(buffer), abi.KVM_CPUID2.elementsOffset, entry)
    return 0
  }
  expect(kvm.getSupportedCpuid()).toEqual([entry])
})

test('MSRs: as many as could be read', () => {
  const { floor, vcpu } = open()
  floor.answer = (_, argument) => {
    abi.KVM_MSRS.element.write(abi.dataViewOf(bytesOf(argument)), 8, { index: 0x10, data: 77n })
    return 1
  }
  expect(vcpu.getMsrs([0x10, 0xdead])).toEqual([{ index: 0x10, data: 77n }])
})

test('the dirty log is fetched through memory that has an address', () => {
  const { floor, vm } = open()
  floor.answer = (_, argument) => {
    const { dirtyBitmap } = abi.KVM_DIRTY_LOG.decode(bytesOf(argument))
    floor.memory[Number(dirtyBitmap)] = 0b101
    return 0
  }
  const bitmap = vm.getDirtyLog(2, 65)
  expect(bitmap.length).toBe(16)
  expect(bitmap[0]).toBe(0b101)
})

test('a negative IRQ line status is a status, not an error', () => {
  const { floor, vm } = open()
  floor.answer = (_, argument) => {
    abi.KVM_IRQ_LEVEL_STATUS.viewOf(bytesOf(argument)).status = -1
    return 0
  }
  expect(vm.irqLineStatus(4, 1)).toBe(-1)
})

test('the kvm_run view shows the exit and its PIO data', () => {
  const { floor, vcpu } = open()
  const engine = new abi.KvmRunView(floor.page)
  engine.exitReason = abi.KVM_EXIT_IO
  engine.io = { direction: abi.KVM_EXIT_IO_OUT, size: 2, port: 0x3f8, count: 3, dataOffset: 4096n }
  engine.pioData().set([1, 2, 3, 4, 5, 6])
  const { kvmRun } = vcpu
  expect(kvmRun.exitReason).toBe(abi.KVM_EXIT_IO)
  expect(kvmRun.io.port).toBe(0x3f8)
  expect([...kvmRun.pioData()]).toEqual([1, 2, 3, 4, 5, 6])
  kvmRun.immediateExit = 1
  expect(floor.page[1]).toBe(1)
  engine.mmio.data.set([9], 1)
  expect([...kvmRun.mmio.data]).toEqual([0, 9, 0, 0, 0, 0, 0, 0])
})

test('kicks, timers, traces, counters and closing reach the engine', () => {
  const { floor, kvm, vm, vcpu } = open()
  vcpu.kick()
  expect(floor.kicks).toBe(1)
  vcpu.interruptAt = 9n
  expect(vcpu.fd.interruptAt).toBe(9n)
  const trace = () => {}
  vm.trace = trace
  expect(vm.fd.trace).toBe(trace)
  expect([vm.stats(), vcpu.stats()]).toEqual([{ exits: 1 }, { exits: 2 }])
  vcpu.close()
  vm.close()
  kvm.close()
  expect(floor.closed).toEqual(['vcpu', 'vm', 'system'])
})
