/**
 * A decoded instruction in linear memory: what its handler reads. 32 bytes, little-endian.
 *
 *   +0  u32  number of the handler: a case of the loop, or above those an index of the table
 *   +4  u16  offset of the instruction in its page
 *   +6  u8   length in bytes
 *   +7  u8   instructions from the start of the block up to and including this one
 *   +8  u16  state offset of the first register operand      | relative branches: u32 address of the target's record, 0 = unknown
 *   +10 u16  state offset of the second register operand     |
 *   +12 u16  state offset of the base register               | or of the third register operand
 *   +14 u16  state offset of the index register              | or of the fourth
 *   +16 i32  displacement                                    | or a second immediate | string instructions: see bulk-string.ts
 *   +20 u16  state offset of the segment's base
 *   +22 u8   scale
 *   +23 u8   segment number
 *   +24 i64  immediate, branch displacement, or number of the `Insn` for microcode
 */
export const Record = {
  size: 32,
  handler: 0,
  pageOffset: 4,
  length: 6,
  count: 7,
  registers: [8, 10, 12, 14],
  link: 8,
  base: 12,
  index: 14,
  displacement: 16,
  segmentBase: 20,
  scale: 22,
  segment: 23,
  immediate: 24,
} as const
