/** Resource descriptors for _CRS buffers. [ACPI 6.5 6.4 "Resource Data Types for ACPI"] */
import { buffer, little, name, type Aml } from './aml.ts'

const FIXED = 0x0c

export function crs(...descriptors: Aml[]): Aml {
  return name('_CRS', buffer([...descriptors.flat(), 0x79, 0x00]))
}

export function ioPorts(first: number, count: number): Aml {
  return [0x47, 0x01, ...little(first, 2), ...little(first, 2), 0x01, count]
}

/** Edge-triggered, active high, not shared. */
export function isaIrq(irq: number): Aml {
  return [0x22, ...little(1 << irq, 2)]
}

export function memory(base: number, size: number): Aml {
  return [0x86, 0x09, 0x00, 0x01, ...little(base, 4), ...little(size, 4)]
}

/** A level-triggered, active-high interrupt by its GSI. */
export function levelInterrupt(gsi: number): Aml {
  return [0x89, 0x06, 0x00, 0x01, 0x01, ...little(gsi, 4)]
}

export function busNumbers(first: number, last: number): Aml {
  return [0x88, 0x0d, 0x00, 0x02, FIXED, 0x00, ...words(2, first, last)]
}

export function portWindow(first: number, last: number): Aml {
  return [0x88, 0x0d, 0x00, 0x01, FIXED, 0x03, ...words(2, first, last)]
}

/** Read-write memory, not cacheable. */
export function memoryWindow(first: number, last: number): Aml {
  return [0x87, 0x17, 0x00, 0x00, FIXED, 0x01, ...words(4, first, last)]
}

/** Granularity, minimum, maximum, translation, length. */
function words(size: number, first: number, last: number): number[] {
  return [0, first, last, 0, last - first + 1].flatMap((value) => little(value, size))
}
