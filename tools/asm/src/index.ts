export { assemble, type AssembleOptions, type Assembly, type ListingLine } from './assemble.ts'
export { AssemblyError } from './errors.ts'
export { defineElf32Static, defineElf64Static, ELF_LOAD_ADDRESS, type ElfOptions } from './elf.ts'
export type { Bits } from './statement.ts'
