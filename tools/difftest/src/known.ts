import type { Insn } from '@guestmode/x86'
import { codeOf, type Outcome, type TestCase } from './case.ts'
import { decodeAt, memoryOf } from './decoding.ts'

/** Differences of our interpreter that are known, and taken out of the comparison, each with its reason. */

const [SS, GP, PF] = [12, 13, 14]
const SEG_CS = 1
const SEG_SS = 2
const ARITHMETIC = 0x8d5
const [RCX, RSI, RDI] = [1, 6, 7]

/** The instruction at which the host stopped. */
function stoppedAt(test: TestCase, host: Outcome): Insn | undefined {
  const start = Number(host.rip & 0xffffn) - test.codeOffset
  const text = codeOf(test)
  return start < 0 || start >= text.length ? undefined : decodeAt([...text.subarray(start)], test.mode)
}

const isFault = ({ vector }: Outcome): boolean => vector === SS || vector === GP || vector === PF

/** Changes `ours` where it is known to differ. Returns why the case says nothing any more, if so. */
export function settleKnown(test: TestCase, host: Outcome, ours: Outcome): string | undefined {
  const insn = stoppedAt(test, host)
  const memory = insn && memoryOf(insn)
  if (test.mode !== 64 && host.vector === GP && memory?.seg === SEG_CS) {
    if (test.mode === 32) return 'a write through CS in flat 32-bit code'
    if (insn!.mnemonic.startsWith('BT')) return 'a bit string through CS is read before it is refused'
  }
  if (test.mode === 64 && test.instructions.some((bytes) => isMisbased(decodeAt([...bytes], test.mode), test)))
    return 'alignment checked without the base of FS or GS'
  if (test.mode !== 64 && host.vector === PF && ours.vector === GP && memory !== undefined && memory.seg >= 4)
    return 'an operand in a flat FS or GS does not wrap round'
  // A non-canonical address in the stack segment.
  if (test.mode === 64 && host.vector === SS && ours.vector === GP) ours.vector = SS
  if (host.vector === SS && ours.vector === GP && memory?.seg === SEG_SS && memory.width >= 128)
    return 'misaligned, and beyond the limit of SS'
  if (insn !== undefined && isFault(host)) {
    if (insn.rep !== 0 && (insn.mnemonic === 'CMPS' || insn.mnemonic === 'SCAS'))
      ours.rflags = (ours.rflags & ~ARITHMETIC) | (host.rflags & ARITHMETIC)
    if (host.vector === PF && ours.vector === PF && (insn.mnemonic.startsWith('BT') || insn.mnemonic === 'ENTER')) {
      ours.errorCode = host.errorCode
      ours.cr2 = host.cr2
    }
  }
  for (const [i, bytes] of test.instructions.entries()) {
    const each = decodeAt([...bytes], test.mode)
    if (each !== undefined && each.rep !== 0 && test.mode === 64 && each.addressSize === 32) {
      if (i < test.instructions.length - 1) return 'REP with 32-bit addresses clears the upper halves even for no iteration'
      for (const register of [RCX, RSI, RDI]) {
        const low = 0xffff_ffffn
        if ((ours.gpr[register]! & low) === (host.gpr[register]! & low)) ours.gpr[register] = host.gpr[register]!
      }
    }
  }
  return undefined
}

function isMisbased(insn: Insn | undefined, test: TestCase): boolean {
  const memory = insn && memoryOf(insn)
  if (insn === undefined || memory === undefined || memory.seg < 4 || memory.width < 64) return false
  return ((memory.seg === 4 ? test.fsBase : test.gsBase) & 15n) !== 0n
}
