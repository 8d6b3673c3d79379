/** Exception vectors. [SDM3 6.15 "Exception and Interrupt Reference"] */
export const DE = 0
export const DB = 1
export const NMI = 2
export const BP = 3
export const OF = 4
export const BR = 5
export const UD = 6
export const NM = 7
export const DF = 8
export const TS = 10
export const NP = 11
export const SS = 12
export const GP = 13
export const PF = 14
export const MF = 16
export const AC = 17
export const MC = 18
export const XM = 19
export const VE = 20
export const CP = 21

export const exceptionNames: Readonly<Record<number, string>> = {
  [DE]: '#DE',
  [DB]: '#DB',
  [NMI]: 'NMI',
  [BP]: '#BP',
  [OF]: '#OF',
  [BR]: '#BR',
  [UD]: '#UD',
  [NM]: '#NM',
  [DF]: '#DF',
  [TS]: '#TS',
  [NP]: '#NP',
  [SS]: '#SS',
  [GP]: '#GP',
  [PF]: '#PF',
  [MF]: '#MF',
  [AC]: '#AC',
  [MC]: '#MC',
  [XM]: '#XM',
  [VE]: '#VE',
  [CP]: '#CP',
}

/** Vectors that push an error code outside real-address mode. */
export function hasErrorCode(vector: number): boolean {
  return ((0x0022_7d00 >>> vector) & 1) !== 0 && vector < 32
}

/** Error code of segment-related exceptions. [SDM3 6.13 "Error Code"] */
export const ERROR_EXT = 1
export const ERROR_IDT = 2
export const ERROR_TI = 4

/** Error code of #PF. [SDM3 4.7 "Page-Fault Exceptions"] */
export const PF_PRESENT = 1 << 0
export const PF_WRITE = 1 << 1
export const PF_USER = 1 << 2
export const PF_RSVD = 1 << 3
export const PF_FETCH = 1 << 4
export const PF_PK = 1 << 5
