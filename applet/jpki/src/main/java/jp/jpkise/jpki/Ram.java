package jp.jpkise.jpki;

import javacard.framework.JCSystem;
import javacard.framework.Util;

/**
 * All transient memory of the applet: 310 bytes, CLEAR_ON_DESELECT throughout, because all of it hangs on the
 * selection in which a secret was verified or a channel opened.
 *
 * <pre>
 * name       bytes  users                                              wiped
 * scratch      256  data of commands in clear; the block being signed; after each command, except when it holds
 *                   answers; a public key's modulus                    one of the two below
 *                   - the proof of possession, until it is read        by any command but GET DATA DF3E
 *                   - token information, until its last byte is there  by any command but STORE DATA, by an error
 * temporary     34  per key: length, then the temporary secret padded  by INITIALIZE UPDATE, EXTERNAL AUTHENTICATE, a
 *                   with FF to 16 bytes                                channel error, a wrong value, its use, select
 * vars          20  see the indices below                              per command or sequence
 * </pre>
 */
final class Ram {
    /** Size of an RSA-2048 block; a short APDU's 255 bytes of data fit too. */
    static final short SCRATCH = 256;

    /** Longest secret. */
    static final short SECRET = 16;
    /** A temporary secret's slot: length and value. */
    static final short TEMPORARY = 17;

    /** Security level of this command's secure channel; 0: the command came in clear. */
    static final byte LEVEL = 0;
    /** Length of this command's data in the APDU buffer, secure messaging taken off. */
    static final byte DATA = 1;
    /** Length of the answer waiting in the APDU buffer to be wrapped. */
    static final byte ANSWER = 2;
    /** Short identifier of the current EF; 0: none. */
    static final byte CURRENT_EF = 3;
    /** P1 P2 of the COMPUTE DIGITAL SIGNATURE whose message is being hashed; 0: none. */
    static final byte CHAIN = 4;
    /** Key whose proof of possession stands in scratch; 0: none. */
    static final byte PROOF = 5;
    /** STORE DATA: number of the next block; a new sequence starts with 0. */
    static final byte NEXT_BLOCK = 6;
    /** STORE DATA: the DGI being filled; 0: none. */
    static final byte DGI = 7;
    /** STORE DATA: length of that DGI's value. */
    static final byte DGI_LENGTH = 8;
    /** STORE DATA: how much of it is there. */
    static final byte DGI_DONE = 9;

    private static final short VARS = 10;

    final byte[] scratch;
    final byte[] temporary;
    final short[] vars;

    Ram() {
        scratch = JCSystem.makeTransientByteArray(SCRATCH, JCSystem.CLEAR_ON_DESELECT);
        temporary = JCSystem.makeTransientByteArray((short) (2 * TEMPORARY), JCSystem.CLEAR_ON_DESELECT);
        vars = JCSystem.makeTransientShortArray(VARS, JCSystem.CLEAR_ON_DESELECT);
    }

    /** Ends what runs over several commands: a STORE DATA sequence, a chained message, an unread proof. */
    void endSequences() {
        vars[NEXT_BLOCK] = 0;
        vars[DGI] = 0;
        vars[CHAIN] = 0;
        vars[PROOF] = 0;
    }

    /** Wipes scratch unless it holds something for the next command. */
    void tidy() {
        if (vars[PROOF] == 0 && vars[DGI] != Tag.DGI_TOKEN_INFO) {
            Util.arrayFillNonAtomic(scratch, (short) 0, SCRATCH, (byte) 0);
        }
    }

    /** Forgets the temporary secrets of both keys. */
    void forgetTemporary() {
        Util.arrayFillNonAtomic(temporary, (short) 0, (short) (2 * TEMPORARY), (byte) 0);
    }
}
