import type { DecodeRow } from '@guestmode/x86'
import type { Mode } from './case.ts'
import { code, data, imageAt, stack } from './layout.ts'
import type { Random } from './random.ts'
import type { Registers } from './registers.ts'
import { target } from './target.ts'
import { octoword } from './values.ts'

/** What an instruction needs of the state, beside an address, to do more than fault. */

export interface Preparation {
  readonly random: Random
  readonly registers: Registers
  readonly mode: Mode
  readonly hasLow: boolean
  patch(address: bigint, bytes: readonly number[]): void
}

const [RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI] = [0, 1, 2, 3, 4, 5, 6, 7]

const bytesOf = (value: bigint, count: number): number[] =>
  Array.from({ length: count }, (_, i) => Number((BigInt.asUintN(8 * count, value) >> BigInt(8 * i)) & 0xffn))

const pointer = ({ random, mode, hasLow }: Preparation, bytes: number, aligned = false): bigint => {
  const linear = target(random, { mode, bytes, aligned, addressSize: mode, hasLow })
  return mode === 16 ? linear - data.address : linear
}

function setIfFree({ registers }: Preparation, index: number, value: () => bigint): void {
  if (registers.isFree(index)) registers.set(index, value())
}

/** Where a branch may go: INT3 everywhere but in the sequence. */
const destination = ({ random, mode }: Preparation): bigint => {
  const offset = BigInt(random.chance(0.5) ? random.between(0, 0x700) : random.between(0xa00, 0x1fff))
  return mode === 16 ? offset : code.address + offset
}

const flagImage = (random: Random): bigint =>
  // No AC: our processor has no alignment check. TF seldom.
  random.u64() & ~0x4_0000n & (random.chance(0.1) ? ~0n : ~0x100n)

const selector = (random: Random): bigint =>
  BigInt(random.pick([0x23, 0x33, 0x2b, 0x33, 0x23, 0x2b, 0x20, 0, 3, 0x10, 0x1b, 0x7f, 0xffff, 0x18]))

export function prepare(row: DecodeRow, p: Preparation): void {
  const { random, registers, mode } = p
  const word = mode / 8
  const stackTop = (): bigint => registers.get(RSP) + (mode === 16 ? stack.address : 0n)
  const push = (values: readonly bigint[], size = word): void =>
    p.patch(
      stackTop(),
      values.flatMap((value) => bytesOf(value, size)),
    )
  switch (row.mnemonic) {
    case 'MOVS':
    case 'CMPS':
    case 'LODS':
    case 'OUTS':
    case 'STOS':
    case 'SCAS':
    case 'INS':
      setIfFree(p, RSI, () => pointer(p, 64))
      setIfFree(p, RDI, () => pointer(p, 64))
      setIfFree(p, RCX, () => (random.chance(0.9) ? BigInt(random.below(40)) : random.u64()))
      return
    case 'LOOP':
    case 'LOOPE':
    case 'LOOPNE':
    case 'JCXZ':
      if (registers.isFree(RCX)) registers.setLow(RCX, random.pick([16, 32, 64]), BigInt(random.below(3)))
      return
    case 'XLAT':
      setIfFree(p, RBX, () => pointer(p, 256))
      return
    case 'MASKMOVQ':
    case 'MASKMOVDQU':
      setIfFree(p, RDI, () => pointer(p, 16))
      return
    case 'LEAVE':
    case 'ENTER':
      setIfFree(p, RBP, () => (mode === 16 ? 0n : stack.address) + BigInt(random.between(0x100, 0xe00)))
      return
    case 'POPF':
      push([flagImage(random)])
      return
    case 'RET':
      if (random.chance(0.9)) push([destination(p)])
      return
    case 'RETF':
      push([destination(p), selector(random), registers.get(RSP), 0x2bn], random.pick([2, 4, word]))
      return
    case 'IRET':
      push(
        [destination(p), selector(random), flagImage(random) & ~0x1_0000n, stackTop(), 0x2bn],
        random.pick([2, 4, word, word, word]),
      )
      return
    case 'JMP':
    case 'CALL':
      if (row.operands[0] === 'Ev' && random.chance(0.9)) {
        for (const index of [RAX, RDX, RBX]) setIfFree(p, index, () => destination(p))
      }
      return
    case 'PUSH':
    case 'POP':
      if (row.mnemonic === 'POP' && row.operands.some((letter) => letter.endsWith('S'))) push([selector(random)])
      return
    case 'MOV':
    case 'LAR':
    case 'LSL':
    case 'VERR':
    case 'VERW':
      if (row.operands.some((letter) => letter === 'Ew' || letter === 'Sw-CS') && random.chance(0.9)) {
        for (const index of [RAX, RCX, RDX, RBX]) if (registers.isFree(index)) registers.setLow(index, 16, selector(random))
      }
      return
    case 'BT':
    case 'BTS':
    case 'BTR':
    case 'BTC':
      // A bit offset in a register reaches far.
      if (row.operands[1] === 'Gv' && random.chance(0.9)) {
        for (let index = 0; index < 16; index++) {
          if (index === RSP || !registers.isFree(index) || random.chance(0.2)) continue
          registers.set(index, BigInt(random.between(-300, 300)))
        }
      }
      return
    case 'DIV':
    case 'IDIV':
      if (random.chance(0.7)) {
        const high = random.pick([0n, 0n, -1n, 1n, BigInt(random.below(256))])
        setIfFree(p, RDX, () => high)
        if (random.chance(0.3))
          setIfFree(p, RAX, () => BigInt(random.below(0x10000)) | (random.chance(0.5) ? 0n : random.u64() & 0xffn))
      }
      return
    case 'CMPXCHG8B':
    case 'CMPXCHG16B':
    case 'CMPXCHG':
      // Equal half of the time: `afterwards` puts the accumulator there.
      return
  }
}

/** With the address known: contents that the instruction does not refuse. */
export function afterwards(row: DecodeRow, at: bigint, operandSize: number, p: Preparation): void {
  const { random, registers } = p
  if (imageAt(at) === undefined) return
  switch (row.mnemonic) {
    case 'CMPXCHG8B':
      if (random.chance(0.5)) p.patch(at, [...bytesOf(registers.get(RAX), 4), ...bytesOf(registers.get(RDX), 4)])
      return
    case 'CMPXCHG16B':
      if (random.chance(0.5)) p.patch(at, [...bytesOf(registers.get(RAX), 8), ...bytesOf(registers.get(RDX), 8)])
      return
    case 'CMPXCHG':
      if (random.chance(0.5)) p.patch(at, bytesOf(registers.get(RAX), operandSize / 8))
      return
    case 'LDMXCSR':
      if (random.chance(0.9)) p.patch(at, bytesOf(random.u64() & 0xffffn, 4))
      return
    case 'FXRSTOR': {
      const image = Array.from({ length: 32 }, () => bytesOf(octoword(random), 16)).flat()
      if (random.chance(0.9)) image.splice(24, 4, ...bytesOf(random.u64() & 0xffffn, 4))
      p.patch(at, image)
      return
    }
    case 'FLDCW':
      p.patch(at, bytesOf(random.u64(), 2))
      return
    case 'CALL':
    case 'JMP':
      if (random.chance(0.9)) p.patch(at, bytesOf(destination(p), operandSize / 8))
      return
    case 'CALLF':
    case 'JMPF':
      p.patch(at, [...bytesOf(destination(p), operandSize / 8), ...bytesOf(selector(random), 2)])
      return
    case 'LES':
    case 'LDS':
    case 'LSS':
    case 'LFS':
    case 'LGS':
      p.patch(at, [...bytesOf(random.u64(), operandSize / 8), ...bytesOf(selector(random), 2)])
      return
    case 'MOV':
    case 'LAR':
    case 'LSL':
    case 'VERR':
    case 'VERW':
      if (row.operands.some((letter) => letter === 'Ew' || letter === 'Sw-CS') && random.chance(0.9))
        p.patch(at, bytesOf(selector(random), 2))
  }
}
