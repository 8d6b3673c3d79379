import { decode, disassemble } from '@guestmode/x86'
import { codeOf, type TestCase } from './case.ts'
import { decodeAt, memoryOf } from './decoding.ts'
import { code, data, imageAt, stack } from './layout.ts'
import type { Example, Report } from './run.ts'

const hex = (value: bigint | number): string => value.toString(16)
const names64 = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15']

export function listing(test: TestCase): string[] {
  let at = code.address + BigInt(test.codeOffset)
  return test.instructions.map((bytes) => {
    const result = decode(bytes, 0, bytes.length, test.mode)
    const text = result.ok ? disassemble(result.insn, at) : `(${result.reason})`
    const line = `    ${hex(at)}  ${Buffer.from(bytes).toString('hex').padEnd(24)} ${text}`
    at += BigInt(bytes.length)
    return line
  })
}

/** What the last instruction's memory operand holds at first, if its registers are those of the beginning. */
function operandOf({ test, image }: Example): string[] {
  const insn = decodeAt([...test.instructions.at(-1)!], test.mode)
  const operand = insn && memoryOf(insn)
  if (insn === undefined || operand === undefined) return []
  const register = (index: number): bigint => (index < 0 ? 0n : test.gpr[index]!)
  const end = code.address + BigInt(test.codeOffset + codeOf(test).length)
  let address = register(operand.base) + (register(operand.index) << BigInt(operand.scale)) + BigInt(operand.disp)
  if (operand.ripRelative) address += end
  address = BigInt.asUintN(operand.addrSize, operand.disp64 ?? address)
  if (test.mode === 16) address += operand.seg === 2 ? stack.address : data.address
  if (test.mode === 64 && operand.seg >= 4)
    address = BigInt.asUintN(64, address + (operand.seg === 4 ? test.fsBase : test.gsBase))
  const offset = imageAt(address)
  if (offset === undefined) return []
  const memory = image.slice()
  for (const patch of test.patches) memory.set(patch.bytes, patch.offset)
  const bytes = memory.subarray(offset, offset + Math.max(1, operand.width / 8))
  return [`    at ${hex(address)}: ${Buffer.from(bytes).reverse().toString('hex')}`]
}

function describe(example: Example): string {
  const { test, index, differences, host } = example
  const { fp } = test
  const registers = test.gpr.flatMap((value, i) => (value === 0n ? [] : [`${names64[i]}=${hex(value)}`]))
  const st = fp.st.flatMap((value, i) => (value === 0n ? [] : [`st${i}=${hex(value)}`]))
  const xmm = fp.xmm.flatMap((value, i) => (value === 0n ? [] : [`xmm${i}=${hex(value)}`]))
  return [
    `  case ${index}, ${test.mode}-bit, ends in exception ${host.vector}`,
    ...listing(test),
    `    rflags=${hex(test.rflags)} ${registers.join(' ')}`,
    `    fcw=${hex(fp.control)} fsw=${hex(fp.status)} ftw=${hex(fp.valid)} mxcsr=${hex(fp.mxcsr)} ${[...st, ...xmm].join(' ')}`,
    ...(test.fsBase === 0n && test.gsBase === 0n ? [] : [`    fs base=${hex(test.fsBase)} gs base=${hex(test.gsBase)}`]),
    ...operandOf(example),
    ...differences.slice(0, 12).map(({ what, host, ours }) => `    ${what}: host ${host}, ours ${ours}`),
  ].join('\n')
}

export function format(report: Report): string {
  const { cases, voided, different, findings, hostSeconds, oursSeconds } = report
  const rate = Math.round(cases / (hostSeconds + oursSeconds))
  return [
    ...findings.flatMap(({ mnemonic, kind, count, examples }) => [`${mnemonic}: ${kind}: ${count}`, ...examples.map(describe)]),
    `${cases} cases, ${different} differ; ${rate} cases a second (host ${hostSeconds.toFixed(1)} s, ours ${oursSeconds.toFixed(1)} s)`,
    ...[...voided].map(([reason, count]) => `${count} not compared: ${reason}`),
  ].join('\n')
}
