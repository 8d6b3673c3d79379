import type { Letter } from '../letters.ts'
import type { Mnemonic } from '../mnemonics.ts'
import { digit, modrm, needs, row, table, type RowSpec } from '../notation.ts'

/** The eight operations of D8, DC, DA, DE in the order of ModRM.reg. */
const floating = ['FADD', 'FMUL', 'FCOM', 'FCOMP', 'FSUB', 'FSUBR', 'FDIV', 'FDIVR'] as const
const integer = ['FIADD', 'FIMUL', 'FICOM', 'FICOMP', 'FISUB', 'FISUBR', 'FIDIV', 'FIDIVR'] as const

const inMemory = (mnemonics: readonly Mnemonic[], operand: Letter): RowSpec[] =>
  mnemonics.map((mnemonic, reg) => row(mnemonic, operand, digit(reg)))

const conditionalMoves = (...mnemonics: Mnemonic[]): RowSpec[] =>
  mnemonics.map((mnemonic, reg) => row(mnemonic, 'ST0', 'STi', digit(reg), needs('cmov')))

/** ModRM bytes of instructions without operands. */
const bytes = (encodings: Record<number, Mnemonic>): RowSpec[] =>
  Object.entries(encodings).map(([byte, mnemonic]) => row(mnemonic, modrm(Number(byte))))

/**
 * [SDM2 A.5 "Escape Opcode Instructions"]. The register forms that the tables leave blank but that processors execute as a neighbour
 * (D9 D8 FSTP without a look at the tag, DC D0 FCOM, DC D8 FCOMP, DD C8 FXCH, DE D0 FCOMP, DF C0 FFREEP, DF C8 FXCH, DF D0 and DF D8 FSTP): [APM3 Appendix A
 * "Opcode and Operand Encodings"]. FNENI, FNDISI and FNSETPM have done nothing since the 387. [SDM1 8.3.13 "Unsupported x87 FPU Instructions"]
 */
export const x87 = table('1', 'fpu', {
  0xd8: [
    ...inMemory(floating, 'Md'),
    row('FADD', 'ST0', 'STi', digit(0)),
    row('FMUL', 'ST0', 'STi', digit(1)),
    row('FCOM', 'STi', digit(2)),
    row('FCOMP', 'STi', digit(3)),
    row('FSUB', 'ST0', 'STi', digit(4)),
    row('FSUBR', 'ST0', 'STi', digit(5)),
    row('FDIV', 'ST0', 'STi', digit(6)),
    row('FDIVR', 'ST0', 'STi', digit(7)),
  ],
  0xd9: [
    row('FLD', 'Md', digit(0)),
    row('FST', 'Md', digit(2)),
    row('FSTP', 'Md', digit(3)),
    row('FLDENV', 'Menv', digit(4)),
    row('FLDCW', 'Mw', digit(5)),
    row('FNSTENV', 'Menv', digit(6)),
    row('FNSTCW', 'Mw', digit(7)),
    row('FLD', 'STi', digit(0)),
    row('FXCH', 'STi', digit(1)),
    row('FSTPNCE', 'STi', 'ST0', digit(3)),
    ...bytes({ 0xd0: 'FNOP', 0xe0: 'FCHS', 0xe1: 'FABS', 0xe4: 'FTST', 0xe5: 'FXAM' }),
    ...bytes({ 0xe8: 'FLD1', 0xe9: 'FLDL2T', 0xea: 'FLDL2E', 0xeb: 'FLDPI', 0xec: 'FLDLG2', 0xed: 'FLDLN2', 0xee: 'FLDZ' }),
    ...bytes({ 0xf0: 'F2XM1', 0xf1: 'FYL2X', 0xf2: 'FPTAN', 0xf3: 'FPATAN', 0xf4: 'FXTRACT', 0xf5: 'FPREM1', 0xf6: 'FDECSTP' }),
    ...bytes({ 0xf7: 'FINCSTP', 0xf8: 'FPREM', 0xf9: 'FYL2XP1', 0xfa: 'FSQRT', 0xfb: 'FSINCOS', 0xfc: 'FRNDINT' }),
    ...bytes({ 0xfd: 'FSCALE', 0xfe: 'FSIN', 0xff: 'FCOS' }),
  ],
  0xda: [...inMemory(integer, 'Md'), ...conditionalMoves('FCMOVB', 'FCMOVE', 'FCMOVBE', 'FCMOVU'), ...bytes({ 0xe9: 'FUCOMPP' })],
  0xdb: [
    row('FILD', 'Md', digit(0)),
    row('FISTTP', 'Md', digit(1), needs('sse3')),
    row('FIST', 'Md', digit(2)),
    row('FISTP', 'Md', digit(3)),
    row('FLD', 'Mt', digit(5)),
    row('FSTP', 'Mt', digit(7)),
    ...conditionalMoves('FCMOVNB', 'FCMOVNE', 'FCMOVNBE', 'FCMOVNU'),
    ...bytes({ 0xe0: 'FNENI', 0xe1: 'FNDISI', 0xe2: 'FNCLEX', 0xe3: 'FNINIT', 0xe4: 'FNSETPM' }),
    row('FUCOMI', 'ST0', 'STi', digit(5), needs('cmov')),
    row('FCOMI', 'ST0', 'STi', digit(6), needs('cmov')),
  ],
  0xdc: [
    ...inMemory(floating, 'Mq'),
    row('FADD', 'STi', 'ST0', digit(0)),
    row('FMUL', 'STi', 'ST0', digit(1)),
    row('FCOM', 'STi', digit(2)),
    row('FCOMP', 'STi', digit(3)),
    row('FSUBR', 'STi', 'ST0', digit(4)),
    row('FSUB', 'STi', 'ST0', digit(5)),
    row('FDIVR', 'STi', 'ST0', digit(6)),
    row('FDIV', 'STi', 'ST0', digit(7)),
  ],
  0xdd: [
    row('FLD', 'Mq', digit(0)),
    row('FISTTP', 'Mq', digit(1), needs('sse3')),
    row('FST', 'Mq', digit(2)),
    row('FSTP', 'Mq', digit(3)),
    row('FRSTOR', 'Msave', digit(4)),
    row('FNSAVE', 'Msave', digit(6)),
    row('FNSTSW', 'Mw', digit(7)),
    row('FFREE', 'STi', digit(0)),
    row('FXCH', 'STi', digit(1)),
    row('FST', 'STi', digit(2)),
    row('FSTP', 'STi', digit(3)),
    row('FUCOM', 'STi', digit(4)),
    row('FUCOMP', 'STi', digit(5)),
  ],
  0xde: [
    ...inMemory(integer, 'Mw'),
    row('FADDP', 'STi', 'ST0', digit(0)),
    row('FMULP', 'STi', 'ST0', digit(1)),
    row('FCOMP', 'STi', digit(2)),
    ...bytes({ 0xd9: 'FCOMPP' }),
    row('FSUBRP', 'STi', 'ST0', digit(4)),
    row('FSUBP', 'STi', 'ST0', digit(5)),
    row('FDIVRP', 'STi', 'ST0', digit(6)),
    row('FDIVP', 'STi', 'ST0', digit(7)),
  ],
  0xdf: [
    row('FILD', 'Mw', digit(0)),
    row('FISTTP', 'Mw', digit(1), needs('sse3')),
    row('FIST', 'Mw', digit(2)),
    row('FISTP', 'Mw', digit(3)),
    row('FBLD', 'Mt', digit(4)),
    row('FILD', 'Mq', digit(5)),
    row('FBSTP', 'Mt', digit(6)),
    row('FISTP', 'Mq', digit(7)),
    row('FFREEP', 'STi', digit(0)),
    row('FXCH', 'STi', digit(1)),
    row('FSTP', 'STi', digit(2)),
    row('FSTP', 'STi', digit(3)),
    row('FNSTSW', 'AX', modrm(0xe0)),
    row('FUCOMIP', 'ST0', 'STi', digit(5), needs('cmov')),
    row('FCOMIP', 'ST0', 'STi', digit(6), needs('cmov')),
  ],
})
