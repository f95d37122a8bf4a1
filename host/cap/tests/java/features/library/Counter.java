package library;

/** A library class another package extends. */
public class Counter {
    public static final short LIMIT = 1000;
    public static short made;
    protected short value;
    public byte[] buffer;
    short internal;

    public Counter(short start) {
        value = start;
        made++;
    }

    protected Counter() {
        this((short) 0);
    }

    public short next() {
        return value++;
    }

    protected void reset() {
        value = internal;
    }

    public static Counter create() {
        return new Counter();
    }

    void notExported() {
    }
}
