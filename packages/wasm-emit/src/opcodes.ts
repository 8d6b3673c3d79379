/** Value types by their binary encoding. */
export const ValType = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b } as const
export type ValType = keyof typeof ValType

/** A numeric operator: no immediates besides an optional lane, operands and result on the stack. */
export interface NumericOp {
  readonly name: string
  readonly prefix: 0 | 0xfc | 0xfd
  readonly code: number
  readonly params: readonly ValType[]
  readonly result: ValType
  /** Takes a lane index as an immediate. */
  readonly lane: boolean
}

const table = new Map<string, NumericOp>()

function define(prefix: NumericOp['prefix'], first: number, names: string): void {
  names
    .trim()
    .split(/\s+/)
    .forEach((name, i) => {
      if (name !== '-') table.set(name, { name, prefix, code: first + i, ...signature(name), lane: name.includes('_lane') })
    })
}

const comparisons = 'eq ne lt gt le ge'
const integerComparisons = 'eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u'
const integerOps = 'clz ctz popcnt add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr'
const floatOps = 'abs neg ceil floor trunc nearest sqrt add sub mul div min max copysign'
const of = (type: string, ops: string): string =>
  ops
    .split(' ')
    .map((op) => (op === '-' ? op : `${type}.${op}`))
    .join(' ')

/** Signatures follow from the names [WebAssembly 2.0, 2.4 "Instructions"]. */
function signature(name: string): { params: ValType[]; result: ValType } {
  const [shape = '', op = ''] = name.split('.') as [string, string]
  if (!/x|v128/.test(shape)) {
    const type = shape as ValType
    if (op === 'eqz') return { params: [type], result: 'i32' }
    const from = /_([if](?:32|64))(?:_[su])?$/.exec(op)
    if (from) return { params: [from[1] as ValType], result: type }
    if (/^(eq|ne|[lg][te])(_[su])?$/.test(op)) return { params: [type, type], result: 'i32' }
    if (/^(clz|ctz|popcnt|abs|neg|ceil|floor|trunc|nearest|sqrt|extend\d+_s)$/.test(op)) return { params: [type], result: type }
    return { params: [type, type], result: type }
  }
  const lane =
    ({ i8x16: 'i32', i16x8: 'i32', i32x4: 'i32', i64x2: 'i64', f32x4: 'f32', f64x2: 'f64' } as Record<string, ValType>)[shape] ??
    'i32'
  if (op === 'splat') return { params: [lane], result: 'v128' }
  if (op.startsWith('extract_lane')) return { params: ['v128'], result: lane }
  if (op === 'replace_lane') return { params: ['v128', lane], result: 'v128' }
  if (/^(any_true|all_true|bitmask)$/.test(op)) return { params: ['v128'], result: 'i32' }
  if (/^(shl|shr_s|shr_u)$/.test(op)) return { params: ['v128', 'i32'], result: 'v128' }
  if (op === 'bitselect') return { params: ['v128', 'v128', 'v128'], result: 'v128' }
  const unary = /^(not|abs|neg|popcnt|ceil|floor|trunc|nearest|sqrt|extadd|extend|convert|trunc_sat|demote|promote)/
  if (unary.test(op) || op.endsWith('_zero')) return { params: ['v128'], result: 'v128' }
  return { params: ['v128', 'v128'], result: 'v128' }
}

define(
  0,
  0x45,
  `i32.eqz ${of('i32', integerComparisons)} i64.eqz ${of('i64', integerComparisons)} ${of('f32', comparisons)} ${of('f64', comparisons)}`,
)
define(0, 0x67, `${of('i32', integerOps)} ${of('i64', integerOps)} ${of('f32', floatOps)} ${of('f64', floatOps)}`)
define(
  0,
  0xa7,
  `i32.wrap_i64 i32.trunc_f32_s i32.trunc_f32_u i32.trunc_f64_s i32.trunc_f64_u i64.extend_i32_s i64.extend_i32_u
  i64.trunc_f32_s i64.trunc_f32_u i64.trunc_f64_s i64.trunc_f64_u f32.convert_i32_s f32.convert_i32_u f32.convert_i64_s f32.convert_i64_u f32.demote_f64
  f64.convert_i32_s f64.convert_i32_u f64.convert_i64_s f64.convert_i64_u f64.promote_f32
  i32.reinterpret_f32 i64.reinterpret_f64 f32.reinterpret_i32 f64.reinterpret_i64
  i32.extend8_s i32.extend16_s i64.extend8_s i64.extend16_s i64.extend32_s`,
)
define(
  0xfc,
  0,
  `i32.trunc_sat_f32_s i32.trunc_sat_f32_u i32.trunc_sat_f64_s i32.trunc_sat_f64_u
  i64.trunc_sat_f32_s i64.trunc_sat_f32_u i64.trunc_sat_f64_s i64.trunc_sat_f64_u`,
)
define(
  0xfd,
  14,
  `i8x16.swizzle i8x16.splat i16x8.splat i32x4.splat i64x2.splat f32x4.splat f64x2.splat
  i8x16.extract_lane_s i8x16.extract_lane_u i8x16.replace_lane i16x8.extract_lane_s i16x8.extract_lane_u i16x8.replace_lane
  i32x4.extract_lane i32x4.replace_lane i64x2.extract_lane i64x2.replace_lane f32x4.extract_lane f32x4.replace_lane f64x2.extract_lane f64x2.replace_lane
  ${of('i8x16', integerComparisons)} ${of('i16x8', integerComparisons)} ${of('i32x4', integerComparisons)} ${of('f32x4', comparisons)} ${of('f64x2', comparisons)}
  v128.not v128.and v128.andnot v128.or v128.xor v128.bitselect v128.any_true`,
)
define(
  0xfd,
  94,
  `f32x4.demote_f64x2_zero f64x2.promote_low_f32x4
  ${of('i8x16', 'abs neg popcnt all_true bitmask narrow_i16x8_s narrow_i16x8_u')} ${of('f32x4', 'ceil floor trunc nearest')}
  ${of('i8x16', 'shl shr_s shr_u add add_sat_s add_sat_u sub sub_sat_s sub_sat_u')} f64x2.ceil f64x2.floor
  ${of('i8x16', 'min_s min_u max_s max_u')} f64x2.trunc i8x16.avgr_u
  i16x8.extadd_pairwise_i8x16_s i16x8.extadd_pairwise_i8x16_u i32x4.extadd_pairwise_i16x8_s i32x4.extadd_pairwise_i16x8_u
  ${of('i16x8', 'abs neg q15mulr_sat_s all_true bitmask narrow_i32x4_s narrow_i32x4_u extend_low_i8x16_s extend_high_i8x16_s extend_low_i8x16_u extend_high_i8x16_u shl shr_s shr_u add add_sat_s add_sat_u sub sub_sat_s sub_sat_u')}
  f64x2.nearest ${of('i16x8', 'mul min_s min_u max_s max_u - avgr_u extmul_low_i8x16_s extmul_high_i8x16_s extmul_low_i8x16_u extmul_high_i8x16_u')}
  ${of('i32x4', 'abs neg - all_true bitmask - - extend_low_i16x8_s extend_high_i16x8_s extend_low_i16x8_u extend_high_i16x8_u shl shr_s shr_u add - - sub - - - mul min_s min_u max_s max_u dot_i16x8_s - extmul_low_i16x8_s extmul_high_i16x8_s extmul_low_i16x8_u extmul_high_i16x8_u')}
  ${of('i64x2', 'abs neg - all_true bitmask - - extend_low_i32x4_s extend_high_i32x4_s extend_low_i32x4_u extend_high_i32x4_u shl shr_s shr_u add - - sub - - - mul eq ne lt_s gt_s le_s ge_s extmul_low_i32x4_s extmul_high_i32x4_s extmul_low_i32x4_u extmul_high_i32x4_u')}
  ${of('f32x4', 'abs neg - sqrt add sub mul div min max pmin pmax')} ${of('f64x2', 'abs neg - sqrt add sub mul div min max pmin pmax')}
  i32x4.trunc_sat_f32x4_s i32x4.trunc_sat_f32x4_u f32x4.convert_i32x4_s f32x4.convert_i32x4_u
  i32x4.trunc_sat_f64x2_s_zero i32x4.trunc_sat_f64x2_u_zero f64x2.convert_low_i32x4_s f64x2.convert_low_i32x4_u`,
)

/** Looks an operator up by its specification name; throws for an unknown one. */
export function numericOp(name: string): NumericOp {
  const op = table.get(name)
  if (!op) throw new Error(`unknown WebAssembly operator ${name}`)
  return op
}

export const numericOps = (): IterableIterator<NumericOp> => table.values()

/** Loads and stores: name -> opcode (SIMD ones behind the 0xfd prefix) and natural alignment (log2). */
export const memoryOps: Readonly<Record<string, { prefix: 0 | 0xfd; code: number; align: number }>> = {
  'i32.load': { prefix: 0, code: 0x28, align: 2 },
  'i64.load': { prefix: 0, code: 0x29, align: 3 },
  'f32.load': { prefix: 0, code: 0x2a, align: 2 },
  'f64.load': { prefix: 0, code: 0x2b, align: 3 },
  'i32.load8_s': { prefix: 0, code: 0x2c, align: 0 },
  'i32.load8_u': { prefix: 0, code: 0x2d, align: 0 },
  'i32.load16_s': { prefix: 0, code: 0x2e, align: 1 },
  'i32.load16_u': { prefix: 0, code: 0x2f, align: 1 },
  'i64.load8_s': { prefix: 0, code: 0x30, align: 0 },
  'i64.load8_u': { prefix: 0, code: 0x31, align: 0 },
  'i64.load16_s': { prefix: 0, code: 0x32, align: 1 },
  'i64.load16_u': { prefix: 0, code: 0x33, align: 1 },
  'i64.load32_s': { prefix: 0, code: 0x34, align: 2 },
  'i64.load32_u': { prefix: 0, code: 0x35, align: 2 },
  'i32.store': { prefix: 0, code: 0x36, align: 2 },
  'i64.store': { prefix: 0, code: 0x37, align: 3 },
  'f32.store': { prefix: 0, code: 0x38, align: 2 },
  'f64.store': { prefix: 0, code: 0x39, align: 3 },
  'i32.store8': { prefix: 0, code: 0x3a, align: 0 },
  'i32.store16': { prefix: 0, code: 0x3b, align: 1 },
  'i64.store8': { prefix: 0, code: 0x3c, align: 0 },
  'i64.store16': { prefix: 0, code: 0x3d, align: 1 },
  'i64.store32': { prefix: 0, code: 0x3e, align: 2 },
  'v128.load': { prefix: 0xfd, code: 0, align: 4 },
  'v128.load64_zero': { prefix: 0xfd, code: 93, align: 3 },
  'v128.load32_zero': { prefix: 0xfd, code: 92, align: 2 },
  'v128.store': { prefix: 0xfd, code: 11, align: 4 },
}
