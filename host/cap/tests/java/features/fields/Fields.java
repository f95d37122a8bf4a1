package fields;

/** Instance and static fields of all kinds, through this and others. */
class Fields {
    static short counter;
    static byte last;
    static boolean ready;
    static Object held;
    short size;
    byte kind;
    boolean open;
    byte[] data;
    Fields next;

    Fields(byte[] data, byte kind) {
        this.data = data;
        this.kind = kind;
        open = true;
    }

    void bump() {
        size++;
        size += 10;
        kind = (byte) (kind | 0x40);
    }

    short ofNext() {
        return next.size;
    }

    void copy(Fields other) {
        size = other.size;
        other.next = this;
        this.next = other.next = null;
    }

    short conditional(boolean which) {
        size = which ? (short) 1 : other();
        return size;
    }

    private short other() {
        return counter;
    }

    static void statics(byte b) {
        counter += b;
        last = b;
        ready = !ready;
        held = null;
    }
}
