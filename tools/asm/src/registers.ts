export type RegisterClass = 'gp' | 'segment' | 'control' | 'debug' | 'x87' | 'mmx' | 'xmm'

export type Register = {
  readonly name: string
  readonly class: RegisterClass
  readonly number: number
  /** Bits. */
  readonly size: number
  /** AH, CH, DH, BH: cannot be encoded together with a REX prefix. */
  readonly high?: true
  /** SPL, BPL, SIL, DIL: need a REX prefix even when it has no bit set. */
  readonly needsRex?: true
}

function build(): Map<string, Register> {
  const map = new Map<string, Register>()
  const add = (name: string, cls: RegisterClass, number: number, size: number, extra: Partial<Register> = {}) =>
    map.set(name, { name, class: cls, number, size, ...extra })
  const low = ['ax', 'cx', 'dx', 'bx', 'sp', 'bp', 'si', 'di']
  low.forEach((name, n) => {
    add(name, 'gp', n, 16)
    add('e' + name, 'gp', n, 32)
    add('r' + name, 'gp', n, 64)
  })
  for (const [n, name] of ['al', 'cl', 'dl', 'bl'].entries()) add(name, 'gp', n, 8)
  for (const [n, name] of ['ah', 'ch', 'dh', 'bh'].entries()) add(name, 'gp', n + 4, 8, { high: true })
  for (const [n, name] of ['spl', 'bpl', 'sil', 'dil'].entries()) add(name, 'gp', n + 4, 8, { needsRex: true })
  for (let n = 8; n < 16; n++) {
    add(`r${n}`, 'gp', n, 64)
    add(`r${n}d`, 'gp', n, 32)
    add(`r${n}w`, 'gp', n, 16)
    add(`r${n}b`, 'gp', n, 8)
  }
  for (const [n, name] of ['es', 'cs', 'ss', 'ds', 'fs', 'gs'].entries()) add(name, 'segment', n, 16)
  for (let n = 0; n < 16; n++) {
    add(`cr${n}`, 'control', n, 0)
    add(`dr${n}`, 'debug', n, 0)
    add(`xmm${n}`, 'xmm', n, 128)
  }
  for (let n = 0; n < 8; n++) {
    add(`st${n}`, 'x87', n, 80)
    add(`mm${n}`, 'mmx', n, 64)
  }
  return map
}

export const REGISTERS: ReadonlyMap<string, Register> = build()
