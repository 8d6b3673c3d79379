import { AR_DB, AR_DPL_SHIFT, AR_G, AR_AVL, AR_P, AR_S, AR_UNUSABLE, Exception, SEG_CS, SEG_FS, SEG_SS } from '@guestmode/x86'
import type { Cpu } from '../cpu/cpu.ts'
import type { Descriptor } from './descriptor.ts'
import { isNull, markAccessed, readDescriptor } from './descriptor.ts'
import { gp, np, selectorCode, ss } from './faults.ts'
import { isVirtual8086 } from './flags.ts'
import { isLong, isProtected, updateWidths } from './mode.ts'
import { setSegBase32 } from './words.ts'

/** Puts a segment into its register, all checks done. `updateWidths` and `modeChanged` follow when the last one is loaded. */
export function loadSegment(cpu: Cpu, seg: number, selector: number, base: number, limit: number, access: number): void {
  const { state } = cpu
  state.segSelector.set(seg, selector)
  setSegBase32(cpu, seg, base)
  state.segLimit.set(seg, limit)
  state.segAccess.set(seg, access)
}

export function loadDescriptor(cpu: Cpu, seg: number, selector: number, descriptor: Descriptor): void {
  loadSegment(cpu, seg, selector, descriptor.base, descriptor.limit, descriptor.access)
}

/** A null selector. `dpl` keeps the rule that CPL is SS.DPL. */
export function loadNull(cpu: Cpu, seg: number, selector: number, dpl = 0): void {
  loadSegment(cpu, seg, selector, 0, 0, AR_UNUSABLE | (dpl << AR_DPL_SHIFT))
}

/** Real-address mode: only the base changes; a segment that protected mode left unusable or as code becomes writable data. */
export function loadRealSegment(cpu: Cpu, seg: number, selector: number): void {
  const { state } = cpu
  const kept = state.segAccess.get(seg) & (AR_DB | AR_G | AR_AVL)
  loadSegment(cpu, seg, selector, selector << 4, state.segLimit.get(seg), kept | AR_P | AR_S | 3)
}

/** [SDM3 20.2 "Virtual-8086 Mode": segments as VM entry demands them too] */
export function loadVirtual8086Segment(cpu: Cpu, seg: number, selector: number): void {
  loadSegment(cpu, seg, selector, selector << 4, 0xffff, AR_P | AR_S | (3 << AR_DPL_SHIFT) | 3)
}

/** Flat code and stack segments of SYSENTER, SYSCALL and their returns. */
export function loadFlat(cpu: Cpu, seg: number, selector: number, access: number): void {
  loadSegment(cpu, seg, selector, 0, 0xffff_ffff, access)
}

/** Checks of a stack segment for code at level `cpl`. [SDM2 "MOV—Move", operation] */
export function checkStackSegment(cpu: Cpu, selector: number, cpl: number): Descriptor {
  const descriptor = readDescriptor(cpu, selector, Exception.GP)
  const code = selectorCode(selector)
  if (descriptor.rpl !== cpl || !descriptor.isWritableData || descriptor.dpl !== cpl) throw gp(code)
  if (!descriptor.isPresent) throw ss(code)
  return descriptor
}

/** Checks of DS, ES, FS and GS. */
export function checkDataSegment(cpu: Cpu, selector: number): Descriptor {
  const descriptor = readDescriptor(cpu, selector, Exception.GP)
  const code = selectorCode(selector)
  if (!descriptor.isReadable) throw gp(code)
  if (!descriptor.isConforming && (descriptor.rpl > descriptor.dpl || cpu.state.cpl > descriptor.dpl)) throw gp(code)
  if (!descriptor.isPresent) throw np(code)
  return descriptor
}

/** MOV, POP, LDS and the like: any of ES, SS, DS, FS, GS in any mode. */
export function loadSegmentRegister(cpu: Cpu, seg: number, selector: number): void {
  if (!isProtected(cpu)) {
    if (isVirtual8086(cpu)) loadVirtual8086Segment(cpu, seg, selector)
    else loadRealSegment(cpu, seg, selector)
  } else if (isNull(selector)) {
    const { codeWidth, cpl } = cpu.state
    if (seg === SEG_SS && (codeWidth !== 64 || cpl === 3 || (selector & 3) !== cpl)) throw gp(0)
    loadNull(cpu, seg, selector, seg === SEG_SS ? cpl : 0)
  } else {
    const descriptor = seg === SEG_SS ? checkStackSegment(cpu, selector, cpu.state.cpl) : checkDataSegment(cpu, selector)
    markAccessed(cpu, descriptor)
    loadDescriptor(cpu, seg, selector, descriptor)
  }
  if (seg === SEG_SS) updateWidths(cpu)
  cpu.modeChanged()
}

/**
 * Code of the same or a lower privilege must not inherit data segments of a higher one; null selectors become 0.
 * [SDM2 "IRET/IRETD/IRETQ—Interrupt Return", operation]
 */
export function dropPrivilegedSegments(cpu: Cpu, cpl: number): void {
  const { state } = cpu
  for (let seg = 0; seg <= SEG_FS + 1; seg++) {
    if (seg === SEG_CS || seg === SEG_SS) continue
    const access = state.segAccess.get(seg)
    if (isNull(state.segSelector.get(seg))) state.segSelector.set(seg, 0)
    if ((access & AR_UNUSABLE) !== 0 || ((access >>> AR_DPL_SHIFT) & 3) >= cpl) continue
    if ((access & (AR_S | 0xc)) === (AR_S | 0xc)) continue
    loadNull(cpu, seg, 0)
  }
}

/** CS.L and CS.D both set is reserved in long mode. */
export function isReservedCode(cpu: Cpu, descriptor: Descriptor): boolean {
  return descriptor.isLong && descriptor.isBig && isLong(cpu)
}
