/** Narrowed to the names of the tables. */
export type Mnemonic = string
