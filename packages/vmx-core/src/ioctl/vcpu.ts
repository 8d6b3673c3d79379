import * as abi from '@guestmode/kvm-abi'
import { lapicRegisters } from '@guestmode/chips'
import { Exception, IA32_MCG_CAP, IA32_MCG_STATUS, IA32_MC0_CTL } from '@guestmode/x86'
import { applyGuestDebug, readBreakpoint, readDr7, writeBreakpoint, writeDr7 } from '../debug.ts'
import { queueException } from '../events/exceptions.ts'
import { isValidXcr0 } from '../exits/simple.ts'
import { refreshWalker } from '../modes/paging.ts'
import { MC_BANKS, readMsr, writeMsr } from '../msr.ts'
import { runVcpu } from '../run.ts'
import { getEvents, setEvents } from '../state/events.ts'
import { getFpu, getXsave, setFpu, setXsave } from '../state/fpu.ts'
import { getRegs, setRegs } from '../state/regs.ts'
import { getSregs, getSregs2, setSregs, setSregs2 } from '../state/sregs.ts'
import type { Vcpu } from '../vcpu.ts'
import { decode, encode, Errno, fill, list, pointer, value, type Argument, type Handlers } from './argument.ts'
import { MCE_CAPABILITIES } from './system.ts'
import { isTscFrequency, TSC_KHZ } from './vm.ts'

const { E2BIG, EBUSY, EEXIST, EINVAL, ENOTTY, ENXIO } = abi
const MAX_MSRS = 256
const MAX_CPUID_ENTRIES = 256

const ok = (isAllowed: boolean): number => (isAllowed ? 0 : -EINVAL)

function getMsrs(vcpu: Vcpu, argument: Argument): number {
  const entries = list(argument, abi.KVM_MSRS)
  if (entries.length >= MAX_MSRS) return -E2BIG
  const data = abi.dataViewOf(pointer(argument, abi.KVM_MSRS.size))
  for (const [i, { index }] of entries.entries()) {
    const msr = readMsr(vcpu, index, true)
    if (msr === undefined) return i
    data.setBigUint64(abi.KVM_MSRS.elementsOffset + i * abi.KVM_MSRS.element.size + 8, msr, true)
  }
  return entries.length
}

function setMsrs(vcpu: Vcpu, argument: Argument): number {
  const entries = list(argument, abi.KVM_MSRS)
  if (entries.length >= MAX_MSRS) return -E2BIG
  const failed = entries.findIndex(({ index, data }) => !writeMsr(vcpu, index, data, true))
  return failed < 0 ? entries.length : failed
}

function setCpuid(vcpu: Vcpu, argument: Argument): number {
  const bytes = pointer(argument, abi.KVM_CPUID2.size)
  if (abi.KVM_CPUID2.countIn(bytes) > MAX_CPUID_ENTRIES) return -E2BIG
  const entries = list(argument, abi.KVM_CPUID2)
  if (vcpu.hasRun && JSON.stringify(entries) !== JSON.stringify(vcpu.cpuid.entries)) return -EINVAL
  vcpu.cpuid.entries = entries
  return 0
}

function lapic(vcpu: Vcpu): NonNullable<Vcpu['lapic']> {
  if (vcpu.lapic === undefined) throw new Errno(EINVAL)
  return vcpu.lapic
}

/** The id stands in the xAPIC's place unless the VMM knows about 32-bit ids. */
function getLapic(vcpu: Vcpu, argument: Argument): number {
  const chip = lapic(vcpu)
  const { regs } = chip.save()
  if (chip.x2apic && vcpu.vm.x2apicIds) abi.dataViewOf(regs).setUint32(lapicRegisters.APIC_ID, chip.id, true)
  pointer(argument, abi.KVM_LAPIC_STATE.size).set(regs)
  return 0
}

function setLapic(vcpu: Vcpu, argument: Argument): number {
  const chip = lapic(vcpu)
  const regs = pointer(argument, abi.KVM_LAPIC_STATE.size).slice(0, abi.KVM_APIC_REG_SIZE)
  const view = abi.dataViewOf(regs)
  if (chip.x2apic) {
    const id = view.getUint32(lapicRegisters.APIC_ID, true)
    if ((vcpu.vm.x2apicIds ? id : id >>> 24) !== chip.id) return -EINVAL
    view.setUint32(lapicRegisters.APIC_ID, (chip.id << 24) >>> 0, true)
  }
  chip.load({ ...chip.save(), regs })
  vcpu.vm.timersChanged()
  return 0
}

function setMpState(vcpu: Vcpu, argument: Argument): number {
  const { mpState } = decode(argument, abi.KVM_MP_STATE)
  if (vcpu.lapic === undefined ? mpState !== abi.KVM_MP_STATE_RUNNABLE : mpState > abi.KVM_MP_STATE_SIPI_RECEIVED) return -EINVAL
  vcpu.mpState = mpState === abi.KVM_MP_STATE_SIPI_RECEIVED ? abi.KVM_MP_STATE_INIT_RECEIVED : mpState
  if (mpState === abi.KVM_MP_STATE_SIPI_RECEIVED) vcpu.sipiVector = Math.max(vcpu.sipiVector, 0)
  vcpu.eventRequested = true
  return 0
}

const DEBUG_CONTROLS =
  abi.KVM_GUESTDBG_ENABLE |
  abi.KVM_GUESTDBG_SINGLESTEP |
  abi.KVM_GUESTDBG_USE_SW_BP |
  abi.KVM_GUESTDBG_USE_HW_BP |
  abi.KVM_GUESTDBG_INJECT_DB |
  abi.KVM_GUESTDBG_INJECT_BP |
  abi.KVM_GUESTDBG_BLOCKIRQ

function setGuestDebug(vcpu: Vcpu, argument: Argument): number {
  const { control, debugreg } = decode(argument, abi.KVM_GUEST_DEBUG)
  if ((control & ~DEBUG_CONTROLS) !== 0) return -EINVAL
  if ((control & (abi.KVM_GUESTDBG_INJECT_DB | abi.KVM_GUESTDBG_INJECT_BP)) !== 0) {
    if (vcpu.exception.pending) return -EBUSY
    queueException(vcpu, (control & abi.KVM_GUESTDBG_INJECT_DB) !== 0 ? Exception.DB : Exception.BP)
    vcpu.eventInstructionLength = 1
  }
  applyGuestDebug(vcpu, control, debugreg)
  return 0
}

function interrupt(vcpu: Vcpu, argument: Argument): number {
  const { irq } = decode(argument, abi.KVM_INTERRUPT_ARGUMENT)
  if (irq >= abi.KVM_NR_INTERRUPTS) return -EINVAL
  vcpu.eventRequested = true
  if (vcpu.lapic === undefined) {
    vcpu.interrupt.vector = irq
    vcpu.interrupt.soft = false
    vcpu.interrupt.injected = true
    return 0
  }
  if (vcpu.vm.router?.chips !== undefined) return -ENXIO
  if (vcpu.externalVector >= 0) return -EEXIST
  vcpu.externalVector = irq
  return 0
}

function translate(vcpu: Vcpu, argument: Argument): number {
  const { linearAddress } = decode(argument, abi.KVM_TRANSLATION)
  refreshWalker(vcpu)
  const { walker } = vcpu
  const found = walker.walk(Number(linearAddress >> 32n), Number(linearAddress & 0xffff_ffffn), 0, false)
  return encode(argument, abi.KVM_TRANSLATION, {
    linearAddress,
    physicalAddress: found ? BigInt(walker.gpa) : 0xffff_ffff_ffff_ffffn,
    valid: found ? 1 : 0,
    writeable: 1,
    usermode: 0,
  })
}

function setDebugregs(vcpu: Vcpu, argument: Argument): number {
  const { db, dr6, dr7, flags } = decode(argument, abi.KVM_DEBUGREGS)
  if (flags !== 0n || dr6 >> 32n !== 0n || dr7 >> 32n !== 0n) return -EINVAL
  for (const i of [0, 1, 2, 3] as const) writeBreakpoint(vcpu, i, db[i]!)
  vcpu.processor.registers.setDr(6, dr6)
  writeDr7(vcpu, dr7)
  return 0
}

function getDebugregs(vcpu: Vcpu, argument: Argument): number {
  return encode(argument, abi.KVM_DEBUGREGS, {
    db: ([0, 1, 2, 3] as const).map((i) => readBreakpoint(vcpu, i)),
    dr6: vcpu.processor.registers.dr(6),
    dr7: readDr7(vcpu),
  })
}

function setXcrs(vcpu: Vcpu, argument: Argument): number {
  const { nrXcrs, flags, xcrs } = decode(argument, abi.KVM_XCRS)
  if (!vcpu.cpuid.has('xsave') || nrXcrs > abi.KVM_MAX_XCRS || flags !== 0) return -EINVAL
  const xcr0 = xcrs.slice(0, nrXcrs).find(({ xcr }) => xcr === 0)
  if (xcr0 === undefined) return 0
  if (!isValidXcr0(vcpu, xcr0.value)) return -EINVAL
  vcpu.processor.registers.xcr0 = xcr0.value
  return 0
}

function setupMce(vcpu: Vcpu, argument: Argument): number {
  const capabilities = abi.dataViewOf(pointer(argument, 8)).getBigUint64(0, true)
  const banks = capabilities & 0xffn
  if (banks === 0n || banks > BigInt(MC_BANKS) || (capabilities & ~(0xffn | MCE_CAPABILITIES)) !== 0n) return -EINVAL
  vcpu.msrs.set(IA32_MCG_CAP, capabilities)
  return 0
}

const MCI_STATUS_VALID = 1n << 63n
const MCI_STATUS_UNCORRECTED = 1n << 61n
const MCG_STATUS_IN_PROGRESS = 1n << 2n

function setMce(vcpu: Vcpu, argument: Argument): number {
  const { status, addr, misc, mcgStatus, bank } = decode(argument, abi.KVM_X86_MCE)
  const capabilities = vcpu.msrs.get(IA32_MCG_CAP) ?? 0n
  if (BigInt(bank) >= (capabilities & 0xffn) || (status & MCI_STATUS_VALID) === 0n) return -EINVAL
  const isUncorrected = (status & MCI_STATUS_UNCORRECTED) !== 0n
  const at = IA32_MC0_CTL + 4 * bank
  if (isUncorrected && ((vcpu.msrs.get(IA32_MCG_STATUS) ?? 0n) & MCG_STATUS_IN_PROGRESS) !== 0n) {
    vcpu.tripleFault = true
    return 0
  }
  vcpu.msrs.set(at + 1, status)
  vcpu.msrs.set(at + 2, addr)
  vcpu.msrs.set(at + 3, misc)
  if (!isUncorrected) return 0
  vcpu.msrs.set(IA32_MCG_STATUS, mcgStatus)
  queueException(vcpu, Exception.MC)
  return 0
}

export const vcpuHandlers: Handlers<Vcpu> = {
  [abi.KVM_RUN]: (vcpu, argument) => (value(argument) === 0 ? runVcpu(vcpu) : -EINVAL),
  [abi.KVM_GET_REGS]: (vcpu, argument) => encode(argument, abi.KVM_REGS, getRegs(vcpu)),
  [abi.KVM_SET_REGS](vcpu, argument) {
    setRegs(vcpu, decode(argument, abi.KVM_REGS))
    return 0
  },
  [abi.KVM_GET_SREGS]: (vcpu, argument) => encode(argument, abi.KVM_SREGS, getSregs(vcpu)),
  [abi.KVM_SET_SREGS]: (vcpu, argument) => ok(setSregs(vcpu, decode(argument, abi.KVM_SREGS))),
  [abi.KVM_GET_SREGS2]: (vcpu, argument) => encode(argument, abi.KVM_SREGS2, getSregs2(vcpu)),
  [abi.KVM_SET_SREGS2]: (vcpu, argument) => ok(setSregs2(vcpu, decode(argument, abi.KVM_SREGS2))),
  [abi.KVM_GET_FPU]: (vcpu, argument) => encode(argument, abi.KVM_FPU, getFpu(vcpu)),
  [abi.KVM_SET_FPU](vcpu, argument) {
    setFpu(vcpu, decode(argument, abi.KVM_FPU))
    return 0
  },
  [abi.KVM_GET_XSAVE](vcpu, argument) {
    getXsave(vcpu, pointer(argument, abi.KVM_XSAVE.size))
    return 0
  },
  [abi.KVM_GET_XSAVE2](vcpu, argument) {
    getXsave(vcpu, pointer(argument, abi.KVM_XSAVE.size))
    return 0
  },
  [abi.KVM_SET_XSAVE]: (vcpu, argument) => ok(setXsave(vcpu, pointer(argument, abi.KVM_XSAVE.size))),
  [abi.KVM_GET_XCRS](vcpu, argument) {
    if (!vcpu.cpuid.has('xsave')) return -EINVAL
    return encode(argument, abi.KVM_XCRS, { nrXcrs: 1, xcrs: [{ xcr: 0, value: vcpu.processor.registers.xcr0 }] })
  },
  [abi.KVM_SET_XCRS]: setXcrs,
  [abi.KVM_GET_MSRS]: getMsrs,
  [abi.KVM_SET_MSRS]: setMsrs,
  [abi.KVM_SET_CPUID2]: setCpuid,
  [abi.KVM_GET_CPUID2]: (vcpu, argument) => fill(argument, abi.KVM_CPUID2, vcpu.cpuid.entries, E2BIG),
  [abi.KVM_GET_LAPIC]: getLapic,
  [abi.KVM_SET_LAPIC]: setLapic,
  [abi.KVM_GET_MP_STATE]: (vcpu, argument) => encode(argument, abi.KVM_MP_STATE, { mpState: vcpu.mpState }),
  [abi.KVM_SET_MP_STATE]: setMpState,
  [abi.KVM_GET_VCPU_EVENTS]: (vcpu, argument) => encode(argument, abi.KVM_VCPU_EVENTS, getEvents(vcpu)),
  [abi.KVM_SET_VCPU_EVENTS]: (vcpu, argument) => ok(setEvents(vcpu, decode(argument, abi.KVM_VCPU_EVENTS))),
  [abi.KVM_GET_DEBUGREGS]: getDebugregs,
  [abi.KVM_SET_DEBUGREGS]: setDebugregs,
  [abi.KVM_SET_GUEST_DEBUG]: setGuestDebug,
  [abi.KVM_INTERRUPT]: interrupt,
  [abi.KVM_NMI](vcpu) {
    vcpu.raiseNmi()
    return 0
  },
  [abi.KVM_SMI]: () => -ENOTTY,
  [abi.KVM_TRANSLATE]: translate,
  [abi.KVM_SET_SIGNAL_MASK](_vcpu, argument) {
    // No signals in a process of ours; a null pointer takes the mask away.
    if (!(argument instanceof Uint8Array)) return value(argument) === 0 ? 0 : -EINVAL
    return decode(argument, abi.KVM_SIGNAL_MASK.header).len === 8 ? 0 : -EINVAL
  },
  [abi.KVM_SET_TSC_KHZ]: (_vcpu, argument) => ok(isTscFrequency(value(argument))),
  [abi.KVM_GET_TSC_KHZ]: () => TSC_KHZ,
  // There is no kvmclock that could be told.
  [abi.KVM_KVMCLOCK_CTRL]: () => -EINVAL,
  [abi.KVM_X86_SETUP_MCE]: setupMce,
  [abi.KVM_X86_SET_MCE]: setMce,
  [abi.KVM_ENABLE_CAP]: () => -EINVAL,
  [abi.KVM_GET_STATS_FD]: () => -ENOTTY,
}
