package vault;

/** A class both packages build upon. */
public abstract class Ledger {
    /** Known to all who import the package. */
    public static short entries;
    protected short total;

    protected abstract short weight();

    public short enter(short value) {
        entries++;
        total += (short) (value * weight());
        return total;
    }
}
