import type { Insn, Operand } from '@guestmode/x86'

const sizeCode = (width: number): number => (width === 64 ? 2 : width === 32 ? 1 : 0)

/** Of an operand, what its decode row leaves open and its shape depends on. 9 bits. */
function operandBits(operand: Operand | undefined): number {
  if (operand === undefined) return 0
  // Widths are multiples of 8 up to 512 bits, or 0: their logarithm, and 80 and 48 bits by their next power.
  const width = operand.width === 0 ? 0 : 32 - Math.clz32(operand.width)
  switch (operand.kind) {
    case 'reg':
      return width | (operand.cls === 'st' || operand.cls === 'mmx' ? operand.index << 4 : 0)
    case 'mem':
      return (
        width |
        (operand.index >= 0 ? 1 << 4 : 0) |
        (operand.ripRelative ? 1 << 5 : 0) |
        (operand.disp64 !== undefined ? 1 << 6 : 0) |
        (operand.seg >= 4 ? 1 << 7 : 0) |
        (1 << 8)
      )
    default:
      return width
  }
}

/** A number that is the same for two instructions only if their shapes are (see `shapeKey`); cheaper to make than the key. 51 bits. */
export function signatureOf(insn: Insn, modeNumber: number): number {
  const [a, b, c] = insn.operands
  const facts =
    modeNumber |
    (sizeCode(insn.operandSize) << 4) |
    (sizeCode(insn.addressSize) << 6) |
    ((insn.rep & 3) << 8) |
    ((insn.cc & 0xf) << 10)
  const operands = operandBits(a) | (operandBits(b) << 9) | (operandBits(c) << 18)
  return (insn.row.id * 0x800_0000 + operands) * 0x4000 + facts
}
