package jp.jpkise.ara;

/** Status words (SEAC 4.1; ISO/IEC 7816-4, 5.6). */
interface Sw {
    short OK = (short) 0x9000;
    /** The rule is there, and a rule of the same reference was there before. */
    short DUPLICATE_REFERENCE = 0x6381;
    /** Stored without an unknown object. */
    short UNKNOWN_DISCARDED = 0x6382;
    short MEMORY_FAILURE = 0x6581;
    short WRONG_LENGTH = 0x6700;
    /** A command object that does not exist here. */
    short COMMAND_OBJECT = 0x6981;
    short SECURITY_STATUS = 0x6982;
    /** GET DATA [next]: the rules have changed since the page before. */
    short RULES_CHANGED = 0x6984;
    /** A block out of order. */
    short CONDITIONS = 0x6985;
    short WRONG_DATA = 0x6A80;
    short FUNCTION_NOT_SUPPORTED = 0x6A81;
    short NO_MEMORY = 0x6A84;
    short WRONG_P1P2 = 0x6A86;
    /** Nothing to delete, to give out, or left. */
    short NOT_FOUND = 0x6A88;
    /** A rule of the same reference says the opposite. */
    short CONFLICT = 0x6A89;
    short INS_NOT_SUPPORTED = 0x6D00;
    short CLA_NOT_SUPPORTED = 0x6E00;
}
