/**
 * Unit vectors of x87, MMX and SSE instructions: results of an Intel processor, one line each.
 *
 *   code | inputs | changes
 *
 * `code` is one 64-bit instruction whose memory operand, if any, is at [RDI] = FLOAT_MEMORY. Inputs that are not named have
 * the values of `initialState`; what the instruction does not change is not named behind the second bar. Fields: cw sw tag
 * (bit set: physical register valid) mx; st0..st7 sign, exponent and significand; x0..x15; mem (bytes in order of addresses,
 * zeros cut off at the end); ax cx dx; fl (CF PF AF ZF SF OF in their places). `fault` is the vector of the exception raised.
 */
export const FLOAT_MEMORY = 0x1000_0000
export const FLOAT_MEMORY_SIZE = 128
export const FLOAT_FLAGS = 0x8d5n

export interface FloatState {
  control: number
  status: number
  valid: number
  mxcsr: number
  /** Relative to TOP: significand and word. */
  readonly st: { mant: bigint; word: number }[]
  readonly xmm: bigint[]
  readonly memory: Uint8Array
  /** RAX, RCX, RDX. */
  readonly gpr: [bigint, bigint, bigint]
  flags: bigint
}

export type FloatOutcome = { readonly fault: number | undefined; readonly state: FloatState }

export interface FloatVector {
  readonly code: Uint8Array
  readonly input: FloatState
  readonly output: FloatOutcome
}

export const initialState = (): FloatState => ({
  control: 0x37f,
  status: 0,
  valid: 0xff,
  mxcsr: 0x1f80,
  st: Array.from({ length: 8 }, () => ({ mant: 0n, word: 0 })),
  xmm: new Array<bigint>(16).fill(0n),
  memory: new Uint8Array(FLOAT_MEMORY_SIZE),
  gpr: [0n, 0n, 0n],
  flags: 0n,
})

const copy = (s: FloatState): FloatState => ({
  ...s,
  st: s.st.map((r) => ({ ...r })),
  xmm: [...s.xmm],
  memory: s.memory.slice(),
  gpr: [...s.gpr],
})

const bytes = (hex: string): Uint8Array => Uint8Array.from(hex.match(/../g) ?? [], (b) => parseInt(b, 16))

function assign(state: FloatState, fields: string): number | undefined {
  let fault: number | undefined
  for (const field of fields.split(' ')) {
    const [name, hex] = field.split('=') as [string, string]
    if (!hex) continue
    const value = name === 'mem' ? 0n : BigInt(`0x${hex}`)
    const n = Number(BigInt.asUintN(32, value))
    if (name === 'cw') state.control = n
    else if (name === 'sw') state.status = n
    else if (name === 'tag') state.valid = n
    else if (name === 'mx') state.mxcsr = n
    else if (name === 'fl') state.flags = value
    else if (name === 'fault') fault = n
    else if (name === 'mem') {
      state.memory.fill(0)
      state.memory.set(bytes(hex))
    } else if (name.startsWith('st')) state.st[Number(name[2])] = { mant: BigInt.asUintN(64, value), word: Number(value >> 64n) }
    else if (name[0] === 'x') state.xmm[Number(name.slice(1))] = value
    else if (['ax', 'cx', 'dx'].includes(name)) state.gpr[['ax', 'cx', 'dx'].indexOf(name)] = value
    else throw new Error(`no field ${name}`)
  }
  return fault
}

export function parseFloatVector(line: string): FloatVector {
  const [code, inputs, changes] = line.split('|') as [string, string, string]
  const input = initialState()
  assign(input, inputs)
  const state = copy(input)
  const fault = assign(state, changes)
  return { code: bytes(code), input, output: { fault, state } }
}

const memoryText = (memory: Uint8Array): string => {
  let end = memory.length
  while (end > 1 && memory[end - 1] === 0) end--
  return Array.from(memory.subarray(0, end), (b) => b.toString(16).padStart(2, '0')).join('')
}

/** The fields of `state` that differ from those of `from`, as text. */
export function differences(state: FloatState, from: FloatState): string {
  const out: string[] = []
  const note = (name: string, value: bigint | number, old: bigint | number, digits: number): void => {
    if (value !== old) out.push(`${name}=${value.toString(16).padStart(digits, '0')}`)
  }
  note('cw', state.control, from.control, 4)
  note('sw', state.status, from.status, 4)
  note('tag', state.valid, from.valid, 2)
  note('mx', state.mxcsr, from.mxcsr, 4)
  const whole = (r: { mant: bigint; word: number }): bigint => (BigInt(r.word) << 64n) | r.mant
  state.st.forEach((r, i) => note(`st${i}`, whole(r), whole(from.st[i]!), 20))
  state.xmm.forEach((v, i) => note(`x${i}`, v, from.xmm[i]!, 32))
  if (memoryText(state.memory) !== memoryText(from.memory)) out.push(`mem=${memoryText(state.memory)}`)
  ;['ax', 'cx', 'dx'].forEach((name, i) => note(name, state.gpr[i]!, from.gpr[i]!, 1))
  note('fl', state.flags, from.flags, 1)
  return out.join(' ')
}

export type FloatEngine = (vector: FloatVector) => FloatOutcome

/** Runs one line; empty when the engine agrees, else what it did and what the processor does. */
export function runFloatVector(engine: FloatEngine, line: string): string {
  const vector = parseFloatVector(line)
  const outcome = engine(vector)
  const show = ({ fault, state }: FloatOutcome): string =>
    `${fault === undefined ? '' : `fault=${fault.toString(16)} `}${differences(state, vector.input)}`
  const [got, wanted] = [show(outcome), show(vector.output)]
  return got === wanted ? '' : `${line}\n    got ${got}`
}
