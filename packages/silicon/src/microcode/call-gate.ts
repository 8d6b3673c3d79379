import { AR_DPL_SHIFT, AR_UNUSABLE, Exception, gateOffset, SEG_CS, SEG_SS, TYPE_CALL_GATE } from '@guestmode/x86'
import type { Cpu } from '../cpu/cpu.ts'
import { isNull, markAccessed, readDescriptor, readUpperHalf, type Descriptor } from './descriptor.ts'
import { gp, np, selectorCode, ss } from './faults.ts'
import { isCanonical, isLong, updateWidths } from './mode.ts'
import { loadDescriptor, loadSegment } from './segment.ts'
import { currentStack, longStack, stackOf, type Stack } from './stack.ts'
import { isCanonicalHigh, pairHigh } from './words.ts'
import { innerRsp, innerStack, innerStackSegment } from './tss.ts'

/** Far transfers through call gates. [SDM3 5.8.3 "Call Gates"] */

interface Target {
  readonly code: Descriptor
  readonly offset: bigint
  /** Size of what is pushed. */
  readonly size: 2 | 4 | 8
}

/** Reads the gate's target with the checks that JMP and CALL share. */
function readTarget(cpu: Cpu, gate: Descriptor, isJump: boolean): Target {
  const { cpl } = cpu.state
  const gateCode = selectorCode(gate.selector)
  if (gate.dpl < cpl || gate.dpl < gate.rpl) throw gp(gateCode)
  const long = isLong(cpu)
  const upper = long ? readUpperHalf(cpu, gate, Exception.GP) : 0
  if (!gate.isPresent) throw np(gateCode)
  const selector = gate.low >>> 16
  if (isNull(selector)) throw gp(0)
  const code = readDescriptor(cpu, selector, Exception.GP)
  const error = selectorCode(selector)
  if (!code.isCode || code.dpl > cpl) throw gp(error)
  if (isJump && !code.isConforming && code.dpl !== cpl) throw gp(error)
  if (long && (!code.isLong || code.isBig)) throw gp(error)
  if (!code.isPresent) throw np(error)
  if (long) {
    const offset = BigInt(gateOffset(gate.low, gate.high)) | (BigInt(upper) << 32n)
    if (!isCanonical(offset)) throw gp(0)
    return { code, offset, size: 8 }
  }
  const is32 = gate.type === TYPE_CALL_GATE
  const offset = is32 ? gateOffset(gate.low, gate.high) : gate.low & 0xffff
  return { code, offset: BigInt(offset), size: is32 ? 4 : 2 }
}

function enterCode(cpu: Cpu, { code, offset }: Target, cpl: number): void {
  cpu.state.cpl = cpl
  loadDescriptor(cpu, SEG_CS, selectorCode(code.selector) | cpl, code)
  updateWidths(cpu)
  cpu.nextRip = offset
  cpu.modeChanged()
}

export function jumpThroughGate(cpu: Cpu, gate: Descriptor): void {
  const target = readTarget(cpu, gate, true)
  checkLimit(cpu, target)
  markAccessed(cpu, target.code)
  enterCode(cpu, target, cpu.state.cpl)
}

function checkLimit(cpu: Cpu, { code, offset }: Target): void {
  if (!isLong(cpu) && offset > BigInt(code.limit)) throw gp(0)
}

export function callThroughGate(cpu: Cpu, gate: Descriptor): void {
  const { state } = cpu
  const target = readTarget(cpu, gate, false)
  const { code, size } = target
  const isInner = !code.isConforming && code.dpl < state.cpl
  const cpl = isInner ? code.dpl : state.cpl
  const from = currentStack(cpu)
  let stack: Stack = from
  let segment: Descriptor | undefined
  if (isInner) {
    if (size === 8) {
      const low = innerRsp(cpu, cpl, 0)
      if (!isCanonicalHigh(pairHigh)) throw ss(0)
      stack = longStack(cpu, pairHigh, low, cpl, 0)
    } else {
      const { selector, esp } = innerStack(cpu, cpl, 0)
      segment = innerStackSegment(cpu, selector, cpl, 0)
      stack = stackOf(cpu, segment.base, segment.limit, segment.access, esp, cpl, selectorCode(selector))
    }
  } else if (size === 8 && stack.width !== 64) {
    stack = longStack(cpu, 0, from.low, cpl, 0)
  }
  checkLimit(cpu, target)
  if (isInner) {
    stack.push(size, BigInt(state.segSelector.get(SEG_SS)))
    stack.push(size, BigInt.asUintN(size * 8, from.sp))
    if (size !== 8) copyParameters(from, stack, gate.high & 0x1f, size)
  }
  stack.push(size, BigInt(state.segSelector.get(SEG_CS)))
  stack.push(size, BigInt.asUintN(size * 8, cpu.nextRip))
  markAccessed(cpu, code)
  if (segment !== undefined) markAccessed(cpu, segment)

  if (segment !== undefined) loadDescriptor(cpu, SEG_SS, segment.selector, segment)
  else if (isInner) loadSegment(cpu, SEG_SS, cpl, 0, 0, AR_UNUSABLE | (cpl << AR_DPL_SHIFT))
  stack.commit()
  enterCode(cpu, target, cpl)
}

/** Parameters lie on the caller's stack, the last one pushed lowest. */
function copyParameters(from: Stack, to: Stack, count: number, size: 2 | 4): void {
  const values: bigint[] = []
  for (let i = 0; i < count; i++) values.push(from.pop(size))
  for (const value of values.reverse()) to.push(size, value)
}
