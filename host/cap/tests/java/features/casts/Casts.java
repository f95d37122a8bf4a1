package casts;

/** instanceof and checkcast on classes, interfaces and arrays. */
class Casts {
    interface Marker {
    }

    static short test(Object o) {
        if (o instanceof byte[]) {
            return (short) ((byte[]) o).length;
        }
        if (o instanceof Casts[]) {
            return (short) ((Casts[]) o).length;
        }
        if (o instanceof short[] || o instanceof boolean[]) {
            return 1;
        }
        Marker m = o instanceof Marker ? (Marker) o : null;
        return m == null ? (short) 0 : (short) 2;
    }
}
