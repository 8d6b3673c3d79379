import type { Insn, MemOperand, Operand, StagedOperand } from '@guestmode/x86'

/** What the decoder's surroundings fix for all instructions of a block. */
export interface CodeMode {
  readonly codeWidth: 16 | 32 | 64
  readonly stackWidth: 16 | 32 | 64
  /** CS, DS, ES and SS have base 0 and no limit to check (always so in 64-bit code). */
  readonly flat: boolean
}

/** How a memory operand's linear address is found. */
export interface MemoryForm {
  readonly addressSize: 16 | 32 | 64
  /** `flat`: the offset is the linear address. `based`: a segment base is added. `checked`: by base and limit. */
  readonly segmentation: 'flat' | 'based' | 'checked'
  readonly indexed: boolean
  readonly ripRelative: boolean
  /** The offset is 64 bits in the immediate field (MOV with moffs64). */
  readonly absolute: boolean
  /** String instructions have two memory operands, at ES:rDI and at seg:rSI; their base is known here, not from the record. */
  readonly string: 'none' | 'source' | 'destination'
}

export type OperandShape =
  | {
      readonly kind: 'reg'
      readonly cls: Exclude<StagedOperand & { kind: 'reg' }, never>['cls']
      readonly width: number
      readonly index: number | undefined
    }
  | { readonly kind: 'mem'; readonly width: number; readonly form: MemoryForm }
  | { readonly kind: 'imm' | 'rel' | 'far'; readonly width: number }

/** Everything about an instruction that is known when its handler is generated. */
export interface Shape {
  readonly mnemonic: string
  readonly mode: CodeMode
  readonly operandSize: 16 | 32 | 64
  readonly addressSize: 16 | 32 | 64
  readonly cc: number
  readonly rep: 0 | 0xf2 | 0xf3
  readonly lock: boolean
  readonly operands: readonly OperandShape[]
}

const stringMnemonics: ReadonlySet<string> = new Set(['MOVS', 'CMPS', 'STOS', 'LODS', 'SCAS'])

export const isString = (mnemonic: string): boolean => stringMnemonics.has(mnemonic)

export function memoryForm(operand: MemOperand, mode: CodeMode, mnemonic: string): MemoryForm {
  const string = !isString(mnemonic) ? 'none' : operand.base === 7 ? 'destination' : 'source'
  const based = operand.seg >= 4
  const segmentation =
    mode.codeWidth === 64 ? (based ? 'based' : 'flat') : mode.flat && !based && operand.addrSize === 32 ? 'flat' : 'checked'
  return {
    addressSize: operand.addrSize,
    segmentation,
    indexed: operand.index >= 0,
    ripRelative: operand.ripRelative,
    absolute: operand.disp64 !== undefined,
    string,
  }
}

function operandShape(operand: Operand, mode: CodeMode, mnemonic: string): OperandShape {
  switch (operand.kind) {
    case 'reg':
      // Handlers of x87 and MMX instructions know their registers: ST(i) is relative to TOP, MMX writes set an exponent too.
      return {
        kind: 'reg',
        cls: operand.cls === 'gpr8h' ? 'gpr' : operand.cls,
        width: operand.width,
        index: operand.cls === 'st' || operand.cls === 'mmx' ? operand.index : undefined,
      }
    case 'mem':
      return { kind: 'mem', width: operand.width, form: memoryForm(operand, mode, mnemonic) }
    default:
      return { kind: operand.kind, width: operand.width }
  }
}

export const shapeOf = (insn: Insn, mode: CodeMode): Shape => ({
  mnemonic: insn.mnemonic,
  mode,
  operandSize: insn.operandSize,
  addressSize: insn.addressSize,
  cc: insn.cc,
  rep: insn.rep,
  lock: insn.lock,
  operands: insn.operands.map((operand) => operandShape(operand, mode, insn.mnemonic)),
})

const formKey = ({ addressSize, segmentation, indexed, ripRelative, absolute, string }: MemoryForm): string =>
  `${addressSize}${segmentation[0]}${indexed ? 'x' : ''}${ripRelative ? 'r' : ''}${absolute ? 'a' : ''}${string[0]}`

const operandKey = (operand: OperandShape): string => {
  switch (operand.kind) {
    case 'reg':
      return `${operand.cls}${operand.width}${operand.index === undefined ? '' : `#${operand.index}`}`
    case 'mem':
      return `m${operand.width}:${formKey(operand.form)}`
    default:
      return `${operand.kind}${operand.width}`
  }
}

/** Two instructions with equal keys share a handler. */
export const shapeKey = (shape: Shape): string =>
  `${shape.mnemonic}.${shape.cc}.${shape.rep}.${shape.operandSize}.${shape.addressSize}.${shape.mode.codeWidth}.${shape.mode.stackWidth}.${shape.mode.flat ? 'f' : 's'} ${shape.operands.map(operandKey).join(',')}`

const formPattern = /^(\d+)([fbc])(x?)(r?)(a?)([nsd])$/
const operandPattern = /^(gpr|seg|cr|dr|mmx|xmm|st|tr|imm|rel|far|m)(\d+)(?:#(\d+))?(?::(\w+))?$/
const segmentations = { f: 'flat', b: 'based', c: 'checked' } as const
const strings = { n: 'none', s: 'source', d: 'destination' } as const

function parseOperand(key: string): OperandShape {
  const [, kind, width, index, form] = operandPattern.exec(key) ?? []
  if (kind === undefined) throw new Error(`not an operand: ${key}`)
  if (kind === 'imm' || kind === 'rel' || kind === 'far') return { kind, width: Number(width) }
  if (kind !== 'm')
    return { kind: 'reg', cls: kind as 'gpr', width: Number(width), index: index === undefined ? undefined : Number(index) }
  const [, addressSize, segmentation, indexed, ripRelative, absolute, string] = formPattern.exec(form ?? '') ?? []
  if (addressSize === undefined) throw new Error(`not an address form: ${key}`)
  return {
    kind: 'mem',
    width: Number(width),
    form: {
      addressSize: Number(addressSize) as 16 | 32 | 64,
      segmentation: segmentations[segmentation as 'f'],
      indexed: indexed !== '',
      ripRelative: ripRelative !== '',
      absolute: absolute !== '',
      string: strings[string as 'n'],
    },
  }
}

/** The inverse of `shapeKey`. */
export function parseShapeKey(key: string): Shape {
  const [head, operands = ''] = key.split(' ') as [string, string?]
  const [mnemonic, cc, rep, operandSize, addressSize, codeWidth, stackWidth, flat] = head.split('.') as [string, ...string[]]
  const size = (text: string | undefined): 16 | 32 | 64 => Number(text) as 16 | 32 | 64
  return {
    mnemonic,
    mode: { codeWidth: size(codeWidth), stackWidth: size(stackWidth), flat: flat === 'f' },
    operandSize: size(operandSize),
    addressSize: size(addressSize),
    cc: Number(cc),
    rep: Number(rep) as Shape['rep'],
    lock: false,
    operands: operands === '' ? [] : operands.split(',').map(parseOperand),
  }
}
