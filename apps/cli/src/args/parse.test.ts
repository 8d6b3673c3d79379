import { describe, expect, test } from 'vitest'
import { parseArguments } from './parse.ts'

const parse = (...words: string[]) => parseArguments(words, '1.2.3')

describe('what is asked for', () => {
  test.each<[string[], object]>([
    [[], { kind: 'run', words: { reboot: true } }],
    [['run'], { kind: 'run', words: { reboot: true } }],
    [
      ['-m', '256M', '-kernel', 'K', '-initrd', 'I', '-append', 'console=ttyS0 quiet', '-nographic'],
      { kind: 'run', words: { m: '256M', kernel: 'K', initrd: 'I', append: 'console=ttyS0 quiet', nographic: true } },
    ],
    [['run', '--kernel', 'K', '--no-reboot'], { kind: 'run', words: { kernel: 'K', reboot: false } }],
    [['-kernel', 'K', '-no-reboot'], { kind: 'run', words: { reboot: false } }],
    [['-append', '-kernel', '-kernel', '--', '-name', '-hda'], { words: { append: '-kernel', kernel: '--', name: '-hda' } }],
    [['-kernel=K'], { words: { kernel: 'K' } }],
    [['-serial', 'none', '-serial', 'file:x'], { words: { serial: ['none', 'file:x'] } }],
    [['-d', 'exit', '-trace', 'pio', '-D', 'f'], { words: { d: ['exit'], trace: ['pio'], D: 'f' } }],
    [['-icount', '-stats'], { words: { icount: true, stats: true } }],
    [['-icount', 'shift=3'], { words: { icount: 'shift=3' } }],
    [['-kernel', 'A', '-kernel', 'B'], { words: { kernel: 'B' } }],
    [['demo', '-m', '32', '-append', 'run:ps'], { kind: 'demo', words: { m: '32', append: 'run:ps' } }],
    [['guests'], { kind: 'guests', action: 'list', names: [], offline: false }],
    [['guests', 'get', 'default', '-offline'], { kind: 'guests', action: 'get', names: ['default'], offline: true }],
    [['--version'], { kind: 'print', text: '1.2.3\n' }],
  ])('%j', (words, request) => {
    expect(parse(...words)).toMatchObject(request)
  })
})

describe('what cannot be', () => {
  test.each<[string[], RegExp]>([
    [['-kernl', 'K'], /^unknown option '-kernl' \(Did you mean -kernel\?\)$/],
    [['-bogus'], /^unknown option '-bogus'; guestmode run --help lists them$/],
    [['-kernel'], /argument missing/],
    [['vmlinuz'], /unknown command, or a word too many/],
    [['run', 'vmlinuz'], /a word too many/],
    [['-hda', 'disk.img'], /^-hda: the machine has no disk yet$/],
    [['-enable-kvm'], /^-enable-kvm: only this project/],
    [['-s'], /no debugger/],
    [['guests', 'eat'], /'eat' is none of list, get, clean/],
    [['demo', '-kernel', 'x'], /unknown option '-kernel'/],
  ])('%j', (words, message) => {
    expect(() => parse(...words)).toThrow(message)
    try {
      parse(...words)
    } catch (error) {
      expect((error as Error).message).not.toContain('\n')
      expect((error as { status?: number }).status).toBe(2)
    }
  })
})

test('help shows qemu’s spelling, examples, keys and statuses', () => {
  const program = parse('--help')
  const run = parse('run', '-help')
  if (program.kind !== 'print' || run.kind !== 'print') throw new Error('not help')
  expect(program.text).toMatch(/Examples:[^]*-kernel vmlinuz[^]*Exit status:/)
  expect(run.text).toMatch(/^ {2}-kernel <file> /m)
  expect(run.text).toMatch(/^ {2}-no-reboot /m)
  expect(run.text).toMatch(/Ctrl-A X[^]*Exit status:/)
  expect(run.text).not.toContain('-nic')
  for (const line of [...program.text.split('\n'), ...run.text.split('\n')]) expect(line.length).toBeLessThan(140)
})
