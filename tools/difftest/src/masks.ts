import type { DecodeRow } from '@guestmode/x86'
import type { Outcome, TestCase } from './case.ts'
import { decodeAt } from './decoding.ts'

/** What is not compared, and why. */

export interface Mask {
  readonly mnemonics: readonly string[]
  /** Flags of RFLAGS. */
  readonly flags?: number
  /** Greatest difference of x87 results in units of the last place. */
  readonly ulps?: number
  /** C1 with PE: which way the last approximation was rounded. */
  readonly roundedUp?: true
  /** Greatest relative difference of single-precision lanes. */
  readonly relative?: number
  /** Which of several accesses faults first. */
  readonly accessOrder?: true
  /** Some of the results are there although the instruction faulted. */
  readonly partial?: 'memory' | 'registers'
  readonly reason: string
}

export const masks: readonly Mask[] = [
  { mnemonics: ['POPA'], partial: 'registers', reason: 'a fault on the way leaves the host with the registers popped so far' },
  {
    mnemonics: ['FBSTP', 'FSTP'],
    partial: 'memory',
    reason: 'ten bytes across two pages: the host writes the first before it faults on the second',
  },
  {
    mnemonics: ['IRET', 'RETF', 'CALLF', 'JMPF'],
    accessOrder: true,
    reason: 'several words of the stack or of memory, read in an order of the processor’s own',
  },
  {
    mnemonics: ['F2XM1', 'FYL2X', 'FYL2XP1', 'FPTAN', 'FPATAN', 'FSIN', 'FCOS', 'FSINCOS'],
    ulps: 1,
    roundedUp: true,
    reason: 'processors approximate them, each in its way [SDM1 8.3.10 "Transcendental Instruction Accuracy"]',
  },
  {
    mnemonics: ['RCPPS', 'RCPSS', 'RSQRTPS', 'RSQRTSS'],
    relative: 2 * 1.5 * 2 ** -12,
    reason:
      'approximations, good to 1.5 * 2^-12 on either side [SDM2 "RCPPS—Compute Reciprocals of Packed Single Precision Floating-Point Values"]',
  },
]

const byMnemonic = new Map(masks.flatMap((mask) => mask.mnemonics.map((name): [string, Mask] => [name, mask])))

export const maskOf = (mnemonic: string): Mask | undefined => byMnemonic.get(mnemonic)

/** What an instruction leaves undefined must not be read by another. */
export const endsSequence = (row: DecodeRow): boolean => byMnemonic.has(row.mnemonic)

const GP = 13
const ERROR_SUMMARY = 0x80
const nearBranches: ReadonlySet<string> = new Set(['JMP', 'CALL', 'RET', 'JCC', 'LOOP', 'LOOPE', 'LOOPNE', 'JCXZ'])

/**
 * Our processor records the x87 instruction and data pointers only for an unmasked exception [docs/errata.md "x87 instruction and
 * data pointers"], so they are compared when one has become pending.
 */
export function comparesPointers(test: TestCase, host: Outcome): boolean {
  const raised = (test.fp.status & ERROR_SUMMARY) === 0 && (host.fp.status & ERROR_SUMMARY) !== 0
  return raised && !test.instructions.some((bytes) => unmasking.has(decodeAt([...bytes], test.mode)?.mnemonic ?? ''))
}

/** They may make an exception pending that an earlier instruction raised. */
const unmasking: ReadonlySet<string> = new Set(['FLDCW', 'FLDENV', 'FRSTOR', 'FXRSTOR'])

/** Instructions that store those pointers come first, so that what they store is what the case began with. */
export const beginsSequence = ({ mnemonic }: DecodeRow): boolean => ['FNSTENV', 'FNSAVE', 'FXSAVE'].includes(mnemonic)

/** Our processor reports a near branch beyond the limit of CS at its target, not at the branch. [docs/errata.md "The limit of CS"] */
export function isBeyondCodeLimit(test: TestCase, host: Outcome): boolean {
  if (test.mode !== 16 || host.vector !== GP) return false
  let at = BigInt(test.codeOffset)
  for (const bytes of test.instructions) {
    const insn = decodeAt([...bytes], test.mode)
    if (at === host.rip) return insn !== undefined && nearBranches.has(insn.mnemonic)
    at += BigInt(bytes.length)
  }
  return false
}
