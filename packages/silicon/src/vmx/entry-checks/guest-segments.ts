import {
  AR_DB,
  AR_DPL_SHIFT,
  AR_G,
  AR_L,
  AR_P,
  AR_S,
  AR_TYPE,
  AR_UNUSABLE,
  guestAccess,
  guestBase,
  guestLimit,
  guestSelector,
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_FS,
  SEG_GS,
  SEG_LDTR,
  SEG_SS,
  SEG_TR,
  SELECTOR_RPL,
  SELECTOR_TI,
  TYPE_ACCESSED,
  TYPE_CODE,
  TYPE_LDT,
  TYPE_READABLE,
  TYPE_TSS16_BUSY,
  TYPE_TSS_BUSY,
} from '@guestmode/x86'
import { field, fieldNumber } from '../vmcs-layout.ts'
import type { EntryCheck, EntryContext } from './check.ts'

const names = ['ES', 'CS', 'SS', 'DS', 'FS', 'GS', 'LDTR', 'TR']
const segs = names.map((_, seg) => ({
  selector: fieldNumber(guestSelector(seg)),
  base: fieldNumber(guestBase(seg)),
  limit: fieldNumber(guestLimit(seg)),
  access: fieldNumber(guestAccess(seg)),
}))

const selector = (c: EntryContext, seg: number): number => c.low(segs[seg]!.selector)
const access = (c: EntryContext, seg: number): number => c.low(segs[seg]!.access)
const isUsable = (c: EntryContext, seg: number): boolean => (access(c, seg) & AR_UNUSABLE) === 0
const dpl = (c: EntryContext, seg: number): number => (access(c, seg) >>> AR_DPL_SHIFT) & 3
const type = (c: EntryContext, seg: number): number => access(c, seg) & AR_TYPE

/** Limit and granularity agree: bits 11:0 not all ones need G = 0, bits 31:20 not all zeros need G = 1. */
function isGranular(c: EntryContext, seg: number): boolean {
  const limit = c.low(segs[seg]!.limit)
  const isPaged = (access(c, seg) & AR_G) !== 0
  return ((limit & 0xfff) === 0xfff || !isPaged) && (limit >>> 20 === 0 || isPaged)
}

const reservedAccess = 0xfffe_0f00
const codeOrData = [SEG_CS, SEG_SS, SEG_DS, SEG_ES, SEG_FS, SEG_GS]
const data = [SEG_DS, SEG_ES, SEG_FS, SEG_GS]

function csType(c: EntryContext): boolean {
  const kind = type(c, SEG_CS)
  if (kind === 9 || kind === 11 || kind === 13 || kind === 15) return true
  return kind === 3 && c.unrestricted
}

function csDpl(c: EntryContext): boolean {
  const kind = type(c, SEG_CS)
  if (kind === 3) return dpl(c, SEG_CS) === 0
  if (kind === 9 || kind === 11) return dpl(c, SEG_CS) === dpl(c, SEG_SS)
  return dpl(c, SEG_CS) <= dpl(c, SEG_SS)
}

function ssDpl(c: EntryContext): boolean {
  if (!c.unrestricted && dpl(c, SEG_SS) !== (selector(c, SEG_SS) & SELECTOR_RPL)) return false
  return (type(c, SEG_CS) !== 3 && c.protection) || dpl(c, SEG_SS) === 0
}

/** Rules of one register outside virtual-8086 mode; those not for CS bind a register only while it is usable. */
function each(list: readonly number[], what: string, holds: (c: EntryContext, seg: number) => boolean): EntryCheck[] {
  return list.map((seg) => ({
    name: `guest ${names[seg]}: ${what}`,
    holds: (c) => c.virtual8086 || (seg !== SEG_CS && !isUsable(c, seg)) || holds(c, seg),
  }))
}

/** [SDM3 27.3.1.2 "Checks on Guest Segment Registers"] */
export const guestSegmentChecks: readonly EntryCheck[] = [
  { name: 'guest TR: selector has TI = 0', holds: (c) => (selector(c, SEG_TR) & SELECTOR_TI) === 0 },
  {
    name: 'guest LDTR: selector has TI = 0',
    holds: (c) => !isUsable(c, SEG_LDTR) || (selector(c, SEG_LDTR) & SELECTOR_TI) === 0,
  },
  {
    name: 'guest SS: selector has the RPL of CS',
    holds: (c) => c.virtual8086 || c.unrestricted || ((selector(c, SEG_SS) ^ selector(c, SEG_CS)) & SELECTOR_RPL) === 0,
  },
  ...codeOrData.flatMap((seg): EntryCheck[] => [
    {
      name: `guest ${names[seg]}: virtual-8086 base`,
      holds: (c) => !c.virtual8086 || (c.low(segs[seg]!.base) === selector(c, seg) << 4 && c.high(segs[seg]!.base) === 0),
    },
    { name: `guest ${names[seg]}: virtual-8086 limit`, holds: (c) => !c.virtual8086 || c.low(segs[seg]!.limit) === 0xffff },
    { name: `guest ${names[seg]}: virtual-8086 access rights`, holds: (c) => !c.virtual8086 || access(c, seg) === 0xf3 },
  ]),
  ...[SEG_TR, SEG_FS, SEG_GS].map((seg): EntryCheck => ({
    name: `guest ${names[seg]}: canonical base`,
    holds: (c) => c.canonical(segs[seg]!.base),
  })),
  { name: 'guest LDTR: canonical base', holds: (c) => !isUsable(c, SEG_LDTR) || c.canonical(segs[SEG_LDTR]!.base) },
  { name: 'guest CS: 32-bit base', holds: (c) => c.high(segs[SEG_CS]!.base) === 0 },
  ...[SEG_SS, SEG_DS, SEG_ES].map((seg): EntryCheck => ({
    name: `guest ${names[seg]}: 32-bit base`,
    holds: (c) => !isUsable(c, seg) || c.high(segs[seg]!.base) === 0,
  })),

  { name: 'guest CS: type', holds: (c) => c.virtual8086 || csType(c) },
  ...each([SEG_SS], 'type', (c) => type(c, SEG_SS) === 3 || type(c, SEG_SS) === 7),
  ...each(
    data,
    'type',
    (c, seg) =>
      (type(c, seg) & TYPE_ACCESSED) !== 0 && ((type(c, seg) & TYPE_CODE) === 0 || (type(c, seg) & TYPE_READABLE) !== 0),
  ),
  ...each(codeOrData, 'S is 1', (c, seg) => (access(c, seg) & AR_S) !== 0),
  { name: 'guest CS: DPL', holds: (c) => c.virtual8086 || csDpl(c) },
  { name: 'guest SS: DPL', holds: (c) => c.virtual8086 || ssDpl(c) },
  ...each(
    data,
    'DPL at least RPL',
    (c, seg) => c.unrestricted || type(c, seg) > 11 || dpl(c, seg) >= (selector(c, seg) & SELECTOR_RPL),
  ),
  ...each(codeOrData, 'present', (c, seg) => (access(c, seg) & AR_P) !== 0),
  ...each(codeOrData, 'reserved access rights', (c, seg) => (access(c, seg) & reservedAccess) === 0),
  {
    name: 'guest CS: D is 0 in 64-bit mode',
    holds: (c) => c.virtual8086 || !c.ia32e || (access(c, SEG_CS) & (AR_L | AR_DB)) !== (AR_L | AR_DB),
  },
  ...each(codeOrData, 'granularity', isGranular),

  {
    name: 'guest TR: type',
    holds: (c) => type(c, SEG_TR) === TYPE_TSS_BUSY || (type(c, SEG_TR) === TYPE_TSS16_BUSY && !c.ia32e),
  },
  { name: 'guest TR: S is 0', holds: (c) => (access(c, SEG_TR) & AR_S) === 0 },
  { name: 'guest TR: present', holds: (c) => (access(c, SEG_TR) & AR_P) !== 0 },
  { name: 'guest TR: reserved access rights', holds: (c) => (access(c, SEG_TR) & reservedAccess) === 0 },
  { name: 'guest TR: granularity', holds: (c) => isGranular(c, SEG_TR) },
  { name: 'guest TR: usable', holds: (c) => isUsable(c, SEG_TR) },
  { name: 'guest LDTR: type', holds: (c) => !isUsable(c, SEG_LDTR) || type(c, SEG_LDTR) === TYPE_LDT },
  { name: 'guest LDTR: S is 0', holds: (c) => !isUsable(c, SEG_LDTR) || (access(c, SEG_LDTR) & AR_S) === 0 },
  { name: 'guest LDTR: present', holds: (c) => !isUsable(c, SEG_LDTR) || (access(c, SEG_LDTR) & AR_P) !== 0 },
  {
    name: 'guest LDTR: reserved access rights',
    holds: (c) => !isUsable(c, SEG_LDTR) || (access(c, SEG_LDTR) & reservedAccess) === 0,
  },
  { name: 'guest LDTR: granularity', holds: (c) => !isUsable(c, SEG_LDTR) || isGranular(c, SEG_LDTR) },

  // [SDM3 27.3.1.3 "Checks on Guest Descriptor-Table Registers"]
  { name: 'guest GDTR: canonical base', holds: (c) => c.canonical(field.GUEST_GDTR_BASE) },
  { name: 'guest IDTR: canonical base', holds: (c) => c.canonical(field.GUEST_IDTR_BASE) },
  {
    name: 'guest GDTR and IDTR: 16-bit limits',
    holds: (c) => c.low(field.GUEST_GDTR_LIMIT) >>> 16 === 0 && c.low(field.GUEST_IDTR_LIMIT) >>> 16 === 0,
  },
]
