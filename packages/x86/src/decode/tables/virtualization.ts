import { digit, modrm, np, p66, pF3, row, table } from '../notation.ts'

/** [SDM3 "VMX Instruction Reference"] */
export const vmx = [
  table('0f', 'vmx', {
    0x01: [
      row('VMCALL', modrm(0xc1), np),
      row('VMLAUNCH', modrm(0xc2), np),
      row('VMRESUME', modrm(0xc3), np),
      row('VMXOFF', modrm(0xc4), np),
      row('VMFUNC', modrm(0xd4), np),
    ],
    0x78: row('VMREAD', 'En', 'Gn', np),
    0x79: row('VMWRITE', 'Gn', 'En', np),
    0xc7: [
      row('VMPTRLD', 'Mq', digit(6), np),
      row('VMCLEAR', 'Mq', digit(6), p66),
      row('VMXON', 'Mq', digit(6), pF3),
      row('VMPTRST', 'Mq', digit(7), np),
    ],
  }),
  table('0f38', 'vmx', {
    0x80: row('INVEPT', 'Gn', 'Mdq', p66),
    0x81: row('INVVPID', 'Gn', 'Mdq', p66),
  }),
]

/**
 * Their operands are in rAX (and ECX). F2 and F3 0F 01 D9, VMGEXIT, are VMMCALL but for an encrypted guest.
 * [APM3 4 "System Instruction Reference"]
 */
export const svm = table('0f', 'svm', {
  0x01: [
    row('VMRUN', modrm(0xd8)),
    row('VMMCALL', modrm(0xd9)),
    row('VMLOAD', modrm(0xda)),
    row('VMSAVE', modrm(0xdb)),
    row('STGI', modrm(0xdc)),
    row('CLGI', modrm(0xdd)),
    row('SKINIT', modrm(0xde)),
    row('INVLPGA', modrm(0xdf)),
  ],
})
