/** The pages that sequences see, at the same linear addresses on either side. Everything around them is absent. */
export const PAGE = 4096

export interface Region {
  readonly name: string
  readonly address: bigint
  readonly pages: number
  readonly writable: boolean
  readonly executable: boolean
}

const region = (name: string, address: bigint, pages: number, rights: '' | 'w' | 'x'): Region => ({
  name,
  address,
  pages,
  writable: rights === 'w',
  executable: rights === 'x',
})

export const code = region('code', 0x1000_0000n, 2, 'x')
export const data = region('data', 0x2000_0000n, 2, 'w')
/** Follows `data`. */
export const constant = region('constant', 0x2000_2000n, 1, '')
export const stack = region('stack', 0x2001_0000n, 1, 'w')
/** Above 4 GiB. */
export const high = region('high', 0x1234_5678_9000n, 1, 'w')
/** What 16-bit addresses reach. */
export const low = region('low', 0x8000n, 1, 'w')

/** The runner takes the first for code; the others make up the memory image. Descriptors of the LDT use the numbers too. */
export const regions = [code, data, constant, stack, high, low] as const
export const imageRegions = regions.slice(1)

export const endOf = ({ address, pages }: Region): bigint => address + BigInt(pages * PAGE)

/** Offsets of the regions in the memory image. */
const offsets = new Map<Region, number>()
let size = 0
for (const each of imageRegions) {
  offsets.set(each, size)
  size += each.pages * PAGE
}
export const imageSize = size
export const imageOffset = (of: Region): number => offsets.get(of)!

/** Offset in the memory image of a linear address, or undefined. */
export function imageAt(address: bigint): number | undefined {
  for (const each of imageRegions) {
    if (address >= each.address && address < endOf(each)) return imageOffset(each) + Number(address - each.address)
  }
  return undefined
}

export function addressAt(offset: number): bigint {
  const found = imageRegions.find((each) => offset >= imageOffset(each) && offset < imageOffset(each) + each.pages * PAGE)!
  return found.address + BigInt(offset - imageOffset(found))
}

/** Sequences start here: before and behind them all is INT3. */
export const CODE_START = 0x800
/** Selectors of Linux. */
export const USER_CODE_32 = 0x23
export const USER_DATA = 0x2b
export const USER_CODE_64 = 0x33
