package vault;

import javacard.framework.Shareable;

/** What a server offers to applets of other packages. */
public interface Vault extends Shareable {
    /** Adds the bytes of an array, which must be accessible from the server's context. */
    short add(byte[] data, short offset, short length);

    /** Who called before: the first byte of the client's AID behind its RID. */
    byte caller();
}
