/** Fills arrays with the same bytes for the same seed. (SplitMix64: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014) */
export function seededRandom(seed: number): (bytes: Uint8Array) => void {
  let state = BigInt.asUintN(64, BigInt(Math.trunc(seed)))
  const next = (): bigint => {
    state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n)
    let z = state
    z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n)
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn)
    return z ^ (z >> 31n)
  }
  return (bytes) => {
    for (let at = 0; at < bytes.length; at += 8) {
      let value = next()
      for (let i = at; i < Math.min(at + 8, bytes.length); i++, value >>= 8n) bytes[i] = Number(value & 0xffn)
    }
  }
}
