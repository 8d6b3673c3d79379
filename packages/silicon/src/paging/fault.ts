/** Why a translation failed. One object per walker, overwritten by the next failure. */
export interface TranslationFault {
  kind: 'page-fault' | 'ept-violation' | 'ept-misconfig'
  /** Of #PF. [SDM3 4.7 "Page-Fault Exceptions"] */
  errorCode: number
  /** Of an EPT violation. [SDM3 Table 28-7 "Exit Qualification for EPT Violations"] */
  qualification: number
  /** Guest-physical address of an EPT violation or misconfiguration. */
  gpa: number
  /** The linear address that was translated. */
  linHi: number
  linLo: number
}
