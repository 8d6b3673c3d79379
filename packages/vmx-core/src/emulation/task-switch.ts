import {
  AR_DPL_SHIFT,
  AR_P,
  AR_S,
  AR_TYPE,
  AR_UNUSABLE,
  BLOCKING_BY_NMI,
  CR0_PG,
  CR0_TS,
  descriptorAccess,
  descriptorBase,
  descriptorLimit,
  EFLAGS_FIXED,
  EFLAGS_NT,
  EFLAGS_VM,
  Exception,
  guestAccess,
  guestBase,
  guestLimit,
  guestSelector,
  INTR_INFO_ERROR_CODE,
  INTR_INFO_TYPE,
  INTR_INFO_TYPE_SHIFT,
  INTR_INFO_VALID,
  INTR_TYPE_EXTERNAL,
  INTR_TYPE_HARDWARE_EXCEPTION,
  INTR_TYPE_NMI,
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_FS,
  SEG_GS,
  SEG_LDTR,
  SEG_SS,
  SEG_TR,
  SELECTOR_RPL,
  SELECTOR_TI,
  TSS_BUSY,
  TYPE_CODE,
  TYPE_CONFORMING,
  TYPE_LDT,
  TYPE_READABLE,
  TYPE_TSS16_AVAILABLE,
  TYPE_TSS_AVAILABLE,
  TYPE_WRITABLE,
  Vmcs,
} from '@guestmode/x86'
import { queueDebug, queueException, queuePageFault } from '../events/exceptions.ts'
import { skipInstruction } from '../instruction.ts'
import { readCr0, setControlRegisters } from '../modes/control-registers.ts'
import { loadPdptes, refreshWalker } from '../modes/paging.ts'
import type { Vcpu } from '../vcpu.ts'
import { AccessFault, readSystem, writeSystem } from './system-memory.ts'
import { isPaePaging } from '../modes/control-registers.ts'

/** Why a task switch happens. [SDM3 Table 28-2 "Exit Qualification for Task Switches"] */
const IRET = 1
const JMP = 2
const GATE = 3

const DR6_BT = 1 << 15

/** Fields of a task state segment. [SDM3 Figure 7-2, Figure 7-10] */
interface TssFormat {
  readonly width: 2 | 4
  readonly cr3: number
  readonly ip: number
  readonly flags: number
  readonly gprs: number
  readonly selectors: number
  readonly segments: readonly number[]
  readonly ldt: number
  readonly trap: number
  readonly limit: number
}
const TSS32: TssFormat = {
  width: 4,
  cr3: 0x1c,
  ip: 0x20,
  flags: 0x24,
  gprs: 0x28,
  selectors: 0x48,
  segments: [SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS],
  ldt: 0x60,
  trap: 0x64,
  limit: 0x67,
}
const TSS16: TssFormat = {
  width: 2,
  cr3: -1,
  ip: 0x0e,
  flags: 0x10,
  gprs: 0x12,
  selectors: 0x22,
  segments: [SEG_ES, SEG_CS, SEG_SS, SEG_DS],
  ldt: 0x2a,
  trap: -1,
  limit: 0x2b,
}

/** A fault in the middle: before the new task is there it is the old one's, afterwards the new one's. */
class TaskFault {
  readonly vector: number
  readonly errorCode: number
  constructor(vector: number, selector: number) {
    this.vector = vector
    this.errorCode = selector & 0xfffc
  }
}

/** A task switch exits always: there is none in VMX non-root operation. [SDM3 7.3 "Task Switching"] */
export function handleTaskSwitch(vcpu: Vcpu): boolean {
  const { processor } = vcpu
  const qualification = processor.vmread32(Vmcs.EXIT_QUALIFICATION)
  const source = qualification >>> 30
  const info = processor.vmread32(Vmcs.IDT_VECTORING_INFO)
  const type = (info & INTR_INFO_TYPE) >>> INTR_INFO_TYPE_SHIFT
  let errorCode: number | undefined
  let isEvent = false
  if (source === GATE && (info & INTR_INFO_VALID) !== 0) {
    // The event goes through the gate: it needs no injection.
    if ((info & INTR_INFO_ERROR_CODE) !== 0) errorCode = processor.vmread32(Vmcs.IDT_VECTORING_ERROR_CODE)
    vcpu.exception.injected = vcpu.interrupt.injected = vcpu.nmi.injected = false
    isEvent = type === INTR_TYPE_HARDWARE_EXCEPTION || type === INTR_TYPE_EXTERNAL || type === INTR_TYPE_NMI
    if (type === INTR_TYPE_NMI) {
      processor.vmwrite32(
        Vmcs.GUEST_INTERRUPTIBILITY_INFO,
        processor.vmread32(Vmcs.GUEST_INTERRUPTIBILITY_INFO) | BLOCKING_BY_NMI,
      )
    }
  }
  const goesOn = isEvent || skipInstruction(vcpu)
  refreshWalker(vcpu)
  try {
    switchTask(vcpu, qualification & 0xffff, source, errorCode)
  } catch (fault) {
    if (fault instanceof AccessFault) queuePageFault(vcpu, fault.linear, fault.errorCode)
    else if (fault instanceof TaskFault) queueException(vcpu, fault.vector, fault.errorCode)
    else throw fault
  }
  return goesOn
}

interface Descriptor {
  /** Linear address in its table. */
  readonly at: number
  readonly low: number
  readonly high: number
  readonly access: number
}

function readDescriptor(vcpu: Vcpu, selector: number, vector: number): Descriptor {
  const { processor } = vcpu
  const isLocal = (selector & SELECTOR_TI) !== 0
  const base = isLocal ? processor.vmread32(guestBase(SEG_LDTR)) : processor.vmread32(Vmcs.GUEST_GDTR_BASE)
  const limit = isLocal ? processor.vmread32(guestLimit(SEG_LDTR)) : processor.vmread32(Vmcs.GUEST_GDTR_LIMIT)
  const isUsable = !isLocal || (processor.vmread32(guestAccess(SEG_LDTR)) & AR_UNUSABLE) === 0
  if (!isUsable || (selector | 7) > limit || (!isLocal && selector < 4)) throw new TaskFault(vector, selector)
  const at = (base + (selector & 0xfff8)) >>> 0
  const low = readSystem(vcpu, at, 4)
  const high = readSystem(vcpu, (at + 4) >>> 0, 4)
  return { at, low, high, access: descriptorAccess(high) }
}

function setBusy(vcpu: Vcpu, { at, high }: Descriptor, busy: boolean): void {
  const bit = TSS_BUSY << 8
  writeSystem(vcpu, (at + 4) >>> 0, 4, (busy ? high | bit : high & ~bit) >>> 0)
}

function switchTask(vcpu: Vcpu, selector: number, source: number, errorCode: number | undefined): void {
  const { processor } = vcpu
  const vector = source === IRET ? Exception.TS : Exception.GP
  const next = readDescriptor(vcpu, selector, vector)
  const type = next.access & AR_TYPE & ~TSS_BUSY
  const isTss = (next.access & AR_S) === 0 && (type === TYPE_TSS_AVAILABLE || type === TYPE_TSS16_AVAILABLE)
  const isBusy = (next.access & TSS_BUSY) !== 0
  if (!isTss || (selector & SELECTOR_TI) !== 0 || isBusy !== (source === IRET)) throw new TaskFault(vector, selector)
  if ((next.access & AR_P) === 0) throw new TaskFault(Exception.NP, selector)
  const format = type === TYPE_TSS_AVAILABLE ? TSS32 : TSS16
  if (descriptorLimit(next.low, next.high) < format.limit) throw new TaskFault(Exception.TS, selector)

  const oldSelector = processor.vmread32(guestSelector(SEG_TR))
  if (source === IRET || source === JMP) setBusy(vcpu, readDescriptor(vcpu, oldSelector, Exception.TS), false)
  saveTask(vcpu, source)
  const base = descriptorBase(next.low, next.high)
  const isNested = source !== IRET && source !== JMP
  if (isNested) writeSystem(vcpu, base, 2, oldSelector)
  if (source !== IRET) setBusy(vcpu, next, true)

  processor.vmwrite32(guestSelector(SEG_TR), selector)
  processor.vmwrite32(guestBase(SEG_TR), base)
  processor.vmwrite32(guestLimit(SEG_TR), descriptorLimit(next.low, next.high))
  processor.vmwrite32(guestAccess(SEG_TR), next.access | TSS_BUSY)
  loadTask(vcpu, base, format, isNested, errorCode)
}

/** The state of the old task goes into its TSS. */
function saveTask(vcpu: Vcpu, source: number): void {
  const { processor } = vcpu
  const base = processor.vmread32(guestBase(SEG_TR))
  const format = (processor.vmread32(guestAccess(SEG_TR)) & AR_TYPE & ~TSS_BUSY) === TYPE_TSS_AVAILABLE ? TSS32 : TSS16
  const { width } = format
  const flags = processor.vmread32(Vmcs.GUEST_RFLAGS)
  const put = (offset: number, value: number, size: number = width) => writeSystem(vcpu, (base + offset) >>> 0, size, value)
  put(format.ip, Number(processor.vmread(Vmcs.GUEST_RIP) & 0xffff_ffffn))
  put(format.flags, source === IRET ? flags & ~EFLAGS_NT : flags)
  for (let i = 0; i < 8; i++) put(format.gprs + i * width, Number(readGpr(vcpu, i) & 0xffff_ffffn))
  format.segments.forEach((seg, i) => put(format.selectors + i * width, processor.vmread32(guestSelector(seg)), 2))
}

const RSP = 4
const readGpr = (vcpu: Vcpu, index: number): bigint =>
  index === RSP ? vcpu.processor.vmread(Vmcs.GUEST_RSP) : vcpu.processor.registers.gpr(index)

function writeGpr(vcpu: Vcpu, index: number, value: number): void {
  if (index === RSP) vcpu.processor.vmwrite32(Vmcs.GUEST_RSP, value)
  else vcpu.processor.registers.setGpr(index, BigInt(value))
}

function loadTask(vcpu: Vcpu, base: number, format: TssFormat, isNested: boolean, errorCode: number | undefined): void {
  const { processor } = vcpu
  const { width } = format
  const get = (offset: number, size: number = width) => readSystem(vcpu, (base + offset) >>> 0, size)
  const selectors = format.segments.map((_seg, i) => get(format.selectors + i * width, 2))
  const ldt = get(format.ldt, 2)
  const ip = get(format.ip)
  const gprs = Array.from({ length: 8 }, (_, i) => get(format.gprs + i * width))
  const trap = format.trap >= 0 && (get(format.trap, 2) & 1) !== 0
  let flags = (get(format.flags) | EFLAGS_FIXED) >>> 0
  if (isNested) flags |= EFLAGS_NT

  const cr0 = readCr0(vcpu)
  const cr3 = format.cr3 >= 0 && (cr0 & CR0_PG) !== 0 ? BigInt(get(format.cr3)) : undefined
  setControlRegisters(vcpu, cr3 === undefined ? { cr0: (cr0 | CR0_TS) >>> 0 } : { cr0: (cr0 | CR0_TS) >>> 0, cr3 })
  if (cr3 !== undefined && isPaePaging(vcpu)) {
    loadPdptes(vcpu, cr3)
    vcpu.mmu.flush()
  }
  refreshWalker(vcpu)
  processor.vmwrite32(Vmcs.GUEST_RIP, ip)
  processor.vmwrite32(Vmcs.GUEST_RFLAGS, flags)
  gprs.forEach((value, i) => writeGpr(vcpu, i, width === 2 ? Number(readGpr(vcpu, i) & 0xffff_0000n) | value : value))

  // All selectors are there before the first descriptor is read, so that a fault finds the new task's.
  format.segments.forEach((seg, i) => markUnusable(vcpu, seg, selectors[i]!))
  if (width === 2) for (const seg of [SEG_FS, SEG_GS]) markUnusable(vcpu, seg, 0)
  loadLdt(vcpu, ldt)
  const isVirtual = (flags & EFLAGS_VM) !== 0
  const level = isVirtual ? 3 : selectors[1]! & SELECTOR_RPL
  format.segments.forEach((seg, i) =>
    isVirtual ? loadVirtual(vcpu, seg, selectors[i]!) : loadSegment(vcpu, seg, selectors[i]!, level),
  )
  if (errorCode !== undefined) pushErrorCode(vcpu, errorCode, width)
  if (trap) queueDebug(vcpu, DR6_BT)
}

function markUnusable(vcpu: Vcpu, seg: number, selector: number): void {
  vcpu.processor.vmwrite32(guestSelector(seg), selector)
  vcpu.processor.vmwrite32(
    guestAccess(seg),
    seg === SEG_CS || seg === SEG_SS ? vcpu.processor.vmread32(guestAccess(seg)) : AR_UNUSABLE,
  )
}

function put(vcpu: Vcpu, seg: number, { low, high, access }: Descriptor): void {
  vcpu.processor.vmwrite32(guestBase(seg), descriptorBase(low, high))
  vcpu.processor.vmwrite32(guestLimit(seg), descriptorLimit(low, high))
  vcpu.processor.vmwrite32(guestAccess(seg), access)
}

function loadLdt(vcpu: Vcpu, selector: number): void {
  vcpu.processor.vmwrite32(guestSelector(SEG_LDTR), selector)
  vcpu.processor.vmwrite32(guestAccess(SEG_LDTR), AR_UNUSABLE)
  if ((selector & 0xfffc) === 0) return
  if ((selector & SELECTOR_TI) !== 0) throw new TaskFault(Exception.TS, selector)
  const descriptor = readDescriptor(vcpu, selector, Exception.TS)
  if ((descriptor.access & (AR_S | AR_TYPE | AR_P)) !== (TYPE_LDT | AR_P)) throw new TaskFault(Exception.TS, selector)
  put(vcpu, SEG_LDTR, descriptor)
}

function loadVirtual(vcpu: Vcpu, seg: number, selector: number): void {
  vcpu.processor.vmwrite32(guestBase(seg), selector << 4)
  vcpu.processor.vmwrite32(guestLimit(seg), 0xffff)
  vcpu.processor.vmwrite32(guestAccess(seg), 0xf3)
}

/** [SDM3 Table 7-1 "Exception Conditions Checked During a Task Switch"] */
function loadSegment(vcpu: Vcpu, seg: number, selector: number, level: number): void {
  if ((selector & 0xfffc) === 0) {
    if (seg === SEG_CS || seg === SEG_SS) throw new TaskFault(Exception.TS, selector)
    return
  }
  const descriptor = readDescriptor(vcpu, selector, Exception.TS)
  const { access } = descriptor
  const dpl = (access >> AR_DPL_SHIFT) & 3
  const rpl = selector & SELECTOR_RPL
  const isCode = (access & TYPE_CODE) !== 0
  const isConforming = isCode && (access & TYPE_CONFORMING) !== 0
  let isAllowed = (access & AR_S) !== 0
  if (seg === SEG_CS) isAllowed &&= isCode && (isConforming ? dpl <= rpl : dpl === rpl)
  else if (seg === SEG_SS) isAllowed &&= !isCode && (access & TYPE_WRITABLE) !== 0 && dpl === rpl && dpl === level
  else isAllowed &&= (!isCode || (access & TYPE_READABLE) !== 0) && (isConforming || (dpl >= rpl && dpl >= level))
  if (!isAllowed) throw new TaskFault(Exception.TS, selector)
  if ((access & AR_P) === 0) throw new TaskFault(seg === SEG_SS ? Exception.SS : Exception.NP, selector)
  if ((access & 1) === 0) writeSystem(vcpu, (descriptor.at + 4) >>> 0, 4, (descriptor.high | 0x100) >>> 0)
  put(vcpu, seg, { ...descriptor, access: access | 1 })
}

function pushErrorCode(vcpu: Vcpu, errorCode: number, width: 2 | 4): void {
  const { processor } = vcpu
  const is32 = (processor.vmread32(guestAccess(SEG_SS)) & 0x4000) !== 0
  const rsp = Number(processor.vmread(Vmcs.GUEST_RSP) & 0xffff_ffffn)
  const top = is32 ? (rsp - width) >>> 0 : (rsp & 0xffff_0000) | ((rsp - width) & 0xffff)
  writeSystem(vcpu, (processor.vmread32(guestBase(SEG_SS)) + (is32 ? top : top & 0xffff)) >>> 0, width, errorCode)
  processor.vmwrite32(Vmcs.GUEST_RSP, top >>> 0)
}
