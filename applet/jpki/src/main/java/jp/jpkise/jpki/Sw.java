package jp.jpkise.jpki;

/**
 * Status words (ISO/IEC 7816-4, 5.6). An interface because constants of an interface cost nothing in the CAP, while a
 * class would bring a constructor.
 */
interface Sw {
    short OK = (short) 0x9000;
    /** Verification failed; the low nibble tells the tries left. */
    short TRIES_LEFT = 0x63C0;
    /** Memory failure. */
    short MEMORY_FAILURE = 0x6581;
    short WRONG_LENGTH = 0x6700;
    short CHAINING_NOT_SUPPORTED = 0x6884;
    /** The selected EF has no bytes to read: it is a key or a secret. */
    short INCOMPATIBLE_FILE = 0x6981;
    /** Security status not satisfied; also every refusal by the secure channel or its level. */
    short SECURITY_STATUS = 0x6982;
    /** What ISO says of a blocked secret; used when the policy asks for it. */
    short AUTH_METHOD_BLOCKED = 0x6983;
    /** What the deployed card says of a blocked secret (reference data not usable). */
    short REFERENCE_DATA_UNUSABLE = 0x6984;
    /** Conditions of use not satisfied: wrong state, wrong order, interface not allowed. */
    short CONDITIONS = 0x6985;
    short NO_CURRENT_EF = 0x6986;
    short WRONG_DATA = 0x6A80;
    short FUNCTION_NOT_SUPPORTED = 0x6A81;
    short FILE_NOT_FOUND = 0x6A82;
    short NOT_ENOUGH_SPACE = 0x6A84;
    short WRONG_P1P2 = 0x6A86;
    /** Referenced data (an EF of the wrong kind, a tag, a DGI) not found. */
    short REFERENCE_NOT_FOUND = 0x6A88;
    /** Offset or page behind the end. */
    short WRONG_OFFSET = 0x6B00;
    /** Wrong Le; 256, written 00, is the right one. */
    short WRONG_LE_WANT_256 = 0x6C00;
    short INS_NOT_SUPPORTED = 0x6D00;
    short CLA_NOT_SUPPORTED = 0x6E00;
}
