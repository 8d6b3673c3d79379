import { expect, test } from 'vitest'
import { EscapeKeys } from './escape.ts'

function read(...inputs: string[]): string[] {
  const keys = new EscapeKeys()
  return inputs.flatMap((input) =>
    keys
      .read(Uint8Array.from(input, (c) => c.charCodeAt(0)))
      .map((key) => (key.kind === 'bytes' ? String.fromCharCode(...key.bytes) : `<${key.kind}>`)),
  )
}

test.each<[string[], string[]]>([
  [['ls\r'], ['ls\r']],
  [['\x03'], ['\x03']],
  [['\x01x'], ['<quit>']],
  [['\x01', 'X'], ['<quit>']],
  [['ab\x01hcd'], ['ab', '<help>', 'cd']],
  [['\x01\x01'], ['\x01']],
  [['\x01a'], ['\x01']],
  [
    ['a\x01', 'qb'],
    ['a', 'qb'],
  ],
  [['\x01\x01x'], ['\x01', 'x']],
  [['', '\x01'], []],
])('%j', (inputs, keys) => {
  expect(read(...inputs)).toEqual(keys)
})
