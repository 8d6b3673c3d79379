export type Letter = string
