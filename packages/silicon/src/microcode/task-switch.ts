import {
  CR0_PG,
  CR0_TS,
  DR6_BT,
  EFLAGS_DEFINED,
  EFLAGS_FIXED,
  EFLAGS_NT,
  EFLAGS_VM,
  Exception,
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_FS,
  SEG_GS,
  SEG_LDTR,
  SEG_SS,
  SEG_TR,
  SELECTOR_TI,
  TSS_BUSY,
  TYPE_LDT,
  TYPE_TSS_AVAILABLE,
  TYPE_TSS16_AVAILABLE,
} from '@guestmode/x86'
import type { Cpu } from '../cpu/cpu.ts'
import { GuestFault } from '../cpu/events.ts'
import { findDescriptor, isNull, markAccessed, readDescriptor, setType, type Descriptor } from './descriptor.ts'
import { gp, np, selectorCode, ss, ts } from './faults.ts'
import { writeFlags } from './flags.ts'
import { readImplicit, updateWidths, writeImplicit } from './mode.ts'
import { loadDescriptor, loadNull, loadSegment, loadVirtual8086Segment } from './segment.ts'
import { currentStack } from './stack.ts'
import { cr0Of, gpr32, setGpr32 } from './words.ts'

/** Hardware task switching. [SDM3 7.3 "Task Switching"] */

export type TaskSwitchSource = 'call' | 'iret' | 'jmp' | 'gate'

interface TssLayout {
  readonly word: 2 | 4
  readonly ip: number
  readonly flags: number
  readonly gpr: number
  readonly segments: number
  readonly segmentCount: number
  readonly ldt: number
  readonly minimumLimit: number
}

const layout32: TssLayout = {
  word: 4,
  ip: 0x20,
  flags: 0x24,
  gpr: 0x28,
  segments: 0x48,
  segmentCount: 6,
  ldt: 0x60,
  minimumLimit: 103,
}
const layout16: TssLayout = {
  word: 2,
  ip: 0x0e,
  flags: 0x10,
  gpr: 0x12,
  segments: 0x22,
  segmentCount: 4,
  ldt: 0x2a,
  minimumLimit: 43,
}

const layoutOf = (type: number): TssLayout => ((type & 8) !== 0 ? layout32 : layout16)

/** The TSS that a task gate names. */
export function readTaskDescriptor(cpu: Cpu, selector: number, ext: number): Descriptor {
  const code = selectorCode(selector) | ext
  if ((selector & SELECTOR_TI) !== 0 || isNull(selector)) throw gp(code)
  const task = readDescriptor(cpu, selector, Exception.GP, ext)
  if (task.isSegment || (task.type !== TYPE_TSS_AVAILABLE && task.type !== TYPE_TSS16_AVAILABLE)) throw gp(code)
  if (!task.isPresent) throw np(code)
  return task
}

function saveTask(cpu: Cpu, layout: TssLayout, base: bigint, ip: number, flags: number): void {
  const { state } = cpu
  const save = (offset: number, size: 2 | 4, value: number): void =>
    cpu.write(base + BigInt(offset), size, BigInt(value), writeImplicit)
  const mask = layout.word === 2 ? 0xffff : 0xffff_ffff
  save(layout.ip, layout.word, (ip & mask) >>> 0)
  save(layout.flags, layout.word, (flags & mask) >>> 0)
  for (let i = 0; i < 8; i++) save(layout.gpr + i * layout.word, layout.word, (gpr32(cpu, i) & mask) >>> 0)
  for (let seg = 0; seg < layout.segmentCount; seg++) save(layout.segments + seg * layout.word, 2, state.segSelector.get(seg))
}

interface Task {
  readonly cr3: bigint
  readonly ip: number
  readonly flags: number
  readonly gpr: readonly number[]
  /** ES CS SS DS FS GS. */
  readonly segments: readonly number[]
  readonly ldt: number
  readonly debugTrap: boolean
}

function readTask(cpu: Cpu, layout: TssLayout, base: bigint): Task {
  const read = (offset: number, size: 2 | 4): number => Number(cpu.read(base + BigInt(offset), size, readImplicit))
  const is32 = layout.word === 4
  return {
    cr3: is32 ? BigInt(read(0x1c, 4)) : 0n,
    ip: read(layout.ip, layout.word),
    flags: read(layout.flags, layout.word),
    gpr: [0, 1, 2, 3, 4, 5, 6, 7].map((i) => read(layout.gpr + i * layout.word, layout.word) | (is32 ? 0 : 0xffff_0000)),
    segments: [0, 1, 2, 3, 4, 5].map((seg) => (seg < layout.segmentCount ? read(layout.segments + seg * layout.word, 2) : 0)),
    ldt: read(layout.ldt, 2),
    debugTrap: is32 && (read(0x64, 2) & 1) !== 0,
  }
}

/**
 * Switches to the task of `task`, whose descriptor has been checked. Returns its EIP. Faults up to the commit belong to the old
 * task, those after it (`state.rip` has moved) to the new one.
 */
export function switchTask(
  cpu: Cpu,
  task: Descriptor,
  source: TaskSwitchSource,
  returnIp: number,
  flags: number,
  errorCode?: number,
  ext = 0,
): bigint {
  const { state } = cpu
  const { selector } = task
  cpu.nonRoot?.taskSwitch(selector, source)
  const layout = layoutOf(task.type)
  if (task.limit < layout.minimumLimit) throw ts(selectorCode(selector) | ext)

  const oldSelector = state.segSelector.get(SEG_TR)
  const oldLayout = layoutOf(state.segAccess.get(SEG_TR))
  const oldBase = state.segBase.get(SEG_TR)
  const newBase = BigInt(task.base)
  const next = readTask(cpu, layout, newBase)
  cpu.probeWrite(oldBase, oldLayout.minimumLimit + 1, writeImplicit)
  const isNested = source === 'call' || source === 'gate'
  if (isNested) cpu.probeWrite(newBase, 2, writeImplicit)

  if (!isNested) {
    const old = findDescriptor(cpu, oldSelector)
    if (old !== undefined) setType(cpu, old, old.type & ~TSS_BUSY)
  }
  saveTask(cpu, oldLayout, oldBase, returnIp, source === 'iret' ? flags & ~EFLAGS_NT : flags)
  if (isNested) cpu.write(newBase, 2, BigInt(oldSelector), writeImplicit)
  if (source !== 'iret') setType(cpu, task, task.type | TSS_BUSY)

  loadSegment(cpu, SEG_TR, selector, task.base, task.limit, task.access | TSS_BUSY)
  state.cr0 |= BigInt(CR0_TS)
  if (layout === layout32 && (cr0Of(cpu) & CR0_PG) !== 0) {
    state.cr3 = next.cr3
    cpu.flushTlb(false)
  }
  state.rip = BigInt(next.ip)
  cpu.nextRip = state.rip
  const newFlags = (next.flags & EFLAGS_DEFINED) | EFLAGS_FIXED | (isNested ? EFLAGS_NT : 0)
  writeFlags(cpu, newFlags)
  next.gpr.forEach((value, i) => setGpr32(cpu, i, value))
  state.dr.set(7, state.dr.get(7) & ~0x155n)
  loadSegments(cpu, next, (newFlags & EFLAGS_VM) !== 0, ext)

  if (errorCode !== undefined) {
    const stack = currentStack(cpu, ext)
    stack.push(layout.word, BigInt(errorCode))
    stack.commit()
  }
  if (Number(state.rip) > state.segLimit.get(SEG_CS)) throw gp(ext)
  if (next.debugTrap) {
    state.dr.set(6, state.dr.get(6) | BigInt(DR6_BT))
    throw new GuestFault(Exception.DB)
  }
  return state.rip
}

/** Selectors are in place, without usable segments, before the first check can fault. */
function loadSegments(cpu: Cpu, next: Task, isVirtual8086: boolean, ext: number): void {
  const { state } = cpu
  const cpl = isVirtual8086 ? 3 : next.segments[SEG_CS]! & 3
  state.cpl = cpl
  loadNull(cpu, SEG_LDTR, next.ldt)
  next.segments.forEach((selector, seg) => {
    if (isVirtual8086) loadVirtual8086Segment(cpu, seg, selector)
    else loadNull(cpu, seg, selector, seg === SEG_SS ? cpl : 0)
  })
  updateWidths(cpu)
  cpu.modeChanged()

  if (!isNull(next.ldt)) {
    const code = selectorCode(next.ldt) | ext
    if ((next.ldt & SELECTOR_TI) !== 0) throw ts(code)
    const table = readDescriptor(cpu, next.ldt, Exception.TS, ext)
    if (table.isSegment || table.type !== TYPE_LDT || !table.isPresent) throw ts(code)
    loadDescriptor(cpu, SEG_LDTR, next.ldt, table)
  }
  if (isVirtual8086) return
  for (const seg of [SEG_CS, SEG_SS, SEG_DS, SEG_ES, SEG_FS, SEG_GS]) {
    const selector = next.segments[seg]!
    const code = selectorCode(selector) | ext
    if (isNull(selector)) {
      if (seg === SEG_CS || seg === SEG_SS) throw ts(code)
      continue
    }
    const descriptor = readDescriptor(cpu, selector, Exception.TS, ext)
    if (!isFit(seg, descriptor, cpl)) throw ts(code)
    if (!descriptor.isPresent) throw seg === SEG_SS ? ss(code) : np(code)
    markAccessed(cpu, descriptor)
    loadDescriptor(cpu, seg, selector, descriptor)
    updateWidths(cpu)
  }
  cpu.modeChanged()
}

function isFit(seg: number, descriptor: Descriptor, cpl: number): boolean {
  const { dpl, rpl } = descriptor
  if (seg === SEG_CS) return descriptor.isCode && (descriptor.isConforming ? dpl <= rpl : dpl === rpl)
  if (seg === SEG_SS) return descriptor.isWritableData && dpl === cpl && rpl === cpl
  return descriptor.isReadable && (descriptor.isConforming || (dpl >= cpl && dpl >= rpl))
}
